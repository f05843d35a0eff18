"""What every dataset is to the rest of the program."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from runner.data.candidates import Candidates
from runner.ops.csr import Graph


@dataclass(frozen=True, eq=False)
class EvaluationSplit:
    """The scored links of validation or test.

    Shapes:
        - ``positive``: (2, P) int64
        - ``negative``: (2, K) int64 shared by all positives, or (2, P, K), K for each positive

    Attributes:
        candidates: what nodes are ranked among; None where only pairs are scored.
    """

    positive: Tensor
    negative: Tensor
    candidates: Candidates | None = None

    def to(self, device: torch.device) -> EvaluationSplit:
        """The same, with its pairs on a device."""
        return EvaluationSplit(self.positive.to(device), self.negative.to(device), self.candidates)


@dataclass(frozen=True, eq=False)
class LinkData:
    """A graph with its link-prediction split.

    Shapes:
        - ``features``: (N, F) float32, or (N,) int64 category ids for a learned embedding
        - ``train``: (2, M) int64, target links as rows; duplicates allowed

    Attributes:
        num_categories: number of category ids, None with real features.
        directed: target links are ordered pairs (source, target).
        fingerprint: SHA-256 over everything above.
        graph_fingerprint: of the graph before its split: number of nodes, and all positive links
            in any order; the same for every split.
        features_fingerprint: SHA-256 of the features.
        split_fingerprint: of what the files say of the split, whatever the seed; "" for nothing.
        notes: facts for the user, a line each.
        names: of the nodes, where they have names of their own.
        facts: how a file was read, for `meta.json`.
        num_sources: of a bipartite graph the number of its first side, whose nodes come first and
            stand first in pairs; None where every pair of nodes may be linked.
        valid_support, test_support: (2, S) int64, links that nobody scores and that the graph of
            validation, or of the test, has beside those of training; None for none.
        new_nodes: (K,) int64, nodes that are not there in training: their links all come later.
        permitted: overlaps that the split is meant to have (`runner.data.audit`).
        train_graph: of the links in ``train``, where it was kept with them; None to build it.
    """

    num_nodes: int
    features: Tensor
    num_categories: int | None
    train: Tensor
    valid: EvaluationSplit
    test: EvaluationSplit
    directed: bool
    fingerprint: str
    graph_fingerprint: str
    features_fingerprint: str
    notes: tuple[str, ...]
    names: Sequence[str] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    num_sources: int | None = None
    valid_support: Tensor | None = None
    test_support: Tensor | None = None
    new_nodes: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    permitted: Sequence[str] = ()
    train_graph: Graph | None = None
    split_fingerprint: str = ""

    @cached_property
    def names_fingerprint(self) -> str:
        """SHA-256 of the names of the nodes; empty where these are their numbers."""
        if self.names is None:
            return ""
        return hashlib.sha256("\n".join(self.names).encode()).hexdigest()

    @property
    def num_pairs(self) -> int:
        """The number of pairs of different nodes that could be linked."""
        if self.num_sources is not None:
            return self.num_sources * (self.num_nodes - self.num_sources)
        ordered = self.num_nodes * (self.num_nodes - 1)
        return ordered if self.directed else ordered // 2

    @property
    def links(self) -> Mapping[str, Tensor]:
        """The links of every part, (2, M) each, by its name; support only where there is some."""
        supports = {"valid_support": self.valid_support, "test_support": self.test_support}
        return {
            "train": self.train,
            "valid": self.valid.positive,
            "test": self.test.positive,
            **{name: part for name, part in supports.items() if part is not None},
        }

    @property
    def judged(self) -> Mapping[str, EvaluationSplit]:
        """Validation and test, with the nodes that each node is ranked among.

        The test knows the links of validation, whether or not its graph has them.
        """
        links = self.links
        known = {
            "valid": [links[part] for part in links if part in ("train", "valid_support")],
            "test": [links[part] for part in links if part != "test"],
        }
        return {
            name: replace(
                split,
                candidates=Candidates(
                    self.num_nodes, torch.cat(known[name], dim=1), self.directed, self.num_sources
                ),
            )
            for name, split in (("valid", self.valid), ("test", self.test))
        }


def link_data(
    *,
    num_nodes: int,
    features: Tensor | None,
    train: Tensor,
    valid: EvaluationSplit,
    test: EvaluationSplit,
    num_categories: int | None = None,
    directed: bool = False,
    notes: Sequence[str] = (),
    names: Sequence[str] | None = None,
    facts: Mapping[str, Any] | None = None,
    num_sources: int | None = None,
    valid_support: Tensor | None = None,
    test_support: Tensor | None = None,
    new_nodes: Tensor | None = None,
    features_as_read: Tensor | None = None,
    permitted: Sequence[str] = (),
    links: Tensor | None = None,
    told: Sequence[Tensor] = (),
) -> LinkData:
    """Put a dataset together and take its fingerprints.

    Args:
        features: None gives every node an embedding of its own.
        features_as_read: before the split had a say in them, for their fingerprint; None: the same.
        links: (2, M) int64, all links before the split; None: those of the three parts.
        told: what the files say of the split, whatever the seed.
    """
    if features is None:
        features, num_categories = torch.arange(num_nodes), num_nodes
    tensors = [features, train, valid.positive, valid.negative, test.positive, test.negative]
    tensors += [support for support in (valid_support, test_support) if support is not None]
    digest = hashlib.sha256(f"{num_nodes} {num_categories} {directed}".encode())
    of_features = digest.copy()
    _add(of_features, features if features_as_read is None else features_as_read)
    for tensor in tensors:
        _add(digest, tensor)
    of_split = hashlib.sha256()
    for tensor in told:
        _add(of_split, tensor)
    if num_sources is not None:
        digest.update(f"{num_sources} sources".encode())
    parts = (train, valid.positive, test.positive) if links is None else (links,)
    sums = _sum_of_links(parts, num_nodes, directed)
    sides = "" if num_sources is None else f" {num_sources}"
    graph = hashlib.sha256(f"{num_nodes} {directed} {sums}{sides}".encode())
    return LinkData(
        num_nodes=num_nodes,
        features=features,
        num_categories=num_categories,
        train=train,
        valid=valid,
        test=test,
        directed=directed,
        fingerprint=digest.hexdigest(),
        graph_fingerprint=graph.hexdigest(),
        features_fingerprint=of_features.hexdigest(),
        notes=tuple(notes),
        names=names,
        facts=facts or {},
        num_sources=num_sources,
        valid_support=valid_support,
        test_support=test_support,
        new_nodes=torch.empty(0, dtype=torch.int64) if new_nodes is None else new_nodes,
        permitted=permitted,
        split_fingerprint=of_split.hexdigest() if told else "",
    )


def _add(digest: hashlib._Hash, tensor: Tensor) -> None:
    digest.update(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    digest.update(tensor.contiguous().numpy().data)


def _sum_of_links(parts: Sequence[Tensor], num_nodes: int, directed: bool) -> tuple[int, int]:
    """Two 64-bit sums of the links' hashes: the same in any order, and for any cut into parts."""
    sums = [0, 0]
    for part in parts:
        pairs = part if directed else part.sort(dim=0).values
        code = (pairs[0] * num_nodes + pairs[1]).numpy().astype(np.uint64)
        for which, start in enumerate(_STARTS):
            sums[which] += int(_mixed(code + np.uint64(start)).sum(dtype=np.uint64))
    return sums[0] % 2**64, sums[1] % 2**64


# Odd constants of SplitMix64 (Steele et al. 2014).
_STARTS = (0x9E3779B97F4A7C15, 0xD1B54A32D192ED03)


def _mixed(code: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser, of each number."""
    code = (code ^ (code >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    code = (code ^ (code >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return code ^ (code >> np.uint64(31))
