"""What the definition of a key says of it, for every key of a config, nested nodes included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from runner.config.schema import RunConfig
from runner.config.signatures import Signature, signature
from runner.keys import Before, Effect

# What a resume may change: where, how long and how a run computes and is saved, never what.
CHANGEABLE = frozenset(
    {Effect.LENGTH, Effect.SOURCE, Effect.PLACE, Effect.SAVING, Effect.MACHINE}
)  # fmt: skip
# What tells no run from its repeats.
NOT_OF_THE_EXPERIMENT = frozenset(
    {Effect.PLACE, Effect.SAVING, Effect.MACHINE, Effect.SEED, Effect.LABEL}
)  # fmt: skip

Definition = type[BaseModel] | Signature


def sections(effect: Effect) -> tuple[str, ...]:
    """The sections and groups that are of this effect as a whole."""
    return tuple(key for key in RunConfig.model_fields if _effect(RunConfig, key) is effect)


def effect_of(name: str, targets: Mapping[str, Any]) -> Effect:
    """What a key changes.

    Args:
        name: dotted, as `model.completion.seed`.
        targets: flat values, of which the `_target_` of each node is read.
    """
    definition: Definition | None = RunConfig
    effect, prefix = Effect.RESULT, ""
    for part in name.split("."):
        target = targets.get(f"{prefix}_target_")
        if isinstance(target, str):
            definition = described(target)
        own = _effect(definition, part)
        # A key says more of itself than its section does.
        effect = own if own is not None else effect
        definition = _below(definition, part)
        prefix += f"{part}."
    return effect


def has(name: str) -> bool:
    """Whether the run's own sections have such a key."""
    definition: Definition | None = RunConfig
    for part in name.split("."):
        if not isinstance(definition, type) or part not in definition.model_fields:
            return False
        definition = _below(definition, part)
    return True


def later(node: Mapping[str, Any], definition: Definition = RunConfig) -> Iterator[tuple[str, Any]]:
    """The keys below a node that came later, each with what stands for runs from before.

    Keys that a section may lack are among them only where the node has them. For a key without
    effect any value stands.
    """
    if isinstance(node.get("_target_"), str):
        definition = described(node["_target_"])
    for key, before in _befores(definition):
        if key in node or not _may_lack(definition, key):
            idle = before.only_with is not None and node.get(before.only_with) is None
            yield key, node.get(key, before.value) if idle else before.value
    for key, value in node.items():
        below = _below(definition, key)
        if isinstance(value, Mapping) and (below is not None or "_target_" in value):
            for name, before in later(value, below or Signature()):
                yield f"{key}.{name}", before


def described(target: str) -> Signature:
    """The signature of a target; an empty one where it cannot be had."""
    try:
        return signature(target)
    except ValueError:
        return Signature()


def _effect(definition: Definition | None, key: str) -> Effect | None:
    if isinstance(definition, Signature):
        parameter = definition.parameters.get(key)
        return parameter.effect if parameter is not None else None
    field = definition.model_fields.get(key) if definition is not None else None
    return next((m for m in field.metadata if isinstance(m, Effect)), None) if field else None


def _befores(definition: Definition) -> Iterator[tuple[str, Before]]:
    if isinstance(definition, Signature):
        found = ((key, p.before) for key, p in definition.parameters.items())
        yield from ((key, before) for key, before in found if before is not None)
        return
    for key, field in definition.model_fields.items():
        yield from ((key, m) for m in field.metadata if isinstance(m, Before))


def _may_lack(definition: Definition, key: str) -> bool:
    return isinstance(definition, type) and not definition.model_fields[key].is_required()


def _below(definition: Definition | None, key: str) -> type[BaseModel] | None:
    """The section that a key of a section holds."""
    field = definition.model_fields.get(key) if isinstance(definition, type) else None
    kinds = (field.annotation, *get_args(field.annotation)) if field is not None else ()
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)), None)
