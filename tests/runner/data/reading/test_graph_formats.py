"""Files of graph programs: what a library would read as another graph is read right, or refused."""

from __future__ import annotations

import pytest

from runner.data.reading import graph_formats
from runner.errors import RunnerError

VERTICES = ["*Vertices 4", '1 "a"', '2 "b c"', '3 "d"', '4 "e"']
LINKS = {frozenset(("a", "b c")), frozenset(("a", "d"))}


def links(folder, name, lines):
    file = folder / name
    file.write_text("\n".join([*lines, ""]))
    raw = graph_formats.read(file)
    names = [str(n) for n in range(raw.num_nodes)] if raw.names is None else raw.names
    return raw.num_nodes, {frozenset((names[u], names[v])) for u, v in raw.edges.T.tolist()}


@pytest.mark.parametrize(
    "lines",
    [
        ["*Edges", "1 2", "1 3"],
        ["*Edges 2", "1 2 1.0", "1 3 2.5"],
        ["*Arcs", "1 2", "*Edges", "3 1"],
        ['*Arcs :1 "likes"', "1 2", '*Arcs :2 "knows"', "1 3"],
        ["*Edgeslist", "1 2 3"],
        ["*arcslist", "1 2", "3 1"],
        ["% of our own", "*Edges", "1 2", "1 3"],
    ],
)
def test_sections_of_pajek(tmp_path, lines):
    assert links(tmp_path, "a.net", [*VERTICES, *lines]) == (4, LINKS)


@pytest.mark.parametrize("second", ['2 "a"', '2 "d"'])
def test_vertices_of_one_label_are_refused(tmp_path, second):
    lines = [*VERTICES[:2], second, *VERTICES[3:], "*Edges", "1 2", "1 3"]
    with pytest.raises(RunnerError, match=r"it says 4 vertices, and has 3 by their labels"):
        links(tmp_path, "a.net", lines)


@pytest.mark.parametrize(("symmetry", "entries"), [("symmetric", 10), ("general", 16)])
def test_a_dense_matrix_market_without_its_end_is_refused(tmp_path, symmetry, entries):
    lines = [f"%%MatrixMarket matrix array integer {symmetry}", "% of our own", "4 4"]
    cells = ["0", "1", "1", *["0"] * (entries - 3)]
    found = links(tmp_path, "a.mtx", [*lines, *cells])
    assert found == (4, {frozenset("01"), frozenset("02")})
    with pytest.raises(RunnerError, match=r"a\.mtx: the file is damaged"):
        links(tmp_path, "a.mtx", [*lines, *cells[:-3]])
