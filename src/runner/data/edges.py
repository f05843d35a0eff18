"""A user's own graph, from a file of edges and an optional file of node features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from runner.data.link_data import LinkData
from runner.data.reading.given_parts import part_files
from runner.data.reading.graph_cache import read_once
from runner.data.reading.raw_graph import TableKeys
from runner.data.reading.read_graph import Given, read_graph
from runner.data.reading.user_file import existing_file
from runner.data.whole_graph import LinkSplit, split_data
from runner.errors import RunnerError
from runner.keys import NO_COLUMNS, Before, Bins, Effect, PositiveInt, Text


def edge_file(
    *,
    path: Annotated[Text, Effect.SOURCE],
    features: Annotated[Text | None, Effect.SOURCE],
    nodes: Annotated[Text | None, Effect.SOURCE, Before(None)] = None,
    bins: Annotated[Bins | None, Before(None)] = None,
    num_nodes: PositiveInt | None = None,
    columns: Annotated[Mapping[str, Text | int | None] | None, Before(NO_COLUMNS)] = None,
    header: Annotated[bool | None, Before(None)] = None,
    separator: Annotated[Text | None, Before(None)] = None,
    encoding: Annotated[Text | None, Before(None)] = None,
    key: Annotated[Text | None, Before(None)] = None,
    directed: Annotated[bool | None, Before(None)] = None,
    bipartite: Annotated[bool | None, Before(None)] = None,
    cache: Annotated[Text | None, Effect.PLACE, Before(None)] = None,
    valid: Annotated[Text | None, Effect.SOURCE, Before(None)] = None,
    test: Annotated[Text | None, Effect.SOURCE, Before(None)] = None,
    valid_negatives: Annotated[Text | None, Effect.SOURCE, Before(None)] = None,
    test_negatives: Annotated[Text | None, Effect.SOURCE, Before(None)] = None,
    split: LinkSplit,
) -> LinkData:
    """Read a graph; taken as simple and undirected unless `directed`.

    Args:
        path: a text with a link in each row, or another kind of docs/own-graph.md.
        features: a row of numbers for each node, taken as they are: `.npy`, SciPy `.npz` or a
            `.pt` tensor, or a table, whose rows are joined by the nodes' ids where a column has
            them. Without features every node learns an embedding.
        nodes: the same, its numbers standardised and its categories one-hot.
        bins: of a column of numbers in `nodes`, which becomes as many categories, by value.
        num_nodes: of the graph, where nodes without a link are more than the file has.
        columns: of a table: names, or numbers from 0, of `source`, `target`, `weight`, `time`.
        header, separator, encoding: of a table; None is found out.
        key: of the matrix or array, in a `.mat` or `.npz` with several.
        directed: links are ordered pairs; else reversed copies are merged.
        bipartite: True: sources and targets are two kinds of nodes, whatever their ids; False: two
            columns of different kinds hold the same nodes.
        cache: folder that keeps what was read, for later runs; None keeps nothing.
        valid, test: files of these links, where `path` has those of training alone.
        valid_negatives, test_negatives: files of pairs to score them against.

    Raises:
        RunnerError: if a file is missing, damaged or makes no sense; names the key and the remedy.
    """
    if bins is not None and nodes is None:
        raise RunnerError(
            f"dataset.bins={bins}: it makes categories of the numbers in dataset.nodes; give that "
            "table, or leave it out"
        )
    file = existing_file("dataset.path", path)
    parts = part_files(
        file, valid=valid, test=test,
        valid_negatives=valid_negatives, test_negatives=test_negatives,
    )  # fmt: skip
    table = TableKeys(columns or {}, header, separator, encoding, bipartite)
    given = Given(file, table, parts, features, nodes, num_nodes, key, directed, bins)
    graph = read_once(cache, list(given.inputs.values()), given.settings, lambda: read_graph(given))
    return split_data(
        graph.whole,
        split,
        features=graph.features,
        standardised=graph.standardised,
        bins=bins,
        names=graph.names,
        notes=graph.notes,
        facts=graph.facts,
    )
