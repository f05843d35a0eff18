"""The arguments that a `_target_` takes, read from its source: nothing is imported or run.

An import of torch takes seconds. A class or function that the source does not show plainly (built
by a call, in compiled code) is imported and asked.
"""

from __future__ import annotations

import ast
import builtins
import collections.abc
import inspect
import sys
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Annotated, Any

from runner import keys
from runner.config.locate import locate
from runner.keys import Before, Effect


class Opaque:
    """A type that a config cannot hold itself: what a nested node builds."""

    def __class_getitem__(cls, _: Any) -> type[Opaque]:
        return cls


@dataclass(frozen=True)
class Parameter:
    """One argument, as annotated; `annotation` has :class:`Opaque` where a node builds it."""

    annotation: Any
    required: bool

    @property
    def effect(self) -> Effect | None:
        return next((m for m in self._metadata() if isinstance(m, Effect)), None)

    @property
    def in_config(self) -> bool:
        """Whether a config has to give it."""
        return self.required or keys.IN_CONFIG in self._metadata()

    @property
    def before(self) -> Before | None:
        return next((m for m in self._metadata() if isinstance(m, Before)), None)

    def _metadata(self) -> tuple[Any, ...]:
        return getattr(self.annotation, "__metadata__", ())


@dataclass(frozen=True)
class Signature:
    """What a class or function takes by name.

    Attributes:
        open: it takes any other name too (`**kwargs`).
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    open: bool = False


@cache
def signature(target: str) -> Signature:
    """The signature of a dotted path.

    Raises:
        ValueError: if there is no such class or function, or it does not say what it takes.
    """
    found = _from_source(target)
    return found if found is not None else _from_import(target)


@cache
def bases(target: str) -> frozenset[str]:
    """The dotted names of a class's bases and theirs.

    Raises:
        ValueError: if there is no such class or function.
    """
    place = definition(target)
    if place is not None:
        found = _bases(place[0], place[1]) if isinstance(place[1], ast.ClassDef) else frozenset()
        if found is not None:
            return found
    imported = locate(target)
    above = inspect.getmro(imported)[1:] if inspect.isclass(imported) else ()
    return frozenset(f"{base.__module__}.{base.__qualname__}" for base in above)


def _from_source(target: str) -> Signature | None:
    place = definition(target)
    if place is None:
        return None
    module, node = place
    if isinstance(node, ast.FunctionDef):
        return _of_arguments(module, node.args, skip=0)
    return _of_class(module, node)


def _of_class(module: str, node: ast.ClassDef) -> Signature | None:
    """The signature of a class, its own or that of its bases; None where the source hides it."""
    if node.decorator_list:
        return None
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name in ("__init__", "__new__"):
            return _of_arguments(module, item.args, skip=1)
    for base in node.bases:
        name = _resolve(module, base)
        if name in _NO_ARGUMENTS:
            continue
        owner, cls = definition(name) or ("", None)
        found = _of_class(owner, cls) if isinstance(cls, ast.ClassDef) else None
        if found is None or found.parameters or found.open:
            return found
    return Signature()


@cache
def constant(target: str, name: str) -> Any:
    """A literal value of a class, its bases' included; None without one."""
    place = definition(target)
    if place is None or not isinstance(place[1], ast.ClassDef):
        return None
    assigned = (
        (item.targets[0] if isinstance(item, ast.Assign) else item.target, item.value)
        for _, cls in _lineage(place[0], place[1])
        for item in cls.body
        if isinstance(item, ast.Assign | ast.AnnAssign)
    )
    for target_node, value in assigned:
        if isinstance(target_node, ast.Name) and target_node.id == name and value is not None:
            try:
                return ast.literal_eval(value)
            except ValueError:
                return None
    return None


_NO_ARGUMENTS = {"object", "torch.nn.Module", "abc.ABC", "typing.Protocol", "typing.Generic"}


def _lineage(module: str, node: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    yield module, node
    for base in node.bases:
        place = definition(_resolve(module, base))
        if place is not None and isinstance(place[1], ast.ClassDef):
            yield from _lineage(place[0], place[1])


def _bases(module: str, node: ast.ClassDef) -> frozenset[str] | None:
    """All bases by dotted name; None where one of them is not shown by the source."""
    found: set[str] = set()
    for base in node.bases:
        name = _resolve(module, base)
        if name in _NO_ARGUMENTS:
            found.add(name)
            continue
        owner, cls = definition(name) or ("", None)
        above = _bases(owner, cls) if isinstance(cls, ast.ClassDef) else None
        if cls is None or above is None:
            return None
        found |= {f"{owner}.{cls.name}"} | above
    return frozenset(found)


def _resolve(module: str, node: ast.expr) -> str:
    """The dotted name of an expression in a module: `nn.Module` as `torch.nn.Module`."""
    if isinstance(node, ast.Subscript):
        node = node.value
    head, _, rest = ast.unparse(node).partition(".")
    tree = _tree(module)
    full = _names(module).get(head) if tree is not None else None
    full = full or (head if hasattr(builtins, head) else f"{module}.{head}")
    return f"{full}.{rest}" if rest else full


@cache
def _names(module: str) -> dict[str, str]:
    """What the imports of a module bind, by their dotted names."""
    tree, found = _tree(module), {}
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name if alias.asname else alias.name.partition(".")[0]
                found[alias.asname or top] = top
        elif isinstance(node, ast.ImportFrom):
            package = _package(module, node)
            for alias in node.names:
                found[alias.asname or alias.name] = f"{package}.{alias.name}"
    return found


def _package(module: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    spec = _spec(module)
    is_package = spec is not None and spec.submodule_search_locations is not None
    parts = module.split(".")
    parts = parts[: len(parts) - node.level + is_package]
    return ".".join([*parts, *([node.module] if node.module else [])])


@cache
def definition(target: str) -> tuple[str, ast.ClassDef | ast.FunctionDef] | None:
    """Module and node of a class or function; re-exports are followed."""
    module, _, name = target.rpartition(".")
    tree = _tree(module) if module else None
    if tree is None:
        return None
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            plain = isinstance(node, ast.ClassDef) or not node.decorator_list
            return (module, node) if plain else None
    exported = _names(module).get(name)
    return definition(exported) if exported and exported != target else None


@cache
def _tree(module: str) -> ast.Module | None:
    spec = _spec(module)
    origin = spec.origin if spec is not None else None
    if not origin or not origin.endswith(".py"):
        return None
    try:
        return ast.parse(Path(origin).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


@cache
def _spec(module: str) -> ModuleSpec | None:
    """Where a module lies; its packages are looked through, not imported."""
    known = sys.modules.get(module)
    if known is not None:
        return getattr(known, "__spec__", None)
    parent, _, _ = module.rpartition(".")
    where = None
    if parent:
        package = _spec(parent)
        if package is None or package.submodule_search_locations is None:
            return None
        where = list(package.submodule_search_locations)
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(module, where)
        except (AttributeError, ImportError, ValueError):
            continue
        if spec is not None:
            return spec
    return None


class _Names(dict[str, Any]):
    """The names that an annotation of a module may use."""

    def __init__(self, module: str) -> None:
        super().__init__(_KNOWN)
        self.module = module

    def __missing__(self, name: str) -> Any:
        found = _type_named(self.module, name)
        return getattr(builtins, name, Opaque) if found is None else found


_KNOWN = {
    **{name: value for name, value in vars(keys).items() if not name.startswith("_")},
    **{name: getattr(typing, name) for name in ("Any", "Annotated", "Literal", "Optional")},
    **{name: getattr(typing, name) for name in ("Union", "Sequence", "Mapping")},
    "type": Opaque,
    "Callable": Opaque,
}


@cache
def _type_named(module: str, name: str) -> Any:
    """A type that a module of ours names itself, as `Features = Literal[…]`; None without one."""
    tree = _tree(module)
    for node in tree.body if tree is not None else ():
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Subscript):
            continue
        if isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            return _evaluate(module, node.value)
    source, _, there = _names(module).get(name, "").rpartition(".")
    if not source.startswith("runner.") or not _assigns(source, there):
        return None
    return _type_named(source, there)


def _assigns(module: str, name: str) -> bool:
    """Whether a module assigns a name, by its text: to read it as a tree takes longer."""
    spec = _spec(module)
    path = Path(spec.origin) if spec is not None and spec.origin else None
    return path is not None and f"\n{name} = " in path.read_text()


def _evaluate(module: str, node: ast.expr) -> Any:
    """An annotation as a type. Names outside `runner.keys` and typing stand for opaque types."""
    names = _Names(module)
    if not _is_type(node):
        return Opaque
    try:
        return eval(compile(ast.Expression(node), module, "eval"), {"__builtins__": {}}, names)
    except Exception:
        return Opaque


_IN_A_TYPE = (
    ast.Name, ast.Load, ast.Constant, ast.Subscript, ast.Tuple, ast.List, ast.BinOp, ast.BitOr,
    ast.UnaryOp, ast.USub,
)  # fmt: skip


def _is_type(node: ast.expr) -> bool:
    """Whether an annotation is made of names, literals, brackets and `|`: it runs no code.

    A call is read where it is one of our annotations', as in `Before(None)`.
    """
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            if not (isinstance(part.func, ast.Name) and part.func.id in ("Before", *_LIMITS)):
                return False
        elif isinstance(part, ast.Attribute):
            if not (isinstance(part.value, ast.Name) and part.value.id == "Effect"):
                return False
        elif not isinstance(part, _IN_A_TYPE):
            return False
    return True


_LIMITS = ("Ge", "Gt", "Le", "Lt", "MinLen")


def _of_arguments(module: str, arguments: ast.arguments, *, skip: int) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args][skip:]
    first_default = len(positional) - len(arguments.defaults)
    found: dict[str, Parameter] = {}
    for index, argument in enumerate(positional):
        found[argument.arg] = _parameter(module, argument, index < first_default)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found[argument.arg] = _parameter(module, argument, default is None)
    return Signature(found, open=arguments.kwarg is not None)


def _parameter(module: str, argument: ast.arg, required: bool) -> Parameter:
    if argument.annotation is None:
        return Parameter(Any, required)
    node = argument.annotation
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        node = ast.parse(node.value, mode="eval").body
    return Parameter(_evaluate(module, node), required)


def _from_import(target: str) -> Signature:
    found = locate(target)
    try:
        parameters = inspect.signature(found).parameters
    except ValueError:
        raise ValueError(f"{target!r} does not say which arguments it takes") from None
    function = found.__init__ if inspect.isclass(found) else found  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):
        hints = {}
    taken: dict[str, Parameter] = {}
    for name, parameter in parameters.items():
        if parameter.kind in (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL):
            continue
        hint = hints.get(name, Any)
        required = parameter.default is inspect.Parameter.empty
        taken[name] = Parameter(hint if _is_plain(hint) else Opaque, required)
    kinds = {parameter.kind for parameter in parameters.values()}
    return Signature(taken, open=inspect.Parameter.VAR_KEYWORD in kinds)


def _is_plain(hint: Any) -> bool:
    """Whether a config can hold such a value itself."""
    arguments = typing.get_args(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return True
    if origin is Annotated:
        return _is_plain(arguments[0])
    if arguments:
        return origin is not type and all(_is_plain(argument) for argument in arguments)
    return hint in (int, float, bool, str, type(None), list, dict, Any, collections.abc.Sequence)
