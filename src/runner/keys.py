"""Facts of config keys, as annotations: what values a key takes and what it changes.

A section of the config (`runner.config.schema`) and the signature of a component are annotated with
them, as in `hidden: Width`: there is no other list of keys. Nothing here imports torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Annotated, Any, TypeVar

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen


class Effect(Enum):
    """What a key changes. It decides which runs are repeats, and what a resume may change."""

    RESULT = auto()  # what a run computes; every key that says nothing else
    LENGTH = auto()  # how long a run computes: a resume may change it
    SOURCE = auto()  # the user's own file, part of what a run is; it may have moved at a resume
    PLACE = auto()  # where something lies
    SAVING = auto()  # what is saved, and when
    MACHINE = auto()  # where a run computes and who is told
    EQUAL = auto()  # how much at a time, and what else is measured: a figure stays, up to rounding
    SEED = auto()  # chance, by which repeats are told apart
    LABEL = auto()  # names and published figures, from which nothing is computed


@dataclass(frozen=True)
class Before:
    """A key that came later, and the value that stands for what runs did before it existed.

    Attributes:
        only_with: the key beside it without which (None) it has no effect, whatever its value.
    """

    value: Any
    only_with: str | None = None


IN_CONFIG = object()
_T = TypeVar("_T")
InConfig = Annotated[_T, IN_CONFIG]  # a config has to give it; the default is for Python alone

Probability = Annotated[float, Ge(0), Lt(1)]
Fraction = Annotated[float, Ge(0), Le(1)]
Rates = Annotated[list[Fraction], MinLen(2), MaxLen(2)]  # one for each of two views
Share = Annotated[float, Gt(0), Lt(1)]
NotNegative = Annotated[float, Ge(0)]
Weight = Annotated[float, Gt(0), Le(1)]
Positive = Annotated[float, Gt(0)]
Noise = Annotated[float, Ge(0), Le(1e6)]
Multiple = Annotated[float, Gt(0), Le(1e6)]
PositiveInt = Annotated[int, Gt(0), Lt(2**31)]
AtATime = Annotated[int, Gt(0), Lt(2**31), Effect.EQUAL]
FanOuts = Annotated[list[PositiveInt], MinLen(1)]
Width = Annotated[int, Gt(0), Le(65_536)]
Bins = Annotated[int, Ge(2), Le(1000)]
Layers = Annotated[int, Ge(0), Le(1000)]
Depth = Annotated[int, Gt(0), Le(10)]
LearningRate = Annotated[float, Ge(0), Le(1e30)]  # beyond, a step is no float32
Seconds = Annotated[float, Gt(0), Le(1e9)]  # a timer knows no longer time
Seed = Annotated[int, Ge(0), Lt(2**63)]
RunSeed = Annotated[int, Ge(0), Lt(2**63), Effect.SEED]
Text = Annotated[str, MinLen(1)]
Folder = Annotated[str, MinLen(1), Effect.PLACE]

# Of an edge table: nothing is said of its columns.
NO_COLUMNS = {"source": None, "target": None, "weight": None, "time": None}
