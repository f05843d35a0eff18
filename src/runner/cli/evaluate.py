"""The `runner-evaluate` command: a trained run measured again."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runner.errors import EXIT_INTERRUPTED, RunnerError
from runner.machine.environment import prepare_environment

_METRICS = ("evaluator.metrics", "protocol.metrics")
# The rest of hardware is about training, or about several processes.
_HARDWARE = ("device", "threads", "deterministic", "keep_freed_memory", "compile")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns 0, 1 for an error, or 130 for Ctrl-C."""
    options = _parser().parse_intermixed_args(arguments)
    prepare_environment()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        _evaluate(options)
    except RunnerError as error:
        print(f"runner-evaluate: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runner-evaluate",
        description="Evaluates a trained run again, with the weights of its best epoch: with other "
        "metrics, other negatives or another split of the same graph. The run stays as it is.",
        allow_abbrev=False,
    )
    parser.add_argument("run", help="a run folder; latest: the newest with weights below outputs/")
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="evaluator.metrics=[mrr,hits@20], protocol=NAME, protocol.split.test_negatives=5, "
        "hardware.threads=4, dataset.path=… where the data has moved",
    )
    parser.add_argument(
        "--nodes",
        action="store_true",
        help="write nodes.csv into the run folder as well: degree, topological concentration and "
        "metrics of every node, which runner-compare --topology reads",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument(
        "--audit",
        action="store_true",
        help="instead, audit the run's scores as after training (docs/audits.md), and keep the "
        "result beside the run for runner-compare",
    )
    return parser


def _evaluate(options: argparse.Namespace) -> None:
    protocol, keys, metrics, machine, places = _read(options.overrides)
    if options.audit and options.nodes:
        raise RunnerError(
            "--audit --nodes: an audit comes alone; run the command once with each of them"
        )
    own = "--audit" if options.audit else "--nodes" if options.nodes else ""
    if own and (protocol or keys or metrics):
        raise RunnerError(f"{own}: goes by the run's own protocol; leave protocol and metrics out")
    from runner.experiment.find_runs import latest_trained
    from runner.experiment.resume_overrides import apply, with_resumes
    from runner.machine import hardware
    from runner.prediction.run import load
    from runner.records.folder import RunFolder

    path = latest_trained(Path("outputs")) if options.run == "latest" else Path(options.run)
    folder = RunFolder.reopen(path.expanduser(), called="")
    config = apply(with_resumes(folder.config(), folder.meta()), machine)
    device = hardware.set_up(**{key: config["hardware"][key] for key in _HARDWARE})
    run = load(folder.path, device=str(device), overrides=places)
    if options.audit:
        audits = run.audit()
        if options.json:
            print(json.dumps({"run": str(run.folder), "epoch": run.epoch, "audits": audits}))
        return
    found = run.evaluate(protocol=protocol, keys=keys, metrics=metrics)
    if options.nodes:
        run.report_nodes()
    epoch, name = run.epoch, protocol or run.config["run"]["protocol"]
    if options.json:
        print(json.dumps({"run": str(run.folder), "epoch": epoch, "protocol": name, **found}))
        return
    from rich.console import Console

    from runner.terminal.tables import evaluation_table

    what = f"{run.config['run']['model']} on {run.config['run']['dataset']}"
    evaluation_table(f"{what}: epoch {epoch}, protocol {name}", found, Console())
    print(f"run folder  {run.folder}")


def _read(
    overrides: Sequence[str],
) -> tuple[str | None, dict[str, Any], list[Any] | None, list[str], list[str]]:
    """Protocol, its keys, metrics, and the overrides of the machine and of the data's place."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    protocol, keys, metrics, machine, places = None, {}, None, [], []
    for line in overrides:
        try:
            parsed = OverridesParser.create().parse_override(line)
        except (HydraException, ValueError):
            raise RunnerError(f"{line}: this override cannot be read; write key=value") from None
        key, value = parsed.key_or_group, parsed.value()
        if parsed.is_sweep_override():
            raise RunnerError(f"{line}: give one value; a list is written [a,b]")
        if key == "protocol":
            protocol = str(value)
        elif key in _METRICS:
            metrics = value if isinstance(value, list) else [value]
        elif key.startswith("protocol."):
            keys[key.removeprefix("protocol.")] = value
        elif key == "hardware" or key.removeprefix("hardware.") in _HARDWARE:
            machine.append(line)
        elif key.startswith("dataset."):
            places.append(line)
        else:
            raise RunnerError(
                f"{line}: an evaluation takes protocol, keys of it, evaluator.metrics and "
                f"hardware.{{{','.join(_HARDWARE)}}}; all else is the run's"
            )
    return protocol, keys, metrics, machine, places


if __name__ == "__main__":
    sys.exit(main())
