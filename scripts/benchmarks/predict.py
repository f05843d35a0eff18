"""A trained run in use: scores, the best links, explanations, and the start of the command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.csv
import torch
from torch import Tensor

import runner
from benchmarks.graphs import collab_shaped
from benchmarks.steps import EVALUATED_PAIRS
from benchmarks.timing import in_turn
from runner.data.link_data import EvaluationSplit
from runner.data.synthetic import affiliation_edges
from runner.machine import hardware
from runner.prediction.run import Run
from runner.training.evaluator import RankingEvaluator
from runner.training.task import Inputs

FACEBOOK_NODES, FACEBOOK_LINKS, FACEBOOK_TOPICS = 4039, 88_234, 40
SCORED = 1_000_000
MODELS = ("ncn", "ncnc")
_PREDICT = "import sys; from runner.cli.predict import main; sys.exit(main())"
PARTS = ("scoring", "facebook", "million", "start")


def measure(*, part: str, threads: int | None, repeats: int, **given: Any) -> Any:
    """Seconds of one of `PARTS`; weights are those before training, which take as long."""
    if part != "start":
        hardware.set_up(device="cpu", threads=threads, deterministic=True)
    with tempfile.TemporaryDirectory() as place:
        return globals()[f"_{part}"](Path(place), repeats=repeats, **given)


def _scoring(place: Path, *, model: str, repeats: int, scale: float, **_: Any) -> Any:
    """As many pairs by evaluation and by `Run.score`, the encoder once in each, in turn."""
    run, graph_name = _facebook_run(place, model, scale)
    trained = run._trained
    pairs = _pairs(trained.data.train, trained.data.num_nodes, EVALUATED_PAIRS)
    half = EVALUATED_PAIRS // 2
    split = EvaluationSplit(pairs[:, :half], pairs[:, half:])
    batch_size = trained.config.train.eval_batch_size
    evaluator = RankingEvaluator(metrics=["hits@50"], select="hits@50", batch_size=batch_size)
    evaluator.prepare({"valid": split})
    inputs = Inputs(trained.features, trained.graphs[2])
    given = run.nodes.of(pairs.T.flatten()).reshape(-1, 2)
    times = in_turn(
        {
            "evaluation": lambda: evaluator.evaluate(trained.model, inputs, split),
            "score": lambda: Run(trained).score(given),
        },
        repeats,
    )
    return {"graph": graph_name, **{name: found.seconds for name, found in times.items()}}


def _facebook(place: Path, *, model: str, repeats: int, scale: float, **_: Any) -> Any:
    """The best links of all pairs, once, and explanations of pairs."""
    run, graph_name = _facebook_run(place, model, scale)
    run.top_links(within=run.nodes[:100])  # loads the kernels
    top, frame = _timed(run.top_links)
    pair = frame.source[0], frame.target[0]
    explain = in_turn({"explain": lambda: run.explain(*pair)}, repeats)["explain"]
    return {"graph": graph_name, "top": top, "explain": explain.seconds, **frame.attrs}


def _million(place: Path, *, model: str, scale: float, **_: Any) -> Any:
    """A million pairs of the collab-shaped graph, half of them linked, and its best links."""
    case = collab_shaped(scale)
    _write_links(place / "links.csv", case.edges)
    np.save(place / "features.npy", case.features.numpy())
    own = {"path": "links.csv", "features": "features.npy"}
    given = [f"dataset.{key}={place / file}" for key, file in own.items()]
    run = _run(model, place, *given, f"dataset.num_nodes={case.num_nodes}")
    pairs = _pairs(case.edges, case.num_nodes, round(SCORED * scale)).T.numpy()
    run.score(pairs[:2])  # the encoder too
    score, _ = _timed(lambda: run.score(pairs))
    top, frame = _timed(run.top_links)
    return {"pairs": len(pairs), "score": score, "top": top, **frame.attrs}


def _start(place: Path, *, repeats: int, **_: Any) -> Any:
    """The command with ten pairs beside what any start needs, each in a new process."""
    own = ("model=cn", "dataset=lesmis", "tracker=none")
    run = runner.run(*own, f"hydra.run.dir={place / 'run'}")
    names = list(run.nodes)
    rows = pyarrow.table([names[:10], names[10:20]], ["source", "target"])
    pyarrow.csv.write_csv(rows, place / "pairs.csv")
    output = place / "scored.csv"
    given = (str(run.folder), "--pairs", str(place / "pairs.csv"), "--output", str(output))
    commands = {
        "import torch": (sys.executable, "-c", "import torch"),
        "runner-predict": (sys.executable, "-c", _PREDICT, *given),
        "runner": (sys.executable, "-m", "runner", *own),
    }
    starts = {name: _process(command, place) for name, command in commands.items()}
    times = in_turn(starts, repeats, warm_up=repeats > 1)
    return {name: found.seconds for name, found in times.items()}


def _process(command: tuple[str, ...], place: Path) -> Callable[[], Any]:
    return lambda: subprocess.run(command, check=True, capture_output=True, cwd=place)


def _facebook_run(place: Path, model: str, scale: float) -> tuple[Run, str]:
    """On the real graph where it is; else on one of its size, or of a share of it."""
    real = Path(os.environ.get("RUNNER_DATA", "data")) / "mat" / "facebook.mat"
    if real.is_file():
        return _run(model, place, f"dataset.path={real}"), "facebook"
    generator = np.random.default_rng(0)
    whole = FACEBOOK_NODES, FACEBOOK_LINKS, FACEBOOK_TOPICS
    nodes, links, topics = (max(size // 10, round(size * scale)) for size in whole)
    topic = generator.permutation(np.arange(nodes) % topics)
    drawn = torch.from_numpy(affiliation_edges(topic, links, generator))
    _write_links(place / "links.csv", drawn)
    given = (f"dataset.path={place / 'links.csv'}", f"dataset.num_nodes={nodes}")
    return _run(model, place, *given), "one of its size" if scale == 1 else "one like it"


def _run(model: str, place: Path, *given: str) -> Run:
    own = ("dataset=edges", f"model={model}", *given, "tracker=none", "train.epochs=0")
    return runner.run(*own, f"run.cache={place / 'cache'}", f"hydra.run.dir={place / 'run'}")


def _write_links(file: Path, links: Tensor) -> None:
    columns = [pyarrow.array(end.numpy()) for end in links]
    pyarrow.csv.write_csv(pyarrow.table(columns, ["source", "target"]), file)


def _pairs(links: Tensor, num_nodes: int, count: int) -> Tensor:
    """(2, count): half links, half drawn."""
    seeded = torch.Generator().manual_seed(0)
    rows = torch.randint(links.size(1), (count - count // 2,), generator=seeded)
    first = torch.randint(num_nodes - 1, (count // 2,), generator=seeded)
    second = first + 1 + (torch.rand(count // 2, generator=seeded) * (num_nodes - 1 - first)).long()
    return torch.cat(
        [links[:, rows], torch.stack([first, second.clamp_(max=num_nodes - 1)])], dim=1
    )


def _timed(function: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = function()
    return time.perf_counter() - began, found
