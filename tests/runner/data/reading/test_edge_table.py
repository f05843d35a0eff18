"""One graph in many disguises: read as what it is, or refused by name."""

from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
import os
import random
from pathlib import Path

import numpy as np
import pyarrow
import pytest
import torch

from runner.data.edges import edge_file
from runner.data.reading.edge_table import read_edge_table
from runner.data.reading.numbering import number_nodes
from runner.data.reading.raw_graph import TableKeys
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

NODES = 30
RANDOM = random.Random(1)
# Sorted as people's lists are; node 0 has several links.
LINKS = sorted(
    {tuple(sorted(RANDOM.sample(range(NODES), 2))) for _ in range(70)}
    | {(n, n + 1) for n in range(NODES - 1)}
    | {(0, 5), (0, 9)}
)
TRUTH = {frozenset(link) for link in LINKS}
SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0)


def graph(file: Path, **keys: object) -> tuple[int, set[frozenset[str]], tuple[str, ...]]:
    """Number of nodes, links between names, and the notes."""
    raw = number_nodes(file, read_edge_table(file, TableKeys(**keys)), None, None)
    count = raw.num_nodes or int(raw.edges.max()) + 1
    names = [str(n) for n in range(count)] if raw.names is None else [str(n) for n in raw.names]
    links = {frozenset((names[u], names[v])) for u, v in raw.edges.T.tolist() if u != v}
    return count, links, raw.notes


def write(folder: Path, lines: list[str], name: str = "graph.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def expected(ids: list[str]) -> set[frozenset[str]]:
    return {frozenset((ids[u], ids[v])) for u, v in LINKS}


IDS = {
    "from 0": [str(n) for n in range(NODES)],
    "from 1": [str(n + 1) for n in range(NODES)],
    "with gaps": [str(7 + 13 * n) for n in range(NODES)],
    "names": [f"n{n}" for n in range(NODES)],
    "words": [f"Node {n} of us" for n in range(NODES)],
    "leading zeros": [f"{n:03d}" for n in range(NODES)],
    "numbers and names": [str(n) if n % 2 else f"x{n}" for n in range(NODES)],
    "large": [str(10**17 + 3 * n) for n in range(NODES)],
    "accents": [f"é{n}" for n in range(NODES)],
}
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "::": "::", " -> ": " -> ",
              "blank": " ", "blanks": "   "}  # fmt: skip
HEADERS = {None: None, "source/target": ("source", "target"), "Src Dst": ("SRC", "DST"),
           "ids": ("source_id", "target_id"), "nodes": ("node1", "node2")}  # fmt: skip


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize("header", [None, "source/target"])
def test_ids_and_separators(tmp_path, ids, separator, header):
    names, between = IDS[ids], SEPARATORS[separator]
    if " " in names[0] and between.strip() == "":
        names = [f'"{name}"' for name in names]
    lines = [f"{names[u]}{between}{names[v]}" for u, v in LINKS]
    if header:
        lines.insert(0, between.join(HEADERS[header]))
    count, links, _ = graph(write(tmp_path, lines))
    assert (count, links) == (NODES, expected(IDS[ids]))


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("order", list(itertools.permutations(["ends", "weight", "label"])))
def test_columns_are_found_by_their_names_in_any_order(tmp_path, header, order):
    if header is None:
        return
    parts = {"ends": list(HEADERS[header]), "weight": ["weight"], "label": ["label"]}
    lines = [",".join(itertools.chain(*(parts[part] for part in order)))]
    for u, v in LINKS:
        cells = {"ends": [str(u), str(v)], "weight": ["0.5"], "label": [f"l{u}"]}
        lines.append(",".join(itertools.chain(*(cells[part] for part in order))))
    count, links, notes = graph(write(tmp_path, lines))
    assert (count, links) == (NODES, expected(IDS["from 0"]))
    assert "weights are not used" in notes


@pytest.mark.parametrize("pack", ["gz", "bz2", "xz", "zst", "gz without its name"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_packed_texts_in_their_encodings(tmp_path, pack, encoding, end):
    names = IDS["accents"]
    text = end.join(["source,target", *(f"{names[u]},{names[v]}" for u, v in LINKS)])
    content = text.encode(encoding)
    packers = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress,
               "zst": lambda raw: pyarrow.compress(raw, codec="zstd", asbytes=True)}  # fmt: skip
    content = packers[pack.split()[0]](content)
    file = tmp_path / ("graph.csv" if " " in pack else f"graph.csv.{pack}")
    file.write_bytes(content)
    assert graph(file)[:2] == (NODES, expected(names))


COMMENTS = ["# a comment", "", "% another", "// a third"]
COUNTS = "took the first line as counts"
TABLES = {
    "comments": ([*COMMENTS, *(f"{u} {v}" for u, v in LINKS)], "columns"),
    "title": (["A list of links", "", *(f"{u},{v}" for u, v in LINKS)], "left out 1 lines before"),
    "nodes, links": ([f"{NODES} {len(LINKS)}", *(f"{u} {v}" for u, v in LINKS)], COUNTS),
    "links, nodes": ([f"{len(LINKS)} {NODES}", *(f"{u} {v}" for u, v in LINKS)], COUNTS),
    "trailing separator": ([f"{u},{v}," for u, v in LINKS], "columns"),
    "float ids": ([f"{u}.0,{v}.0" for u, v in LINKS], "columns"),
    "rows from 0": ([f"{n},{u},{v}" for n, (u, v) in enumerate(LINKS)], "column as row numbers"),
    "rows from 1": ([f"{n},{u},{v}" for n, (u, v) in enumerate(LINKS, 1)], "column as row numbers"),
    "pandas' index": (
        [",source,target", *(f"{n},{u},{v}" for n, (u, v) in enumerate(LINKS))],
        "ignored: number 0",
    ),
    "R": (['"from" "to"', *(f'"{n}" {u} {v}' for n, (u, v) in enumerate(LINKS))], "names of rows"),
    "decimal comma": ([f"{u};{v};0,{u % 9 + 1}" for u, v in LINKS], "weights are not used"),
    "Unix times": ([f"{u}\t{v}\t{1_300_000_000 + u}" for u, v in LINKS], "time number 2"),
    "dates": ([f"{u},{v},2011-03-0{u % 9 + 1} 10:00" for u, v in LINKS], "time number 2"),
    "Excel": (["sep=;", "source;target;weight", *(f"{u};{v};0,5" for u, v in LINKS)], "weights"),
    "SNAP": (
        ["# id FromNodeId ToNodeId", *(f"{7 * n}\t{u}\t{v}" for n, (u, v) in enumerate(LINKS))],
        "source FromNodeId, target ToNodeId",
    ),
    "padded": ([f" {u} , {v} " for u, v in LINKS], "columns"),
}


@pytest.mark.parametrize(("lines", "said"), TABLES.values(), ids=TABLES)
def test_shapes_of_tables(tmp_path, lines, said):
    count, links, notes = graph(write(tmp_path, lines))
    assert (count, links) == (NODES, expected(IDS["from 0"]))
    assert any(said in note for note in notes), notes


def test_pandas_default_names_of_columns(tmp_path):
    ids = [str(n + 10) for n in range(NODES)]
    lines = ["0,1", *(f"{ids[u]},{ids[v]}" for u, v in LINKS)]
    assert graph(write(tmp_path, lines))[:2] == (NODES, expected(ids))
    both = [f"{u},{v}" for u, v in LINKS]
    assert both[0] == "0,1" and graph(write(tmp_path, both))[:2] == (NODES, expected(IDS["from 0"]))
    path = write(tmp_path, ["0,1", "1,2", "2,3", "3,4"])
    with pytest.raises(RunnerError, match=r"say dataset\.header=true or dataset\.header=false"):
        graph(path)
    assert graph(path, header=False)[0] == 5 and graph(path, header=True)[0] == 4


def matrix() -> np.ndarray:
    found = np.zeros((NODES, NODES), int)
    for u, v in LINKS:
        found[u, v] = found[v, u] = 1
    return found


def test_matrices(tmp_path):
    rows = [",".join(map(str, row)) for row in matrix()]
    assert graph(write(tmp_path, rows))[:2] == (NODES, expected(IDS["from 0"]))
    names = IDS["names"]
    rows = [",".join(["", *names]), *(f"{names[n]},{row}" for n, row in enumerate(rows))]
    assert graph(write(tmp_path, rows))[:2] == (NODES, expected(names))


def test_matrices_with_names_above_alone(tmp_path):
    rows = [" ".join(map(str, row)) for row in matrix()]
    for names in (IDS["from 0"], IDS["names"], [f"V{n + 1}" for n in range(NODES)]):
        above = " ".join(names)
        assert graph(write(tmp_path, [above, *rows]))[:2] == (NODES, expected(names))
        by_r = [f'"{name}" {row}' for name, row in zip(names, rows, strict=True)]
        assert graph(write(tmp_path, [above, *by_r]))[:2] == (NODES, expected(names))


def test_a_matrix_of_more_text_than_is_looked_at_first(tmp_path):
    size = 750
    wide = np.zeros((size, size), int)
    wide[:NODES, :NODES] = matrix()
    file = write(tmp_path, [",".join(map(str, row)) for row in wide.tolist()])
    assert file.stat().st_size > 1 << 20
    assert graph(file)[:2] == (size, expected(IDS["from 0"]))


def test_lists_of_as_many_neighbours_for_each_node(tmp_path):
    ring = [f"{n} {(n + 1) % 9} {(n - 1) % 9}" for n in range(9)]
    links = {frozenset((str(n), str((n + 1) % 9))) for n in range(9)}
    assert graph(write(tmp_path, random.Random(0).sample(ring, 9)))[:2] == (9, links)
    many = [f"{n} {(n + 1) % 2999} {(n - 1) % 2999}" for n in range(2999)]
    assert len(graph(write(tmp_path, random.Random(0).sample(many, 2999)))[1]) == 2999
    # With columns named it is a table.
    columns = {"source": 0, "target": 1}
    assert graph(write(tmp_path, ring), columns=columns)[:2] == (9, links)
    by_networkx = ["# GMT Mon Nov 30 02:24:59 2026", "6", "0 1 2", "3 4 5"]
    links = {frozenset(link) for link in ("01", "02", "34", "35")}
    assert graph(write(tmp_path, by_networkx))[:2] == (7, links)


@pytest.mark.parametrize(
    ("lines", "links"),
    [
        (["11,12", "12,13", "13,21"], {"11 12", "12 13", "13 21"}),  # no names 1.1 and 1.2
        (["0,1,", "a,b,", "b,c,"], {"a b", "b c"}),
        (["source target weight", "1 2 0,5", "2 3 1,5", "3 7 2,5"], {"1 2", "2 3", "3 7"}),
        (['"1" "2" "0,5"', '"2" "3" "1,5"', '"3" "2" "2,5"', '"2" "1" "1,5"'], {"1 2", "2 3"}),
        (["from to", "Smith,J p1", "Ng,A p2", "Ng,A p1"], {"Smith,J p1", "Ng,A p2", "Ng,A p1"}),
        (["source,target", "sp|1|X,sp|2|Y", "sp|1|X,sp|3|Z"], {"sp|1|X sp|2|Y", "sp|1|X sp|3|Z"}),
        (["4 5", "1 2 9", "1 3 8", "3 4 9", "4 1 2", "2 3 1"], {"1 2", "1 3", "3 4", "4 1", "2 3"}),
        (["# Week FromNodeId ToNodeId", "9\t1\t2\t", "9\t2\t3\t"], {"1 2", "2 3"}),
    ],
)  # fmt: skip
def test_tables_that_may_be_taken_for_something_else(tmp_path, lines, links):
    assert graph(write(tmp_path, lines))[1] == {frozenset(link.split()) for link in links}


@pytest.mark.parametrize("separator", ["::", "->", "/", ":", "-"])
def test_zeros_in_front_behind_any_separator(tmp_path, separator):
    names = [f"{n + 100:04d}" for n in range(NODES)]
    names[0] = "1"
    lines = [separator.join(["0.5", names[u], "2", names[v]]) for u, v in LINKS]
    if separator == "->":
        separator = None
    keys = {"columns": {"source": 1, "target": 3}, "header": False, "separator": separator}
    assert graph(write(tmp_path, lines), **keys)[:2] == (NODES, expected(names))


def test_adjacency_lists(tmp_path):
    both = matrix()
    lines = [" ".join(map(str, [n, *np.flatnonzero(both[n])])) for n in range(NODES)]
    assert graph(write(tmp_path, lines))[:2] == (NODES, expected(IDS["from 0"]))
    once = [" ".join(map(str, [n, *(v for v in np.flatnonzero(both[n]) if v > n)]))
            for n in range(NODES)]  # fmt: skip
    with pytest.raises(RunnerError, match=r"different numbers of fields .* an adjacency list is"):
        graph(write(tmp_path, once))
    by_networkx = ["#-", "# GMT Mon Nov 30 02:24:59 2026", "# ", *once]
    assert graph(write(tmp_path, by_networkx))[:2] == (NODES, expected(IDS["from 0"]))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["u,v", "0,1", "2,"], r"row 2 \(line 3\) has no value in column v"),
        (["user,item", "0,1", "1,7"], r"user and item have 1 values in common, as 1: .*bipartite"),
        (["alice,bob", "carl,dora"], r"may be names of columns or a link; say dataset\.header"),
        (["name,kind,town", "a,b,3"], r"which of its columns are the ends .*dataset\.columns"),
        (["id,name", "1,a", "2,b"], r"which of its columns are the ends .*dataset\.columns"),
        (["a,b", "0.5,0.1"], r"'0\.5' in column a \(row 1\) is no node id"),
        (["#a,#b", "x,y", "#c,#d", *["#e,#f"] * 9], r"begin with a mark of comments"),
        (
            ["alice,knows,bob", "bob,knows,carl", "alice,likes,carl"],
            r"number 2 has words, as 'bob'",
        ),
        (["name,age", "Ada,36", "Bob,41", "Cy,36"], r"name and age hold words and numbers"),
        (["Ada,36", "Bob,41", "Cy,36"], r"hold words and numbers: are they the ends"),
        (["source,target", "a,b", "b,c", "source,target", "c,d"], r"row 3 \(line 4\) repeats"),
        ([f"{n},{n + 1},{n % 5}" for n in range(60)], "first column may count the rows, or hold"),
        ([f"{1_300_000_000 + n},{n % 7},{n % 5}" for n in range(9)], "number 0 holds times: which"),
        ([f"2020-01-0{n + 1} {n % 7} {n % 5}" for n in range(9)], "number 0 holds times: which"),
        (["just a text", "of some lines"], "an edge list has two columns|may be names"),
        (["source,target", "0,1,5", "0,2,7", "1,2,5"], r"names 2 columns \(source, target\), its"),
        (["n1,n2", "n2,n3", "n3,n1"], r"n1 and n2 may be names .*dataset\.header=true"),
        (["0 1 5", "1 2", "2 3", "3 4", "4 5"], r"different numbers of fields \(2 to 3\): an adj"),
        (["std::a,x", "std::c,y", "std::a,y"], r"both :: and , cut .*say dataset\.separator=…"),
        (["0,1", '1,"2', "2,0"], r"a quote \(\"\) stays open"),
        (["n0,n1", "n1,n2", 'n2,"n0'], r"a quote \(\"\) stays open"),
        (
            [*(f"n{n}|n{n % 7}|2011-01-02 10:00" for n in range(20)), "n1|n2|2011-01-02 10:00|7"],
            r"has 4 fields by \|, most lines have 3; mend the row, or say dataset\.separator",
        ),
    ],
)
def test_what_is_left_open_is_refused(tmp_path, lines, said):
    with pytest.raises(RunnerError, match=rf"dataset\.path=.*{said}") as error:
        graph(write(tmp_path, lines))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("columns", "last"), [(2, "1,2,3"), (3, "1,2"), (3, "1,2,3,4")])
def test_a_row_of_another_width_behind_the_lines_looked_at_is_refused(tmp_path, columns, last):
    rows = [",".join([str(u), str(v), "1"][:columns]) for u, v in LINKS] * 30
    assert len(rows) > 1000
    with pytest.raises(RunnerError, match=rf"'{last}' has \d fields, .* have {columns}"):
        graph(write(tmp_path, [*rows, last]))


def test_keys_decide(tmp_path):
    lines = [f"{u % 3},{u},x,{v}" for u, v in LINKS]
    file = write(tmp_path, lines)
    assert graph(file, columns={"source": 1, "target": 3})[1] == expected(IDS["from 0"])
    file = write(tmp_path, ["kind,one,two", *(f"k,{u},{v}" for u, v in LINKS)])
    with pytest.raises(RunnerError, match=r"dataset\.columns\.source"):
        graph(file)
    columns = {"source": "one", "target": "two"}
    assert graph(file, columns=columns)[1] == expected(IDS["from 0"])
    for wrong in ({"source": "three", "target": "two"}, {"source": 0, "target": 3}):
        with pytest.raises(RunnerError, match=r"dataset\.columns\.\w+=.*no such column; it has"):
            graph(file, columns=wrong)
    with pytest.raises(RunnerError, match=r"dataset\.columns\.target: a column is needed"):
        graph(file, columns={"source": "one"})
    overlap = write(tmp_path, ["user,item", *(f"{u},{v}" for u, v in LINKS)])
    assert graph(overlap, bipartite=False)[1] == expected(IDS["from 0"])
    spaced = write(tmp_path, [f"{u}_{v}" for u, v in LINKS])
    assert graph(spaced, separator="_")[1] == expected(IDS["from 0"])


def test_a_node_whose_only_row_is_a_self_loop_is_a_node(tmp_path):
    file = write(tmp_path, [*(f"{u},{v}" for u, v in LINKS), "99,99"])
    assert graph(file)[0] == NODES + 1


def dataset(file: Path, **given: object):
    return edge_file(path=str(file), features=None, split=SPLIT, **given)


def test_the_names_of_nodes_and_what_was_decided_are_kept(tmp_path):
    names = IDS["names"]
    rows = [f"{names[u]},{names[v]},2" for u, v in LINKS]
    rows += [rows[0], f"{names[3]},{names[3]},1", f"{names[1]},{names[0]},1"]
    data = dataset(write(tmp_path, ["source,target,weight", *rows]))
    assert sorted(data.names) == sorted(names) and data.names[0] == "n0"
    wanted = {"encoding": "utf-8", "separator": ",", "header": True, "nodes": NODES,
              "links": len(LINKS), "self-loops dropped": 1, "repeats dropped": 1,
              "one-way pairs": len(LINKS) - 1, "weights ignored": True,
              "columns": {"source": "source", "target": "target", "weight": "weight"}}  # fmt: skip
    assert wanted.items() <= data.facts.items()


def test_numbers_that_are_0_to_n_stay_themselves_and_others_keep_their_order(tmp_path):
    plain = dataset(write(tmp_path, [f"{u},{v}" for u, v in LINKS], "a.csv"))
    gaps = dataset(write(tmp_path, [f"{7 + 13 * v},{7 + 13 * u}" for u, v in LINKS], "b.csv"))
    assert plain.names is None and list(gaps.names) == [str(7 + 13 * n) for n in range(NODES)]
    assert torch.equal(plain.train, gaps.train)
    assert plain.graph_fingerprint == gaps.graph_fingerprint


def test_num_nodes_adds_nodes_without_a_link(tmp_path):
    file = write(tmp_path, [f"{u},{v}" for u, v in LINKS if 12 not in (u, v)])
    assert dataset(file).num_nodes == NODES - 1
    data = dataset(file, num_nodes=NODES + 2)
    assert data.num_nodes == NODES + 2 and data.names is None  # the ids are places in it
    with pytest.raises(RunnerError, match=r"dataset\.num_nodes=5: .* links of 29 nodes"):
        dataset(file, num_nodes=5)


OWN = {
    **dict.fromkeys(
        ["a1b_nx_adjlist.txt", "a2_counts_first.txt", "a3_id_source_target.csv",
         "a4_index_no_header.csv", "a5b_percent_two.txt", "a6_dense01.csv", "a7_R_write_table.txt",
         "a11_default_names.csv", "a13_names.csv", "a14b_datetime.csv", "a22_decimal_comma.csv",
         "a26_gephi.csv", "a31_one_based.csv", "a32_gap_ids.csv", "a40_temporal_repeats.txt",
         "b1_edge_index.npz", "b2_directed_weighted.npz", "b7_processed_tuple.pt",
         "p1_toundirected.pt", "edges.csv"],
        (200, 784),
    ),
    **dict.fromkeys(["karate.graphml", "soc-karate.mtx", "out.ucidata-zachary"], (34, 78)),
    "dolphins.gml": (62, 159),
    "got-edges.csv": (107, 352),
}  # fmt: skip


@pytest.mark.skipif("RUNNER_DATA" not in os.environ, reason="RUNNER_DATA is not set")
@pytest.mark.parametrize("name", OWN)
def test_files_as_people_have_them(name):
    data = dataset(Path(os.environ["RUNNER_DATA"]) / "own" / name)
    assert (data.num_nodes, data.facts["links"]) == OWN[name]


@pytest.mark.skipif("RUNNER_DATA" not in os.environ, reason="RUNNER_DATA is not set")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a41_bipartite_overlapping.csv", "user_id and item_id have 100 values in common"),
        ("b8_random_link_split_train.pt", "one part of a split by RandomLinkSplit"),
        ("c1_features_header.csv", "is no node id"),
    ],
)
def test_files_that_are_refused(name, said):
    with pytest.raises(RunnerError, match=said):
        dataset(Path(os.environ["RUNNER_DATA"]) / "own" / name)
