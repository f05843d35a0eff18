"""The audit of training looks at a batch as a step would see it, and moves nothing of the run."""

from __future__ import annotations

import torch
from tests.runner.toy import build

from runner.audits.training import audit_training


def test_the_next_batch_and_all_chance_stay_as_they_were():
    run, same = build(), build()
    run.model.eval()
    torch.manual_seed(4)
    with torch.no_grad():
        found = audit_training(run, epoch=1, exact=True)
    assert found == {"passed": True, "targets_visible": "no", "removal_declared": True}
    state = run.generators.state()
    torch.manual_seed(4)
    expected = same.generators.state()
    for name in ("batches", "negatives", "dropout"):
        assert torch.equal(state[name], expected[name]), name
    for ours, theirs in zip(run.sampler.epoch(), same.sampler.epoch(), strict=True):
        assert torch.equal(ours.positives, theirs.positives)
        assert torch.equal(ours.negatives, theirs.negatives)
