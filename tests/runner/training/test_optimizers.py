import errno
import os

import pytest
import torch
from torch import nn

from runner.models.gae import GAE
from runner.models.link_model import LinkModel
from runner.models.node_embedding import NodeEmbedding
from runner.training.optimizers import Schedule, build_optimizer, on_disk


def model(sparse):
    torch.manual_seed(0)
    encoder = nn.Sequential(NodeEmbedding(8, 4, sparse=sparse), nn.Linear(4, 4))
    predictor = GAE(hidden=4, dropout=0.0, last_linear=False, two_layer_head=False, layer_norm=True)
    return LinkModel(encoder, predictor)


def steps(network, optimizer, batches):
    for ids in batches:
        optimizer.zero_grad()
        network.encoder(torch.tensor(ids)).square().sum().backward()
        optimizer.step()


def build(network, folder=None):
    return build_optimizer(network, lr_encoder=0.1, lr_predictor=0.2, folder=folder)


def test_rows_that_are_always_read_move_as_with_adam():
    one, other = model(False), model(True)
    every = [list(range(8))] * 4
    steps(one, build(one), every)
    steps(other, build(other), every)
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_rows_that_a_step_does_not_read_stay():
    network = model(True)
    before = network.encoder[0].weight.detach().clone()
    optimizer = build(network)
    steps(network, optimizer, [[1, 2], [2, 5]])
    moved = (network.encoder[0].weight != before).any(dim=1).nonzero().flatten()
    assert moved.tolist() == [1, 2, 5]
    assert [group["name"] for group in optimizer.param_groups] == [
        "encoder", "predictor", "embeddings",
    ]  # fmt: skip
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.2, 0.1]


@pytest.mark.parametrize("disk", [False, True])
def test_a_restored_one_goes_on_in_the_same_bits_and_in_its_place(tmp_path, disk):
    folder = tmp_path / "scratch" if disk else None
    whole, first, second = model(True), model(True), model(True)
    batches = [[1, 2], [2, 5], [0, 1], [7, 2]]
    steps(whole, build(whole), batches)
    optimizer = build(first, folder)
    steps(first, optimizer, batches[:2])
    again = build(second, folder)
    moment = again.parts["rows"].state[second.encoder[0].weight]["exp_avg"]
    second.load_state_dict(first.state_dict())
    again.load_state_dict(optimizer.state_dict())
    assert again.parts["rows"].state[second.encoder[0].weight]["exp_avg"] is moment
    steps(second, again, batches[2:])
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not disk or not list(folder.iterdir())


def test_a_file_without_a_name_holds_numbers(tmp_path):
    mapped = on_disk(torch.zeros(3, 5), tmp_path / "new")
    assert mapped.shape == (3, 5) and not mapped.any()
    mapped.fill_(2)
    assert float(mapped.sum()) == 30 and not list((tmp_path / "new").iterdir())


def test_a_full_disk_is_an_error_at_once(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        on_disk(torch.zeros(3, 5), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_schedule_that_is_restored_before_its_first_epoch_ends_is_not_warned_of():
    """Its optimiser has stepped, in the process before; warnings are errors here."""

    def scheduled(network):
        optimizer = build(network)
        return optimizer, Schedule(torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5))

    network = model(False)
    optimizer, schedule = scheduled(network)
    steps(network, optimizer, [[1, 2]])
    other, restored = scheduled(model(False))
    other.load_state_dict(optimizer.state_dict())
    restored.load_state_dict(schedule.state_dict())
    restored.epoch(None)
    assert [group["lr"] for group in other.param_groups] == pytest.approx([0.05, 0.1])
