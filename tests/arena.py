"""An arena in which bad input is tried, in this process or as a command, and judged.

The command exits with 1, says what is wrong in one message, and leaves nothing half-made.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch
from hydra.core.global_hydra import GlobalHydra
from tests.bad_input import FINISHED, QUICK, BadInput

from runner.cli import main as cli
from runner.storage.checksums import SEAL, broken, read_json

SECONDS = 120  # of a command that hangs


@dataclass(frozen=True)
class Outcome:
    code: int | str
    out: str
    err: str


class _Hang(BaseException):
    """Raised by the alarm; no handler of the command's takes it."""


# Names of exceptions, addresses, and the grammar and the settings of libraries.
_INTERNALS = re.compile(
    r"\b[A-Z][A-Za-z]+(?:Error|Exception|Warning)\b|\b0x[0-9a-f]{6,}\b|object at|HYDRA_FULL"
    r"|full_key|object_type|INTER_OPEN|weights_only|allow_pickle|NoneType|positional argument"
    r"|has no attribute"
)
_OF_A_RUN = {"run.log", ".lock"}  # may grow when a resume is refused


class Arena:
    """A folder to try inputs in: `with Arena(root) as arena: arena.faults(bad)`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / "work"
        self.cache = root / "cache"
        self.finished = root / FINISHED

    def __enter__(self) -> Arena:
        self._before = os.getcwd(), dict(os.environ)
        for folder in (self.work, self.root / "home"):
            folder.mkdir(parents=True, exist_ok=True)
        os.environ.update(
            HOME=str(self.root / "home"),
            RUNNER_CACHE=str(self.cache),
            RUNNER_DATA=str(self.root / "data"),
            WANDB_MODE="offline",
        )
        os.chdir(self.work)
        return self

    def __exit__(self, *_: object) -> None:
        os.chdir(self._before[0])
        os.environ.clear()
        os.environ.update(self._before[1])

    def faults(self, bad: BadInput, *, command: bool = False) -> list[str] | None:
        """What is not as it should be, a line each; None if the input turned out to be good.

        Args:
            command: start `runner` as a process of its own.
        """
        self._lay_out(bad)
        begun = {path: path.read_bytes() for path in self._kept_files()}
        try:
            outcome = (self._start if command else self._call)(bad.arguments)
            if outcome.code == 0 and not bad.certain:
                return None
            found = [*message_faults(bad, outcome), *self._leftovers(bad)]
            changed = [path.name for path, content in begun.items() if not _is(path, content)]
            if changed:
                found.append(f"a refused resume has changed {', '.join(changed)}")
            return found
        finally:
            os.chdir(self.root)
            shutil.rmtree(self.work)
            shutil.rmtree(self.cache, ignore_errors=True)
            self.work.mkdir()
            os.chdir(self.work)

    def _kept_files(self) -> Iterator[Path]:
        for path in sorted((self.work / FINISHED).rglob("*")):
            if path.is_file() and path.name not in _OF_A_RUN:
                yield path

    def _lay_out(self, bad: BadInput) -> None:
        if any(FINISHED in argument for argument in bad.arguments):
            if not self.finished.exists():
                done = self._call((*QUICK, f"hydra.run.dir={self.finished}"))
                assert done.code == 0, done.err
            shutil.copytree(self.finished, self.work / FINISHED)
        for name, content in bad.files:
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.mkdir(exist_ok=True)
            else:
                path.write_bytes(content)
        self._laid_out = {path for path in self.work.rglob("*")}

    def _call(self, arguments: tuple[str, ...]) -> Outcome:
        root = logging.getLogger()
        handlers, level, argv = list(root.handlers), root.level, sys.argv
        numbers = (signal.SIGTERM, signal.SIGUSR1, signal.SIGALRM)
        signals = {number: signal.getsignal(number) for number in numbers}
        out, err = io.StringIO(), io.StringIO()
        sys.argv = ["runner", *arguments]
        GlobalHydra.instance().clear()
        signal.signal(signal.SIGALRM, _hang)
        signal.alarm(SECONDS)
        code: int | str = "it did not exit"
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                cli.main()
        except SystemExit as left:
            code = left.code or 0
        except _Hang:
            code = f"a hang of {SECONDS} seconds"
        except Exception as error:
            code = f"Traceback: {type(error).__name__}: {error}"
        finally:
            signal.alarm(0)
            for number, handler in signals.items():
                signal.signal(number, handler)
            root.handlers[:], root.level, sys.argv = handlers, level, argv
            torch.use_deterministic_algorithms(False)
        return Outcome(code, out.getvalue(), err.getvalue())

    def _start(self, arguments: tuple[str, ...]) -> Outcome:
        command = [sys.executable, "-m", "runner", *arguments]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            start_new_session=True,
        ) as process:  # fmt: skip
            try:
                out, err = process.communicate(timeout=SECONDS)
                code: int | str = process.returncode
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                out, err = process.communicate()
                code = f"a hang of {SECONDS} seconds"
        left = _processes_of(process.pid)
        if left:
            err += f"\nleft running: {left}"
            code = f"{code}, and processes that it has left: {left}"
        return Outcome(code, out, err)

    def _leftovers(self, bad: BadInput) -> Iterator[str]:
        for path in self.cache.rglob("*"):
            if path.name.startswith(".") or "making" in path.name:
                yield f"half-written in the cache: {path.name}"
            elif path.suffix == ".json":
                try:
                    if path.name == SEAL:
                        made_of = json.loads(path.read_text())["made_of"]
                        assert broken(path.parent, made_of=made_of) is None
                        continue
                    read_json(path)
                except (OSError, ValueError, AssertionError) as error:
                    yield f"damaged in the cache: {path.name} ({error})"
        if (self.work / "executed").exists():
            yield "code of a file was executed"
        new = {path for path in self.work.rglob("*") if path not in self._laid_out}
        runs = {path.parent for path in new if path.name == "config.yaml"}
        sweeps = {path.parent for path in new if path.name == "ledger.jsonl"}
        for run in runs:
            yield from _run_faults(run)
        for path in new:
            beside_a_run = any(run == path or run in path.parents for run in runs)
            above_a_run = any(path in run.parents for run in runs)
            of_a_sweep = any(sweep == path or sweep in path.parents for sweep in sweeps)
            above_a_sweep = any(path in sweep.parents for sweep in sweeps)
            if not (beside_a_run or above_a_run or of_a_sweep or above_a_sweep):
                if FINISHED in path.relative_to(self.work).parts and path.name in _OF_A_RUN:
                    continue
                yield f"left behind: {path.relative_to(self.work)}"


def _hang(number: int, frame: FrameType | None) -> None:
    raise _Hang


def _is(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _run_faults(run: Path) -> Iterator[str]:
    try:
        status = json.loads((run / "status.json").read_text())["status"]
    except (OSError, ValueError, KeyError) as error:
        yield f"a run folder without status ({error})"
        return
    if status != "failed":
        yield f"a run folder with status {status}"
    for path in run.rglob(".*"):
        if path.name not in _OF_A_RUN:
            yield f"half-written in a run folder: {path.name}"


def message_faults(bad: BadInput, outcome: Outcome) -> Iterator[str]:
    code, out, err = outcome.code, outcome.out, outcome.err
    if not isinstance(code, int):
        yield code
        return
    if code == 0:
        yield "accepted"
        return
    if code != 1:
        yield f"exit code {code}"
    if "Traceback" in out + err:
        yield "a traceback on the console"
    if not err.startswith("runner: "):
        yield "the message does not begin with runner:"
        return
    messages = [line for line in err.splitlines() if line.startswith("runner: ")]
    if len(messages) > bad.jobs:
        yield f"{len(messages)} messages"
    said = err.removeprefix("runner: ").strip()
    given = " ".join(bad.arguments)
    if len(said) < 10:
        yield "an empty message"
    if "unexpected" in said and "unexpected" not in given:
        yield "something unexpected"
    if len(said) > 3000 + 2 * len(given):
        yield f"a message of {len(said)} characters"
    found = _INTERNALS.search(said)
    if found and found.group() not in given:
        yield f"internals: {found.group()}"
    if bad.names and not any(name in said for name in bad.names):
        yield f"none of {', '.join(bad.names)[:200]} is named"


def _processes_of(session: int) -> list[int]:
    """Processes that are alive in a session."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, its_session = path.read_text().rpartition(")")[2].split()[:4]
            if int(its_session) == session and state != "Z":
                found.append(int(path.parent.name))
    return found
