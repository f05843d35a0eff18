"""The media of a run, computed once at its end, from bounded samples without random numbers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial

import numpy
from torch import Tensor

from runner.comparison import hardest
from runner.experiment.closing_media.config_diff import config_diff
from runner.experiment.closing_media.hardest_pairs import evenly, hardest_pairs
from runner.experiment.parts import Parts
from runner.models.predictor import View
from runner.records.best_weights import best_weights
from runner.records.folder import RunFolder
from runner.tracking.media import Histogram, Lines, Medium

log = logging.getLogger(__name__)

_SHOWN = 100  # hardest links and negatives in the table, each
_LOOKED_AT = 20_000  # test links and negatives that are scored for it, each
_LOOKED_AT_UNTRAINED = 500  # where one evaluation is the whole run, and no tracker shows them
_EXPLAINED = 256  # test links and negatives whose scores are explained, each
_VALUES = 5_000  # of each
_BINS = 50
_POINTS = 1_000  # of a curve


class _Stopped(Exception):
    """A signal has requested a stop."""


def closing_media(
    parts: Parts,
    folder: RunFolder,
    selection: str | None,
    stop_requested: Callable[[], bool],
    wanted: bool,
) -> dict[str, Medium]:
    """The media, by name, of a run whose results are on the disk; its hardest pairs are kept there.

    They use the weights of the best epoch; the model itself is restored. A medium that fails is
    left out with a warning. After a signal, the remaining media are left out without one.

    Args:
        selection: the metric of the curves.
        wanted: whether the tracker shows media; if not, there are none beside the hardest pairs.
    """
    makers: dict[str, Callable[[], Mapping[str, Medium]]] = {
        "the test pairs": partial(_model_media, parts, folder, stop_requested, wanted),
    }
    if wanted:
        makers = {
            "the config diff": partial(_diff_medium, parts, folder),
            "the curves": partial(_curves_medium, folder, selection),
            **makers,
        }
    made: dict[str, Medium] = {}
    for what, make in makers.items():
        try:
            made.update(make())
        except _Stopped:
            break
        except Exception as error:  # a missing picture must not fail a finished run
            log.warning("%s cannot be shown (%s: %s)", what, type(error).__name__, error)
    return made


def _diff_medium(parts: Parts, folder: RunFolder) -> dict[str, Medium]:
    origins = folder.meta().get("hyperparameters", {})
    return {"config_diff": config_diff(parts.config.model_dump(), folder.overrides(), origins)}


def _curves_medium(folder: RunFolder, selection: str | None) -> dict[str, Medium]:
    rows = [json.loads(line) for line in folder.metrics.read_text().splitlines()]
    rows = [row for row in rows if f"valid/{selection}" in row]
    if selection is None or not rows:
        return {}
    rows = rows[:: max(1, -(-len(rows) // _POINTS))]
    lines = {split: [row[f"{split}/{selection}"] for row in rows] for split in ("valid", "test")}
    return {"curves": Lines(selection, "epoch", [row["epoch"] for row in rows], lines)}


def _model_media(
    parts: Parts, folder: RunFolder, stop_requested: Callable[[], bool], wanted: bool
) -> dict[str, Medium]:
    model, task = parts.training.model, parts.training.task
    if not parts.training.evaluator.names:
        return {}
    graph, test = task.test_graph, task.test
    size = parts.config.train.eval_batch_size

    def stop_if_asked() -> None:
        if stop_requested():
            raise _Stopped

    with best_weights(model, folder, "the media are") as epoch:
        h = model.encode(task.features, graph)
        view = View.of(graph, task.test_structure)
        table = hardest_pairs(
            _make_stoppable(model.scorer(h, view), stop_if_asked),
            graph,
            test,
            shown=_SHOWN,
            looked_at=_LOOKED_AT if wanted or parts.config.train.epochs else _LOOKED_AT_UNTRAINED,
            batch_size=size,
            names=parts.data.names,
        )
        if epoch is not None:
            folder.write_json(hardest.FILE, hardest.content(epoch, table.columns, table.rows))
        if not wanted:
            return {}
        found: dict[str, Medium] = {"hardest_test_pairs": table}
        sides = {"links": test.positive, "negatives": test.negative.reshape(2, -1)}
        for side, pairs in sides.items():
            stop_if_asked()
            few = evenly(pairs, _EXPLAINED)
            shown = model.predictor.distributions(h, view, few, most=_VALUES)
            for name, values in shown.items():
                found[f"{name}_of_{side}"] = _histogram(values)
    return found


def _make_stoppable(
    scorer: Callable[[Tensor], Tensor], stop_if_asked: Callable[[], None]
) -> Callable[[Tensor], Tensor]:
    def score(pairs: Tensor) -> Tensor:
        stop_if_asked()
        return scorer(pairs).cpu()

    return score


def _histogram(values: Tensor) -> Histogram:
    """A histogram of probabilities, from 0 to 1, or further if a factor exceeds 1."""
    numbers = values.double().cpu().numpy()
    counts, edges = numpy.histogram(numbers, _BINS, (0.0, max(1.0, numbers.max(initial=0.0))))
    return Histogram(counts.tolist(), edges.tolist())
