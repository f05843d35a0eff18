"""The three graphs that PyG's RandomLinkSplit gives, saved together: a split of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeGuard

import torch
from torch import Tensor

from runner.data.reading.raw_graph import RawGraph
from runner.data.reading.user_file import is_plain
from runner.errors import RunnerError

_NAMES = (("train",), ("val", "valid", "validation"), ("test",))
_LABELLED = ("edge_label_index", "pos_edge_label_index")

Store = Mapping[str, object]


def store_of(loaded: object) -> dict[str, object]:
    """What a PyG `Data` or a dict holds, by name; nothing of anything else."""
    if isinstance(loaded, Mapping):
        return {str(key): value for key, value in loaded.items()}
    with contextlib.suppress(Exception):  # something else, or a damaged Data
        return dict(vars(loaded)["_store"])
    return {}


def find_split(loaded: object) -> list[Store] | None:
    """Train, validation and test, where a sequence or a dict of three has their labels."""
    parts: list[object] = []
    if isinstance(loaded, Mapping) and len(loaded) == len(_NAMES):
        parts = [loaded[name] for names in _NAMES for name in names if name in loaded]
    elif isinstance(loaded, Sequence) and not isinstance(loaded, str):
        parts = list(loaded)
    stores = [store_of(part) for part in parts]
    if len(stores) == len(_NAMES) and all(any(k in s for k in _LABELLED) for s in stores):
        return list(stores)
    return None


def read_split(file: Path, train: RawGraph, stores: Sequence[Store]) -> RawGraph:
    """The links of all parts, and the negatives of validation and test.

    Args:
        train: the graph of training, of its `edge_index`.
        stores: of train, validation and test.

    Raises:
        RunnerError: if labels are missing or make no sense.
    """
    supervised, *scored = (_labelled(file, store) for store in stores)
    further = _without(supervised[0], train.edges)
    rows = {"train": torch.cat([train.edges, further], dim=1)}
    for name, (positive, _) in zip(("valid", "test"), scored, strict=True):
        rows[name] = positive
    for name, (_, negative) in zip(("valid", "test"), scored, strict=True):
        if negative.shape[1]:
            rows[f"{name}_negatives"] = negative
    notes = ["took the split that RandomLinkSplit has made"]
    if supervised[1].shape[1]:
        notes.append(f"{supervised[1].shape[1]} negatives of training are not used: runs draw them")
    if further.shape[1]:
        notes.append(f"{further.shape[1]} training links are only in edge_label_index of its part")
    seen = stores[2].get("edge_index")
    _refuse_classes(file, torch.cat([supervised[1], scored[0][1]], dim=1), seen)
    if _is_pairs(seen) and not _without(rows["valid"], seen).shape[1]:
        notes.append(
            "its test part sees the validation links, a run does with "
            "protocol.validation_edges_in_test_graph=true"
        )
    return RawGraph(
        torch.cat(list(rows.values()), dim=1),
        num_nodes=train.num_nodes,
        features=train.features,
        notes=(*train.notes, *notes),
        facts={**train.facts, "shape": "RandomLinkSplit"},
        parts={name: part.shape[1] for name, part in rows.items()},
    )


def _refuse_classes(file: Path, negatives: Tensor, seen: object) -> None:
    """Refuse labels 0 of links: without negatives PyG leaves classes as they are, from 0."""
    if not _is_pairs(seen) or not negatives.numel():
        return
    size = int(torch.cat([negatives, seen], dim=1).max()) + 1
    count = int(torch.isin(*(part[0] * size + part[1] for part in (negatives, seen))).sum())
    if count:
        _refuse(
            file,
            f"edge_label is 0 for {count} links, as where it counts classes from 0; set it to 1 "
            "for all links before the split",
        )


def _labelled(file: Path, store: Store) -> tuple[Tensor, Tensor]:
    """The positives and the negatives of a part, (2, P) and (2, K) int64."""
    positive, negative = (store.get(f"{sign}_edge_label_index") for sign in ("pos", "neg"))
    if positive is None:
        pairs, label = store.get("edge_label_index"), store.get("edge_label")
        if not _is_pairs(pairs):
            _refuse(file, "edge_label_index is no tensor of whole numbers of shape (2, M)")
        if not is_plain(label) or label.shape != pairs.shape[1:]:
            _refuse(file, "edge_label has not one label for each column of edge_label_index")
        is_link = label > 0  # classes of links count from 1
        positive, negative = pairs[:, is_link], pairs[:, ~is_link]
    if negative is None:
        negative = positive[:, :0] if _is_pairs(positive) else None
    if not _is_pairs(positive) or not _is_pairs(negative):
        _refuse(file, "pos_ and neg_edge_label_index are no tensors of whole numbers, (2, M)")
    return positive.to(torch.int64), negative.to(torch.int64)


def _is_pairs(x: object) -> TypeGuard[Tensor]:
    return (
        is_plain(x) and x.layout == torch.strided and x.dim() == 2 and x.shape[0] == 2
        and not (x.is_floating_point() or x.is_complex() or x.dtype == torch.bool)
    )  # fmt: skip


def _without(pairs: Tensor, others: Tensor) -> Tensor:
    """The pairs that are not among others, in either direction."""
    size = int(torch.cat([pairs, others], dim=1).max()) + 1 if pairs.numel() else 1
    mine, theirs = (low * size + high for low, high in
                    (part.sort(dim=0).values for part in (pairs, others)))  # fmt: skip
    return pairs[:, ~torch.isin(mine, theirs)]


def _refuse(file: Path, what: str) -> NoReturn:
    raise RunnerError(f"dataset.path={file}: it looks like RandomLinkSplit's parts, but {what}")
