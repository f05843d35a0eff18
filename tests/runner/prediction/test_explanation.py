from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from tests.runner.comparison.test_page import LOADING, Page

from runner.errors import RunnerError
from runner.models.explanation import Explanation, Part
from runner.ops.csr import Graph
from runner.prediction.drawing import SOURCE, TALL, TARGET, WIDE, draw
from runner.prediction.explanation import explain_pair
from runner.prediction.neighbourhood import MOST

HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "a\u2028'b&<!--")

# 0 and 1 are linked and share 2 and 3, which are linked; 4 and 5 are of 0 alone, 6 of 1 alone.
EDGES = torch.tensor([[0, 0, 1, 0, 1, 2, 0, 0, 1], [1, 2, 2, 3, 3, 3, 4, 5, 6]])
NAMES = ["Ann", "Bob", "Cy", "Di", "Ed", "Flo", "Gus"]


def part(graph, name, nodes, contribution=None, **columns):
    node = torch.tensor(nodes, dtype=torch.int64)
    given = None if contribution is None else torch.tensor(contribution, dtype=torch.float64)
    return Part(name, node, given, {"degree": graph.degree()[node], **columns})


def small(names=NAMES, **changed):
    """Both ends are one-sided neighbours of each other, as where the pair is linked."""
    graph = Graph.from_edges(EDGES, 7)
    likely = {"completion probability": torch.tensor([0.25, 0.5, 0.125])}
    parts = (
        part(graph, "common neighbours", [2, 3], [0.5, -2.0]),
        part(graph, "neighbours of the source alone", [1, 4, 5], [0.1, 0.75, -0.25], **likely),
        part(
            graph, "neighbours of the target alone", [0, 6], [-0.125, 1.0],
            **{"completion probability": torch.tensor([0.25, 0.875])},
        ),
    )  # fmt: skip
    given = {"known": True, "title": "ncn on friends", **changed}
    return explain_pair(Explanation(1.5, parts), (0, 1), graph, names, **given)


def hub(count, contributions=True):
    """Two nodes with so many common neighbours, of which the last contribute most."""
    ends = torch.arange(2).repeat_interleave(count)
    graph = Graph.from_edges(torch.stack([ends, torch.arange(2, 2 + count).repeat(2)]), 2 + count)
    of = torch.arange(count).tolist() if contributions else None
    common = part(graph, "common neighbours", list(range(2, 2 + count)), of)
    explanation = Explanation(3.0, (common,), {"shortest path": 2.0})
    return explain_pair(explanation, (0, 1), graph, range(2 + count), known=False)


def test_the_table_has_the_largest_contributions_first():
    table = small().as_table()
    assert list(table) == [
        "group", "node", "contribution", "degree", "completion probability",
    ]  # fmt: skip
    assert list(table["node"]) == ["Di", "Gus", "Ed", "Cy", "Flo", "Ann", "Bob"]
    assert list(table["contribution"]) == [-2.0, 1.0, 0.75, 0.5, -0.25, -0.125, 0.1]
    assert list(table["degree"]) == [3, 1, 1, 3, 1, 5, 4]
    assert table["degree"].dtype == np.int64
    assert table["completion probability"].iloc[1] == 0.875
    assert math.isnan(table["completion probability"].iloc[0])
    table["node"] = "changed"
    assert "changed" not in set(small().as_table()["node"])


def test_the_dict_is_json():
    found = json.loads(json.dumps(small(probability=0.25).as_dict(), allow_nan=False))
    assert found["source"] == {"node": "Ann", "degree": 5}
    assert found["target"] == {"node": "Bob", "degree": 4}
    assert (found["score"], found["probability"], found["known"]) == (1.5, 0.25, True)
    assert found["neighbours"][0] == {
        "group": "common neighbours", "node": "Di", "contribution": -2.0, "degree": 3,
        "completion probability": None,
    }  # fmt: skip
    assert len(found["neighbours"]) == 7


def test_a_pair_is_compared_with_the_test_ties_counting_half():
    found = small(
        link_scores=np.array([1.0, 1.5, 1.5, 2.0]), negative_scores=np.array([[0.0, 1.0], [0.5, 9]])
    )
    assert found.below == {"links": 50.0, "negatives": 75.0}
    assert small(link_scores=np.array([])).below == {}


def test_without_contributions_or_a_path():
    graph = Graph.from_edges(EDGES[:, :0], 7)
    nobody = Explanation(0.0, (part(graph, "common neighbours", []),), {"shortest path": math.inf})
    found = explain_pair(nobody, (0, 1), graph, NAMES, known=False)
    assert found.as_table().empty and found.as_dict()["facts"] == {"shortest path": None}
    found = hub(3, contributions=False)
    assert found.as_dict()["neighbours"][0]["contribution"] is None
    assert len(found.as_table()) == 3


def test_neighbours_are_drawn_by_the_end_they_belong_to():
    drawn = small().drawn
    assert [(node.name, node.side) for node in drawn.neighbours] == [
        ("Di", "common"), ("Gus", "target"), ("Ed", "source"), ("Cy", "common"), ("Flo", "source"),
    ]  # fmt: skip
    assert drawn.linked and drawn.links == [(0, 3)] and drawn.left_out == 0
    assert drawn.places == [0, 1, 2, 3, 4, None, None]
    assert drawn.neighbours[1].probability == 0.875 and drawn.neighbours[0].probability is None
    assert drawn.source.roles[0]["contribution"] == -0.125


@pytest.mark.parametrize("form", [WIDE, TALL], ids=["wide", "tall"])
def test_lines_follow_the_graph(form):
    lines = {(line.kind, *line.nodes) for line in draw(small().drawn, form).lines}
    assert lines == {
        ("among", 0, 3), ("pair", SOURCE, TARGET),
        ("lowers", 0, SOURCE), ("lowers", 0, TARGET), ("raises", 3, SOURCE), ("raises", 3, TARGET),
        ("raises", 1, TARGET), ("missing", 1, SOURCE), ("raises", 2, SOURCE),
        ("missing", 2, TARGET), ("lowers", 4, SOURCE), ("missing", 4, TARGET),
    }  # fmt: skip


@pytest.mark.parametrize("form", [WIDE, TALL], ids=["wide", "tall"])
@pytest.mark.parametrize("found", [small(), hub(0), hub(1), hub(23), hub(200)])
def test_spots_lie_within_the_picture_and_apart(form, found):
    drawing = draw(found.drawn, form)
    assert len({spot.index for spot in drawing.spots}) == len(found.drawn.neighbours) + 2
    for spot in drawing.spots:
        assert spot.radius < spot.x < drawing.width - spot.radius
        assert spot.radius < spot.y < drawing.height - spot.radius - 16
    at = np.array([(spot.x, spot.y) for spot in drawing.spots])
    gap = np.abs(at[:, None] - at[None]).max(2) + 1000 * np.eye(len(at))
    assert gap.min() >= 45


def test_the_largest_are_drawn_and_the_others_counted(tmp_path):
    found = hub(200)
    assert len(found.drawn.neighbours) == MOST and found.drawn.left_out == 200 - MOST
    assert found.drawn.neighbours[0].name == "201"
    text = found.page(tmp_path / "why.html").read_text()
    assert (
        "the largest contributions; 140 more are not" in text
        and text.count("<tr data-node=") == MOST
    )
    rows = Page(text).rows["table"]
    assert len(rows) == 201 and rows[1][:3] == ["201", "+199", "2"]


def test_a_hub_has_a_page_of_bounded_size(tmp_path):
    text = hub(10_000).page(tmp_path / "why.html").read_text()
    assert "9000 more rows are left out" in text and len(text) < 600_000


def test_names_are_text_wherever_they_stand(tmp_path):
    found = small([*HOSTILE, *NAMES[3:]], title=HOSTILE[0])
    page = Page(found.page(tmp_path / "why.html").read_text())
    tags = [tag for tag, _ in page.elements]
    assert "img" not in tags and not page.open
    assert not any("alert(1)" in text for kind, text in page.scripts if kind is None)
    (details,) = [json.loads(text) for kind, text in page.scripts if kind == "application/json"]
    assert [details[index]["name"] for index in ("-2", "-1", "3")] == list(HOSTILE)
    assert HOSTILE[2] in [row[0] for row in page.rows["table"]]
    shown = found._repr_html_()
    tags = [tag for tag, _ in Page(f'<section id="x">{shown}</section>').elements]
    assert "img" not in tags and "script" not in tags and tags.count("iframe") == 1


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    page = Page(small().page(tmp_path / "why.html").read_text())
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "img", "base"), tag
        assert not LOADING & set(attributes) - {"data"}, attributes
    (policy,) = [of["content"] for tag, of in page.elements if "http-equiv" in of]
    assert "default-src 'none'" in policy and "http" not in policy
    assert "url(" not in "".join(page.styles)


def test_a_page_that_cannot_be_written(tmp_path):
    with pytest.raises(RunnerError, match="cannot be written"):
        small().page(tmp_path / "absent" / "why.html")
