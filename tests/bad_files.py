"""Strategies for hypothesis: files of edges and features that are bad, or likely to be."""

from __future__ import annotations

import functools
import gzip
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
import scipy.sparse
import torch
from hypothesis import strategies as st
from tests.bad_input import QUICK_EDGES, BadInput
from torch_geometric.data import Data

_EDGES = [(u, v) for u in range(20) for v in range(u) if (u * v + u) % 3 == 0]
_LINES = "\n".join(f"{u},{v}" for u, v in _EDGES).encode()
_FEATURES = np.random.default_rng(0).random((20, 3)).astype(np.float32)


def _adjacency() -> scipy.sparse.csc_matrix:
    u, v = np.array(_EDGES).T
    return scipy.sparse.csc_matrix((np.ones(len(u)), (u, v)), shape=(20, 20))


def _saved(write: Any, *arguments: Any, **named: Any) -> bytes:
    buffer = io.BytesIO()
    write(buffer, *arguments, **named)
    return buffer.getvalue()


def _torch(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _csv_lines(*lines: str) -> bytes:
    return "\n".join(lines).encode()


@functools.cache
def _good_graphs() -> dict[str, bytes]:
    links = torch.tensor(_EDGES).T
    return {
        "graph.csv": _LINES,
        "graph.txt": _LINES.replace(b",", b" "),
        "graph.csv.gz": gzip.compress(_LINES, mtime=0),
        "graph.mat": _saved(scipy.io.savemat, {"net": _adjacency()}),
        "packed.mat": _saved(scipy.io.savemat, {"net": _adjacency()}, do_compression=True),
        "dense.mat": _saved(scipy.io.savemat, {"net": _adjacency().toarray()}),
        "old.mat": _saved(scipy.io.savemat, {"net": _adjacency().toarray()}, format="4"),
        "graph.npz": _saved(scipy.sparse.save_npz, _adjacency()),
        "plain.npz": _saved(scipy.sparse.save_npz, _adjacency(), compressed=False),
        "graph.pt": _torch(Data(edge_index=links, x=torch.from_numpy(_FEATURES))),
    }


@functools.cache
def _good_features() -> dict[str, bytes]:
    return {
        "x.npy": _saved(np.save, _FEATURES),
        "x.npz": _saved(scipy.sparse.save_npz, scipy.sparse.csr_matrix(_FEATURES)),
        "x.csv": _csv_lines(*(",".join(map(str, row)) for row in _FEATURES)),
        "x.pt": _torch(torch.from_numpy(_FEATURES)),
    }


class _Code:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("executed"),))


def _bad_graphs() -> dict[str, bytes | None]:
    """What is no graph for sure, by the name of its file."""
    code = pickle.dumps(_Code())
    links = torch.tensor(_EDGES).T
    complete = [f"{u},{v}" for u in range(12) for v in range(u)]
    adjacency = _adjacency()
    return {
        "empty.csv": b"",
        "blank.csv": b"  \n\n \t\n",
        "comments.csv": b"# a\n# b\n",
        "header.csv": b"source,target\n",
        "junk.csv": bytes(range(256)) * 4,
        "zeros.csv": b"\0" * 99,
        "words.csv": b"a,b\nalice,bob\nbob,carol\n",
        "column.csv": b"1\n2\n3\n",
        "negative.csv": _LINES + b"\n-1,2",
        "fraction.csv": _LINES + b"\n1.5,2",
        "nan.csv": _LINES + b"\nnan,2",
        "missing.csv": _LINES + b"\n5,",
        "ragged.csv": _LINES + b"\n1,2,3",
        "loops.csv": _csv_lines(*(f"{n},{n}" for n in range(40))),
        "few.csv": b"0,1\n1,2\n",
        "same.csv": b"0,1\n" * 99,
        "complete.csv": _csv_lines(*complete),
        "page.csv": b"<html>404</html>",
        "wide.csv": b",".join(b"%d" % n for n in range(500)),
        "quote.csv": b'"0,1\n"2,3\n',
        "no.csv.gz": _LINES,
        "empty.csv.gz": gzip.compress(b""),
        "twice.csv.gz": gzip.compress(gzip.compress(_LINES)),
        "graph.xlsx": _zip(),
        "graph.csv.bz2": _LINES,
        "graph.mat.gz": _LINES,
        "graph.json": b"[]",
        "folder.csv": None,
        "folder": None,
        "text.mat": _LINES,
        "text.npz": _LINES,
        "text.pt": _LINES,
        "code.pt": code,
        "code.npz": code,
        "code.mat": code,
        "code.csv": code,
        "zip.pt": _zip(),
        "zip.npz": _zip(),
        "arrays.npz": _saved(np.savez, a=np.eye(3)),
        "object.npz": _saved(np.savez, data=np.array([_Code()]), indices=np.eye(3)),
        "rectangle.npz": _saved(scipy.sparse.save_npz, adjacency[:, :7]),
        "complex.npz": _saved(scipy.sparse.save_npz, adjacency * 1j),
        "nan.npz": _saved(scipy.sparse.save_npz, adjacency * np.nan),
        "none.npz": _saved(scipy.sparse.save_npz, adjacency * 0),
        "other.mat": _saved(scipy.io.savemat, {"adjacency": np.eye(3)}),
        "string.mat": _saved(scipy.io.savemat, {"net": "abc"}),
        "struct.mat": _saved(scipy.io.savemat, {"net": {"a": 1}}),
        "cube.mat": _saved(scipy.io.savemat, {"net": np.ones((3, 3, 3))}),
        "vector.mat": _saved(scipy.io.savemat, {"net": np.ones(7)}),
        "complex.mat": _saved(scipy.io.savemat, {"net": np.eye(9) * 1j}),
        "none.pt": _torch(None),
        "bare.pt": _torch(Data()),
        "floats.pt": _torch(Data(edge_index=links / 2)),
        "three.pt": _torch(Data(edge_index=torch.zeros(3, 9, dtype=torch.int64))),
        "meta.pt": _torch(Data(edge_index=links.to("meta"))),
        "sparse.pt": _torch(Data(edge_index=links.to_sparse())),
        "negative.pt": _torch(Data(edge_index=links - 5)),
        "far.pt": _torch(Data(edge_index=links * 10**15)),
        "nodes.pt": _torch(Data(edge_index=links, num_nodes="many")),
        "nodes-huge.pt": _torch(Data(edge_index=links, num_nodes=10**15)),
        "short.pt": _torch(Data(edge_index=links, x=torch.ones(3, 2))),
        "x-code.pt": _torch(Data(edge_index=links, x=_Code())),
        "x-complex.pt": _torch(Data(edge_index=links, x=torch.ones(20, 3, dtype=torch.complex64))),
        "x-nan.pt": _torch(Data(edge_index=links, x=torch.full((20, 3), torch.nan))),
    }


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("hello.txt", "hello")
    return buffer.getvalue()


def _bad_features() -> dict[str, bytes | None]:
    objects = np.array([[_Code()] * 3] * 20)
    return {
        "empty.npy": b"",
        "junk.npy": bytes(range(256)),
        "code.npy": pickle.dumps(_Code()),
        "objects.npy": _saved(np.save, objects),
        "vector.npy": _saved(np.save, np.ones(20)),
        "cube.npy": _saved(np.save, np.ones((20, 2, 2))),
        "short.npy": _saved(np.save, np.ones((19, 3))),
        "none.npy": _saved(np.save, np.ones((20, 0))),
        "scalar.npy": _saved(np.save, np.ones(())),
        "nan.npy": _saved(np.save, _FEATURES * np.nan),
        "inf.npy": _saved(np.save, _FEATURES + np.inf),
        "huge.npy": _saved(np.save, np.full((20, 3), 1e300)),
        "complex.npy": _saved(np.save, _FEATURES * 1j),
        "dates.npy": _saved(np.save, np.zeros((20, 3), "M8[s]")),
        "words.npy": _saved(np.save, np.full((20, 3), "1.0")),
        "words.csv": b"a,b\n" * 20,
        "ragged.csv": b"1,2\n" * 19 + b"1,2,3\n",
        "missing.csv": b"1,2\n" * 19 + b"1\n",
        "overflow.csv": b"1,1e400\n" * 20,
        "short.csv": b"1,2\n",
        "junk.csv": bytes(range(256)),
        "empty.csv": b"",
        "x": b"",
        "folder.npy": None,
        "text.npz": _LINES,
        "arrays.npz": _saved(np.savez, a=np.eye(3)),
        "text.pt": _LINES,
        "list.pt": _torch([1.0]),
        "dict.pt": _torch({"x": torch.ones(20, 3)}),
        "code.pt": _torch(_Code()),
        "data.pt": _torch(Data(x=torch.ones(20, 3))),
        "meta.pt": _torch(torch.empty(20, 3, device="meta")),
        "complex.pt": _torch(torch.ones(20, 3, dtype=torch.complex64)),
    }


def _edge_arguments(name: str, *others: str) -> tuple[str, ...]:
    return (*QUICK_EDGES, f"dataset.path={name}", *others)


def _graph_files() -> st.SearchStrategy[BadInput]:
    def build(item: tuple[str, bytes | None]) -> BadInput:
        name, content = item
        names = (name, "dataset.path", "protocol.split")
        return BadInput("graph file", _edge_arguments(name), names, ((name, content),))

    return st.sampled_from(sorted(_bad_graphs().items(), key=lambda item: item[0])).map(build)


def _feature_files() -> st.SearchStrategy[BadInput]:
    def build(item: tuple[str, bytes | None]) -> BadInput:
        name, content = item
        arguments = _edge_arguments("good.csv", f"dataset.features={name}")
        files = (("good.csv", _LINES), (name, content))
        return BadInput("feature file", arguments, (name,), files)

    return st.sampled_from(sorted(_bad_features().items(), key=lambda item: item[0])).map(build)


def _edge_lists() -> st.SearchStrategy[BadInput]:
    """Edge lists of which a line is bad, and texts that are none."""
    cell = st.one_of(
        st.floats(min_value=0.01, max_value=0.99).map(repr),
        st.sampled_from(("", "nan", "NaN", "inf", "1.5", "None", "NA", "null", "--", "-1")),
    )
    place = st.integers(1, len(_EDGES) - 1)

    def build(value: str, line: int, suffix: str) -> BadInput:
        lines = _LINES.decode().split("\n")
        lines.insert(line, f"3,{value}")
        name = f"list.{suffix}"
        content = "\n".join(lines).encode()
        return BadInput("edge list", _edge_arguments(name), (name,), ((name, content),))

    return st.builds(build, cell, place, st.sampled_from(("csv", "tsv", "txt")))


@st.composite
def _damaged_files(draw: st.DrawFn) -> BadInput:
    """Good files, cut off, or with some bytes replaced: most of them are bad then."""
    as_features = draw(st.booleans())
    good = _good_features() if as_features else _good_graphs()
    name = draw(st.sampled_from(sorted(good)))
    content = bytearray(good[name])
    place = draw(st.integers(0, len(content) - 1))
    how = draw(st.sampled_from(("cut", "replace", "insert", "remove", "zero")))
    if how == "cut":
        del content[place:]
    elif how == "replace":
        for _ in range(draw(st.integers(1, 8))):
            content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    elif how == "insert":
        content[place:place] = draw(st.binary(min_size=1, max_size=40))
    elif how == "remove":
        del content[place : place + draw(st.integers(1, 40))]
    else:
        content[place : place + 32] = bytes(len(content[place : place + 32]))
    files: tuple[tuple[str, bytes | None], ...] = ((name, bytes(content)),)
    arguments, key = _edge_arguments(name), "dataset.path"
    if as_features:
        files = (("good.csv", _LINES), *files)
        arguments = _edge_arguments("good.csv", f"dataset.features={name}")
        key = "dataset.features"
    # What is left of the edges may be too few to split.
    names = (name, key, "protocol.split", "the graph has")
    return BadInput("damaged file", arguments, names, files, certain=False)


def _paths() -> st.SearchStrategy[BadInput]:
    value = st.sampled_from(
        ("nowhere.csv", "", "/", ".", "/dev/null", "null", "3", "[a.csv]", "~x", "'a b.csv'",
         "x" * 5000, "nowhere/x.csv", "file.csv/x.csv", "'\u202e.csv'", "${nope}", "'\udcff.csv'")
    )  # fmt: skip
    key = st.sampled_from(("dataset.path", "dataset.features"))
    nodes = st.sampled_from(("0", "-1", "7", "1.5", "x", "999999999", str(10**30), "true"))

    def build(key: str, value: str) -> BadInput:
        if key == "dataset.path":
            arguments = _edge_arguments(value)
        else:
            value = "nope" if value == "null" else value
            arguments = _edge_arguments("good.csv", f"dataset.features={value}")
        return BadInput("path", arguments, (key, key.rpartition(".")[2]), (("good.csv", _LINES),))

    def number(value: str) -> BadInput:
        arguments = _edge_arguments("good.csv", f"dataset.num_nodes={value}")
        return BadInput("path", arguments, ("num_nodes", "good.csv"), (("good.csv", _LINES),))

    missing = st.just(BadInput("path", QUICK_EDGES, ("dataset.path",)))
    return st.builds(build, key, value) | nodes.map(number) | missing


def bad_files() -> st.SearchStrategy[BadInput]:
    """`dataset=edges` with files of edges and features that are bad, or likely to be."""
    kinds = (
        _graph_files(),
        _feature_files(),
        _edge_lists(),
        _damaged_files(),
        _damaged_files(),
        _paths(),
    )  # fmt: skip
    # Each kind as often as any other: one_of would take their parts apart.
    return st.sampled_from(kinds).flatmap(lambda kind: kind)
