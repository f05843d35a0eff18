"""Read the records of a run folder without torch."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

from runner.comparison import settings as config
from runner.comparison.groups import is_identity
from runner.comparison.run import Files, Result, Run
from runner.config.identity import content_id, is_on_a_file, kind_of_start
from runner.config.reports import AUDITS, with_later
from runner.storage.seal import Damaged, read_json, read_lines
from runner.terminal.tables import published_figures

STATES = ("done", "failed", "interrupted", "running", "pruned")
_SEAL = "# sha256 of the lines above: "


def read_run(folder: Path, name: str) -> Run:
    """The run in `folder`; its `problem` names unreadable records."""
    problems: list[str] = []
    status, meta = (_json(folder, file, problems) for file in ("status.json", "meta.json"))
    state = status.get("status")
    if state not in STATES:
        state = "unreadable"
    elif state == "running" and _is_killed(folder, status):
        state = "killed"
    settings = _settings(folder, meta, problems)
    result = None
    identity: dict[str, Any] = {}
    if state == "done":
        summary = _json(folder, "summary.json", problems)
        try:
            identity = {key: summary[key] for key in ("dataset", "model", "seed")}
            if summary["select"] is None:
                problems.append("not evaluated (evaluator=none)")
            else:
                audits = _audits_of(folder, summary, problems)
                result = _result(summary, settings, meta, audits)
        except (KeyError, TypeError, AttributeError, ValueError):
            state = "unreadable"
            problems = problems or ["summary.json has no result"]
    error = status.get("error")
    return Run(
        name=name,
        folder=folder,
        status=state,
        problem=str(error) if error else "; ".join(problems) or _last_epoch(folder, state),
        dataset=str(identity.get("dataset") or settings.get("run.dataset") or ""),
        model=str(identity.get("model") or settings.get("run.model") or ""),
        experiment=_experiment(settings, meta),
        seed=identity.get("seed", settings.get("seed")),
        seeds=json.dumps(meta.get("seeds") or identity.get("seed", settings.get("seed"))),
        graph=_part(meta, "data").get("graph"),
        features=_part(meta, "data").get("features"),
        split=_part(meta, "data").get("split"),
        protocol=_protocol(settings),
        files=_files(settings, meta),
        settings={**settings, **_start(meta)},
        provenance=_provenance(meta),
        result=result,
    )


def _protocol(settings: Mapping[str, Any]) -> str:
    """How a run is judged; of runs from before protocols had names, one of the two there were."""
    named = settings.get("run.protocol")
    return str(named or ("official" if settings.get("protocol.official_split") else "random"))


def _experiment(settings: Mapping[str, Any], meta: Mapping[str, Any]) -> str:
    """The recorded experiment; on the user's own graph, of any age, without the place of a file."""
    recorded = meta.get("experiment")
    if recorded is None:
        return _digest(settings)
    if not is_on_a_file(settings):
        return str(recorded)
    begun = kind_of_start(meta.get("init_from"))
    digest = content_id(config.nested(settings), warm_start=begun)
    return f"{str(recorded).rpartition('-')[0]}-{digest}"


def _start(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The objective that the weights at the start are of, as a setting that tells runs apart."""
    start = _part(meta, "init_from")
    return {"train.start": start["objective"]} if "objective" in start else {}


def _files(settings: Mapping[str, Any], meta: Mapping[str, Any]) -> Files | None:
    if not is_on_a_file(settings):
        return None
    sizes = _part(meta, "sizes")
    return Files(
        path=settings["dataset.path"],
        features=settings.get("dataset.features"),
        nodes=sizes.get("nodes"),
        training_links=sizes.get("training_links"),
    )


def _digest(settings: Mapping[str, Any]) -> str:
    """A substitute for the experiment of a run whose meta.json cannot be read."""
    identity = {key: value for key, value in settings.items() if is_identity(key, settings)}
    text = json.dumps(identity, sort_keys=True, default=str)
    return f"unrecorded-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _result(
    summary: Mapping[str, Any],
    settings: Mapping[str, Any],
    meta: Mapping[str, Any],
    audits: Mapping[str, Any],
) -> Result:
    select = str(summary["select"])
    test = {str(name): float(value) for name, value in summary["test"].items()}
    valid = {str(name): float(value) for name, value in (summary.get("valid") or {}).items()}
    figures = published_figures(summary)
    memory = summary.get("peak_memory_gib")
    test[select]
    return Result(
        select=select,
        valid=valid,
        test=test,
        published={name: _published(figure) for name, figure in figures.items()},
        differs=_differs(summary, settings, meta) if figures else (),
        seconds=float(summary["seconds"]),
        peak_memory_gib=None if memory is None else float(memory),
        epochs=summary.get("epochs"),
        best_epoch=summary.get("best_epoch"),
        audits=audits,
        selection=summary.get("selection"),
    )


def _audits_of(folder: Path, summary: Mapping[str, Any], problems: list[str]) -> Mapping[str, Any]:
    """The audits of the run's end, with those made later, if they are of the same epoch."""
    audits = summary.get("audits") or {}
    if (folder / AUDITS).exists():
        later = _json(folder, AUDITS, problems)
        if later.get("best_epoch") == summary.get("best_epoch"):
            return with_later(audits, later.get("audits") or {})
    return audits


def _published(figure: Mapping[str, Any]) -> dict[str, Any]:
    std = figure.get("std")
    return {
        "mean": float(figure["mean"]),
        "std": None if std is None else float(std),
        "unverified": bool(figure.get("unverified")),
    }


def _differs(
    summary: Mapping[str, Any], settings: Mapping[str, Any], meta: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    """In what a run is not the published one: recorded, or of an earlier run found out."""
    if "differs" in summary:
        return summary["differs"]
    from runner.config.setting import differences  # not at the top: Hydra is slow to import

    return differences(config.nested(settings), meta)


def _json(folder: Path, name: str, problems: list[str]) -> dict[str, Any]:
    try:
        text = (folder / name).read_text(encoding="utf-8")
        found = json.loads(text)
        if isinstance(found, dict):
            return read_json(text) if "sha256" in found else found
        problems.append(f"{name} holds no record")
    except (Damaged, ValueError):
        problems.append(f"{name} is damaged")
    except FileNotFoundError:
        problems.append(f"{name} is missing")
    except OSError as error:
        problems.append(f"{name} cannot be read ({error.strerror})")
    return {}


def _settings(folder: Path, meta: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    try:
        text = (folder / "config.yaml").read_text(encoding="utf-8")
        settings = config.parse(read_lines(text) if _SEAL in text else text)
        for entry in meta.get("resumes") or []:
            settings = config.with_overrides(settings, entry["overrides"])
        return settings
    except (Damaged, ValueError, KeyError, TypeError, AttributeError):
        problems.append("config.yaml is damaged")
    except FileNotFoundError:
        problems.append("config.yaml is missing")
    except OSError as error:
        problems.append(f"config.yaml cannot be read ({error.strerror})")
    return {}


def _is_killed(folder: Path, status: Mapping[str, Any]) -> bool:
    """Whether a run recorded as running was on this machine, and no process holds its lock."""
    if status.get("host") != socket.gethostname():
        return False
    with suppress(ImportError):  # a system without flock
        from runner.storage.locks import is_locked

        return is_locked(folder) is None
    return False


def _provenance(meta: Mapping[str, Any]) -> dict[str, Any]:
    wanted: dict[str, Any] = {
        "created": meta.get("created"),
        "revision": meta.get("git"),
        "device": meta.get("device"),
        "test graph": meta.get("test_graph"),
    }
    parts = partial(_part, meta)
    wanted |= {f"version of {name}": value for name, value in parts("versions").items()}
    wanted |= {f"machine: {name}": value for name, value in parts("machine").items()}
    data = parts("data")
    wanted["data fingerprint"] = data.get("fingerprint")
    start = meta.get("init_from")
    wanted["begun from"] = json.dumps(start) if start else None
    return {key: value for key, value in wanted.items() if value is not None}


def _part(meta: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = meta.get(name)
    return found if isinstance(found, Mapping) else {}


def _last_epoch(folder: Path, state: str) -> str | None:
    """The progress of an unfinished run, from the last whole line of its metrics."""
    if state == "done":
        return None
    reached = "before its first epoch ended"
    with suppress(OSError, ValueError, KeyError, IndexError, TypeError):
        with open(folder / "metrics.jsonl", "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(file.tell() - (1 << 16), 0))
            last = file.read().rpartition(b"\n")[0].rpartition(b"\n")[2]
        reached = f"after epoch {int(json.loads(last)['epoch'])}"
    if state == "running":  # on another machine; it may have died
        written = max((path.stat().st_mtime for path in folder.glob("*.json*")), default=0.0)
        when = datetime.fromtimestamp(written, timezone.utc)
        return f"{reached}; last written {when:%Y-%m-%d %H:%M} UTC"
    return reached
