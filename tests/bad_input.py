"""An input that `runner` must refuse: a command line, and the files that it names."""

from __future__ import annotations

from dataclasses import dataclass

# What a run of few seconds needs, should the input turn out to be good.
QUICK = (
    "dataset=lesmis", "model=ncn", "tracker=none", "train.epochs=1", "encoder.hidden=8",
    "hardware.threads=1",
)  # fmt: skip
QUICK_EDGES = ("dataset=edges", *QUICK[1:])
FINISHED = "finished"  # the folder of a run that has all its epochs


@dataclass(frozen=True)
class BadInput:
    """A command line and the files that it names.

    Attributes:
        kind: in which way it is bad.
        names: the message holds one of them.
        certain: whether it cannot be good; what was damaged at random can.
        jobs: runs that it asks for, each of which may say what is wrong.
    """

    kind: str
    arguments: tuple[str, ...]
    names: tuple[str, ...] = ()
    files: tuple[tuple[str, bytes | None], ...] = ()  # None: a folder
    certain: bool = True
    jobs: int = 1


def shown(bad: BadInput) -> str:
    """An input in one line, for a list of failures."""
    own = [a for a in bad.arguments if a not in QUICK_EDGES and a not in QUICK]
    text = repr(own)
    return f"{bad.kind}: {text if len(text) < 300 else text[:300] + '…'}"
