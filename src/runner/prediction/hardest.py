"""The explanations of a run's hardest test pairs, where `runner-compare --html` links to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from runner.comparison.hardest import explanation_file, hardest_pairs
from runner.comparison.writers import write_all
from runner.errors import RunnerError
from runner.prediction.page import page

if TYPE_CHECKING:
    from runner.prediction.run import Run


def explain_hardest(run: Run, most: int) -> list[Path]:
    """Write a page for each of the hardest links and negatives into the run's folder.

    Args:
        most: of the links, and of the negatives.

    Returns:
        The pages, links before negatives, the hardest first.

    Raises:
        RunnerError: if the run has kept no pairs for its weights, or its folder cannot be written.
    """
    pairs = hardest_pairs(run.folder, run.epoch)
    if not pairs:
        raise RunnerError(
            f"{run.folder}: it keeps no hardest pairs of its best epoch (an earlier version made "
            "it, or it has no evaluation); explain one pair: --explain NAME NAME --html why.html"
        )
    chosen = [pair for label in (1, 0) for pair in [p for p in pairs if p["label"] == label][:most]]
    files = [explanation_file(run.folder, run.epoch, pair) for pair in chosen]
    try:
        files[0].parent.mkdir(exist_ok=True)
    except OSError as error:
        raise RunnerError(
            f"{files[0].parent}: cannot be written ({error.strerror}); copy the run folder to a "
            "place of yours"
        ) from None
    texts = [page(run.explain(pair["source"], pair["target"])) for pair in chosen]
    write_all(dict(zip(files, texts, strict=True)))
    return files
