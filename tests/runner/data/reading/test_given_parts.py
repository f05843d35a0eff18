"""A split that the user brings, in files of its own."""

import random
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.sparse
import torch
from torch_geometric.data import Data
from torch_geometric.transforms import RandomLinkSplit

from runner.data.edges import edge_file
from runner.data.given_split import GivenSplit
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = GivenSplit(seed=0, valid_negatives=2.0, test_negatives=1.0)
RANDOM = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=2.0, test_negatives=1.0)
ALL = [(u, v) for u in range(30) for v in range(u)]
random.Random(0).shuffle(ALL)
TRAIN, VALID, TEST = ALL[:90], ALL[90:100], ALL[100:120]
VALID_NEGATIVES, TEST_NEGATIVES = ALL[150:165], ALL[165:195]
PARTS = {
    "path": TRAIN, "valid": VALID, "test": TEST, "valid_negatives": VALID_NEGATIVES,
    "test_negatives": TEST_NEGATIVES,
}  # fmt: skip


def write(folder: Path, parts, call=str, header="", name="{}.csv") -> dict[str, str]:
    """The files of some parts, by key; `call` gives a node's name."""
    for part, pairs in parts.items():
        lines = "\n".join(f"{call(u)},{call(v)}" for u, v in pairs)
        (folder / name.format(part)).write_text(header + lines + "\n")
    return {part: str(folder / name.format(part)) for part in parts}


def read(given, split=SPLIT, **keys):
    return edge_file(**given, **{"features": None, "split": split, **keys})


def named(data, pairs) -> set[tuple[str, ...]]:
    """Pairs by the names of their nodes, in either direction."""
    names = data.names or [str(n) for n in range(data.num_nodes)]
    return {tuple(sorted((names[u], names[v]))) for u, v in pairs.T.tolist()}


def expected(pairs, call=str):
    return {tuple(sorted((call(u), call(v)))) for u, v in pairs}


def parts_of(data):
    return {
        "path": data.train, "valid": data.valid.positive, "test": data.test.positive,
        "valid_negatives": data.valid.negative, "test_negatives": data.test.negative,
    }  # fmt: skip


def mixed(n):
    return str(n) if n % 2 else f"n{n}"


CALLS = {
    "whole": str, "gaps": lambda n: str(7 * n + 3), "names": lambda n: f"node {n}", "mixed": mixed,
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("header", ["", "source,target\n"])
def test_each_file_is_its_part(tmp_path, call, header):
    data = read(write(tmp_path, PARTS, call, header), header=bool(header))
    assert data.num_nodes == len({n for pairs in PARTS.values() for pair in pairs for n in pair})
    for part, found in parts_of(data).items():
        assert named(data, found) == expected(PARTS[part], call), part
        assert found.shape[1] == len(PARTS[part])


def test_one_file_of_numbers_beside_names(tmp_path):
    """The nodes of validation happen to be called by numbers alone."""
    valid = [pair for pair in ALL[90:] if all(n % 2 for n in pair)][:8]
    given = write(tmp_path, {**PARTS, "valid": valid, "test": ALL[200:210]}, mixed)
    data = read(given)
    for part, pairs in {**PARTS, "valid": valid, "test": ALL[200:210]}.items():
        assert named(data, parts_of(data)[part]) == expected(pairs, mixed)


@pytest.mark.parametrize(
    ("call", "names"),
    [(str, ["1", "2", "5", "9"]), ("n{}".format, ["n5", "n9", "n2", "n1"])],
)
def test_numbering(tmp_path, call, names):
    """Whole numbers ascend over all files; names come in the order of the parts."""
    parts = {"path": [(5, 9)], "valid": [(9, 2)], "test": [(5, 1)]}
    negatives = {"test_negatives": [(1, 2)], "valid_negatives": [(1, 2)]}
    data = read(write(tmp_path, {**negatives, **parts}, call), header=False)
    assert list(data.names) == names


def test_negatives_are_drawn_where_there_are_none(tmp_path):
    given = write(tmp_path, {name: PARTS[name] for name in ("path", "valid", "test")})
    data, same = read(given), read(given)
    links = expected(TRAIN + VALID + TEST)
    for part, count in (("valid_negatives", 20), ("test_negatives", 20)):
        found = parts_of(data)[part]
        assert len(named(data, found)) == found.shape[1] == count
        assert not named(data, found) & links
        assert torch.equal(found, parts_of(same)[part])
    assert "drew 20 negatives for the valid part" in data.notes
    other = read(given, GivenSplit(seed=1, valid_negatives=2.0, test_negatives=1.0))
    assert not torch.equal(other.test.negative, data.test.negative)
    assert torch.equal(other.train, data.train)
    given |= write(tmp_path, {"test_negatives": TEST_NEGATIVES})
    data = read(given)
    assert named(data, data.test.negative) == expected(TEST_NEGATIVES)
    assert data.valid.negative.shape[1] == 20
    assert data.facts["negatives drawn"] == {"valid": 20}


def test_repeats_and_nodes_of_few_parts_are_told(tmp_path):
    parts = {
        "path": [*TRAIN, TRAIN[0], TRAIN[0][::-1], (3, 3)],
        "valid": [*VALID, VALID[0][::-1]],
        "test": [*TEST, (40, 1), (41, 1)],
        "test_negatives": [*TEST_NEGATIVES, (50, 1), (50, 51)],
    }
    data = read(write(tmp_path, parts))
    assert named(data, data.train) == expected(TRAIN) and data.train.shape[1] == len(TRAIN)
    assert data.valid.positive.shape[1] == len(VALID)
    assert "2 nodes of validation and test have no training link" in data.notes
    assert "2 nodes stand in negatives alone, and have no link" in data.notes
    assert data.facts["links"] == len(TRAIN + VALID + TEST) + 2


def test_features_are_joined_over_all_files(tmp_path):
    """A node that only the test has, has its row."""
    given = write(tmp_path, {**PARTS, "test": [*TEST, (77, 0)]}, "n{}".format)
    rows = [f"n{n},{n}.5" for n in [*reversed(range(30)), 77]]
    (tmp_path / "nodes.csv").write_text("id,x\n" + "\n".join(rows))
    data = read(given, features=str(tmp_path / "nodes.csv"), header=False)
    assert data.num_nodes == 31
    assert [f"n{x - 0.5:g}" for x in data.features[:, 0].tolist()] == list(data.names)


def test_other_kinds_of_files(tmp_path):
    """A matrix, an edge_index and a table, all of the nodes 0 to 29."""
    u, v = np.array(TRAIN).T
    matrix = scipy.sparse.coo_array((np.ones(len(u)), (u, v)), shape=(30, 30))
    scipy.sparse.save_npz(tmp_path / "train.npz", matrix)
    torch.save(torch.tensor(VALID).T, tmp_path / "valid.pt")
    given = {"path": str(tmp_path / "train.npz"), "valid": str(tmp_path / "valid.pt")}
    data = read(given | write(tmp_path, {"test": TEST}))
    assert data.num_nodes == 30 and data.names is None
    for part in ("path", "valid", "test"):
        assert named(data, parts_of(data)[part]) == expected(PARTS[part])


BAD = {
    "no test": (lambda given: {**given, "test": None}, "dataset.test: a file is needed beside"),
    "no valid": (lambda given: {**given, "valid": None}, "dataset.valid: a file is needed beside"),
    "the same file": (
        lambda given: {**given, "test": given["valid"]},
        r"dataset.test=.*valid.csv: it is the file of dataset.valid too",
    ),
    "the training file": (
        lambda given: {**given, "valid": given["path"]},
        r"dataset.valid=.*path.csv: it is the file of dataset.path too",
    ),
    "a missing file": (
        lambda given: {**given, "valid": given["valid"] + "x"},
        "dataset.valid=.*csvx: there is no such file",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_keys(tmp_path, name):
    change, message = BAD[name]
    with pytest.raises(RunnerError, match=message):
        read(change(write(tmp_path, PARTS)))


@pytest.mark.parametrize(
    ("part", "text", "message"),
    [
        ("test", "", r"dataset\.test=.*test\.csv: the file holds no edges"),
        ("valid", "source,target\n3,3\n", "dataset.valid: it has no links"),
        ("valid", "source,target\n90,91\n", "dataset.valid: none of its nodes has a training link"),
        ("test", "0,1\n2,\n", r"dataset\.test=.*test\.csv"),
    ],
)
def test_bad_files(tmp_path, part, text, message):
    given = write(tmp_path, PARTS)
    Path(given[part]).write_text(text)
    with pytest.raises(RunnerError, match=message) as caught:
        read(given)
    assert "dataset.path=" not in str(caught.value)


def test_ends_in_other_columns_are_refused(tmp_path):
    given = write(tmp_path, PARTS)
    rows = [f"{n},{u},{v}" for n, (u, v) in enumerate(TEST[:12] * 2)]
    Path(given["test"]).write_text("\n".join(rows))
    with pytest.raises(RunnerError, match="column number 1 seems to be the source"):
        read(given)


def test_names_beside_a_matrix_are_refused(tmp_path):
    given = write(tmp_path, {"path": TRAIN, "test": TEST}, "n{}".format)
    scipy.sparse.save_npz(tmp_path / "valid.npz", scipy.sparse.eye_array(30, k=1))
    with pytest.raises(
        RunnerError, match=r"dataset.valid: .*npz have numbers, those in .*csv have names"
    ):
        read({**given, "valid": str(tmp_path / "valid.npz")})


def test_matrices_of_two_sizes_are_refused(tmp_path):
    for part, nodes in (("path", 30), ("valid", 31), ("test", 30)):
        scipy.sparse.save_npz(tmp_path / f"{part}.npz", scipy.sparse.eye_array(nodes, k=1))
    with pytest.raises(RunnerError, match="the parts say that there are 30 or 31 nodes"):
        read({part: str(tmp_path / f"{part}.npz") for part in ("path", "valid", "test")})


def test_a_table_of_numbers_beside_a_file_that_counts_from_1_is_refused(tmp_path):
    u, v = np.array(TRAIN).T
    matrix = scipy.sparse.coo_array((np.ones(len(u)), (u, v)), shape=(30, 30))
    scipy.io.mmwrite(tmp_path / "path.mtx", matrix)
    given = write(tmp_path, {"valid": VALID, "test": TEST})
    with pytest.raises(RunnerError, match=r"path=.*path\.mtx: such a file counts nodes from 1"):
        read(given | {"path": str(tmp_path / "path.mtx")})


def test_a_matrix_of_two_kinds_of_nodes(tmp_path):
    """Rows and columns are numbered apart in all parts; a table beside them is refused."""
    parts = {"path": [(0, 1), (1, 4), (2, 0)], "valid": [(0, 0), (1, 1)], "test": [(2, 4)]}
    for part, pairs in parts.items():
        u, v = np.array(pairs).T
        matrix = scipy.sparse.coo_array((np.ones(len(u)), (u, v)), shape=(3, 5))
        scipy.sparse.save_npz(tmp_path / f"{part}.npz", matrix)
    given = {part: str(tmp_path / f"{part}.npz") for part in parts}
    split = GivenSplit(seed=0, valid_negatives=1.0, test_negatives=1.0)
    data = read(given, split, bipartite=True)
    assert data.num_sources == 3 and data.num_nodes == 8
    for part, pairs in parts.items():
        assert set(map(tuple, parts_of(data)[part].T.tolist())) == {(u, v + 3) for u, v in pairs}
    with pytest.raises(RunnerError, match="give all parts as matrices, or as tables"):
        read(given | write(tmp_path, {"test": [(2, 4)]}), split, bipartite=True)


@pytest.mark.parametrize("kind", ["directed", "bipartite"])
def test_directed_and_bipartite_parts(tmp_path, kind):
    """Ids of both columns stay apart over all files; ordered pairs stay ordered."""
    data = read(write(tmp_path, PARTS), **{kind: True})
    for part, pairs in PARTS.items():
        found = parts_of(data)[part]
        names = data.names or [str(n) for n in range(data.num_nodes)]
        ordered = {(names[u], names[v]) for u, v in found.T.tolist()}
        assert ordered == {(str(u), str(v)) for u, v in pairs}
    if kind == "bipartite":
        assert all((found[0] < data.num_sources).all() and (found[1] >= data.num_sources).all()
                   for found in parts_of(data).values())  # fmt: skip
    assert data.directed == (kind == "directed")


def test_a_changed_part_is_noticed_in_the_cache(tmp_path):
    given = write(tmp_path, PARTS)
    cache = str(tmp_path / "cache")
    first = read(given, cache=cache)
    assert read(given, cache=cache).fingerprint == first.fingerprint == read(given).fingerprint
    write(tmp_path, {"test": TEST[:-3]})
    changed = read(given, cache=cache)
    assert changed.test.positive.shape[1] == len(TEST) - 3
    assert changed.notes == read(given).notes and changed.facts == read(given).facts


def test_parts_and_protocol_belong_together(tmp_path):
    given = write(tmp_path, PARTS)
    with pytest.raises(RunnerError, match="this protocol would split it anew; give protocol=files"):
        read(given, RANDOM)
    with pytest.raises(RunnerError, match="protocol=files: the dataset has no parts of its own"):
        read({"path": given["path"]})


X = torch.arange(120.0).reshape(30, 4)
EDGE_INDEX = torch.tensor(ALL[:120]).T


def triple(**changed):
    torch.manual_seed(0)
    split = RandomLinkSplit(
        **{"num_val": 0.1, "num_test": 0.2, "is_undirected": True, **changed}
    )  # fmt: skip
    both = torch.cat([EDGE_INDEX, EDGE_INDEX.flip(0)], dim=1)
    return split(Data(x=X, edge_index=both))


def labelled(part, sign):
    if "pos_edge_label_index" in part:
        pairs = part.pos_edge_label_index if sign else part.neg_edge_label_index
    else:
        pairs = part.edge_label_index[:, (part.edge_label > 0) == sign]
    return expected(pairs.T.tolist())


@pytest.mark.parametrize("split_labels", [False, True])
@pytest.mark.parametrize("disjoint", [0.0, 0.3])
@pytest.mark.parametrize("kept_as", [tuple, list, dict])
def test_the_triple_of_random_link_split(tmp_path, split_labels, disjoint, kept_as):
    parts = triple(split_labels=split_labels, disjoint_train_ratio=disjoint)
    saved = kept_as(zip(("train", "val", "test"), parts, strict=True) if kept_as is dict else parts)
    torch.save(saved, tmp_path / "triple.pt")
    data = read({"path": str(tmp_path / "triple.pt")})
    train, valid, test = parts
    assert torch.equal(data.features, X)
    assert named(data, data.train) == expected(train.edge_index.T.tolist()) | labelled(train, True)
    for mine, theirs in ((data.valid, valid), (data.test, test)):
        assert named(data, mine.positive) == labelled(theirs, True)
        assert named(data, mine.negative) == labelled(theirs, False)
    assert data.train.shape[1] + data.valid.positive.shape[1] + data.test.positive.shape[1] == 120
    assert any("negatives of training are not used" in note for note in data.notes)
    assert any("protocol.validation_edges_in_test_graph=true" in note for note in data.notes)
    only = any("training links are only in edge_label_index" in note for note in data.notes)
    assert only == (disjoint > 0)


def test_a_triple_with_another_protocol_or_with_files(tmp_path):
    torch.save(triple(), tmp_path / "triple.pt")
    path = str(tmp_path / "triple.pt")
    with pytest.raises(RunnerError, match="give protocol=files"):
        read({"path": path}, RANDOM)
    with pytest.raises(RunnerError, match="it has all parts of a split"):
        read({"path": path} | write(tmp_path, {"valid": VALID, "test": TEST}))


def test_a_triple_without_negatives(tmp_path):
    torch.save(triple(neg_sampling_ratio=0.0), tmp_path / "triple.pt")
    data = read({"path": str(tmp_path / "triple.pt")})
    assert data.valid.negative.shape[1] == 2 * data.valid.positive.shape[1]
    assert not any("negatives of training" in note for note in data.notes)


@pytest.mark.parametrize("disjoint", [0.0, 0.3])
def test_classes_of_links_that_count_from_0_are_no_negatives(tmp_path, disjoint):
    parts = triple(neg_sampling_ratio=0.0, disjoint_train_ratio=disjoint)
    for part in parts:
        part.edge_label = torch.arange(part.edge_label_index.shape[1]) % 2
    torch.save(parts, tmp_path / "triple.pt")
    with pytest.raises(RunnerError, match=r"edge_label is 0 for \d+ links"):
        read({"path": str(tmp_path / "triple.pt")})


def test_one_part_alone_stays_refused(tmp_path):
    train, valid, _ = triple()
    for saved, message in (
        (valid, "one part of a split"), ((train, valid), "2 graphs, as the parts of a split"),
    ):  # fmt: skip
        torch.save(saved, tmp_path / "part.pt")
        with pytest.raises(RunnerError, match=message):
            read({"path": str(tmp_path / "part.pt")})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"edge_label": torch.ones(3)}, "edge_label has not one label for each column"),
        ({"edge_label": [1, 0]}, "edge_label has not one label for each column"),
        ({"edge_label_index": torch.rand(2, 9)}, "edge_label_index is no tensor of whole numbers"),
        ({"edge_label_index": "x"}, "edge_label_index is no tensor of whole numbers"),
        ({"pos_edge_label_index": torch.rand(2, 9)}, "pos_ and neg_edge_label_index are no"),
        ({"edge_label_index": torch.full((2, 4), 99), "edge_label": torch.ones(4)}, "node id 99"),
    ],
)
def test_labels_that_make_no_sense(tmp_path, change, message):
    parts = [dict(part.to_dict()) for part in triple()]
    parts[1] |= change
    torch.save(parts, tmp_path / "triple.pt")
    with pytest.raises(RunnerError, match=message):
        read({"path": str(tmp_path / "triple.pt")})
