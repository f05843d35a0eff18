"""Selection: how often the test was looked at, and what the last epochs would have given."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

_LAST = 0.1  # of the evaluations


def selection_of(metrics: Path, selected: str | None) -> dict[str, Any] | None:
    """What stands behind the figure of the best epoch; None for a run without evaluation.

    Args:
        metrics: the run's metrics.jsonl.
        selected: the metric that chooses the epoch.

    Returns:
        - `evaluations`: of the test, all of which were recorded.
        - `epochs`: among which the best was chosen, up to the last that was evaluated.
        - `last`: the mean test metrics of the last tenth of the evaluations, of the last phase
          where there are several, one at least, and how many these are.
    """
    if selected is None:
        return None
    rows = [json.loads(line) for line in metrics.read_text().splitlines()]
    rows = [row for row in rows if f"test/{selected}" in row]
    if not rows:
        return None
    judged = [row for row in rows if row.get("phase") == rows[-1].get("phase")]
    last = judged[-math.ceil(_LAST * len(judged)) :]
    names = [name for name in rows[-1] if name.startswith("test/")]
    means = {name[5:]: math.fsum(row[name] for row in last) / len(last) for name in names}
    return {
        "evaluations": len(rows),
        "epochs": rows[-1]["epoch"],
        "last": {"evaluations": len(last), "test": means},
    }
