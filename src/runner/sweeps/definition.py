"""The definition of a sweep: sweep.yaml in its folder, for its identity and its resume."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.config import aliases
from runner.config.hydra_messages import short
from runner.config.published import untuned
from runner.errors import RunnerError
from runner.keys import Effect
from runner.storage.files import atomic, create
from runner.storage.seal import Damaged, read_lines, sealed_lines
from runner.sweeps.study import Study, study_of

NAME = "sweep.yaml"


@dataclass(frozen=True)
class Definition:
    """The constant parts of a sweep.

    Attributes:
        identity: id of this sweep, even if its folder moves; another sweep of the same definition
            has another id.
        arguments: command line at the start of the sweep, for `runner -m resume=`.
        directory: working directory of that command.
        config: the composed config of all jobs, with interpolations, without keys of the machine.
        swept: the values of each swept key, as typed.
        paired: groups of keys that change together.
        search: sampler, pruner, storage and study of a search; None for a grid.
        trials: number of trials of a search.
    """

    identity: str
    arguments: list[str]
    directory: str
    config: dict[str, Any]
    swept: dict[str, str]
    paired: list[list[str]]
    search: dict[str, Any] | None
    trials: int | None

    @classmethod
    def read(cls, folder: Path) -> Definition:
        """Read the definition of the sweep in `folder`.

        Raises:
            RunnerError: if it is missing or damaged.
        """
        path = folder / NAME
        try:
            found = yaml.safe_load(read_lines(path.read_text()))
            if aliases.is_of_before(found["config"]):
                found["config"] = aliases.today(found["config"])
            return cls(**found)
        except FileNotFoundError:
            raise RunnerError(
                f"resume={folder}: there is no sweep ({NAME} missing); give the folder of one, as "
                "outputs/sweeps/<time>-<id>"
            ) from None
        except (
            OSError,
            UnicodeDecodeError,
            Damaged,
            LookupError,
            TypeError,
            yaml.YAMLError,
        ) as error:
            raise RunnerError(
                f"resume={short(str(folder))}: {NAME} cannot be read ({short(str(error))}); "
                "restore it, or begin the sweep anew in another folder"
            ) from None

    def begin(self, folder: Path) -> None:
        """Write the definition to `folder`, unless another process has written it already."""
        with suppress(FileExistsError):
            create(folder / NAME, self._text())

    def write(self, folder: Path) -> None:
        with atomic(folder / NAME) as temporary:
            temporary.write_text(self._text())

    def _text(self) -> str:
        return sealed_lines(yaml.safe_dump(asdict(self), sort_keys=False))

    def study(self, folder: Path) -> Study | None:
        """The study of the search in `folder`; None for a grid.

        Raises:
            RunnerError: if its sampler, pruner or storage cannot be built.
        """
        return None if self.search is None else study_of(folder, self.identity, self.search)

    def refuse_change(self, earlier: Definition, folder: Path, *, extend: bool) -> None:
        """Refuse to resume a sweep that has another definition.

        Args:
            extend: permit more values of the swept keys, and more trials.

        Raises:
            RunnerError: naming each key that differs.
        """
        parts = ("config", "paired", "search")
        changed = [line for part in parts for line in _differences(part, earlier, self)]
        remedy = "leave that out, or begin another sweep: hydra.sweep.dir=…"
        if not changed:
            if extend:
                return
            changed += _differences("swept", earlier, self)
            if earlier.trials != self.trials:
                changed.append(f"trials: {earlier.trials} then, {self.trials} now")
            remedy = "hydra.sweeper.extend=true adds what is new to it"
        if changed:
            lines = "\n  ".join(changed)
            raise RunnerError(f"{folder}: this sweep is defined otherwise; {remedy}\n  {lines}")


def without_machine(config: Mapping[str, Any]) -> dict[str, Any]:
    from runner.config.facts import sections  # not at the top: slow

    left_out = {*sections(Effect.MACHINE), *sections(Effect.LABEL)}
    return {key: value for key, value in config.items() if key not in left_out}


def _differences(part: str, earlier: Definition, later: Definition) -> Iterator[str]:
    before, after = (dict(_flat(getattr(definition, part))) for definition in (earlier, later))
    keys = {*before, *after}
    if part == "config" and aliases.is_of_before(earlier.config):
        keys = {*before} & {*after}  # old configs lack some keys, or have them at other places
    elif part == "config":
        before = {**{key: value for key, value in _of_before(later) if key in after}, **before}
    typed = {argument.lstrip("+~").partition("=")[0] for argument in earlier.arguments}
    for key in sorted(keys):
        # What no column gave then, and no user, is the default of a column's key today.
        now = after.get(key) if key in typed else untuned(after.get(key))
        if before.get(key) not in (after.get(key), now):
            name = f"search.{key}" if part == "search" and key else key or part
            yield f"{name}: {before.get(key, 'not there')} then, {after.get(key, 'not there')} now"


def _of_before(definition: Definition) -> Iterator[tuple[str, Any]]:
    """The keys of a config that came later, each with what stands for sweeps from before."""
    from runner.config.facts import later  # not at the top: slow

    def untuned_below(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: untuned_below(value) for key, value in node.items()}
        return untuned(node)

    yield from later(untuned_below(definition.config))


def _flat(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping) and node:
        for key, value in node.items():
            yield from _flat(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, node


def added(
    jobs: Sequence[Mapping[str, str]], known: Sequence[Mapping[str, str]]
) -> list[dict[str, str]]:
    """The jobs of a definition that are not in the ledger.

    Raises:
        RunnerError: if the ledger has jobs that are no longer in the definition.
    """
    lost = [job for job in known if dict(job) not in jobs]
    if lost:
        shown = " ".join(f"{key}={value}" for key, value in lost[0].items())
        raise RunnerError(
            f"hydra.sweeper.extend=true only adds jobs; {len(lost)} would go, the first: {shown}. "
            "Name the old values too"
        )
    return [dict(job) for job in jobs if dict(job) not in known]
