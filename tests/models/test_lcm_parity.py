"""PyTorch Geometric's LCMAggregation, reproduced from its own weights by the shipped component."""

from __future__ import annotations

import os

import pytest
import torch
from tests.release_weights import load_release
from tests.releases.reference import (
    arguments_of,
    assert_close,
    forms_of,
    read_reference,
    weights_of,
)
from tests.releases.shipped import as_shipped

SYSTEM = "lcm"


def reduced(form, lists=None):
    """Our result of a form's lists, of some alone, and the release's."""
    release = read_reference(SYSTEM)
    arguments = arguments_of(release, form)
    changed = {"hidden": arguments["outputs"], "project": arguments["project"]}
    module = as_shipped("model/pool", "lcm", changed, in_features=arguments["inputs"]).eval()
    load_release(module, weights_of(release, form))
    rows, ptr = (torch.from_numpy(release[f"{form}/{name}"]) for name in ("rows", "ptr"))
    if lists is not None:
        rows, ptr = rows[ptr[lists] : ptr[lists + 1]], ptr[lists : lists + 2] - ptr[lists]
    with torch.no_grad():
        return module(rows, ptr, torch.arange(len(rows))), release[f"{form}/out"]


@pytest.mark.parametrize("form", forms_of(SYSTEM))
def test_form(form):
    """The release pads lists that it is given together, so that it gives the longest alone."""
    padded = (
        "RUNNER_REFERENCE" in os.environ and arguments_of(read_reference(SYSTEM), form)["padded"]
    )
    found, expected = reduced(form)
    if not padded:
        assert_close(found, expected)
        return
    alone = torch.cat([reduced(form, each)[0] for each in range(len(found))])
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-6)
    assert_close(found[-1:], expected[-1:])
    assert (found[:-1] - torch.from_numpy(expected[:-1])).abs().max() > 1e-2
