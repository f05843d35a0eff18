import dataclasses
import logging
from pathlib import Path

import pytest
import torch

from runner.data.audit import OVERLAPS, audit, enforce
from runner.data.link_data import EvaluationSplit, link_data
from runner.errors import RunnerError


def pairs(*rows):
    return torch.tensor(rows).T


def make(train, valid, valid_negative, test, test_negative, directed=False, **support):
    return link_data(
        num_nodes=20,
        features=None,
        train=pairs(*train),
        valid=EvaluationSplit(pairs(*valid), pairs(*valid_negative)),
        test=EvaluationSplit(pairs(*test), pairs(*test_negative)),
        directed=directed,
        **{name: pairs(*links) for name, links in support.items()},
    )


CLEAN = {
    "train": [(0, 1), (1, 2), (1, 2)],
    "valid": [(2, 3)],
    "valid_negative": [(7, 8)],
    "test": [(4, 5)],
    "test_negative": [(8, 9)],
}


@pytest.mark.parametrize(
    ("changes", "overlaps"),
    [
        ({}, {}),
        ({"valid": [(2, 1)]}, {"valid_in_train": 1}),
        ({"test": [(1, 0), (4, 5), (0, 1)]}, {"test_in_train": 2}),
        ({"test": [(3, 2)]}, {"test_in_valid": 1}),
        ({"valid_negative": [(2, 1), (7, 8)]}, {"valid_negative_in_train": 1}),
        ({"test_negative": [(5, 4)]}, {"test_negative_in_test": 1}),
        ({"test_negative": [(9, 9)]}, {"self_loops": 1}),
        ({"valid_support": [(3, 2), (7, 9)]}, {"valid_in_valid_support": 1}),
        ({"valid_support": [(5, 4)]}, {"test_in_valid_support": 1}),
        ({"test_support": [(5, 4), (2, 3)]}, {"test_in_test_support": 1}),
        (
            {"valid_support": [(8, 7)], "test_support": [(8, 7), (9, 8)]},
            {
                "valid_negative_in_valid_support": 1,
                "valid_negative_in_test_support": 1,
                "test_negative_in_test_support": 1,
            },
        ),
        (
            {"valid_support": [(8, 9), (3, 3)]},
            {"test_negative_in_valid_support": 1, "self_loops": 1},
        ),
    ],
)
def test_every_overlap_is_counted_in_either_direction(tmp_path, changes, overlaps):
    assert audit(make(**{**CLEAN, **changes}), cache=tmp_path).overlaps == overlaps


def test_a_reversed_link_may_be_a_negative_of_directed_data(tmp_path):
    changes = {"valid_negative": [(2, 1), (7, 8)], "valid": [(2, 0), (1, 0)]}
    found = audit(make(**{**CLEAN, **changes}, directed=True), cache=tmp_path)
    assert found.overlaps == {"valid_in_train": 1}


def test_our_own_split_may_not_leak(tmp_path):
    found = audit(make(**{**CLEAN, "valid": [(2, 1)]}), cache=tmp_path)
    with pytest.raises(RunnerError, match="1 rows are valid links in train"):
        enforce(found, official=False, permitted=[])
    ((_, line),) = enforce(found, official=False, permitted=["valid_in_train"])
    assert "as the protocol permits" in line


def test_official_splits_are_counted_and_reported(tmp_path):
    found = audit(make(**{**CLEAN, "valid": [(2, 1)]}), cache=tmp_path)
    assert enforce(found, official=True, permitted=["valid_in_train"]) == [
        (logging.INFO, "leak audit: 1 rows are valid links in train, as the protocol permits")
    ]
    assert enforce(found, official=True, permitted=[]) == [
        (logging.WARNING, "leak audit: 1 rows are valid links in train")
    ]


@pytest.mark.parametrize("kept", ["null", '{"valid_in_train": 0}', "not json"])
def test_a_damaged_cache_is_made_anew(tmp_path, kept):
    data = make(**{**CLEAN, "valid": [(2, 1)]})
    counts = audit(data, cache=tmp_path).counts
    (tmp_path / "audits" / f"{data.fingerprint}.json").write_text(kept)
    assert audit(data, cache=tmp_path).counts == counts


def test_a_flipped_bit_in_the_cache_is_noticed(tmp_path, caplog):
    data = make(**{**CLEAN, "valid": [(2, 1)]})
    counts = audit(data, cache=tmp_path).counts
    kept = tmp_path / "audits" / f"{data.fingerprint}.json"
    whole = kept.read_text()
    kept.write_text(whole.replace('"valid_in_train": 1', '"valid_in_train": 0'))
    assert audit(data, cache=tmp_path).counts == counts
    assert f"{kept} does not match its checksum" in caplog.text
    assert kept.read_text() == whole


def test_the_schema_knows_every_overlap(tmp_path):
    counts = audit(make(**CLEAN), cache=tmp_path).counts
    assert set(counts) == set(OVERLAPS)


def test_computed_once_a_fingerprint(tmp_path):
    data = make(**{**CLEAN, "valid": [(2, 1)]})
    first = audit(data, cache=tmp_path)
    emptied = dataclasses.replace(data, train=data.train[:, :0])
    assert audit(emptied, cache=tmp_path).counts == first.counts
    renewed = dataclasses.replace(emptied, fingerprint="0" * 64)
    assert audit(renewed, cache=tmp_path).overlaps == {}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "audits").write_text("in the way")
    assert audit(make(**CLEAN), cache=tmp_path).overlaps == {}


def test_fingerprints_tell_data_apart():
    one = make(**CLEAN)
    assert one.fingerprint == make(**CLEAN).fingerprint
    assert one.fingerprint != make(**{**CLEAN, "test": [(5, 4)]}).fingerprint
    assert one.fingerprint != make(**CLEAN, directed=True).fingerprint


def test_the_names_of_all_overlaps_stand_in_the_docs():
    text = (Path(__file__).parents[3] / "docs" / "own-graph.md").read_text()
    _, _, text = text.partition("permitted_overlaps=[test_in_train]")
    named = [line.split() for block in text.split("```")[1:5:2] for line in block.splitlines()]
    assert sorted(name for line in named for name in line) == sorted(OVERLAPS)
