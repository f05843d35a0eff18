"""Why a pair has its score, for users: a table, a dict, a page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas

from runner.comparison.html import finite
from runner.comparison.writers import write_all
from runner.models.explanation import Explanation, Part
from runner.ops.csr import Graph
from runner.prediction.neighbourhood import Neighbour, Neighbourhood, neighbourhood
from runner.prediction.page import page

_IN_A_CELL = 10  # rows of the table below the page in a notebook


@dataclass(frozen=True, eq=False)
class PairExplanation:
    """What the score of a pair of nodes was computed from.

    Attributes:
        title: which model on which data.
        score: the logit, or what a heuristic gives.
        probability: of the link; None where scores are not calibrated.
        below: share of the test "links", and of the test "negatives", whose score is lower, in %,
            those with the same score counting half; without those that there are none of.
        known: whether the pair is a link of the data.
        facts: further values of the pair, by their names.
        table: see :meth:`as_table`.
        drawn: the nodes in the picture.
    """

    title: str
    score: float
    probability: float | None
    below: Mapping[str, float]
    known: bool
    facts: Mapping[str, float]
    table: pandas.DataFrame
    drawn: Neighbourhood

    def __repr__(self) -> str:
        return f"<{self.source.name} - {self.target.name}: score {self.score:.4g}>"

    @property
    def source(self) -> Neighbour:
        return self.drawn.source

    @property
    def target(self) -> Neighbour:
        return self.drawn.target

    def in_words(self) -> str:
        """Score, probability, and where they stand among those of the test, in a line."""
        chance = "" if self.probability is None else f", probability {self.probability:.2g}"
        above = " and ".join(
            f"{share:.0f} % of the test {name}" for name, share in self.below.items()
        )
        return (
            f"{self.source.name} - {self.target.name}: score {self.score:.4g}{chance}"
            f"{f', above {above}' if above else ''}; the data has "
            f"{'this link' if self.known else 'no such link'}"
            + "".join(f"; {name} {value:g}" for name, value in self.facts.items())
        )

    def as_table(self) -> pandas.DataFrame:
        """A row for each neighbour, the largest contribution first.

        Columns group, node, contribution (the score minus the score without the node, NaN where the
        model does not read nodes one by one), degree, and what else the model says of a node.
        """
        return self.table.copy()

    def as_dict(self) -> dict[str, Any]:
        """The same in numbers, texts, lists and dicts, as JSON takes them; None for no number."""
        ends = (self.source, self.target)
        source, target = ({"node": end.name, "degree": end.degree} for end in ends)
        return finite(
            {
                "title": self.title,
                "source": source,
                "target": target,
                "score": self.score,
                "probability": self.probability,
                "below": dict(self.below),
                "known": self.known,
                "facts": dict(self.facts),
                "neighbours": self.table.to_dict("records"),
            }
        )

    def page(self, path: str | Path) -> Path:
        """Write one HTML file with the picture and the table; it needs no network.

        Raises:
            RunnerError: if the file cannot be written.
        """
        write_all({Path(path): page(self)})
        return Path(path)

    def _repr_html_(self) -> str:
        frame = (
            f'<iframe sandbox="allow-scripts" srcdoc="{escape(page(self))}" '
            f'title="{escape(repr(self))}" style="width: 100%; height: 760px; border: 0"></iframe>'
        )
        rows = self.table.head(_IN_A_CELL).to_html(index=False, border=0)
        return f"{frame}<details><summary>as a table</summary>{rows}</details>"


def explain_pair(
    explanation: Explanation,
    pair: tuple[int, int],
    graph: Graph,
    names: Sequence[str | int],
    *,
    known: bool,
    title: str = "",
    probability: float | None = None,
    link_scores: np.ndarray | None = None,
    negative_scores: np.ndarray | None = None,
) -> PairExplanation:
    """Put an explanation into users' words.

    Args:
        pair: source and target, nodes of ``graph``, as those of ``explanation`` are.
        graph: that the score was computed on.
        names: of all nodes, (N,).
        known: whether the pair is a link of the data.
        title: which model on which data.
        link_scores, negative_scores: of the test, to compare with, in any order and shape.
    """
    table = pandas.concat([_rows(part, names) for part in explanation.parts], ignore_index=True)
    order = table["contribution"].abs().sort_values(ascending=False, kind="stable").index
    table = table.loc[order].reset_index(drop=True)
    compared = {"links": link_scores, "negatives": negative_scores}
    return PairExplanation(
        title=title,
        score=explanation.score,
        probability=probability,
        below={
            name: _percentage_below(scores, explanation.score)
            for name, scores in compared.items()
            if scores is not None and scores.size
        },
        known=known,
        facts=explanation.facts,
        table=table.drop(columns="number"),
        drawn=neighbourhood(table, pair, graph, names),
    )


def _rows(part: Part, names: Sequence[str | int]) -> pandas.DataFrame:
    """Of the nodes of a part, those of few neighbours first, since they say more of a pair."""
    columns = {name: column.cpu().numpy() for name, column in part.columns.items()}
    node = part.node.cpu().numpy()
    contribution = math.nan if part.contribution is None else part.contribution.cpu().numpy()
    rows = {
        "group": part.name,
        "node": [str(names[number]) for number in node.tolist()],
        "contribution": contribution,
        **columns,
        "number": node,
    }
    return pandas.DataFrame(rows).sort_values("degree", kind="stable")


def _percentage_below(scores: np.ndarray, score: float) -> float:
    return 50 * float((scores < score).mean() + (scores <= score).mean())
