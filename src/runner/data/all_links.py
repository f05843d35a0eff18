"""A dataset whose links are all for training: for use, when all has been measured."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch

from runner.data.audit import link_keys
from runner.data.link_data import EvaluationSplit, LinkData


def all_for_training(data: LinkData) -> LinkData:
    """The dataset with the links of validation, test and support among those of training.

    Validation and test are empty, and no node comes late.
    """
    scored = torch.cat([data.train, data.valid.positive, data.test.positive], dim=1)
    keys = link_keys(scored, data.num_nodes, data.directed)
    further = [scored]
    for support in (data.valid_support, data.test_support):
        if support is not None:  # some of these are scored in another part
            own = link_keys(support, data.num_nodes, data.directed)
            further.append(support[:, ~torch.isin(own, keys)])
            keys = torch.cat([keys, own])
    links = torch.cat(further, dim=1)
    nothing = EvaluationSplit(links[:, :0], links[:, :0])
    return replace(
        data,
        train=links,
        valid=nothing,
        test=nothing,
        valid_support=None,
        test_support=None,
        new_nodes=data.new_nodes[:0],
        train_graph=None,
        fingerprint=fingerprint_with_all_links(data.fingerprint),
        notes=(
            *data.notes,
            f"all {links.shape[1]} links are for training (train.all_links): there is no "
            "validation and no test, and the last epoch counts",
        ),
    )


def fingerprint_with_all_links(fingerprint: str) -> str:
    """The fingerprint of a dataset with this one once all its links are for training."""
    return hashlib.sha256(f"all links of {fingerprint}".encode()).hexdigest()
