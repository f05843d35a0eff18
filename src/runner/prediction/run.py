"""A trained run in use: the public interface."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from runner.errors import RunnerError
from runner.experiment.find_runs import latest_trained
from runner.ops.csr import Graph
from runner.prediction.added_links import add_links
from runner.prediction.all_pairs import AllPairs, pairs_with
from runner.prediction.calibration import Calibration, Method, require_share
from runner.prediction.kept_calibration import calibration_of
from runner.prediction.known_links import KnownLinks
from runner.prediction.node_labels import SIDES, NodeLabels, Side
from runner.prediction.pairs import read_pairs
from runner.prediction.scorer import Scorer
from runner.prediction.trained import Trained, open_trained
from runner.records import shared_model
from runner.records.summary import read_summary

if TYPE_CHECKING:
    from pandas import DataFrame

    from runner.models.explanation import Explanation
    from runner.prediction.explanation import PairExplanation

log = logging.getLogger(__name__)

Seen = Literal["test", "all"]


def load(
    path: str | Path,
    *,
    graph: Seen = "test",
    device: str = "auto",
    trust: Collection[str] = (),
    prior: float | None = None,
    overrides: Sequence[str] = (),
) -> Run:
    """Open a finished run, with the weights of its best epoch.

    Args:
        path: its folder; "latest" is the newest run with weights below `outputs/`.
        graph: the links that scores see: those of the test protocol, or all, validation and test
            included, for real use.
        device: "cpu", "cuda", "mps", or "auto": a GPU where there is one.
        trust: classes and functions of your own, by dotted path, that the run's config may name.
        prior: of probabilities, the share of links among the pairs that are asked about; None for
            `Run.density`.
        overrides: where the dataset lies now, as in ["dataset.path=graph.csv"].

    Raises:
        RunnerError: if it is no run, has no weights, or its data has changed.
    """
    if prior is not None:
        require_share(prior)
    place = latest_trained(Path("outputs")) if path == "latest" else Path(path).expanduser()
    trained = open_trained(place, device=device, trusted=trust, overrides=overrides)
    return Run(trained, graph=graph, prior=prior)


class Run:
    """A trained run: scores pairs, finds new links, gives embeddings.

    Nodes are given by name, or by number where they have no names.
    """

    def __init__(
        self, trained: Trained, *, graph: Seen = "test", prior: float | None = None
    ) -> None:
        if graph not in ("test", "all"):
            raise RunnerError(f"graph={graph}: which links do scores see? Say test or all")
        self._trained = trained
        self._seen = graph
        self._prior = prior
        self._calibration: Calibration | None = None
        self._measured = self  # the run without added links, which may be those of the test
        self._no_probability = False
        data = trained.data
        self._labels = NodeLabels(data.names, data.num_nodes, data.num_sources)

    def __repr__(self) -> str:
        config = self._trained.config.run
        return f"<run of {config.model} on {config.dataset}: {self.folder}>"

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._trained.folder.path

    @property
    def epoch(self) -> int:
        """The epoch of the weights: the best one."""
        return self._trained.epoch

    @cached_property
    def config(self) -> dict[str, Any]:
        """The config that was run."""
        return self._trained.config.model_dump()

    @cached_property
    def metrics(self) -> dict[str, dict[str, float]]:
        """The metrics of the best epoch, for "valid" and "test"."""
        summary = read_summary(self.folder)
        return {split: summary[split] for split in ("valid", "test")}

    @property
    def nodes(self) -> NodeLabels:
        """The names of the nodes, (N,); their numbers where they have no names."""
        return self._labels

    @property
    def bipartite(self) -> bool:
        """Whether sources and targets are two kinds of nodes."""
        return self._trained.data.num_sources is not None

    def score(
        self, pairs: Any, *, probability: bool = False, prior: float | None = None
    ) -> np.ndarray:
        """Scores of pairs of nodes: logits, or what a heuristic gives; or their probabilities.

        Args:
            pairs: (P, 2) array, a list of pairs, or a DataFrame with columns source and target.
                Of a directed graph they are ordered; of a bipartite one the source comes first.
            prior: the share of links among the pairs that are asked about; None for that of `load`.

        Returns:
            (P,) float64, in their order.

        Raises:
            RunnerError: if a node is unknown, a pair is of a node with itself, or the prior is no
                share.
        """
        if prior is not None and not probability:
            raise RunnerError(f"prior={prior}: scores have none; ask with probability=True")
        scores = self._scorer.score(self._numbers(pairs))
        return self._probability(scores, prior) if probability else scores

    def top(
        self,
        node: str | int,
        k: int = 20,
        *,
        side: Side | None = None,
        include_known: bool = False,
    ) -> DataFrame:
        """The k best new links of a node, the best first; ties by number.

        Of a directed graph, links from it.

        Args:
            side: of a bipartite graph where a source and a target share the name. Of a directed
                graph the node is the source of all its pairs.
            include_known: with the links that the data has, in a column `known`.

        Returns:
            columns source, target, score, probability.
        """
        if side is not None:
            self._require_side(side)
        number = int(self._labels.require([node], side)[0])
        data = self._trained.data
        pairs = pairs_with(number, data.num_nodes, num_sources=data.num_sources)
        if not include_known:
            pairs = pairs[:, ~self._known.has(pairs)]
        scores = self._scorer.score(pairs)
        order = np.argsort(-scores, kind="stable")[: _positive("k", k)]
        best = pairs[:, torch.from_numpy(order)]
        return self._as_frame(best, scores[order], include_known)

    def explain(self, source: str | int, target: str | int) -> PairExplanation:
        """Why a pair has its score: each neighbour with what the score loses without it.

        Contributions are recomputed, not estimated. A notebook shows the explanation as a page.

        Raises:
            RunnerError: if a node is unknown, or both are one.
        """
        from runner.prediction.explanation import explain_pair  # pandas is slow to import

        pair = self._numbers([(source, target)])
        with torch.no_grad():
            explanation = self._explainer(pair.to(self._trained.device))
        score = np.array([explanation.score])
        probability = self._probability_or_none(score)
        links, negatives = self._test_scores
        config = self._trained.config.run
        return explain_pair(
            explanation,
            (int(pair[0]), int(pair[1])),
            self._scorer.graph,
            self._labels,
            known=bool(self._known.has(pair)),
            title=f"{config.model} on {config.dataset}",
            probability=None if probability is None else float(probability[0]),
            link_scores=links,
            negative_scores=negatives,
        )

    def with_links(self, links: Any, features: DataFrame | Mapping[Any, Any] | None = None) -> Run:
        """The run with further links in its graph; its weights stay as they are.

        Args:
            links: as `pairs` of `score`; an unknown node is a new one.
            features: of new nodes, a row for each by its name (a DataFrame's index), in the
                encoder's form. Models that learn an embedding for each node take no new ones.

        Raises:
            RunnerError: if the model cannot use a new node, or lacks its features.
        """
        larger = add_links(self._trained, self._labels, links, features)
        grown = Run(larger, graph=self._seen, prior=self._prior)
        grown._measured = self._measured
        return grown

    def top_links(
        self,
        k: int = 1000,
        *,
        threshold: float | None = None,
        within: Collection[str | int] | None = None,
        include_known: bool = False,
        most_pairs: int = 10_000_000,
    ) -> DataFrame:
        """The k best new links of the whole graph, the best first; ties by number.

        Args:
            threshold: probability that a link needs.
            within: nodes among which both ends are; of a bipartite graph a name that a source and
                a target share stands for both.
            include_known: with the links that the data has, in a column `known`.
            most_pairs: where there are more, candidates are scored: pairs with a common neighbour,
                and the nearest embeddings, about so many.

        Returns:
            columns source, target, score, probability; in `attrs` `candidates` and `recall`, which
            say how much of the links to come may be among what was scored.
        """
        from runner.prediction.top_links import find_top_links  # SciPy is slow to import

        if threshold is not None:
            _require_probability("threshold", threshold)
            self.calibration  # noqa: B018  before hours of scoring
        found = find_top_links(
            self._trained,
            self._scorer,
            self._pairs_among(within),
            k=_positive("k", k),
            include_known=include_known,
            most_pairs=_positive("most_pairs", most_pairs),
        )
        frame = self._as_frame(found.pairs, found.scores, include_known)
        if threshold is not None:
            # Probabilities rise with scores: the best of those above it are the best ones above it.
            frame = frame[self._probability(found.scores) >= threshold]
        frame.attrs.update(found.facts)
        return frame

    def embeddings(self) -> np.ndarray:
        """What the encoder gives: (N, H) float32, rows as in `nodes`."""
        return self._scorer.embeddings.float().cpu().numpy()

    def score_numbers(self, pairs: Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Internal: scores, probabilities, and whether the data has them, of (2, P) numbers."""
        scores = self._scorer.score(pairs)
        probabilities = self._probability_or_none(scores)
        if probabilities is None:
            probabilities = np.full_like(scores, np.nan)
        return scores, probabilities, self._known.has(pairs).numpy()

    def evaluate(
        self,
        protocol: str | None = None,
        metrics: Sequence[Any] | None = None,
        *,
        keys: Mapping[str, Any] | None = None,
    ) -> dict[str, dict[str, float]]:
        """Evaluate again, on the graph of the protocol: metrics for "valid" and "test".

        Without arguments the figures are those of `metrics`; a model that draws while it scores
        draws anew.

        Args:
            protocol: name of another one; the same graph is then split otherwise.
            metrics: "mrr", "hits@20", or nodes with a `_target_`; None: those of the protocol.
            keys: of the protocol, as {"split.test_negatives": 5}.

        Raises:
            RunnerError: if the split scores links that the run has been trained on.
        """
        from runner.prediction.evaluate import evaluate  # slow to import, and no score needs it

        return evaluate(self._measured._trained, protocol=protocol, keys=keys, metrics=metrics)

    def report_nodes(self) -> None:
        """Write nodes.csv into the run's folder, for `runner-compare --topology`.

        Raises:
            RunnerError: if the run has no links to evaluate on.
        """
        from runner.prediction.evaluate import report_nodes

        report_nodes(self._measured._trained)

    def audit(self) -> dict[str, Any]:
        """Audit the scores of the test, as after training, and keep the result beside the run.

        Raises:
            RunnerError: if the run has no metrics.
        """
        from runner.prediction.audit import audit_again

        return audit_again(self._measured._trained)

    def export(self, folder: str | Path) -> Path:
        """Write the run as a folder to share: safetensors, config, names, calibration, a card.

        `runner.load` opens it where the dataset is at hand; paths of this machine are left out.

        Raises:
            RunnerError: if the folder is not empty or cannot be written, or links were added.
        """
        if self._measured is not self:
            raise RunnerError(
                "export: a shared run has weights and no links, so none that were added; export "
                "the run as it was loaded, and add them where it is loaded"
            )
        target = Path(folder).expanduser()
        self._probability_or_none(np.zeros(0))  # so that the calibration is there
        shared_model.write(self._trained.folder, self.config, target)
        return target

    @property
    def calibration(self) -> Calibration:
        """What makes scores probabilities, and how good these are on the test.

        It is fitted once on validation, and kept in calibration.json.
        """
        run = self._measured
        if run._calibration is None:
            run._calibration = calibration_of(run._trained, run._scorer_of)
        return run._calibration

    def calibrate(self, method: Method) -> Calibration:
        """Calibrate by this method, "logistic" or "isotonic", from now on.

        Raises:
            RunnerError: if there is no such method, or the run has no validation.
        """
        run = self._measured
        run._calibration = calibration_of(run._trained, run._scorer_of, method)
        return run._calibration

    @cached_property
    def density(self) -> float:
        """The share of links, of whatever part, among all pairs that could be linked."""
        return len(self._known) / self._trained.data.num_pairs

    def _probability(self, scores: np.ndarray, prior: float | None = None) -> np.ndarray:
        share = self._prior if prior is None else prior
        return self.calibration.probability(scores, self.density if share is None else share)

    def _probability_or_none(self, scores: np.ndarray) -> np.ndarray | None:
        """None, with a warning, where scores cannot be calibrated and nobody asked for it."""
        if self._no_probability:
            return None
        try:
            self.calibration  # noqa: B018
        except RunnerError as error:
            log.warning("no probabilities: %s", error)
            self._no_probability = True
            return None
        return self._probability(scores)

    def _numbers(self, pairs: Any) -> Tensor:
        numbers = read_pairs(pairs, self._labels)
        loops = (numbers[0] == numbers[1]).nonzero()
        if len(loops):
            name = self._labels[int(numbers[0, loops[0]])]
            raise RunnerError(f"pairs: {name} with itself is no pair; leave it out")
        return numbers

    @cached_property
    def _explainer(self) -> Callable[[Tensor], Explanation]:
        with torch.no_grad():
            return self._trained.model.explainer(self._scorer.embeddings, self._scorer.view)

    @cached_property
    def _test_scores(self) -> tuple[np.ndarray, np.ndarray]:
        """Scores of the links and of the negatives of the test."""
        test = self._trained.data.test
        links, negatives = (part.reshape(2, -1) for part in (test.positive, test.negative))
        return self._scorer.score(links), self._scorer.score(negatives)

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self._trained, self._graph)

    def _scorer_of(self, graph: Graph) -> Scorer:
        return self._scorer if graph is self._scorer.graph else Scorer(self._trained, graph)

    @property
    def _graph(self) -> Graph:
        data = self._trained.data
        if self._seen == "all":
            links = torch.cat(list(data.links.values()), dim=1)
            return Graph.from_edges(links, data.num_nodes)
        return self._trained.graphs[2]

    @cached_property
    def _known(self) -> KnownLinks:
        return KnownLinks.of(self._trained.data)

    def _require_side(self, side: str) -> None:
        if side not in SIDES:
            raise RunnerError(f"side={side}: say {' or '.join(SIDES)}")
        if self._trained.data.num_sources is None:
            raise RunnerError(f"side={side}: this graph is not bipartite; leave it out")

    def _pairs_among(self, within: Collection[str | int] | None) -> AllPairs:
        data = self._trained.data
        if isinstance(within, str):
            raise RunnerError(f"within={within}: it takes several nodes; give a list")
        nodes = torch.arange(data.num_nodes)
        if within is not None:
            nodes = self._labels.require_either(list(within))
        pairs = AllPairs(
            nodes, data.num_nodes, directed=data.directed, num_sources=data.num_sources
        )
        if not len(pairs):
            raise RunnerError("within: no two of these nodes make a pair; name more")
        return pairs

    def _as_frame(self, pairs: Tensor, scores: np.ndarray, with_known: bool) -> DataFrame:
        from pandas import DataFrame  # slow to import

        columns: dict[str, Any] = {
            "source": self._labels.of(pairs[0]),
            "target": self._labels.of(pairs[1]),
            "score": scores,
        }
        probability = self._probability_or_none(scores)
        if probability is not None:
            columns["probability"] = probability
        if with_known:
            columns["known"] = self._known.has(pairs).numpy()
        return DataFrame(columns)


def _require_probability(name: str, value: float) -> None:
    if not isinstance(value, Real) or not 0 <= float(value) <= 1:
        raise RunnerError(f"{name}={value}: it is a probability, from 0 to 1")


def _positive(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise RunnerError(f"{name}={value}: it takes a whole number from 1")
    return int(value)
