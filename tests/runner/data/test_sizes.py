from types import SimpleNamespace

import torch

from runner.data.sizes import recall, remember


def place(root, seed=0):
    return {"name": "Cora", "split": {"valid": 0.1, "seed": seed}}, str(root)


def test_sizes_are_remembered_for_every_seed_and_not_if_damaged(tmp_path):
    part = SimpleNamespace(positive=torch.zeros(2, 5))
    data = SimpleNamespace(
        num_nodes=17, features=torch.zeros(17, 3), num_categories=None,
        train=torch.zeros(2, 40), valid=part, test=part,
    )  # fmt: skip
    assert recall(*place(tmp_path)) is None
    remember(*place(tmp_path), data)
    assert recall(*place(tmp_path, seed=1))["training links"] == 40
    (kept,) = (tmp_path / "statistics").iterdir()
    kept.write_text(kept.read_text().replace("40", "41"))
    assert recall(*place(tmp_path)) is None
