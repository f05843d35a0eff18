"""Measure the speed and memory of `runner` on this machine.

    python scripts/benchmark.py                      # everything: about half an hour
    python scripts/benchmark.py kernels              # some: kernels, steps, …
    python scripts/benchmark.py steps --models ncn,ncnc --graphs collab-shaped
    python scripts/benchmark.py --write docs/performance.md
    python scripts/benchmark.py steps --graphs ogbl-ppa,ogbl-citation2 --models ncn,ncnc --repeats 1
    python scripts/benchmark.py steps epoch --device cuda
    python scripts/benchmark.py steps --device cuda --overrides hardware.compile=true

RUNNER_DATA names the folder of the real datasets; without them their rows are left out. For the
large ones it may be a folder that `scripts/write_ogb_standin.py --dataset …` has written.
On the CPU whole models run in a process of their own each, so that its memory is theirs alone. U is
the unit that seconds are divided by, of the CPU; it is measured again for every row.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from benchmarks import graphs, kernels, predict, ranking, reading, steps
from benchmarks.timing import UNIT_ROWS, Times, unit

from runner.machine import hardware
from runner.machine.environment import prepare_environment
from runner.machine.provenance import describe_machine

MODELS = ("gae", "ncn", "ncn2", "ncn_diff", "ncnc", "ncnc2", "mplp_plus")
PARTS = ("kernels", "steps", "epoch", "growth", "reading", "predict", "ranking")
MILLIONS_OF_EDGES = (0.25, 0.5, 1.0, 2.0, 4.0)
LIMIT = 120  # seconds of a cell, unless --limit says so
OTHERS = ("plain PyTorch", "SciPy", "torch_sparse")
_KERNEL_REPEATS = 5  # times as often as a step, which takes a hundred times as long


def main() -> None:
    prepare_environment()  # for the processes of the cells
    arguments = _arguments()
    if arguments.child:
        print(json.dumps(_child(json.loads(arguments.child))))
        return
    hardware.set_up(device="cpu", threads=arguments.threads, deterministic=True)
    sections = [_machine(arguments.device)]
    for part in arguments.parts or PARTS:
        sections.append(globals()[f"_{part}"](arguments))
        print(sections[-1], flush=True)
    if arguments.write:
        _write(arguments.write, "\n\n".join(sections))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--graphs", default=",".join(graphs.DATASETS))
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="of steps, epoch")
    parser.add_argument("--threads", type=int, help="default: the cores this process may use")
    parser.add_argument("--repeats", type=int, default=5, help="of a step; kernels five times")
    parser.add_argument("--scale", type=float, default=1.0, help="of the collab-shaped graph")
    parser.add_argument("--millions", type=float, default=10.0, help="of links, for reading")
    parser.add_argument(
        "--overrides", nargs="*", default=[], help="of the config, for steps: hardware.compile=true"
    )
    parser.add_argument("--limit", type=int, default=LIMIT, help="seconds of a cell")
    parser.add_argument("--write", type=Path, help="a file: what stands between its markers")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _machine(device: str) -> str:
    facts = describe_machine()
    gpu = f"{torch.cuda.get_device_name()}, " if device == "cuda" else ""
    versions = ", ".join(
        f"{name} {facts['versions'][name]}"
        for name in ("python", "torch", "numba", "numpy", "scipy")
        if name in facts["versions"]
    )
    return (
        f"{gpu}{facts['machine']['processor']}, {torch.get_num_threads()} threads, "
        f"{platform.system()}; {versions}; revision {facts['git'] or 'unknown'}.\n\n"
        f"U, {UNIT_ROWS:,} rows through 4 x (Linear 64→64, ReLU), best of 5: {unit():.3f} s."
    )


def _kernels(arguments: argparse.Namespace) -> str:
    rows = []
    found = _in_child("kernels", arguments, repeats=_KERNEL_REPEATS * arguments.repeats)
    others = [name for name in OTHERS if any(name in row for row in found)]
    for row in found:
        ours, in_a_row = Times(tuple(row["ours"])), Times(tuple(row["in a row"]))
        cells = {"65,536 training pairs": row["name"], "ours, s": str(ours)}
        for other in others:
            times = Times(tuple(row[other])) if other in row else None
            cells[f"{other}, s"] = str(times) if times else ""
            cells[f"{other} / ours"] = f"{times.median / ours.median:.1f}" if times else ""
        cells["floor, s"] = f"{row['floor']:.4f}"
        cells["ours / floor"] = f"{ours.median / row['floor']:.1f}"
        cells["in a row, s"] = str(in_a_row)
        cells["in a row / floor"] = f"{in_a_row.median / row['floor']:.1f}"
        rows.append(cells)
    ranked = []
    found = _in_child("pagerank", arguments, repeats=_KERNEL_REPEATS * arguments.repeats)
    for row in found:
        ours, other = Times(tuple(row.pop("ours"))), Times(tuple(row.pop("SciPy")))
        share = row["starts"] / row.pop("of SciPy")
        beside = {"SciPy / ours, a start": f"{share * other.median / ours.median:.1f}"}
        which = "SciPy, s" if share == 1 else f"SciPy, a {share:.0f}th of them, s"
        ranked.append({**row, "push, s": str(ours), which: str(other), **beside})
    return f"### Neighbourhoods\n\n{_table(rows)}\n\n### PageRank\n\n{_table(ranked)}"


def _steps(arguments: argparse.Namespace) -> str:
    rows = []
    for graph in arguments.graphs.split(","):
        for model in arguments.models.split(","):
            reason = graphs.missing(graph)
            row = {"graph": graph, "model": model}
            rows.append(row)
            if reason:
                row["step, s"] = reason
                continue
            found = _step(arguments, model=model, graph=graph, scale=arguments.scale)
            _fill(row, "step", found["step"], found["unit"], arguments.limit)
            total = sum(found["step"] or [])
            row["share of the stages, %"] = ", ".join(
                f"{name} {100 * seconds / total:.0f}"
                for name, seconds in found["stages"].items()
                if total and seconds > 0.02 * total
            )
            row["step, GiB"] = f"{found['step_gib']:.2f}"
            _fill(row, "evaluation", found["evaluation"], found["unit"], arguments.limit)
            row["most, GiB"] = f"{found['peak_gib']:.2f}"
            print(row, file=sys.stderr, flush=True)
    note = (
        "A step: graph without the targets, encoder, predictor, backward, optimiser, in the "
        "published setting. Evaluation: the encoder once, and 65,536 pairs. Memory is the most "
        "that the process has held, imports and all; on a GPU, that tensors took there."
    )
    return f"### Steps\n\n{note}\n\n{_table(rows)}"


def _epoch(arguments: argparse.Namespace) -> str:
    rows = []
    for model in arguments.models.split(","):
        if reason := graphs.missing("cora"):
            return f"### An epoch of Cora with its evaluation\n\nLeft out: {reason}."
        what = {"model": model, "graph": "cora", "device": arguments.device}
        found = _in_child("epoch", arguments, **what)
        row = {"model": model}
        _fill(row, "epoch and evaluation", found["epoch"], found["unit"], arguments.limit)
        rows.append(row)
    return f"### An epoch of Cora with its evaluation\n\n{_table(rows)}"


def _growth(arguments: argparse.Namespace) -> str:
    rows, sizes, seconds, memory = [], [], [], []
    for millions in MILLIONS_OF_EDGES:
        scale = arguments.scale * millions * 1e6 / graphs.COLLAB_EDGES
        found = _step(arguments, model="ncnc", graph="collab-shaped", scale=scale)
        row = {"edges, millions": millions}
        _fill(row, "step", found["step"], found["unit"], arguments.limit)
        row["GiB"] = f"{found['step_gib']:.2f}"
        rows.append(row)
        if found["step"]:
            sizes.append(millions)
            seconds.append(float(np.median(found["step"])))
            memory.append(found["step_gib"])
    note = "NCNC, batch 65,536."
    if len(sizes) > 2:
        exponent, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
        per_million, fixed = np.polyfit(sizes, memory, 1)
        note += (
            f" Time grows as edges to the power {exponent:.2f}; memory is {fixed:.2f} GiB and "
            f"{per_million:.2f} GiB a million edges (least squares)."
        )
    return f"### Growth with the graph\n\n{note}\n\n{_table(rows)}"


def _reading(arguments: argparse.Namespace) -> str:
    rows = []
    for kind in ("numbers", "names"):
        found = _in_child("reading", arguments, kind=kind, millions=arguments.millions)
        library, ours = (Times(tuple(found[name])) for name in ("library", "ours"))
        rows.append(
            {
                "ids": kind,
                "library, s": str(library),
                "parsing, s": str(ours),
                "parsing / library": f"{ours.median / library.median:.2f}",
                "file to cached graph, s": f"{found['first']:.2f}",
                "cached graph / library": f"{found['first'] / library.median:.1f}",
                "later start, s": f"{found['later']:.2f}",
                "memory, GiB": f"{found['peak_gib']:.2f}",
                "memory / id columns": f"{found['peak_gib'] / found['ids_gib']:.1f}",
            }
        )
    note = (
        f"{arguments.millions:g} million rows of two ids. Library: pyarrow's CSV reader alone. "
        "Memory is the most above what the process held before; the id columns are two of int64."
    )
    return f"### Reading\n\n{note}\n\n{_table(rows)}"


def _predict(arguments: argparse.Namespace) -> str:
    rows, links, starts = [], [], []
    for model in predict.MODELS:
        if model not in arguments.models.split(","):
            continue
        found = _in_child("predict", arguments, part="scoring", model=model, scale=arguments.scale)
        times = {name: Times(tuple(found[name])) for name in ("evaluation", "score")}
        rows.append(
            {
                "graph": found["graph"],
                "model": model,
                **{f"{name}, s": str(seconds) for name, seconds in times.items()},
                "score / evaluation": f"{times['score'].median / times['evaluation'].median:.2f}",
            }
        )
    for part in ("facebook", "million"):
        found = _in_child("predict", arguments, part=part, model="ncn", scale=arguments.scale)
        row = {"graph": found.get("graph", "collab-shaped")}
        if part == "million":
            row["scores, s"] = f"{found['score']:.1f} of {found['pairs']:,} pairs"
        row["top_links, s"] = f"{found['top']:.1f}"
        row["of"] = f"{found['scored']:,}, {found['candidates']}"
        row["recall, %"] = f"{100 * found['recall']:.1f}"
        if part == "facebook":
            row["explain, s"] = str(Times(tuple(found["explain"])))
        links.append(row)
    found = _in_child("predict", arguments, part="start")
    starts.append({name: str(Times(tuple(seconds))) for name, seconds in found.items()})
    note = (
        f"The same {steps.EVALUATED_PAIRS:,} pairs by an evaluation and by `Run.score`, the "
        "encoder once in each. Then NCN on whole graphs, and the seconds of a start: "
        "`runner-predict --pairs` of ten pairs, `runner model=cn dataset=lesmis`."
    )
    return f"### Prediction\n\n{note}\n\n{_table(rows)}\n\n{_table(links)}\n\n{_table(starts)}"


def _ranking(arguments: argparse.Namespace) -> str:
    rows = []
    for model in ("ncn", "ncnc"):
        if model not in arguments.models.split(","):
            continue
        given = {"model": model, "graph": "collab-shaped", "scale": arguments.scale}
        found = _in_child("ranking", arguments, **given)
        own, *shared = (Times(tuple(found[kind])) for kind in ranking.KINDS)
        row = {"model": model, f"{ranking.KINDS[0]}, s": str(own)}
        for kind, times in zip(ranking.KINDS[1:], shared, strict=True):
            row |= {f"{kind}, s": str(times), f"own / {kind}": f"{own.median / times.median:.2f}"}
        rows.append(row)
    note = (
        f"An evaluation of the collab-shaped graph: {ranking.PER_POSITIVE} negatives of each link, "
        "half with its source and half with its target; the same pairs in any order, shared by all "
        "links; and as many drawn pairs, whose nodes have fewer neighbours than those of links."
    )
    return f"### Ranking\n\n{note}\n\n{_table(rows)}"


def _fill(
    row: dict[str, Any], name: str, seconds: list[float] | None, unit_: float, limit: int
) -> None:
    row[f"{name}, s"], row[f"{name}, U"] = steps.in_units(seconds, unit_, limit)


def _table(rows: list[dict[str, Any]]) -> str:
    return pd.DataFrame(rows).fillna("").to_markdown(index=False, disable_numparse=True)


def _step(arguments: argparse.Namespace, **what: Any) -> Any:
    what |= {"device": arguments.device, "overrides": arguments.overrides}
    return _in_child("step", arguments, **what)


def _in_child(task: str, arguments: argparse.Namespace, **what: Any) -> Any:
    given = {
        "threads": arguments.threads,
        "repeats": arguments.repeats,
        "limit": arguments.limit,
        **what,
    }
    if arguments.device == "cuda":  # whose memory is counted anew for each cell
        return _child({"task": task, **given})
    command = [sys.executable, __file__, "--child", json.dumps({"task": task, **given})]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _child(what: dict[str, Any]) -> Any:
    tasks: dict[str, Callable[..., Any]] = {
        "step": steps.measure,
        "epoch": steps.measure_epoch,
        "kernels": kernels.measure,
        "pagerank": kernels.measure_pagerank,
        "reading": reading.measure,
        "predict": predict.measure,
        "ranking": ranking.measure,
    }
    return tasks[what.pop("task")](**what)


def _write(path: Path, text: str) -> None:
    """Replace what stands between the markers of `path`, or add it at the end."""
    begin, end = "<!-- scripts/benchmark.py -->", "<!-- end -->"
    before = path.read_text() if path.exists() else "# Performance\n"
    block = f"{begin}\n\n{text}\n\n{end}"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    found = pattern.search(before)
    path.write_text(pattern.sub(lambda _: block, before) if found else f"{before}\n{block}\n")


if __name__ == "__main__":
    main()
