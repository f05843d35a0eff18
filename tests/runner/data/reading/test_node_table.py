import random

import numpy as np
import pytest
import torch

from runner.data.edges import edge_file
from runner.data.splits import RandomSplit
from runner.errors import RunnerError

SPLIT = RandomSplit(valid=0.1, test=0.2, seed=0, valid_negatives=1.0, test_negatives=1.0)
NODES = 20
LINKS = [(u, v) for u in range(NODES) for v in range(u) if (u * v + u) % 3 == 0]
VALUES = np.random.default_rng(0).random((NODES, 3)).round(3)


def dataset(folder, ids, rows, **given):
    links = [f"{ids[u]},{ids[v]}" for u, v in LINKS]
    (folder / "graph.csv").write_text("\n".join(["source,target", *links]) + "\n")
    (folder / "nodes.csv").write_text("\n".join(rows) + "\n")
    return edge_file(
        path=str(folder / "graph.csv"), features=str(folder / "nodes.csv"), split=SPLIT, **given
    )


def rows_of(ids, separator=",", *, shuffled=True):
    rows = [separator.join([ids[n], *map(str, VALUES[n])]) for n in range(NODES)]
    if shuffled:
        random.Random(0).shuffle(rows)
    return rows


def in_order(data, ids):
    """The expected rows in the order of the dataset's nodes."""
    names = data.names or [str(n) for n in range(data.num_nodes)]
    return torch.tensor(np.stack([VALUES[ids.index(name)] for name in names]), dtype=torch.float32)


IDS = {
    "from 0": [str(n) for n in range(NODES)],
    "gaps": [str(5 + 7 * n) for n in range(NODES)],
    "names": [f"n{n}" for n in range(NODES)],
}


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("header", [None, "id", "node", "name"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_rows_are_joined_by_ids_in_any_order(tmp_path, ids, header, separator):
    rows = rows_of(IDS[ids], separator)
    if header:
        rows.insert(0, separator.join([header, "a", "b", "c"]))
    data = dataset(tmp_path, IDS[ids], rows)
    assert torch.equal(data.features, in_order(data, IDS[ids]))
    assert any("features are joined by the ids in column" in note for note in data.notes)


def test_ids_may_stand_in_any_column_that_is_called_so(tmp_path):
    rows = ["a,b,c,id", *(",".join([*map(str, VALUES[n]), f"n{n}"]) for n in range(NODES))]
    data = dataset(tmp_path, IDS["names"], rows[:1] + rows[:0:-1])
    assert torch.equal(data.features, in_order(data, IDS["names"]))


def test_rows_without_ids_are_in_the_order_of_the_nodes(tmp_path):
    rows = [",".join(map(str, row)) for row in VALUES]
    for lines in (rows, ["a,b,c", *rows]):
        data = dataset(tmp_path, IDS["from 0"], lines)
        assert torch.equal(data.features, in_order(data, IDS["from 0"]))
    one = dataset(tmp_path, IDS["from 0"], [str(value) for value in VALUES[:, 0]])
    assert torch.equal(one.features[:, 0], torch.tensor(VALUES[:, 0], dtype=torch.float32))


@pytest.mark.parametrize("ids", ["gaps", "names"])
def test_rows_without_ids_fit_no_other_nodes(tmp_path, ids):
    rows = [",".join(map(str, row)) for row in VALUES]
    with pytest.raises(RunnerError, match=r"dataset\.features: which row is of which node\?"):
        dataset(tmp_path, IDS[ids], rows)


@pytest.mark.parametrize("ids", IDS)
def test_a_node_of_the_table_alone_is_a_node_without_a_link(tmp_path, ids):
    more = {"from 0": str(NODES), "gaps": "6", "names": "alone"}[ids]
    data = dataset(tmp_path, IDS[ids], [*rows_of(IDS[ids]), f"{more},7,8,9"])
    assert data.num_nodes == NODES + 1
    assert any("1 nodes of the node table have no link" in note for note in data.notes)
    names = data.names or [str(n) for n in range(data.num_nodes)]
    assert data.features[names.index(more)].tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows[:-1], "1 of the 20 nodes have no row"),
        (lambda rows: [*rows, "n3,1,2,3"], "row is of which node|node n3 has two rows"),
        (lambda rows: [*rows[:-1], "n19,1,,3"], "has no value in column number 2, which is no"),
        (lambda rows: [*rows[:-1], "n19,1,red,3"], "has 'red' in column number 2, which is no"),
        (lambda rows: [*rows[:-1], "n19,1,2"], "different numbers of fields"),
    ],
)
def test_bad_node_tables(tmp_path, change, said):
    rows = change(rows_of(IDS["names"], shuffled=False))
    with pytest.raises(RunnerError, match=rf"dataset\.features.*({said})"):
        dataset(tmp_path, IDS["names"], rows)
