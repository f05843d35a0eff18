"""What is reported of a run beside its summary: the files, and what a failed audit says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NODES = "nodes.csv"
AUDITS = "audits.json"
FAILURES = {
    "company": "scores depend on the batch",
    "knowledge": "scores depend on links that the protocol hides",
    "training": "training sees target links that its sampler declares removed",
}
"""What a failed audit of a run says, by its name in summary.json."""


def with_later(audits: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """Audits by name, replaced by later ones; but what could not be made replaces nothing."""
    made = {
        name: audit
        for name, audit in later.items()
        if name not in audits or audit["passed"] is not None
    }
    return {**audits, **made}
