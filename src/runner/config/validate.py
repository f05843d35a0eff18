"""Everything that is wrong with a composed config, in one report, before any data loads."""

from __future__ import annotations

import difflib
import inspect
import logging
import os
import re
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from runner.config import schema
from runner.config.hydra_messages import in_words
from runner.errors import RunnerError

# The nodes that `experiment.build` builds, and what another node may tell Hydra about itself.
_PARTS = (
    "encoder", "model", "sampler", "encoding", "evaluator", "tracker", "dataset.source",
    "dataset.negatives",
)  # fmt: skip
_OF_HYDRA: dict[str, Callable[[Any], bool]] = {
    "_args_": lambda value: isinstance(value, list),
    "_partial_": lambda value: isinstance(value, bool),
    "_recursive_": lambda value: isinstance(value, bool),
    "_convert_": lambda value: value in ("none", "partial", "object", "all"),
}
_LONGEST = 200  # characters of a value in a message


def resolve(config: DictConfig) -> dict[str, Any]:
    """The config as plain, checked data.

    Raises:
        RunnerError: naming the full key, the value and the remedy of every error at once:
            unresolved and missing values, unknown keys, wrong types, values out of range, and
            arguments that a `_target_` outside the shipped ones does not take.
    """
    problems: list[str] = []
    plain = _resolve(config, "", problems)
    unresolved = {_key(problem) for problem in problems}
    problems += [problem for problem in check(plain) if _key(problem) not in unresolved]
    problems = _without_followers(config, problems)
    if problems:
        heading = "the config has an error" if len(problems) == 1 else "the config has errors"
        raise RunnerError("\n  ".join([f"{heading}:", *problems]))
    return _with_absolute_paths(plain)


def absolute(path: Any) -> Any:
    """A path as it is from any directory; anything but a path as it is."""
    return str(Path(os.path.expanduser(path)).absolute()) if isinstance(path, str) else path


def _key(problem: str) -> str:
    return problem.split(":", 1)[0]


def _without_followers(config: DictConfig, problems: Sequence[str]) -> list[str]:
    """Without the problems of keys that only take another key's value, which has a problem too."""
    wrong = {_key(problem) for problem in problems}
    kept = []
    for problem in problems:
        node = _node(config, _key(problem))
        followed = re.fullmatch(r"\$\{([\w.]+)\}", str(node._value())) if node else None
        if followed is None or followed.group(1) not in wrong:
            kept.append(problem)
    return kept or list(problems)  # they follow each other in a circle


def _node(config: DictConfig, key: str) -> Any:
    """The node of a full key as it stands in the config, not resolved; None without one."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
            return None
        node = node._get_node(part)
    return node if node is not None and node._is_interpolation() else None


def _with_absolute_paths(plain: dict[str, Any]) -> dict[str, Any]:
    """So that a run can be resumed from another directory than it was started in."""
    dataset, train = plain["dataset"], plain["train"]
    source = dataset["source"]
    for key in ("root", "path", "features"):
        if dataset.get(key) is not None:
            dataset[key], source[key] = absolute(dataset[key]), absolute(source.get(key))
    plain["run"]["cache"] = absolute(plain["run"]["cache"])
    if "cache" in source:
        source["cache"] = absolute(source["cache"])
    if train["init_from"] not in (None, "auto"):
        train["init_from"] = absolute(train["init_from"])
    return plain


def _resolve(node: Any, prefix: str, problems: list[str]) -> Any:
    if isinstance(node, DictConfig):
        return {
            str(key): _resolve_item(
                node, key, f"{prefix}.{key!s}" if prefix else str(key), problems
            )
            for key in node
        }
    return [
        _resolve_item(node, index, f"{prefix}[{index}]", problems) for index in range(len(node))
    ]


def _resolve_item(node: Any, key: Any, name: str, problems: list[str]) -> Any:
    try:
        if OmegaConf.is_missing(node, key):
            problems.append(f"{name}: a value is needed; give {name}=…")
            return None
        value = node[key]
    except OmegaConfBaseException as error:
        problems.append(f"{name}: {in_words(error)}")
        return None
    return _resolve(value, name, problems) if isinstance(value, DictConfig | ListConfig) else value


def check(plain: Mapping[str, Any]) -> list[str]:
    """One line for each error of a resolved config; empty when there is none."""
    problems = problems_of(schema.Root, plain, "")
    for name, node in _nodes(plain, ""):
        wrong = {_key(problem) for problem in problems}
        if any(f"{name}._target_.".lstrip(".").startswith(f"{key}.") for key in wrong):
            continue  # what should not be there at all has no arguments
        target = node["_target_"]
        given = {key: value for key, value in node.items() if not key.startswith("_")}
        if not isinstance(target, str):
            problems.append(f"{name}._target_: {target!r} is not the dotted path of a class")
            continue
        problems += _special_keys(name, node)
        known = schema.NODES.get(target)
        try:
            model = known or _signature_model(target, schema.GIVEN_AT_BUILD.get(name, frozenset()))
            if known is schema.GetClass:
                _locate_class(given.get("path"), a_convolution=name == "encoder.convolution")
        except (ImportError, ValueError) as error:
            key = f"{name}.path" if known is schema.GetClass else f"{name}._target_"
            problems.append(f"{key}: {error}")
            continue
        problems += problems_of(model, given, name)
    return [*problems, *_contradictions(plain)]


def foreign_targets(plain: Mapping[str, Any]) -> dict[str, str]:
    """By key, the classes and functions that a config names and that are not ours."""
    found = {}
    for name, node in _nodes(plain, ""):
        target, path = node["_target_"], node.get("path")
        if target not in schema.NODES:
            found[f"{name}._target_"] = str(target)
        elif schema.NODES[target] is schema.GetClass and not str(path).startswith("runner.models."):
            found[f"{name}.path"] = str(path)
    return found


def refuse_foreign(plain: Mapping[str, Any], *, trusted: Collection[str], where: str) -> None:
    """Keep the config of a folder from running what the user has not named himself.

    Raises:
        RunnerError: naming what it would run, and how to allow it.
    """
    for key, target in foreign_targets(plain).items():
        if target not in trusted:
            raise RunnerError(
                f"{where}: its config runs {target} ({key}), which is none of ours and could do "
                f"anything; if you know it, say so: {key}={target}"
            )


def _special_keys(name: str, node: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the keys of a node that are Hydra's own; a part of a run has none."""
    whole = name in _PARTS or node["_target_"] in schema.NODES
    for key, value in node.items():
        if not key.startswith("_") or key == "_target_":
            continue
        if whole or key not in _OF_HYDRA:
            yield f"{name}.{key}: there is no such key; leave it out"
        elif not _OF_HYDRA[key](value):
            yield f"{name}.{key}: {value!r} does not fit; see Hydra's instantiate"


def _contradictions(plain: Mapping[str, Any]) -> Iterator[str]:
    """Keys that are right each but do not go together."""
    dataset, encoder, model = (plain.get(name) or {} for name in ("dataset", "encoder", "model"))
    source = dataset.get("source") or {}
    for key in ("root", "path", "features", "num_nodes"):
        if dataset.get(key) is not None and key not in source:
            yield f"dataset.{key}: there is no such key; this dataset's source does not read it"
    protocol = dataset.get("protocol") or {}
    metrics, select = protocol.get("metrics"), protocol.get("select")
    if isinstance(metrics, list) and select is not None and select not in metrics:
        yield (
            f"dataset.protocol.select: {select!r} is not among dataset.protocol.metrics "
            f"({', '.join(map(str, metrics))}); select one of them or add it there"
        )
    # What a user's own model does with a width of that name is its own business.
    ours = all(str(node.get("_target_")) in schema.NODES for node in (encoder, model))
    widths = encoder.get("hidden"), model.get("hidden")
    if ours and None not in widths and widths[0] != widths[1]:
        yield (
            f"model.hidden: {widths[1]!r} is not the width of the embeddings, "
            f"encoder.hidden={widths[0]!r}; give encoder.hidden alone, the model follows it"
        )


def _nodes(node: Any, name: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield name, node
        for key, value in node.items():
            yield from _nodes(value, f"{name}.{key}" if name else str(key))


def problems_of(model: type[BaseModel], given: Mapping[str, Any], name: str) -> list[str]:
    try:
        model.model_validate(dict(given))
    except ValidationError as error:
        return [_sentence(model, detail, name) for detail in error.errors()]
    return []


def _sentence(model: type[BaseModel], detail: Any, name: str) -> str:
    path = [str(part) for part in detail["loc"] if not str(part).startswith(("int", "float"))]
    key = ".".join([name, *path] if name else path)
    if detail["type"] == "extra_forbidden":
        known = list(_fields_at(model, detail["loc"][:-1]))
        close = difflib.get_close_matches(path[-1], known, n=1)
        hint = f"did you mean {'.'.join([*key.split('.')[:-1], close[0]])}?" if close else ""
        others = f"known here: {', '.join(sorted(known))}" if known else "none is known here"
        return f"{key}: there is no such key; {hint or others}"
    if detail["type"] == "missing":
        return f"{key}: a value is needed; give {key}=…"
    message = detail["msg"].removeprefix("Value error, ")
    message = re.sub(r" or instance of \w+", "", message)
    given = repr(detail["input"])
    shown = given if len(given) <= _LONGEST else f"{given[:_LONGEST]}…"
    return f"{key}: {shown} does not fit: {message[0].lower()}{message[1:]}"


def _fields_at(model: Any, loc: tuple[Any, ...]) -> Iterator[str]:
    for part in loc:
        fields = getattr(model, "model_fields", {})
        if part not in fields:
            return
        model = fields[part].annotation
    yield from getattr(model, "model_fields", {})


def _locate_class(path: Any, *, a_convolution: bool) -> None:
    if isinstance(path, str) and path.startswith("runner.models.convolution."):
        names = ("GCN", "PureGCN", "PureSum", "PureMean", "PureMax", "SAGE", "GIN")
        if path.rsplit(".", 1)[1] in names:
            return
    found = _locate(path)
    if not a_convolution:
        return
    from runner.models.convolution import Convolution

    if not (inspect.isclass(found) and issubclass(found, Convolution)) or (
        found.forward is Convolution.forward
    ):
        raise ValueError(f"{path!r} is no convolution; see runner.models.convolution")


def _locate(path: Any) -> Callable[..., Any]:
    import hydra.utils

    if not isinstance(path, str):
        raise ValueError(f"{path!r} is not the dotted path of a class")
    log = logging.getLogger("hydra.utils")  # it would say the same in lines of its own
    log.disabled = True
    try:
        found = hydra.utils.get_object(path)
    except Exception as error:
        reason = next(iter(str(error.__cause__ or error).splitlines()), "")
        raise ValueError(f"{path!r} cannot be imported ({reason or 'it does not exist'})") from None
    finally:
        log.disabled = False
    if not callable(found):
        raise ValueError(f"{path!r} is not a class or function")
    return found


def _signature_model(target: str, given_at_build: frozenset[str]) -> type[BaseModel]:
    found = _locate(target)
    try:
        parameters = inspect.signature(found).parameters
    except ValueError:
        raise ValueError(f"{target!r} does not say which arguments it takes") from None
    function = found.__init__ if inspect.isclass(found) else found  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):
        hints = {}
    fields: dict[str, Any] = {}
    extra: typing.Literal["allow", "forbid"] = "forbid"
    for name, parameter in parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            extra = "allow"
        elif name not in given_at_build and parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
            required = parameter.default is inspect.Parameter.empty
            hint = hints.get(name, Any)
            fields[name] = (hint if _is_plain(hint) else Any, ... if required else None)
    config = ConfigDict(extra=extra, strict=True, arbitrary_types_allowed=True)
    return create_model(target.rsplit(".", 1)[-1], __config__=config, **fields)


def _is_plain(hint: Any) -> bool:
    """Whether a config can hold such a value itself (not a module that a nested node builds)."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) is typing.Literal:
        return True
    if arguments:
        return all(_is_plain(argument) for argument in arguments)
    return hint in (int, float, bool, str, type(None), list, dict)
