"""Which runs a workspace or report is of, and how its table shows them."""

from __future__ import annotations

from dataclasses import dataclass

# Of the runs' table, beside the name; W&B shows the mean over the runs of a group.
COLUMNS = (
    "summary:selected/test", "summary:selected/valid", "summary:select", "summary:best_epoch",
    "summary:seconds", "summary:peak_memory_gib", "config:seed.value", "run:state",
)  # fmt: skip


@dataclass(frozen=True)
class Runs:
    """The runs of a project, or some of them.

    Attributes:
        entity: W&B team or user.
        project: W&B project.
        dataset: only the runs on this one; None for all.
        sweep: only the jobs of the sweep of this name; None for all.
    """

    entity: str
    project: str
    dataset: str | None = None
    sweep: str | None = None

    @property
    def title(self) -> str:
        """ "Runs on cora, sweep spring"."""
        on = f"Runs on {self.dataset}" if self.dataset else "All runs"
        return f"{on}, sweep {self.sweep}" if self.sweep else on

    @property
    def wanted(self) -> dict[str, str]:
        """The values of the config's columns that they share."""
        given = {"run/dataset": self.dataset, "sweep/name": self.sweep}
        return {key: value for key, value in given.items() if value is not None}
