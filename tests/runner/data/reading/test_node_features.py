"""`dataset.nodes`: numbers standardised, categories one-hot, and what is told of the rest."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pandas
import pytest
import scipy.sparse
import torch
from tests.runner.data.reading.test_node_table import IDS, LINKS, NODES, SPLIT, VALUES
from torch_geometric.data import Data

from runner.data.edges import edge_file
from runner.errors import RunnerError

CLUBS = [["red", "blue", "green"][n % 3] for n in range(NODES)]
STANDARD = (VALUES - VALUES.mean(axis=0)) / VALUES.std(axis=0)


def frame(ids: list[str], **more: object) -> pandas.DataFrame:
    columns = {name: VALUES[:, n] for n, name in enumerate("abc")}
    return pandas.DataFrame({"id": ids, **columns, **more})


def graph(folder: Path, ids: list[str]) -> str:
    links = [f"{ids[u]},{ids[v]}" for u, v in LINKS]
    (folder / "graph.csv").write_text("\n".join(["source,target", *links]) + "\n")
    return str(folder / "graph.csv")


def read(folder: Path, table: pandas.DataFrame, ids: list[str], name="n.csv", **given):
    if name.endswith(".parquet"):
        table.to_parquet(folder / name)
    else:
        table.to_csv(folder / name, index=False, sep=given.pop("sep", ","))
    given.setdefault("features", None)
    return edge_file(path=graph(folder, ids), nodes=str(folder / name), split=SPLIT, **given)


def in_order(data, ids: list[str], values: np.ndarray) -> torch.Tensor:
    names = data.names or [str(n) for n in range(data.num_nodes)]
    return torch.tensor(np.stack([values[ids.index(name)] for name in names]), dtype=torch.float32)


def told(data) -> dict:
    return data.facts["node table"]


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("name", ["n.csv", "n.parquet"])
def test_rows_are_joined_by_ids_and_columns_become_numbers(tmp_path, ids, name):
    table = frame(IDS[ids], club=CLUBS).sample(frac=1, random_state=0)
    if ids != "names" and name == "n.parquet":
        table["id"] = table["id"].astype(int)
    data = read(tmp_path, table, IDS[ids], name)
    one_hot = np.array([[club == kind for kind in ("blue", "green", "red")] for club in CLUBS])
    expected = in_order(data, IDS[ids], np.concatenate([STANDARD, one_hot], axis=1))
    assert torch.allclose(data.features, expected, atol=1e-6)
    assert told(data) == {
        "ids": "id", "unknown ids": 0, "nodes without a row": 0, "numeric": ["a", "b", "c"],
        "categories": {"club": 3}, "constant": [], "missing": {}, "left out": {},
    }  # fmt: skip
    assert "node table: standardised: a, b, c" in data.notes
    assert "node table: categories, one-hot: club (3)" in data.notes


def test_numbers_become_categories_where_the_key_says_so(tmp_path):
    ids = IDS["names"]
    data = read(tmp_path, frame(ids, club=CLUBS, d=[1.5] * NODES), ids, bins=4)
    assert told(data)["bins"] == 4
    assert "node table: categories, up to 4 by value: a, b, c" in data.notes
    features = data.features[[data.names.index(name) for name in ids]]
    assert features.shape == (NODES, 3 + 3 * 4 + 1)
    assert set(features.unique().tolist()) == {0, 1}
    for column, bins in zip(VALUES.T, features[:, 3:15].split(4, dim=1), strict=True):
        order = bins.argmax(dim=1)[np.argsort(column)]
        assert order.tolist() == sorted(order.tolist())
        assert bins.sum(dim=0).max() - bins.sum(dim=0).min() <= 1
    with pytest.raises(RunnerError, match=r"dataset\.bins=4: .* give that table"):
        edge_file(path=graph(tmp_path, ids), features=None, bins=4, split=SPLIT)


def test_an_index_of_pandas_may_have_the_ids(tmp_path):
    table = frame(IDS["names"]).set_index("id").rename_axis(None).sample(frac=1, random_state=1)
    data = read(tmp_path, table, IDS["names"], "n.parquet")
    assert torch.allclose(data.features, in_order(data, IDS["names"], STANDARD), atol=1e-6)


def test_ids_that_pandas_made_floats(tmp_path):
    table = frame([f"{n}.0" for n in IDS["gaps"]])
    data = read(tmp_path, table, IDS["gaps"])
    assert torch.allclose(data.features, in_order(data, IDS["gaps"], STANDARD), atol=1e-6)


@pytest.mark.parametrize("name", ["n.csv", "n.parquet"])
def test_missing_values(tmp_path, name):
    ids = IDS["names"]
    table = frame(ids, club=CLUBS)
    table.loc[2:4, "b"] = None
    table.loc[7, "club"] = None
    data = read(tmp_path, table, ids, name)
    features = data.features[[data.names.index(name) for name in ids]]
    assert features[2:5, 1].tolist() == [0, 0, 0] and features[7, 3:].tolist() == [0, 0, 0]
    known = np.delete(VALUES[:, 1], [2, 3, 4])
    expected = (VALUES[0, 1] - known.mean()) / known.std()
    assert features[0, 1].item() == pytest.approx(expected, rel=1e-5)
    assert told(data)["missing"] == {"b": 3, "club": 1}
    assert any("without a value" in note and "b (3), club (1)" in note for note in data.notes)


def test_marks_of_missing_numbers_and_decimal_commas(tmp_path):
    ids = IDS["names"]
    table = frame(ids).astype(str)
    table["a"] = [value.replace(".", ",") for value in table["a"]]
    table.loc[3, "c"] = "NA"
    data = read(tmp_path, table, ids, sep=";")
    features = data.features[[data.names.index(name) for name in ids]]
    assert torch.allclose(features[:, 0], torch.tensor(STANDARD[:, 0]).float(), atol=1e-6)
    assert told(data)["missing"] == {"c": 1} and told(data)["numeric"] == ["a", "b", "c"]


def test_constant_columns_are_0(tmp_path):
    data = read(tmp_path, frame(IDS["names"], d=[0.1] * NODES), IDS["names"])
    assert (data.features[:, 3] == 0).all() and told(data)["constant"] == ["d"]
    assert any("0 for each node" in note and note.endswith(": d") for note in data.notes)


def test_columns_that_are_no_features_are_left_out_and_told(tmp_path):
    more = {
        "title": [f"title {n}" for n in range(NODES)], "empty": [None] * NODES,
        "born": pandas.to_datetime(["2020-01-01"] * NODES), "tags": [["x"]] * NODES,
    }  # fmt: skip
    data = read(tmp_path, frame(IDS["names"], **more), IDS["names"], "n.parquet")
    assert data.features.shape[1] == 3
    left_out = told(data)["left out"]
    assert list(left_out) == list(more)
    assert left_out["title"] == "20 different values of 20" and left_out["empty"] == "no values"
    assert any("left out: title (20 different values of 20), empty" in n for n in data.notes)


@pytest.mark.parametrize("kind", ["truths", "zip codes", "kinds"])
def test_categories(tmp_path, kind):
    values = {
        "truths": [n % 3 == 0 for n in range(NODES)],
        "zip codes": [["01234", "99999"][n % 2] for n in range(NODES)],
        "kinds": [["1", "two"][n % 2] for n in range(NODES)],
    }[kind]
    for name in ("n.csv", "n.parquet"):
        data = read(tmp_path, frame(IDS["from 0"], k=values), IDS["from 0"], name)
        first = sorted(set(map(str, values)))[0].lower()
        expected = torch.tensor([float(str(value).lower() == first) for value in values])
        assert told(data)["categories"] == {"k": 2}
        assert torch.equal(data.features[:, 3], expected)


def test_words_alone_need_no_number_to_tell_the_header(tmp_path):
    table = pandas.DataFrame({"id": IDS["names"], "club": CLUBS})
    assert told(read(tmp_path, table, IDS["names"]))["categories"] == {"club": 3}
    table.columns = ["n99", "red"]  # without a header
    with pytest.raises(RunnerError, match=r"dataset\.nodes=.*first row may be names of columns"):
        read(tmp_path, table, IDS["names"])


@pytest.mark.parametrize("ids", IDS)
def test_unknown_ids_and_nodes_without_a_row(tmp_path, ids):
    more = {"from 0": str(NODES), "gaps": "6", "names": "alone"}[ids]
    table = frame([*IDS[ids][:-2], more, IDS[ids][-1]])
    data = read(tmp_path, table, IDS[ids])
    names = data.names or [str(n) for n in range(data.num_nodes)]
    assert data.num_nodes == NODES + 1
    assert (told(data)["unknown ids"], told(data)["nodes without a row"]) == (1, 1)
    assert (data.features[names.index(IDS[ids][-2])] == 0).all()
    expected = torch.tensor(STANDARD[-2]).float()
    assert torch.allclose(data.features[names.index(more)], expected, atol=1e-6)
    assert "1 nodes of the node table have no link" in data.notes
    assert "1 of 21 nodes have no row: their features are 0" in data.notes


def test_ids_that_a_graph_of_a_given_size_lacks_are_left_out(tmp_path):
    links = torch.tensor(LINKS).T
    torch.save(Data(edge_index=links, num_nodes=NODES, x=torch.ones(NODES, 2)), tmp_path / "g.pt")
    frame([*IDS["from 0"][:-1], "77"]).to_csv(tmp_path / "n.csv", index=False)
    data = edge_file(
        path=str(tmp_path / "g.pt"), features=None, nodes=str(tmp_path / "n.csv"), split=SPLIT
    )
    assert data.num_nodes == NODES and (data.features[-1] == 0).all()
    # The row of no node is none of those that the mean is over.
    assert data.features[:-1].mean(dim=0).abs().max() < 1e-6
    assert any("left out 1 rows of the node table" in note for note in data.notes)
    assert "the features in g.pt are not used" in data.notes


def test_a_table_of_names_alone_leaves_embeddings(tmp_path):
    table = pandas.DataFrame({"id": IDS["names"], "name": [f"N. {n}" for n in range(NODES)]})
    data = read(tmp_path, table, IDS["names"])
    assert data.num_categories == NODES
    assert any("each node learns an embedding" in note for note in data.notes)


def write_array(file: Path) -> None:
    values = VALUES.astype(np.float32)
    if file.suffix == ".npy":
        np.save(file, values)
    elif file.suffix == ".npz":
        scipy.sparse.save_npz(file, scipy.sparse.csr_array(values))
    elif file.suffix == ".pt":
        torch.save(torch.from_numpy(values), file)
    else:
        pandas.DataFrame(values, columns=list("abc")).to_csv(file, index=False)


@pytest.mark.parametrize("name", ["n.npy", "n.npz", "n.pt", "n.csv"])
def test_rows_without_ids_are_those_of_the_nodes_0_to_n(tmp_path, name):
    write_array(tmp_path / name)
    given = {"features": None, "nodes": str(tmp_path / name), "split": SPLIT}
    data = edge_file(path=graph(tmp_path, IDS["from 0"]), **given)
    assert torch.allclose(data.features, torch.tensor(STANDARD).float(), atol=1e-5)
    for ids in ("gaps", "names"):
        with pytest.raises(RunnerError, match=r"dataset\.nodes: which row is of which node\?"):
            edge_file(path=graph(tmp_path, IDS[ids]), **given)
    with pytest.raises(RunnerError, match=r"dataset\.nodes=.*(rows without ids|the shape is)"):
        edge_file(path=graph(tmp_path, IDS["from 0"]), num_nodes=NODES + 1, **given)


def test_values_that_are_no_numbers_in_an_array_are_missing(tmp_path):
    values = VALUES.copy()
    values[3, 1] = np.nan
    np.save(tmp_path / "n.npy", values)
    given = {"features": None, "nodes": str(tmp_path / "n.npy"), "split": SPLIT}
    data = edge_file(path=graph(tmp_path, IDS["from 0"]), **given)
    assert data.features[3, 1] == 0 and told(data)["missing"] == {"number 1": 1}
    values[3, 1] = np.inf
    np.save(tmp_path / "n.npy", values)
    with pytest.raises(RunnerError, match="row 4 has an infinite value in column number 1"):
        edge_file(path=graph(tmp_path, IDS["from 0"]), **given)


def repeated(table):
    return pandas.concat([table, table[:1]])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.assign(a=["12k", *t["a"][1:]]), "row 1 has '12k' in column a, which is no"),
        (lambda t: t.assign(a=["1e999", *t["a"][1:]]), "row 1 has an infinite value in column a"),
        (lambda t: t.assign(id=[*t["id"][:4], "", *t["id"][5:]]), "row 5 has no id in column id"),
        (repeated, "node n0 has two rows"),
        (lambda t: t.assign(id=[f"u{n}" for n in range(NODES)]), "too few of the graph's node ids"),
    ],
)
def test_bad_node_tables(tmp_path, change, said):
    with pytest.raises(RunnerError, match=rf"dataset\.nodes=.*{said}"):
        read(tmp_path, change(frame(IDS["names"])), IDS["names"])


def test_ids_that_are_shifted_by_one_are_refused(tmp_path):
    with pytest.raises(RunnerError, match=r"dataset\.nodes=.*shifted by one; number both from 0"):
        read(tmp_path, frame([str(n + 1) for n in range(NODES)]), IDS["from 0"])
    with pytest.raises(RunnerError, match=r"dataset\.nodes=.*shifted by one; number both from 0"):
        table = frame([str(n + 1) for n in range(NODES)])
        read(tmp_path, table.drop(index=3), IDS["from 0"])  # a node without a row


def test_nodes_and_features_together_are_refused(tmp_path):
    write_array(tmp_path / "x.npy")
    with pytest.raises(RunnerError, match=r"dataset\.nodes and dataset\.features both .*leave one"):
        read(tmp_path, frame(IDS["names"]), IDS["names"], features=str(tmp_path / "x.npy"))


def test_features_in_parquet_are_taken_as_they_are(tmp_path):
    ids = list(IDS["names"])
    random.Random(2).shuffle(ids)
    table = frame(IDS["names"]).set_index("id").loc[ids].reset_index()
    table.to_parquet(tmp_path / "n.parquet")
    data = edge_file(
        path=graph(tmp_path, IDS["names"]), features=str(tmp_path / "n.parquet"), split=SPLIT
    )
    assert torch.equal(data.features, in_order(data, IDS["names"], VALUES))
    table.assign(club=CLUBS).to_parquet(tmp_path / "n.parquet")
    with pytest.raises(RunnerError, match=r"'red' in column club, .* as dataset\.nodes="):
        edge_file(path=graph(tmp_path, ids), features=str(tmp_path / "n.parquet"), split=SPLIT)
