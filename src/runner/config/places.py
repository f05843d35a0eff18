"""The places of a run's components: what each is, and what it is given when it is built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A node of the config that a component is built from.

    Attributes:
        needs: attributes that the rest of the program asks of it.
        given: arguments that only a run knows, and no config.
    """

    needs: tuple[str, ...]
    given: frozenset[str] = frozenset()


_MODULE = ("parameters", "state_dict", "forward")
PLACES = {
    "encoder": Place(_MODULE, frozenset({"num_features", "num_categories"})),
    "model": Place(_MODULE),
    "sampler": Place(
        ("epoch", "batch_size", "__len__"),
        frozenset({"graph", "targets", "negatives", "generators"}),
    ),
    "encoding": Place(("prepare", "view")),
    "evaluator": Place(("prepare", "evaluate")),
    "tracker": Place(("start", "log", "finish", "upload_command", "url")),
    "dataset.source": Place(("train", "valid", "test", "features", "fingerprint")),
    "dataset.negatives": Place(("epoch",)),
}
