"""Everything that is wrong with a composed config, in one report, before any data loads."""

from __future__ import annotations

import difflib
import os
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, reduce
from importlib.resources import files
from operator import or_
from typing import Any

from hydra.utils import to_absolute_path
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Tag,
    ValidationError,
    create_model,
)

from runner.config import schema
from runner.config.contradictions import contradictions
from runner.config.flat import flat
from runner.config.groups import GROUPS
from runner.config.hydra_messages import in_words
from runner.config.places import PLACES
from runner.config.signatures import Opaque, bases, signature
from runner.config.targets import GET_CLASS, is_ours, nodes
from runner.errors import RunnerError

# What a node may tell Hydra about itself; a component of a run has none of it.
_OF_HYDRA: dict[str, Callable[[Any], bool]] = {
    "_args_": lambda value: isinstance(value, list),
    "_partial_": lambda value: isinstance(value, bool),
    "_recursive_": lambda value: isinstance(value, bool),
    "_convert_": lambda value: value in ("none", "partial", "object", "all"),
}
_CONVOLUTION = "runner.models.convolution.Convolution"
# What pydantic calls the member of a union, among the keys that lead to an error.
_OF_A_UNION = re.compile(
    r"(constrained-)?(int|float|str|bool|list|dict)(\[.*)?|literal\[.*|function-.*|\[value\]|\[node\]"
)
_FILES = (
    "root", "path", "features", "nodes", "valid", "test", "valid_negatives", "test_negatives",
)  # fmt: skip
_UNFIT = " does not fit: "
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
    """A path as it is from any directory; anything but a path as it is.

    A relative one is seen from where the command was typed, whatever `hydra.job.chdir` says.
    """
    return to_absolute_path(os.path.expanduser(path)) if isinstance(path, str) else path


def _key(problem: str) -> str:
    return problem.split(":", 1)[0]


def _without_followers(config: DictConfig, problems: Sequence[str]) -> list[str]:
    """Without the problems of keys that only take another key's value, which has a problem too."""
    wrong = {_key(problem) for problem in problems}
    kept = []
    for problem in problems:
        if _followed(config, _key(problem)) not in wrong:
            kept.append(problem)
    return kept or list(problems)  # they follow each other in a circle


def _followed(config: DictConfig, key: str) -> str | None:
    """The key whose value this one only takes, itself or with the node that it lies in."""
    node: Any = config
    parts = key.split(".")
    for place, part in enumerate(parts):
        if not isinstance(node, DictConfig) or node._is_none() or node._is_missing():
            return None
        node = node._get_node(part) if part in list(node) else None
        if node is not None and node._is_interpolation():
            name = re.fullmatch(r"\$\{([\w.]+)\}", str(node._value()))
            return ".".join([name.group(1), *parts[place + 1 :]]) if name else None
    return None


def _with_absolute_paths(plain: dict[str, Any]) -> dict[str, Any]:
    """So that a run can be resumed from another directory than it was started in."""
    dataset, train = plain["dataset"], plain["train"]
    source = dataset["source"]
    for key in _FILES:
        if dataset.get(key) is not None:
            dataset[key], source[key] = absolute(dataset[key]), absolute(source.get(key))
    plain["run"]["cache"] = absolute(plain["run"]["cache"])
    if "cache" in source:
        source["cache"] = absolute(source["cache"])
    if isinstance(plain["model"].get("runs"), list):
        plain["model"]["runs"] = [absolute(run) for run in plain["model"]["runs"]]
    encoder = plain["encoder"]
    # A word stands for something else than a run.
    if encoder.get("augment") is not None and encoder["augment"] != encoder["augment_by"]:
        encoder["augment"] = absolute(encoder["augment"])
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
    except InterpolationKeyError as error:
        problems.append(f"{name}: {_missing_source(node, in_words(error))}")
        return None
    except OmegaConfBaseException as error:
        problems.append(f"{name}: {in_words(error)}")
        return None
    return _resolve(value, name, problems) if isinstance(value, DictConfig | ListConfig) else value


def _missing_source(node: Any, message: str) -> str:
    """What to do about a key that follows a key of another group, which the chosen option lacks."""
    found = re.search(r"'(\w+)\.([\w.]+)'", message)
    if not found or found[1] not in GROUPS:
        return message
    group, key = found.groups()
    target = OmegaConf.select(node._get_root(), f"{group}._target_")
    return (
        f"this follows {group}.{key}, and {group}._target_={target} has no such key; choose "
        f"another {group}"
    )


def check(plain: Mapping[str, Any]) -> list[str]:
    """One line for each error of a resolved config; empty when there is none."""
    problems = problems_of(schema.RunConfig, plain, "")
    for name, node in nodes(plain, ""):
        if name.startswith("protocol.tuned"):
            continue  # a node of a column is checked where it arrives
        wrong = {_key(problem) for problem in problems}
        if any(f"{name}._target_.".lstrip(".").startswith(f"{key}.") for key in wrong):
            continue  # what should not be there at all has no arguments
        target = node["_target_"]
        given = {key: value for key, value in node.items() if not key.startswith("_")}
        if not isinstance(target, str):
            problems.append(f"{name}._target_: {target!r} is not the dotted path of a class")
            continue
        problems += _special_keys(name, node)
        try:
            model = _model_of(target, PLACES[name].given if name in PLACES else frozenset())
        except ValueError as error:
            problems.append(f"{name}._target_: {error}")
            continue
        problems += problems_of(model, given, name)
        if target == GET_CLASS:
            try:
                _check_class(given.get("path"), a_convolution=name == "encoder.convolution")
            except ValueError as error:
                problems.append(f"{name}.path: {error}")
    return [*problems, *_unasked(plain), *contradictions(plain)]


def _special_keys(name: str, node: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the keys of a node that are Hydra's own; a part of a run has none."""
    whole = name in PLACES or is_ours(node["_target_"]) or node["_target_"] == GET_CLASS
    for key, value in node.items():
        if not key.startswith("_") or key == "_target_":
            continue
        if whole or key not in _OF_HYDRA:
            yield f"{name}.{key}: there is no such key; leave it out"
        elif not _OF_HYDRA[key](value):
            yield f"{name}.{key}: {value!r} does not fit; see Hydra's instantiate"


def _unasked(plain: Mapping[str, Any]) -> Iterator[str]:
    """Keys of published columns that nothing in `conf/` asks for, which would have no effect."""
    protocol = plain.get("protocol") or {}
    for name in ("tuned", "tuned_for"):
        column = protocol.get(name)
        given = flat(column, ".") if isinstance(column, Mapping) else {}
        for full in given:
            whose, _, key = full.partition(".") if name == "tuned_for" else ("", "", full)
            node = key.rpartition(".")[0]  # which a column may have as a whole, as train.schedule
            if {key, node} & schema.asked():
                continue
            prefix = ".".join(filter(None, ("protocol", name, whose)))
            close = difflib.get_close_matches(key, schema.asked(), n=1)
            hint = f"did you mean {prefix}.{close[0]}?" if close else "no file of conf/ asks for it"
            yield f"{prefix}.{key}: there is no such key; {hint}"


def problems_of(model: type[BaseModel], given: Mapping[str, Any], name: str) -> list[str]:
    try:
        model.model_validate(dict(given))
    except ValidationError as error:
        return _merged([_sentence(model, detail, name) for detail in error.errors()])
    return []


def _merged(sentences: Sequence[str]) -> list[str]:
    """One sentence for a value that none of several types fits."""
    merged: dict[str, str] = {}
    for sentence in sentences:
        what, found, why = sentence.partition(_UNFIT)
        if found and what in merged:
            merged[what] += f", or {why.removeprefix('input should be ')}"
        else:
            merged[what] = sentence
    return list(merged.values())


def _sentence(model: type[BaseModel], detail: Any, name: str) -> str:
    path = [str(part) for part in detail["loc"] if not _OF_A_UNION.fullmatch(str(part))]
    key = ".".join([name, *path] if name else path)
    if detail["type"] == "extra_forbidden":
        known = list(_fields_at(model, detail["loc"][:-1]))
        close = difflib.get_close_matches(path[-1], known, n=1)
        hint = f"did you mean {'.'.join([*key.split('.')[:-1], close[0]])}?" if close else ""
        others = f"known here: {', '.join(sorted(known))}" if known else "none is known here"
        return f"{key}: there is no such key; {hint or others}"
    if detail["type"] == "missing":
        return f"{key}: a value is needed; give {key}=…"
    option = files("runner.conf").joinpath(*key.split("."), f"{detail['input']}.yaml")
    if detail["type"] == "none_required" and option.is_file():
        return (
            f"{key}: this is an option of a group; write {key.replace('.', '/')}={detail['input']}"
        )
    message = detail["msg"].removeprefix("Value error, ")
    message = re.sub(r" or instance of \w+", "", message)
    given = repr(detail["input"])
    shown = given if len(given) <= _LONGEST else f"{given[:_LONGEST]}…"
    return f"{key}: {shown}{_UNFIT}{message[0].lower()}{message[1:]}"


def _fields_at(model: Any, loc: tuple[Any, ...]) -> Iterator[str]:
    for part in loc:
        fields = getattr(model, "model_fields", {})
        if part not in fields:
            return
        model = fields[part].annotation
    yield from getattr(model, "model_fields", {})


def _check_class(path: Any, *, a_convolution: bool) -> None:
    if not isinstance(path, str):
        raise ValueError(f"{path!r} is not the dotted path of a class")
    above = bases(path)
    if a_convolution and _CONVOLUTION not in above:
        raise ValueError(f"{path!r} is no convolution; see {_CONVOLUTION.rpartition('.')[0]}")


@cache
def _model_of(target: str, given: frozenset[str]) -> type[BaseModel]:
    """What checks the arguments of a target, but for those that it is given when it is built."""
    described = signature(target)
    # What the source of others calls a type may be more than we can read.
    opaque = schema.Node if is_ours(target) else Any
    fields: dict[str, Any] = {
        name: (_withnodes(parameter.annotation, opaque), ... if parameter.in_config else None)
        for name, parameter in described.parameters.items()
        if name not in given
    }
    config = ConfigDict(
        extra="allow" if described.open else "forbid",
        strict=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
    )
    return create_model(target.rsplit(".", 1)[-1], __config__=config, **fields)


def _withnodes(annotation: Any, opaque: Any) -> Any:
    """An annotation for a config: a node stands where the constructor takes what it builds."""
    if annotation is Opaque:
        return opaque
    arguments = typing.get_args(annotation)
    if not arguments or typing.get_origin(annotation) is typing.Literal:
        return annotation
    if typing.get_origin(annotation) is typing.Annotated:
        inner = _withnodes(arguments[0], opaque)
        return Any if inner is Any else typing.Annotated[(inner, *annotation.__metadata__)]
    inner = tuple(_withnodes(argument, opaque) for argument in arguments)
    if Any in inner and opaque is Any:
        return Any
    if not _is_union(annotation):
        return typing.get_origin(annotation)[inner]  # list[…], say
    values = [part for part in inner if part is not schema.Node]
    if len(values) == len(inner):
        return reduce(or_, inner)
    value: Any = typing.Annotated[reduce(or_, values), Tag("[value]")]
    node: Any = typing.Annotated[schema.Node, Tag("[node]")]
    return typing.Annotated[value | node, Discriminator(_value_or_node)]


def _value_or_node(given: Any) -> str:
    return "[node]" if isinstance(given, Mapping) else "[value]"


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)
