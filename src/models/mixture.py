"""A mixture of finished runs: a gate over their kept scores (Ma et al. 2024, arXiv 2402.08583)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import MinLen
from torch import Tensor, nn

from runner.errors import RunnerError
from runner.keys import Effect, InConfig, Text, Width
from runner.models.predictor import Predictor, View
from runner.ops.csr import Graph
from runner.storage import kept_scores
from runner.storage.kept_scores import KeptScores
from runner.storage.seal import Damaged, seal_of

log = logging.getLogger(__name__)

_LOOKED_AT = 2000  # pairs of validation that decide the scale of what the gate reads
_OTHER = "they are of other data, another split or another seed"


class Mixture(Predictor):
    """logit(u, v) = a Σ_e softmax_e(MLP(x_uv)) z_e(u, v) + b, with z_e the score of run e.

    x are log(1 + y) of heuristics y. Scores and x are standardised by validation. Pairs that the
    runs have not scored, in validation or test, have no score here.

    Args:
        runs: folders of finished runs with `scores.npz`, of one dataset, split and seed.
        experts: what the runs are, whatever their seeds and places.
        gate: heuristics by name, each a predictor that reads the graph alone.
        hidden: width of the gate.
    """

    of_finished_runs = True
    reads_embeddings = False
    digests: Tensor
    score_scale: Tensor
    gate_scale: Tensor

    def __init__(
        self,
        *,
        runs: Annotated[list[Text], MinLen(2), Effect.PLACE],
        experts: list[str],
        gate: dict[str, Predictor],
        hidden: InConfig[Width] = 32,
    ) -> None:
        super().__init__()
        repeated = [run for run in runs if runs.count(run) > 1]
        if repeated:
            raise RunnerError(f"model.runs: {repeated[0]} stands twice; name each run once")
        if not gate:
            raise RunnerError("model.gate: nothing is left to weigh the runs by; keep a heuristic")
        trained = [name for name, heuristic in gate.items() if heuristic.trainable]
        if trained:
            raise RunnerError(
                f"model.gate.{trained[0]}: the gate reads heuristics, and this predictor would "
                "have to be trained; give its finished run to model.runs"
            )
        self.runs = [Path(run) for run in runs]
        self.heuristics = nn.ModuleDict(gate)
        self.gate = nn.Sequential(
            nn.Linear(len(gate), hidden), nn.ReLU(), nn.Linear(hidden, len(runs))
        )
        self.scale = nn.Parameter(torch.ones(()))
        self.offset = nn.Parameter(torch.zeros(()))
        self.register_buffer("digests", torch.zeros(len(runs), 32, dtype=torch.uint8))
        self.register_buffer("score_scale", torch.zeros(2, len(runs)))  # means, deviations
        self.register_buffer("gate_scale", torch.zeros(2, len(gate)))

    @property
    def reads(self) -> Sequence[str]:
        try:
            digests = [seal_of(run / kept_scores.FILE) for run in self.runs]
        except OSError:
            digests = [kept.digest for kept in self._read()]  # which says what is missing
        self._require_same(digests)
        return digests

    def prepare(self, graph: Graph, links: Tensor) -> None:
        """Standardise by the scores of validation; these files and no others give scores."""
        found = self._read()
        self.digests.copy_(torch.tensor([list(bytes.fromhex(kept.digest)) for kept in found]))
        scores = [torch.from_numpy(_of(kept.scores, "valid")) for kept in found]
        self.score_scale.copy_(_scale(torch.stack(scores, dim=1)))
        pairs = torch.from_numpy(_of(found[0].pairs, "valid"))
        few = pairs[:, :: -(-pairs.size(1) // _LOOKED_AT)]
        self.gate_scale.copy_(_scale(self._gate_values(graph, few)))

    def structure(self, graph: Graph) -> dict[str, Tensor]:
        """Of every pair that was scored on this graph: its key, its scores, what the gate reads.

        Shapes:
            key (P,) int64, ascending; scores (P, E); gate (P, G).

        Raises:
            RunnerError: if the runs have scored no pair on this graph.
        """
        found = self._read()
        here = [name for name, known in found[0].facts.graphs.items() if known == graph.fingerprint]
        if not here:
            raise RunnerError(
                f"model.runs: {self.runs[0]} has no scores on this run's graph, {_OTHER}; give "
                "runs of this dataset, protocol and seed"
            )
        pairs = torch.from_numpy(np.concatenate([_of(found[0].pairs, name) for name in here], 1))
        key, place = np.unique((pairs[0] * graph.num_nodes + pairs[1]).numpy(), return_index=True)
        pairs = pairs[:, place].to(graph.col.device)
        scores = [np.concatenate([_of(kept.scores, name) for name in here]) for kept in found]
        return {
            "key": torch.from_numpy(key),
            "scores": torch.from_numpy(np.stack(scores, axis=1)[place]),
            "gate": self._gate_values(graph, pairs),
        }

    def forward(self, h: Tensor, view: View, pairs: Tensor) -> Tensor:
        """Logits, (B,), of ``pairs``, (2, B); h is not read.

        Raises:
            RunnerError: for a pair that the runs have not scored.
        """
        place = self._find(view, pairs)
        scores = _standardise(view.structure["scores"][place], self.score_scale)
        weight = self.gate(_standardise(view.structure["gate"][place], self.gate_scale)).softmax(1)
        return self.scale * (weight * scores).sum(1) + self.offset

    @staticmethod
    def _find(view: View, pairs: Tensor) -> Tensor:
        key = pairs[0] * view.graph.num_nodes + pairs[1]
        known = view.structure["key"]
        place = torch.searchsorted(known, key).clamp(max=known.numel() - 1)
        missing = int((known[place] != key).sum())
        if missing:
            raise RunnerError(
                f"model.runs: the runs have not scored {missing} of these {key.numel()} pairs; a "
                "mixture scores the pairs of validation and test as they did: leave other metrics "
                "and negatives out, and ask the runs themselves for new pairs"
            )
        return place

    def _gate_values(self, graph: Graph, pairs: Tensor) -> Tensor:
        none = torch.empty(graph.num_nodes, 0, device=graph.col.device)
        values = [
            heuristic(none, graph, pairs.to(graph.col.device))
            for heuristic in self.heuristics.values()
        ]
        return torch.stack(values, dim=1).log1p().float()

    def _read(self) -> list[KeptScores]:
        """The scores of all runs, of which this one may learn.

        Raises:
            RunnerError: naming the run and the remedy.
        """
        found: list[KeptScores] = []
        for run in self.runs:
            try:
                kept = kept_scores.read(run)
            except Damaged:
                raise RunnerError(
                    f"model.runs: {run / kept_scores.FILE} is damaged or of another version; make "
                    "that run anew"
                ) from None
            except OSError as error:
                raise RunnerError(
                    f"model.runs: {run} has no {kept_scores.FILE} ({error.strerror}); make that "
                    "run with run.keep_scores=true"
                ) from None
            problem = _problem(kept, found[0] if found else kept)
            if problem:
                raise RunnerError(f"model.runs: {run} {problem}")
            if any(kept.digest == other.digest for other in found):
                raise RunnerError(f"model.runs: {run} stands twice; name each run once")
            found.append(kept)
        self._require_same([kept.digest for kept in found])
        return found

    def _require_same(self, digests: Sequence[str]) -> None:
        """Refuse other files than those that the weights were learned from, if there were any."""
        if not self.digests.any():
            return
        for run, digest, learned in zip(self.runs, digests, _hex(self.digests), strict=True):
            if digest != learned:
                raise RunnerError(
                    f"model.runs: the scores in {run} have changed since this run was started; "
                    "restore that folder, or start a new run"
                )

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *others: Any
    ) -> None:
        """A checkpoint knows the scores that it has learned from."""
        seen = state_dict.get(f"{prefix}digests")
        if seen is not None:
            self._require_same(_hex(seen))
        super()._load_from_state_dict(state_dict, prefix, *others)


def _hex(digests: Tensor) -> list[str]:
    return [bytes(row).hex() for row in digests.tolist()]


def _problem(kept: KeptScores, first: KeptScores) -> str:
    """Why the scores of a run may not be learned from beside those of the first; "" for nothing."""
    if kept.facts.learned_from_validation:
        return "has learned from links of validation itself; give runs that have not seen them"
    if kept.facts.normalises_pairs:
        return (
            "normalises the pairs that are scored together, so that its scores tell links from "
            "negatives (docs/audits.md); leave it out"
        )
    if kept.facts.failed_audits:
        return (
            f"has failed its audit of {kept.facts.failed_audits[0]} (docs/audits.md); leave it out"
        )
    if kept.facts.data != first.facts.data:
        return f"does not go with the first run: {_OTHER}; give runs of one split"
    if not all(bool(np.isfinite(scores).all()) for scores in kept.scores.values()):
        return "has scores that are no finite numbers; leave it out"
    return ""


def _of(sides: Mapping[tuple[str, str], np.ndarray], split: str) -> np.ndarray:
    """Those of positives, then of negatives."""
    return np.concatenate([sides[split, side] for side in kept_scores.SIDES], axis=-1)


def _scale(values: Tensor) -> Tensor:
    """Means and standard deviations of the columns, (2, n); 1 where all are alike."""
    deviation, mean = torch.std_mean(values.double(), dim=0)
    return torch.stack([mean, deviation.where(deviation > 0, 1.0)])


def _standardise(values: Tensor, scale: Tensor) -> Tensor:
    return (values - scale[0]) / scale[1]
