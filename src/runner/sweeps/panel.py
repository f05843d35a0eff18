"""How a sweep stands, as a panel for a terminal."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING

from runner.sweeps.ledger import Job
from runner.sweeps.standing import Standing, best_of, duration, overrides, score

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_RUNNING = 8  # jobs that are listed
_COLOURS = {"done": "green", "failed": "red", "running": "cyan"}


def panel(standing: Standing) -> RenderableType:
    """Counts, a bar, the best job so far, the time left, and the jobs that are running."""
    from rich.console import Group
    from rich.panel import Panel
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    left = standing.seconds_left
    bar = Table.grid(padding=(0, 2), expand=True)
    bar.add_column(ratio=1)
    bar.add_column(no_wrap=True)
    bar.add_row(
        ProgressBar(total=max(standing.total, 1), completed=standing.ended),
        f"{standing.ended}/{standing.total}  ETA {'-:--:--' if left is None else duration(left)}",
    )
    counts = [
        (f"{count} {state}", _COLOURS.get(state, "") if count else "")
        for state, count in standing.counts.items()
        if count or state != "pruned"
    ]
    lines = [Text(", ").join([Text(words, style) for words, style in counts])]
    best = best_of(standing.jobs)
    if best is not None:
        lines.append(_line("best", best, score(best)))
    running = standing.running
    lines += [_line("running", job, _since(job.began)) for job in running[:_RUNNING]]
    if len(running) > _RUNNING:
        lines.append(Text(f"… and {len(running) - _RUNNING} more"))
    return Panel(Group(bar, *lines), title=Text(f"sweep {standing.name}"), title_align="left")


def _line(label: str, job: Job, told: str) -> Text:
    from rich.text import Text

    words = [f"{label:7}", f"job {job.job}", told, " ".join(overrides(job))]
    return Text("  ".join(filter(None, words)), no_wrap=True, overflow="ellipsis")


def _since(began: str | None) -> str:
    try:
        passed = datetime.now(timezone.utc) - datetime.fromisoformat(began or "")
    except (ValueError, TypeError):
        return ""
    return duration(max(passed.total_seconds(), 0.0))
