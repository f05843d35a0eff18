"""`runner-wandb workspace`, `report` and `sweep <preset>`: W&B's side of comparing runs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from runner.dashboard.runs import Runs
from runner.dashboard.sweep_file import METHODS, sweep_file
from runner.errors import RunnerError

_INSTALL = "pip install 'link-runner[workspaces]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of the `runner-wandb` command; 0, or 1 after an error told in one line."""
    options, others = _parser().parse_known_args(arguments)
    try:
        unknown = [line for line in others if line.startswith("-") or options.do is not _sweep]
        if unknown:
            raise RunnerError(f"{unknown[0]}: there is no such option; see runner-wandb --help")
        options.overrides = [*getattr(options, "overrides", []), *others]
        options.do(options)
    except (HydraException, OmegaConfBaseException) as error:
        from runner.cli.explain import explain

        return _fail(explain(error, [f"sweep={options.preset}", *options.overrides]))
    except (RunnerError, OSError) as error:
        return _fail(str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="runner-wandb",
        description="Prepared W&B workspaces and reports of runs, and sweeps for W&B's agents.",
    )
    commands = parser.add_subparsers(required=True, metavar="workspace|report|sweep")
    for name, do in (("workspace", _workspace), ("report", _report)):
        command = commands.add_parser(name, help=f"save a {name} in a W&B project")
        command.add_argument("--project", default="runner", help="W&B project (default: runner)")
        command.add_argument("--entity", help="W&B team or user (default: the account's)")
        command.add_argument("--dataset", help="only the runs on this dataset")
        command.add_argument("--sweep", help="only the jobs of the sweep of this name")
        command.add_argument(
            "--show", action="store_true", help="print it as JSON instead; needs no login"
        )
        command.set_defaults(do=do)
    sweep = commands.add_parser("sweep", help="print a preset of conf/sweep as a W&B Sweep")
    sweep.add_argument("preset", help="as in conf/sweep: seeds, …")
    sweep.add_argument("overrides", nargs="*", help="as for runner -m: dataset=cora seed=0,1")
    sweep.add_argument("--method", choices=METHODS, help="default: grid, or by the search")
    sweep.add_argument("--metric", help="default: valid/<the dataset's selection metric>")
    sweep.add_argument("--output", type=Path, help="write it to this file")
    sweep.set_defaults(do=_sweep)
    return parser


def _workspace(options: argparse.Namespace) -> None:
    _refuse_without_package()
    from runner.dashboard.workspace import workspace

    _save_or_show(workspace, options)


def _report(options: argparse.Namespace) -> None:
    _refuse_without_package()
    from runner.dashboard.report import report

    _save_or_show(report, options)


def _sweep(options: argparse.Namespace) -> None:
    made = sweep_file(
        options.preset, options.overrides, method=options.method, metric=options.metric
    )
    if options.output is None:
        print(made.text(), end="")
        return
    options.output.write_text(made.text())
    print(f"wandb sweep {options.output}")


def _refuse_without_package() -> None:
    try:
        import wandb_workspaces  # noqa: F401
    except ImportError:
        raise RunnerError(
            f"wandb-workspaces is not installed, which builds it: {_INSTALL}"
        ) from None


def _save_or_show(make: Callable[[Runs], Any], options: argparse.Namespace) -> None:
    def runs(entity: str) -> Runs:
        return Runs(entity, options.project, options.dataset, options.sweep)

    if options.show:
        # With an entity the report would look its project up.
        model = make(runs(""))._to_model()
        print(json.dumps(model.model_dump(mode="json", by_alias=True, exclude_none=True), indent=2))
        return
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # as the tracker has it
    import wandb

    from runner.tracking.tracker import first_line
    from runner.tracking.wandb_login import has_credentials

    settings = wandb.setup(wandb.Settings(silent=True)).settings
    if not has_credentials(settings):
        raise RunnerError(
            "saving needs a W&B account: `wandb login`, or WANDB_API_KEY; --show prints it without"
        )
    try:
        made = make(runs(options.entity or str(wandb.Api().default_entity)))
        made.save()
    except Exception as error:  # of W&B's server, its client and what lies between
        raise RunnerError(
            f"W&B at {settings.base_url} does not take it ({first_line(error)}); is --entity "
            "yours and the server reachable?"
        ) from None
    print(made.url)


def _fail(message: str) -> int:
    print(f"runner-wandb: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
