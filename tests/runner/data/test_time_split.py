"""The split by time against plain Python over the rows."""

from __future__ import annotations

import itertools
import random

import pytest
import torch

from runner.data.time_split import TimeSplit
from runner.data.times import Times
from runner.data.whole_graph import WholeGraph
from runner.errors import RunnerError

KINDS = {"undirected": {}, "directed": {"directed": True}, "bipartite": {"num_sources": 11}}
NODES = 40


def splitter(**changes) -> TimeSplit:
    keys = {
        "valid": None, "test": None, "valid_from": None, "test_from": None, "repeated": "drop",
        "seed": 0, "valid_negatives": 2.0, "test_negatives": 1.0,
    }  # fmt: skip
    return TimeSplit(**{**keys, **changes})


def table(kind: str, seed: int):
    """Rows in no order, with ties, repeats, reversed pairs, self-loops and nodes that come late."""
    chance = random.Random(seed)
    rows = []
    for _ in range(130):
        time = chance.randrange(12)
        known = range(min(NODES, 14 + 2 * time))
        u, v = chance.choice(known), chance.choice(known)
        if kind == "bipartite":
            u, v = (
                chance.randrange(min(11, 1 + time)),
                chance.randrange(11, min(NODES, 20 + 2 * time)),
            )
        rows.append((u, v, time))
        if chance.random() < 0.3 and kind != "bipartite":
            rows.append((v, u, chance.randrange(time, 12)))
        if chance.random() < 0.2:
            rows.append((u, v, chance.randrange(time, 12)))
    chance.shuffle(rows)
    return rows


def whole_of(rows, kind: str = "undirected", **times) -> WholeGraph:
    u, v, time = torch.tensor(rows).T
    return WholeGraph.of(torch.stack([u, v]), NODES, times=Times(time, **times), **KINDS[kind])


def reference(rows, kind: str, starts: tuple[int, int], repeated: str):
    """Links and possible negatives of each part, and the counts that are told."""
    order = (lambda u, v: (u, v)) if kind == "directed" else (lambda u, v: (min(u, v), max(u, v)))
    rows = [row for row in rows if row[0] != row[1]]
    parts, seen_pairs, seen_links, nodes = [], set(), set(), set()
    trained = {x for u, v, t in rows if t < starts[0] for x in (u, v)}
    for number in range(3):
        inside = [r for r in rows if (r[2] >= starts[0]) + (r[2] >= starts[1]) == number]
        links = {order(u, v) for u, v, _ in inside}
        again = {link for link in links if frozenset(link) in seen_pairs}
        before = set(nodes)
        for u, v, _ in inside:
            seen_pairs.add(frozenset((u, v)))
            seen_links.add(order(u, v))
            nodes |= {u, v}
        kept = links - again if repeated == "drop" else links
        candidates = {
            order(u, v)
            for u, v in itertools.permutations(sorted(nodes), 2)
            if kind != "bipartite" or (u < 11 <= v)
        }
        parts.append(
            {
                "rows": len(inside), "links": kept, "again": len(again),
                "possible": candidates - seen_links, "new": len(nodes - before),
                "alone": sum(not set(link) <= trained for link in kept),
            }
        )  # fmt: skip
    return parts


def nearest(rows, valid: float, test: float) -> tuple[int, int]:
    times = [t for u, v, t in rows if u != v]

    def distance(time: int, share: float) -> float:
        return abs(sum(t < time for t in times) - len(times) * (1 - share))

    distinct = sorted(set(times))
    test_from = min(distinct[2:], key=lambda time: distance(time, test))
    earlier = [time for time in distinct[1:] if time < test_from]
    return min(earlier, key=lambda time: distance(time, valid + test)), test_from


def pairs(links):
    found = list(map(tuple, links.T.tolist()))
    assert len(set(found)) == len(found)
    return set(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("repeated", ["drop", "keep"])
@pytest.mark.parametrize("cut", ["shares", "times"])
@pytest.mark.parametrize("seed", range(4))
def test_a_split_is_that_of_the_reference(kind, repeated, cut, seed):
    rows = table(kind, seed)
    if cut == "shares":
        starts = nearest(rows, 0.15, 0.25)
        keys = {"valid": 0.15, "test": 0.25}
    else:
        starts = (7, 10)
        keys = {"valid_from": 7, "test_from": 9.5}
    multiples = {"valid_negatives": 1.5, "test_negatives": 0.5}
    split = splitter(repeated=repeated, **keys, **multiples).split(whole_of(rows, kind))
    train, valid, test = reference(rows, kind, starts, repeated)
    assert pairs(split.train) == train["links"]
    for found, expected, multiple in ((split.valid, valid, 1.5), (split.test, test, 0.5)):
        assert pairs(found.positive) == expected["links"]
        assert pairs(found.negative) <= expected["possible"]
        assert found.negative.shape[1] == round(multiple * len(expected["links"]))
    told = split.facts["time split"]
    assert (told["valid from"], told["test from"]) == tuple(map(str, starts))
    assert told["rows"] == [part["rows"] for part in (train, valid, test)]
    assert told["links"] == [len(part["links"]) for part in (train, valid, test)]
    assert told["seen before"] == [valid["again"], test["again"]]
    assert told["new nodes"] == [valid["new"], test["new"]]
    assert told["links of nodes without training links"] == [valid["alone"], test["alone"]]
    assert valid["again"] and test["again"] and valid["new"]


def test_every_negative_that_may_be_is_drawn():
    rows = table("undirected", 0)
    possible = reference(rows, "undirected", (7, 10), "drop")
    drawn = [set(), set()]
    for seed in range(300):
        split = splitter(valid_from=7, test_from=10, seed=seed).split(whole_of(rows))
        drawn[0] |= pairs(split.valid.negative)
        drawn[1] |= pairs(split.test.negative)
    assert drawn == [possible[1]["possible"], possible[2]["possible"]]
    later = possible[2]["links"] & drawn[0]
    assert later  # a pair that is no link yet is a negative, though it becomes one


def test_the_seed_decides_the_negatives_alone():
    whole = whole_of(table("undirected", 0))
    one, same, other = (splitter(seed=seed).split(whole) for seed in (0, 0, 1))
    assert torch.equal(one.test.negative, same.test.negative)
    assert torch.equal(one.test.positive, other.test.positive)
    assert not torch.equal(one.test.negative, other.test.negative)


def test_the_order_of_the_rows_does_not_matter():
    rows = table("undirected", 0)
    one, other = (splitter().split(whole_of(r)) for r in (rows, sorted(rows)))
    assert torch.equal(one.train, other.train)
    assert torch.equal(one.test.negative, other.test.negative)


def test_a_note_says_where_the_cuts_fell():
    day = 86_400
    rows = [(n, n + 1, 1_082_000_000 + n * day) for n in range(20)]
    notes = splitter(valid_negatives=1.0).split(whole_of(rows, dates=True)).notes
    assert notes == (
        "split by time: validation from 2004-04-29 03:33:20, test from 2004-05-01 03:33:20 (UTC); "
        "rows of train, validation, test: 14 (70.0%), 2 (10.0%), 4 (20.0%)",
        "links: 14 train, 2 validation, 4 test; seen before and dropped: 0 of validation, "
        "0 of test",
        "2 nodes first appear in validation, 4 in test; 2 validation and 4 test links have a node "
        "without a training link",
    )


@pytest.mark.parametrize(
    ("given", "first_test_row"),
    [
        (("2004-04-20", "2004-04-25"), 11),
        (("2004-04-20 12:00", "2004-04-25T00:00:00+02:00"), 10),
        ((1082419200, "1082851200"), 11),
    ],
)
def test_cuts_by_date(given, first_test_row):
    start, day = 1_081_987_200, 86_400  # 2004-04-15, midnight
    rows = [(n, n + 1, start + n * day - (n == 10) * 3600) for n in range(20)]
    for scale in (1, 1000):
        scaled = [(u, v, t * scale) for u, v, t in rows]
        cut = splitter(valid_from=given[0], test_from=given[1])
        split = cut.split(whole_of(scaled, dates=True, scale=scale))
        assert split.test.positive.min() == first_test_row


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"valid": 0.1, "valid_from": 3, "test_from": 5}, "give one of the two"),
        ({"test_from": 5}, r"split\.valid_from: give both"),
        ({"valid_from": "2004-05-01"}, r"split\.test_from: give both"),
        ({"valid": 0.5, "test": 0.5}, "leave no training links"),
        ({"valid": 0.85}, "valid=0.85 and test=0.2 leave no training links"),
    ],
)
def test_contradictions_are_refused_at_once(keys, words):
    with pytest.raises(RunnerError, match=words):
        splitter(**keys)


@pytest.mark.parametrize(
    ("keys", "dates", "words"),
    [
        ({"valid_from": 3, "test_from": 3}, False, "the times, 0 to 11, into three parts"),
        ({"valid_from": 5, "test_from": 3}, False, "into three parts"),
        ({"valid_from": 0, "test_from": 3}, False, "into three parts"),
        ({"valid_from": 3, "test_from": 12}, False, "into three parts"),
        ({"valid_from": "2004-05-01", "test_from": "2004-06-01"}, False, "are numbers: give one"),
        ({"valid_from": 2003, "test_from": 2004}, True, r"valid_from=2003: .* as 2024-05-31"),
        ({"valid_from": "May", "test_from": "June"}, True, "valid_from=May"),
    ],
)
def test_cuts_that_do_not_fit_are_refused(keys, dates, words):
    with pytest.raises(RunnerError, match=words):
        splitter(**keys).split(whole_of(table("undirected", 0), dates=dates))


def test_too_few_times_are_refused():
    rows = [(u, v, u % 2) for u, v in itertools.combinations(range(8), 2)]
    with pytest.raises(RunnerError, match="2 different times, and three parts need three"):
        splitter().split(whole_of(rows))
    loops = [(u, u, u) for u in range(8)]
    with pytest.raises(RunnerError, match="0 different times"):
        splitter(valid_from=2, test_from=3).split(whole_of(loops))


def test_a_part_without_new_links_is_refused():
    rows = [(n, n + 1, 0) for n in range(20)] + [(0, 1, 1), (5, 9, 2)]
    with pytest.raises(RunnerError, match=r"of the validation were seen before.*repeated=keep"):
        splitter(valid_from=1, test_from=2).split(whole_of(rows))
    kept = splitter(valid_from=1, test_from=2, repeated="keep").split(whole_of(rows))
    assert kept.valid.positive.tolist() == [[0], [1]]


def test_times_of_a_few_values_are_cut_near_the_shares():
    rows = [(n % 13, 13 + n % 7, 2000 + n // 40) for n in range(200)]  # five years of 40 rows
    few = {"valid_negatives": 0.1, "test_negatives": 0.1}
    told = splitter(valid=0.25, test=0.15, repeated="keep", **few).split(whole_of(rows)).facts
    assert told["time split"]["rows"] == [120, 40, 40]


def test_a_part_without_a_row_is_refused_as_such():
    rows = [(n, n + 1, n if n < 6 else n + 10) for n in range(12)]
    with pytest.raises(RunnerError, match="no link has a time from valid_from=8 to test_from=10"):
        splitter(valid_from=8, test_from=10).split(whole_of(rows))
