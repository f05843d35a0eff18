"""Texts that are no table of links, and would be read as one."""

import numpy as np
import pytest

from runner.data.reading.edge_table import read_edge_table
from runner.data.reading.raw_graph import TableKeys
from runner.errors import RunnerError

LINKS = np.array([(u, v) for u in range(30) for v in range(u) if (u * v + u) % 3 == 0])


@pytest.fixture
def read(tmp_path):
    def read(lines, **keys):
        (tmp_path / "graph.txt").write_text("\n".join(lines) + "\n")
        return read_edge_table(tmp_path / "graph.txt", TableKeys(**keys))

    return read


@pytest.mark.parametrize("separator", [" ", ",", "\t", ", "])
@pytest.mark.parametrize("times", [1, 3000])
def test_a_transposed_edge_index(read, separator, times):
    """Also one whose lines are longer than the text that is looked at first."""
    lines = [separator.join(map(str, end)) for end in np.tile(LINKS, (times, 1)).T]
    words = rf"two lines of {times * len(LINKS)} numbers each, .* transpose it"
    with pytest.raises(RunnerError, match=words):
        read(lines)


@pytest.mark.parametrize("lines", [["3 1 5", "1 2 7"], ["3 1 1 9", "1 2 2 8"]])
def test_two_links_are_two_links(read, lines):
    assert read(lines).edges.tolist() == [[3, 1], [1, 2]]


def test_named_columns_make_a_table_of_two_long_rows(read):
    rows = ["3 1 2 3 4 5", "1 2 3 4 5 6"]
    assert read(rows, columns={"source": 0, "target": 1}).edges.tolist() == [[3, 1], [1, 2]]


def matrix(rows, columns, kind):
    rng = np.random.default_rng(0)
    links = rng.random((rows, columns)) < 0.3
    if kind in ("0, 1", "1, 0"):
        return (links == (kind == "0, 1")).astype(int)
    weights = {"weights": rng.integers(1, 9, links.shape), "fractions": rng.random(links.shape)}
    return np.where(links, weights[kind].round(3), 0)


@pytest.mark.parametrize("kind", ["0, 1", "1, 0", "weights", "fractions"])
@pytest.mark.parametrize(("rows", "columns"), [(5, 7), (7, 5), (12, 3), (3, 40), (1500, 20)])
def test_a_matrix_that_is_not_square(read, rows, columns, kind):
    cells = matrix(rows, columns, kind)
    with pytest.raises(RunnerError, match=rf"{rows} rows of {columns} numbers: a matrix of a bip"):
        read([" ".join(map(str, row)) for row in cells.tolist()])


def test_links_with_columns_of_zeros(read):
    """One node is an end of most links, and further columns say nothing."""
    rows = [f"0 {n} 0 0 0" for n in (7, *range(1, 7))] + [f"{n} 0 1 0 0" for n in range(1, 9)]
    assert read(rows).edges.shape[1] == 15


def test_a_node_with_very_many_neighbours(read):
    """By other separators than its own, its line is one long field."""
    hub = 40_000
    lines = [" ".join(map(str, range(hub))), *(f"{n} 0" for n in range(1, hub))]
    assert read(lines).edges.shape[1] == 2 * (hub - 1)
