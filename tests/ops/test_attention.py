from __future__ import annotations

import torch

from runner.ops import backend
from runner.ops.attention import attend

ROWPTR, ENTRY = torch.tensor([0, 3, 3, 5]), torch.tensor([4, 0, 2, 1, 3])
X = torch.randn(5, 2, 3, dtype=torch.float64, generator=torch.manual_seed(0))
SCORE = torch.randn(5, 2, dtype=torch.float64, generator=torch.manual_seed(1))


def test_each_list_has_a_softmax_of_its_own():
    found = attend(X, SCORE, ROWPTR, ENTRY)
    for target, entries in enumerate([[4, 0, 2], [], [1, 3]]):
        share = SCORE[entries].softmax(dim=0)
        expected = (share.unsqueeze(2) * X[entries]).sum(dim=0)
        torch.testing.assert_close(found[target], expected)


def test_both_forms_and_large_scores():
    for score in (SCORE, SCORE + 1e4):
        compiled = attend(X, score, ROWPTR, ENTRY)
        assert bool(compiled.isfinite().all())
        with backend.plain():
            torch.testing.assert_close(attend(X, score, ROWPTR, ENTRY), compiled)


def test_gradient():
    assert torch.autograd.gradcheck(
        lambda x, score: attend(x, score, ROWPTR, ENTRY),
        (X.clone().requires_grad_(), SCORE.clone().requires_grad_()),
    )
