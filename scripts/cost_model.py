"""Fit what a training step costs to measured rows, and predict rows that were not measured.

    python scripts/cost_model.py measure rows.json     # steps on this machine: 20 minutes a round
    python scripts/cost_model.py fit rows.json         # coefficients, errors, predictions

Time and memory are sums of products of sizes, with coefficients that are not negative and make the
relative errors of the fitted rows smallest. Time is in U, the unit of `scripts/benchmark.py`, which
is measured in the same process, since a machine has slow hours: of a round the shortest step by its
U, of several rounds the median. The rows beyond the fitted sizes are predicted, then compared with
what they took.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from runner.machine.environment import prepare_environment

MODELS = ("ncn", "ncnc")
# Of the machine of docs/scale.md; on another one, its own.
_CACHE = 32 * 2**20  # bytes of the last cache
_UNIT = 0.6  # seconds of U in a quiet hour
_LIMIT = 600  # seconds of a step
# Scale and density of the collab-shaped graph, batch, hidden and layers.
FITTED = (
    *((0.5, 4.0, *setting) for setting in ((65_536, 64, 1), (16_384, 64, 3))),
    *(
        (scale, 1.0, *setting)
        for scale, setting in itertools.product(
            (2.0, 1.0, 0.5),
            ((65_536, 64, 1), (16_384, 64, 1), (65_536, 128, 1), (32_768, 32, 3)),
        )
    ),
)
BEYOND = ((8.0, 1.0, 65_536, 64, 1), (4.0, 1.0, 65_536, 64, 1))


@dataclass(frozen=True)
class Sizes:
    """What the cost of a step depends on.

    Attributes:
        entries: twice the links. batch: target links, with as many negatives.
        degree_at_random, degree_at_a_link: mean degree of a random node, and of an end of a random
            link: the first moment, and the second by the first.
    """

    nodes: int
    entries: int
    features: int
    hidden: int
    layers: int
    batch: int
    degree_at_random: float
    degree_at_a_link: float

    @property
    def neighbours(self) -> float:
        """Of both ends of all pairs of a step, listed one by one."""
        return 2 * self.batch * (self.degree_at_random + self.degree_at_a_link)

    @property
    def missed(self) -> float:
        """Share of the embeddings that the cache does not hold."""
        return max(0.0, 1 - _CACHE / (4 * self.nodes * self.hidden))


def time_terms(model: str, s: Sizes) -> dict[str, float]:
    """What time is proportional to."""
    terms = {
        "fixed": 1.0,
        "links of the graph": s.entries,
        "messages, links x width x layers": s.entries * s.hidden * s.layers,
        "messages from memory": s.entries * s.hidden * s.layers * s.missed,
        "Linears of nodes": s.nodes * s.hidden * (s.features + s.hidden),
        "neighbours x width": s.neighbours * s.hidden,
        "Linears of pairs": 2.0 * s.batch * s.hidden**2,
    }
    if model == "ncnc":
        terms["inner pairs, their rows"] = s.neighbours * s.degree_at_a_link
        terms["Linears of inner pairs"] = s.neighbours * s.hidden**2
    return terms


def memory_terms(model: str, s: Sizes) -> dict[str, float]:
    """What bytes are proportional to."""
    return {
        "fixed": 1.0,
        "links": s.entries,
        "features": s.nodes * s.features,
        "embeddings": s.nodes * s.hidden,
        "embeddings of layers": s.nodes * s.hidden * s.layers,
        "pairs": 2.0 * s.batch * s.hidden,
        "neighbours": s.neighbours,
    }


class Fit:
    """Coefficients of terms."""

    def __init__(self, terms: Any, rows: list[tuple[Sizes, float]]) -> None:
        self.terms = terms
        values = np.array([list(terms(sizes).values()) for sizes, _ in rows])
        measured = np.array([value for _, value in rows])
        scale = values.max(axis=0)
        found, _ = nnls(values / scale / measured[:, None], np.ones(len(rows)))
        self.coefficients = dict(zip(terms(rows[0][0]), found / scale, strict=True))

    def parts(self, sizes: Sizes) -> dict[str, float]:
        """What each term adds."""
        return {name: self.coefficients[name] * x for name, x in self.terms(sizes).items()}

    def __call__(self, sizes: Sizes) -> float:
        return sum(self.parts(sizes).values())


def measure(path: Path, rounds: int) -> None:
    """Measure every row in turn until it has been in `rounds` processes; go on where it stopped."""
    rows = json.loads(path.read_text()) if path.exists() else []
    found = {tuple(row["key"]): row for row in rows}
    for number, model, setting in itertools.product(range(rounds), MODELS, BEYOND + FITTED):
        key = (model, *setting)
        row = found.setdefault(key, {"key": key, "rounds": []})
        if len(row["rounds"]) > number:
            continue
        new = _step(*key)
        if new["step"] is None:
            raise SystemExit(f"{key}: a step takes over {_LIMIT} s")
        row["graph"] = new["graph"]
        row["rounds"].append({name: new[name] for name in ("step", "unit", "step_gib")})
        path.write_text(json.dumps(list(found.values())))
        print(key, row["rounds"][-1], file=sys.stderr, flush=True)


def time_of(row: Mapping[str, Any]) -> float:
    """U of a step."""
    return float(np.median([min(found["step"]) / found["unit"] for found in row["rounds"]]))


def memory_of(row: Mapping[str, Any]) -> float:
    """GiB of a step, at most."""
    return max(found["step_gib"] for found in row["rounds"])


def _step(
    model: str, scale: float, density: float, batch: int, hidden: int, layers: int
) -> dict[str, Any]:
    """A row of `scripts/benchmark.py`, in a process of its own."""
    what = {
        "task": "step", "model": model, "graph": "collab-shaped", "scale": scale,
        "density": density,
        "threads": None, "repeats": 3, "limit": _LIMIT,
        "device": "cpu", "evaluated": False,
        "overrides": [
            f"train.batch_size={batch}", f"encoder.hidden={hidden}", f"encoder.layers={layers}",
        ],
    }  # fmt: skip
    script = Path(__file__).with_name("benchmark.py")
    command = [sys.executable, str(script), "--child", json.dumps(what)]
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return json.loads(out.splitlines()[-1])


def sizes_of(row: Mapping[str, Any]) -> Sizes:
    *_, batch, hidden, layers = row["key"]
    return Sizes(batch=batch, hidden=hidden, layers=layers, **row["graph"])


def report(rows: list[dict[str, Any]]) -> str:
    sections = []
    fitted = {}
    for model in MODELS:
        own = [row for row in rows if row["key"][0] == model]
        within = [row for row in own if tuple(row["key"][1:]) in FITTED]
        beyond = [row for row in own if tuple(row["key"][1:]) in BEYOND]
        time = Fit(
            lambda s, m=model: time_terms(m, s), [(sizes_of(row), time_of(row)) for row in within]
        )
        memory = Fit(
            lambda s, m=model: memory_terms(m, s),
            [(sizes_of(row), memory_of(row) * 2**30) for row in within],
        )
        fitted[model] = time, memory
        errors = [time(sizes_of(row)) / time_of(row) - 1 for row in within]
        of_memory = [memory(sizes_of(row)) / memory_of(row) / 2**30 - 1 for row in within]
        table = [
            {
                "links": f"{row['graph']['entries'] // 2:,}",
                "batch": row["key"][3],
                "width": row["key"][4],
                "layers": row["key"][5],
                "predicted, U": f"{time(sizes_of(row)):.2f}",
                "measured, U": f"{time_of(row):.2f}",
                "error, %": f"{100 * (time(sizes_of(row)) / time_of(row) - 1):+.0f}",
                "predicted, GiB": f"{memory(sizes_of(row)) / 2**30:.2f}",
                "measured, GiB": f"{memory_of(row):.2f}",
                "error, % ": f"{100 * (memory(sizes_of(row)) / memory_of(row) / 2**30 - 1):+.0f}",
            }
            for row in beyond
        ]
        coefficients = ", ".join(f"{k} {v:.2e}" for k, v in time.coefficients.items() if v)
        bytes_ = ", ".join(f"{k} {v:.3g}" for k, v in memory.coefficients.items() if v)
        sections.append(
            f"### {model}\n\n{len(within)} rows fitted: largest error of the time "
            f"{100 * max(map(abs, errors)):.0f} %, of the memory "
            f"{100 * max(map(abs, of_memory)):.0f} %. Beyond them:\n\n"
            f"{pd.DataFrame(table).to_markdown(index=False, disable_numparse=True)}\n\n"
            f"U for each: {coefficients}.\n\nBytes for each: {bytes_}."
        )
    sections.append(_billion(fitted))
    return "\n\n".join(sections)


def _billion(fitted: Mapping[str, tuple[Fit, Fit]]) -> str:
    """A graph of 10^9 links, 10^8 nodes."""
    sizes = Sizes(
        nodes=10**8, entries=2 * 10**9, features=128, hidden=64, layers=3, batch=65_536,
        degree_at_random=20.0, degree_at_a_link=200.0,
    )  # fmt: skip
    rows = []
    for model, (time, memory) in fitted.items():
        rows += [
            {"model": model, "of": "time, s", "in all": f"{_UNIT * time(sizes):.0f}"}
            | {
                k: f"{_UNIT * v:.1f}"
                for k, v in time.parts(sizes).items()
                if v > 0.01 * time(sizes)
            },
            {"model": model, "of": "memory, GiB", "in all": f"{memory(sizes) / 2**30:.0f}"}
            | {
                k: f"{v / 2**30:.1f}"
                for k, v in memory.parts(sizes).items()
                if v > 0.01 * memory(sizes)
            },
        ]
    table = pd.DataFrame(rows).fillna("").to_markdown(index=False, disable_numparse=True)
    return f"### 10⁹ links\n\n{asdict(sizes)}\n\n{table}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", choices=["measure", "fit"])
    parser.add_argument("rows", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    prepare_environment()
    if arguments.task == "measure":
        measure(arguments.rows, arguments.rounds)
    else:
        print(report(json.loads(arguments.rows.read_text())))


if __name__ == "__main__":
    main()
