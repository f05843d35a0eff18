"""Generated files of graphs are read as what they hold; a fault planted in the reader is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.own_files import KINDS, is_fault, outcome, own_file

from runner.data.reading import edge_table, graph_formats, read_graph, table_shapes

FILES = 5 * len(KINDS)


@pytest.fixture(autouse=True)
def no_child(monkeypatch):
    """A file of MATLAB is read in this process, which takes less time."""
    monkeypatch.setattr(read_graph, "call_in_child", lambda call, *given, seconds: call(*given))


def faults(folder):
    for number in range(FILES):
        file = own_file(number, seed=21)
        found, said = outcome(file, folder)
        if is_fault(file, found):
            yield found, f"{number} ({file.kind}): {said}"


def test_files_are_read_as_what_they_hold_or_refused(tmp_path):
    assert list(faults(tmp_path)) == []


def header_as_a_row(patch):
    right = edge_table.find_header

    def find(found, keys):
        right(found, keys)
        if found.names is not None and found.skipped:
            found.rows, found.names = [found.names, *found.rows], None
            found.skipped -= 1

    patch.setattr(edge_table, "find_header", find)


def weight_as_target(patch):
    right = edge_table.places_of

    def places(found, table, keys):
        got = right(found, table, keys)
        return {**got, "target": got.get("weight", got["target"])}

    patch.setattr(edge_table, "places_of", places)


def ids_off_by_one(patch):
    right = edge_table.with_ids
    patch.setattr(edge_table, "with_ids", lambda found, ends: right(found, ends + 1))


def lists_of_one_neighbour(patch):
    patch.setattr(table_shapes, "_lists", lambda rows: [(row[0], row[1:2]) for row in rows])


def half_a_matrix(patch):
    right = np.nonzero
    patch.setattr(table_shapes.np, "nonzero", lambda values: right(values[: len(values) // 2]))


def names_in_another_order(patch):
    right = graph_formats._from_networkx

    def read(graph):
        raw = right(graph)
        return replace(raw, names=np.roll(raw.names, 1))

    patch.setattr(graph_formats, "_from_networkx", read)


def first_row_lost(patch):
    right = edge_table.parse
    patch.setattr(edge_table, "parse", lambda found, *, skip, as_text=(): right(
        found, skip=skip + 1, as_text=as_text))  # fmt: skip


PLANTED = (
    header_as_a_row, weight_as_target, ids_off_by_one, lists_of_one_neighbour, half_a_matrix,
    names_in_another_order, first_row_lost,
)  # fmt: skip


@pytest.mark.parametrize("plant", PLANTED, ids=lambda plant: plant.__name__)
def test_a_fault_planted_in_the_reader_is_seen(tmp_path, monkeypatch, plant):
    plant(monkeypatch)
    assert any(found == "wrong" for found, _ in faults(tmp_path))
