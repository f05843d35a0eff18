"""The short names of metrics, for all who read one, without torch."""

from __future__ import annotations

import re

PLAIN = ("mrr", "auc", "ap", "node_mrr")
AT_K = ("hits", "precision", "recall", "ndcg")

IN_WORDS = f"{', '.join(PLAIN)} or {', '.join(f'{name}@K' for name in AT_K)}, as hits@50"
PATTERN = rf"(?:{'|'.join(PLAIN)}|(?:{'|'.join(AT_K)})@[1-9]\d*)"


def is_name(text: str) -> bool:
    """Whether `text` is the short name of a metric."""
    return re.fullmatch(PATTERN, text) is not None
