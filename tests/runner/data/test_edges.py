import gzip
import os
import pickle
from pathlib import Path

import numpy as np
import pandas
import pytest
import scipy.io
import scipy.sparse
import torch
from torch_geometric.data import Data

from runner.data.edges import edge_file
from runner.data.reading.user_file import damaged
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)
EDGES = [(u, v) for u in range(20) for v in range(u) if (u * v + u) % 3 == 0]
LINES = "\n".join(f"{u},{v}" for u, v in EDGES)


def read(path: Path, features: Path | None = None, num_nodes: int | None = None):
    return edge_file(
        path=str(path), features=features and str(features), num_nodes=num_nodes, split=SPLIT
    )


def links(data) -> set[tuple[int, int]]:
    parts = torch.cat([data.train, data.valid.positive, data.test.positive], dim=1)
    assert len({tuple(sorted(pair)) for pair in parts.T.tolist()}) == parts.shape[1]
    return {tuple(sorted(pair)) for pair in parts.T.tolist()}


EXPECTED = {tuple(sorted(pair)) for pair in EDGES}


@pytest.mark.parametrize("separator", [",", "\t", " ", "; "])
@pytest.mark.parametrize("header", ["", "source{0}target\n"])
@pytest.mark.parametrize("name", ["graph.csv", "graph.tsv", "graph.txt.gz"])
def test_edge_lists(tmp_path, separator, header, name):
    text = header.format(separator) + LINES.replace(",", separator) + "\n"
    file = tmp_path / name
    file.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    data = read(file)
    assert links(data) == EXPECTED
    assert data.num_nodes == data.num_categories == 20


def adjacency() -> scipy.sparse.csr_array:
    u, v = np.array(EDGES).T
    half = scipy.sparse.coo_array((np.ones(len(u)), (u, v)), shape=(23, 23))
    return scipy.sparse.csr_array(half + half.T)


def test_mat_and_npz_keep_isolated_nodes(tmp_path):
    scipy.io.savemat(tmp_path / "graph.mat", {"net": scipy.sparse.csc_matrix(adjacency())})
    scipy.sparse.save_npz(tmp_path / "graph.npz", adjacency())
    for name in ("graph.mat", "graph.npz"):
        data = read(tmp_path / name)
        assert links(data) == EXPECTED and data.num_nodes == 23


def test_pyg_data_brings_its_features(tmp_path):
    features = torch.randn(23, 4)
    torch.save(Data(x=features, edge_index=torch.tensor(EDGES).T), tmp_path / "graph.pt")
    data = read(tmp_path / "graph.pt")
    assert links(data) == EXPECTED
    assert torch.equal(data.features, features) and data.num_categories is None


def test_extra_columns_self_loops_and_repeats_are_told(tmp_path):
    rows = [f"{u} {v} 0.5" for u, v in EDGES] + [f"{v} {u} 1" for u, v in EDGES] + ["3 3 1"]
    (tmp_path / "graph.txt").write_text("\n".join(rows))
    data = read(tmp_path / "graph.txt")
    assert links(data) == EXPECTED
    assert data.notes == (
        "columns: source number 0, target number 1, weight number 2",
        "weights are not used",
        "dropped 1 self-loops",
    )


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".pt"])
def test_features_from_a_file(tmp_path, suffix):
    (tmp_path / "graph.csv").write_text(LINES)
    values = np.random.default_rng(0).random((25, 3)).round(3).astype(np.float32)
    file = tmp_path / f"features{suffix}"
    if suffix == ".npy":
        np.save(file, values)
    elif suffix == ".npz":
        scipy.sparse.save_npz(file, scipy.sparse.csr_array(values))
    elif suffix == ".csv":
        np.savetxt(file, values, delimiter=",")
    else:
        torch.save(torch.from_numpy(values), file)
    data = read(tmp_path / "graph.csv", file, num_nodes=25)
    assert np.allclose(data.features.numpy(), values)
    assert data.num_nodes == 25  # those beyond the highest id are isolated
    with pytest.raises(RunnerError, match=r"shape is \(25, 3\), the graph has 20 nodes.*num_nodes"):
        read(tmp_path / "graph.csv", file)


def test_the_number_of_nodes_may_not_contradict_the_file(tmp_path):
    scipy.sparse.save_npz(tmp_path / "graph.npz", adjacency())
    assert read(tmp_path / "graph.npz", num_nodes=23).num_nodes == 23
    with pytest.raises(RunnerError, match=r"dataset\.num_nodes=30: .* there are 23"):
        read(tmp_path / "graph.npz", num_nodes=30)
    (tmp_path / "graph.csv").write_text(LINES)
    with pytest.raises(RunnerError, match="node id 19 in a graph of 10 nodes"):
        read(tmp_path / "graph.csv", num_nodes=10)


def test_an_index_column_as_pandas_writes_it_is_no_node(tmp_path):
    pandas.DataFrame(EDGES, columns=["source", "target"]).to_csv(tmp_path / "graph.csv")
    data = read(tmp_path / "graph.csv")
    assert links(data) == EXPECTED
    assert "columns: source source, target target; ignored: number 0" in data.notes


def test_quoted_ids(tmp_path):
    (tmp_path / "graph.csv").write_text("\n".join(f'"{u}","{v}"' for u, v in EDGES))
    assert links(read(tmp_path / "graph.csv")) == EXPECTED


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"edge_index": torch.rand(2, 9)}, "edge_index is of torch.float32"),
        ({"edge_index": torch.tensor(EDGES).T, "x": [1.0]}, "no dense matrix"),
        ({"edge_index": torch.tensor(EDGES).T, "x": torch.tensor(1.0)}, "no dense matrix"),
        ({"edge_index": torch.tensor(EDGES).T, "x": torch.eye(20).to_sparse()}, "no dense matrix"),
    ],
)
def test_pyg_data_that_makes_no_sense(tmp_path, content, message):
    from torch_geometric.data import Data

    torch.save(Data(**content), tmp_path / "graph.pt")
    with pytest.raises(RunnerError, match=message):
        read(tmp_path / "graph.pt")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"num_nodes": "many"}, "num_nodes='many' is no number of nodes"),
        ({"num_nodes": -3}, "num_nodes=-3 is no number of nodes"),
        ({"num_nodes": 10**15}, "a graph of 1000000000000000 nodes, but only 20 of them"),
        ({"x": torch.empty(20, 3, device="meta")}, "no dense matrix"),
        ({"x": torch.ones(20, 3, dtype=torch.complex64)}, "complex numbers"),
    ],
)
def test_pyg_data_with_senseless_parts(tmp_path, content, message):
    torch.save(Data(edge_index=torch.tensor(EDGES).T, **content), tmp_path / "graph.pt")
    with pytest.raises(RunnerError, match=message):
        read(tmp_path / "graph.pt")


def test_pyg_data_without_values_in_its_edges(tmp_path):
    torch.save(Data(edge_index=torch.tensor(EDGES).T.to("meta")), tmp_path / "graph.pt")
    with pytest.raises(RunnerError, match="no PyG Data with an edge_index"):
        read(tmp_path / "graph.pt")


def test_features_that_were_trained_are_taken_as_they_are(tmp_path):
    features = torch.nn.Parameter(torch.randn(20, 3))
    torch.save(Data(edge_index=torch.tensor(EDGES).T, x=features), tmp_path / "graph.pt")
    assert torch.equal(read(tmp_path / "graph.pt").features, features.detach())


OUTSIDE = {"indices": 10**6, "indptr": -(10**6)}


@pytest.mark.parametrize("kind", ["path", "features", "mat"])
@pytest.mark.parametrize("which", ["indices", "indptr"])
def test_a_sparse_matrix_with_indices_outside_of_it(tmp_path, kind, which):
    """SciPy's compiled code would read past its memory."""
    matrix = scipy.sparse.csc_array(adjacency()[:20, :20])
    file = tmp_path / f"graph.{'mat' if kind == 'mat' else 'npz'}"
    if kind == "mat":
        scipy.io.savemat(file, {"net": matrix})
        numbers = getattr(matrix, which).astype(np.int32)
        outside = np.append(numbers[:-1], OUTSIDE[which]).astype(np.int32)
        assert file.read_bytes().count(numbers.tobytes()) == 1
        file.write_bytes(file.read_bytes().replace(numbers.tobytes(), outside.tobytes()))
    else:
        getattr(matrix, which)[-1] = OUTSIDE[which]
        parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
        np.savez(file, format="csc", _is_array=True, shape=matrix.shape, **parts)
    (tmp_path / "graph.csv").write_text(LINES)
    with pytest.raises(RunnerError, match="damaged or not of its kind"):
        read(tmp_path / "graph.csv", file) if kind == "features" else read(file)


def test_an_adjacency_of_nan(tmp_path):
    scipy.sparse.save_npz(tmp_path / "graph.npz", adjacency() * np.nan)
    with pytest.raises(RunnerError, match="real numbers"):
        read(tmp_path / "graph.npz")


def test_a_library_does_not_advise_to_run_what_is_in_a_file(tmp_path):
    for name in ("graph.pt", "graph.npz"):
        (tmp_path / name).write_bytes(b"no such thing")
        with pytest.raises(RunnerError) as error:
            read(tmp_path / name)
        assert "weights_only" not in str(error.value) and "pickle" not in str(error.value)


def test_a_checksum_that_does_not_fit(tmp_path):
    content = gzip.compress(LINES.encode())
    (tmp_path / "graph.csv.gz").write_bytes(content[:-8] + bytes(4) + content[-4:])
    with pytest.raises(RunnerError, match=r"not of its kind \(it cannot be unpacked\)"):
        read(tmp_path / "graph.csv.gz")


def test_an_edge_list_with_a_byte_order_mark(tmp_path):
    (tmp_path / "graph.csv").write_text(LINES, encoding="utf-8-sig")
    assert links(read(tmp_path / "graph.csv")) == EXPECTED


@pytest.mark.parametrize("key", ["path", "features"])
def test_a_name_that_no_file_can_have(tmp_path, key):
    (tmp_path / "graph.csv").write_text(LINES)
    long = tmp_path / ("x" * 5000)
    with pytest.raises(RunnerError, match=rf"dataset\.{key}=.*…: file name too long") as error:
        read(tmp_path / "graph.csv", long) if key == "features" else read(long)
    assert len(str(error.value)) < 400


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(RunnerError, match="it is no file"):
        read(tmp_path)


BAD_LISTS = {
    "0,2\n2,1.5\n": r"'1\.5' in column number 1 \(row 2\) is no node id",
    "a,b\nalice,bob\n": "the graph has 1 edges, too few to split",
    "0,1\n1,2\n": r"first row \(0,1\) may be pandas' names .* dataset\.header=true",
    "alice,bob\ncarl,dora\n": r"\(alice, bob\) may be names of columns or a link; say",
    "": "holds no edges",
    "u,v\n": "a header and no edges",
    "0\n1\n": "two columns",
    "5,6\n6,7\n": "the graph has 2 edges, too few to split",
    "1,1\n2,2\n": "the graph has 0 edges",
    "0,2\n2,\n": r"row 2 \(line 2\) has no value in column number 1",
    "# a\n\nu,v\n0,2\n,3\n": r"row 2 \(line 5\) has no value in column u",
    "id,name,kind\n1,2,3\n": r"which of its columns .* id, name, kind; say dataset\.columns",
    "a,b,c\n1,2\n3,4,5\n1\n": "lines have different numbers of fields",
    "1,2,3\n2,3,4\n0,1,2\n": "a matrix or links with a weight",
}


@pytest.mark.parametrize("text", BAD_LISTS)
def test_bad_edge_lists(tmp_path, text):
    (tmp_path / "graph.csv").write_text(text)
    with pytest.raises(RunnerError, match=BAD_LISTS[text]):
        read(tmp_path / "graph.csv")


@pytest.mark.parametrize("name", ["g.pt", "g.mat", "g.npz", "g.csv.gz", "g.csv"])
@pytest.mark.parametrize("content", [b"\x00\x01 not what it says \xff", b""])
def test_damaged_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RunnerError, match=f"dataset.path=.*{name}"):
        read(tmp_path / name)


@pytest.mark.parametrize("kind", ["pt", "npz", "mat", "gz"])
def test_truncated_files_are_named(tmp_path, kind):
    file = tmp_path / f"graph.{'csv.gz' if kind == 'gz' else kind}"
    if kind == "pt":
        torch.save(Data(edge_index=torch.tensor(EDGES).T), file)
    elif kind == "npz":
        scipy.sparse.save_npz(file, adjacency())
    elif kind == "mat":
        scipy.io.savemat(file, {"net": scipy.sparse.csc_matrix(adjacency())})
    else:
        file.write_bytes(gzip.compress(LINES.encode()))
    file.write_bytes(file.read_bytes()[:-60])
    with pytest.raises(RunnerError, match="damaged or not of its kind"):
        read(file)


def test_a_mat_without_net(tmp_path):
    scipy.io.savemat(tmp_path / "graph.mat", {"a": np.eye(3), "b": np.eye(4)})
    with pytest.raises(
        RunnerError, match=r"which .* adjacency matrix \(a, b\)\? Say dataset\.key="
    ):
        read(tmp_path / "graph.mat")


def test_a_matrix_that_is_not_square(tmp_path):
    scipy.sparse.save_npz(tmp_path / "graph.npz", scipy.sparse.csr_array(np.ones((3, 4))))
    with pytest.raises(RunnerError, match=r"is not square.*dataset\.bipartite=true"):
        read(tmp_path / "graph.npz")


def test_a_missing_file_and_an_unknown_kind(tmp_path):
    with pytest.raises(RunnerError, match=r"dataset\.path=.*nothing\.csv: there is no such file"):
        read(tmp_path / "nothing.csv")
    (tmp_path / "graph.xlsx").write_bytes(b"PK\x03\x04")
    with pytest.raises(RunnerError, match=r"Excel's \.xlsx\) is no kind that is read; known: text"):
        read(tmp_path / "graph.xlsx")


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones((7, 3)), r"the shape is \(7, 3\), the graph has 20 nodes"),
        (np.ones(20), r"the shape is \(20,\)"),
        (np.where(np.eye(20) > 0, np.nan, 1.0), "the row of node 0 holds NaN"),
        (np.where(np.eye(20)[::-1] > 0, np.inf, 1.0), "the row of node 0 holds NaN or infinite"),
        (np.array([["a"] * 3] * 20), "damaged or not of its kind"),
        (np.full((20, 3), 1j), "values of complex128, not real numbers"),
        (np.full((20, 3), "1.0"), "values of <U3, not real numbers"),
        (np.zeros((20, 3), "M8[s]"), "not real numbers"),
        (np.full((20, 3), 1e300), "the row of node 0 holds NaN or infinite"),
    ],
)
def test_bad_features(tmp_path, features, message):
    (tmp_path / "graph.csv").write_text(LINES)
    np.save(tmp_path / "features.npy", features)
    with pytest.raises(RunnerError, match=rf"dataset\.features=.*{message}"):
        read(tmp_path / "graph.csv", tmp_path / "features.npy")


class Evil:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return (Path.touch, (self.target,))


def write_evil(file: Path, target: Path, wrapped: bool) -> None:
    """Code in a pickle: the format's own, where it has one, else the plain pickle by its name."""
    evil = np.array([Evil(target)], dtype=object)
    name = file.name.removesuffix(".gz")
    if wrapped and name.endswith(".npz"):
        np.savez(file, format="csr", shape=(3, 3), data=evil, indices=evil, indptr=evil)
    elif wrapped and name.endswith(".npy"):
        np.save(file, evil, allow_pickle=True)
    elif wrapped and name.endswith(".pt"):
        torch.save(Data(edge_index=torch.tensor(EDGES).T, x=Evil(target)), file)
    else:
        content = pickle.dumps(Evil(target))
        file.write_bytes(gzip.compress(content) if wrapped else content)


GRAPHS = ["mat", "npz", "pt", "csv", "tsv", "txt", "csv.gz", "txt.gz"]


@pytest.mark.parametrize("permitted", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize(
    ("kind", "as_features"),
    [(kind, False) for kind in GRAPHS] + [(kind, True) for kind in ("npy", "npz", "pt", "csv")],
)
def test_code_in_a_pickle_is_refused(tmp_path, monkeypatch, kind, as_features, wrapped, permitted):
    if permitted:  # to the rest of PyTorch, by the user's environment
        monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    evil = tmp_path / f"evil.{kind}"
    write_evil(evil, tmp_path / "executed", wrapped)
    (tmp_path / "graph.csv").write_text(LINES)
    key = "features" if as_features else "path"
    with pytest.raises(RunnerError, match=rf"dataset\.{key}={evil}"):
        if as_features:
            read(tmp_path / "graph.csv", evil)
        else:
            read(evil)
    assert not (tmp_path / "executed").exists()


@pytest.mark.skipif("RUNNER_DATA" not in os.environ, reason="RUNNER_DATA is not set")
@pytest.mark.parametrize(
    ("name", "nodes", "edges"),
    [("USAir", 332, 2126), ("NS", 1589, 2742), ("Celegans", 297, 2148), ("facebook", 4039, 88234)],
)
def test_the_real_graphs(name, nodes, edges):
    data = read(Path(os.environ["RUNNER_DATA"]) / "mat" / f"{name}.mat")
    assert data.num_nodes == nodes
    assert len(links(data)) == edges


def test_features_that_are_no_text_are_named(tmp_path):
    (tmp_path / "graph.csv").write_text(LINES)
    (tmp_path / "bad.csv").write_bytes(b"1,2\0\0\0\0x")
    with pytest.raises(RunnerError, match=r"dataset\.features=.*bad\.csv: it is no text"):
        read(tmp_path / "graph.csv", tmp_path / "bad.csv")


def test_pairs_in_an_array_are_ids_and_those_of_pyg_are_numbers_from_0(tmp_path):
    edges = torch.tensor(EDGES).T
    np.savez(tmp_path / "graph.npz", edges=3 * edges.numpy() + 1)
    data = read(tmp_path / "graph.npz")
    assert data.num_nodes == 20 and list(data.names) == [str(3 * n + 1) for n in range(20)]
    torch.save(Data(edge_index=edges + 1), tmp_path / "graph.pt")
    data = read(tmp_path / "graph.pt")
    assert data.num_nodes == 21 and data.names is None
    assert data.notes[0].startswith("took 0 to 20 as nodes, as PyG does: 1 of them have no link")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("Failed to read all data of <_io.BufferedReader object at 0x7f>"),
        AttributeError("'NoneType' object has no attribute 'read'"),
    ],
)
def test_a_librarys_own_parts_are_no_reason(error):
    said = str(damaged("dataset.path", Path("graph.npz"), error))
    assert said == (
        "dataset.path=graph.npz: the file is damaged or not of its kind (it cannot be read)"
    )
