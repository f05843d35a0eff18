from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
import torch

from runner.errors import RunnerError
from runner.models.heuristics import CommonNeighbours, ShortestPath
from runner.models.mixture import Mixture
from runner.models.ncn import NCN
from runner.models.predictor import View
from runner.ops.csr import Graph
from runner.storage import kept_scores
from runner.storage.kept_scores import Facts, KeptScores

GRAPH = Graph.from_networkx(nx.les_miserables_graph())
NONE = torch.empty(GRAPH.num_nodes, 0)
LINKS = torch.stack([GRAPH.row, GRAPH.col.long()])


@pytest.fixture
def kept():
    """The scores of a run, of 30 + 40 pairs in each split, all different."""
    chance = np.random.default_rng(0)
    code = chance.choice(GRAPH.num_nodes**2, 140, replace=False)
    pairs = np.stack([code // GRAPH.num_nodes, code % GRAPH.num_nodes])
    keys = [(split, side) for split in ("valid", "test") for side in kept_scores.SIDES]
    parts = np.split(pairs, [30, 70, 100], axis=1)
    facts = Facts(
        "0", 3, "data", dict.fromkeys(("valid", "test"), GRAPH.fingerprint), False, False, []
    )
    scores = {key: chance.normal(size=part.shape[1]) for key, part in zip(keys, parts, strict=True)}
    return KeptScores(facts, dict(zip(keys, parts, strict=True)), scores)


@pytest.fixture
def runs(tmp_path, kept):
    """runs(change of the facts of the second, …): the folders of two runs."""

    def write(**changed):
        other = replace(
            kept,
            scores={key: 3 * values**2 + 1 for key, values in kept.scores.items()},
            facts=replace(kept.facts, **changed),
        )
        for name, content in (("one", kept), ("other", other)):
            (tmp_path / name).mkdir(exist_ok=True)
            content = replace(
                content, scores={k: v.astype(np.float32) for k, v in content.scores.items()}
            )
            kept_scores.write(tmp_path / name, content)
        return [str(tmp_path / name) for name in ("one", "other")]

    return write


def build(folders):
    gate = {"cn": CommonNeighbours(), "sp": ShortestPath()}
    return Mixture(runs=folders, experts=["one", "other"], gate=gate, hidden=4)


def test_against_the_formula(runs, kept):
    torch.manual_seed(0)
    module = build(runs()).eval()
    module.prepare(GRAPH, LINKS)
    with torch.no_grad():
        module.scale.fill_(1.5)
        module.offset.fill_(-0.25)
    pairs = np.concatenate([kept.pairs["test", "negative"], kept.pairs["valid", "positive"]], 1)
    asked = torch.from_numpy(pairs)
    found = module(NONE, View.of(GRAPH, module.structure(GRAPH)), asked).detach().numpy()

    def both(split_sides):
        one = np.concatenate([kept.scores[key] for key in split_sides])
        return np.stack([one, 3 * one**2 + 1], 1)

    def heuristics(some):
        some = torch.from_numpy(some)
        values = [CommonNeighbours()(NONE, GRAPH, some), ShortestPath()(NONE, GRAPH, some)]
        return np.log1p(torch.stack(values, 1).numpy())

    valid = [("valid", side) for side in kept_scores.SIDES]
    scale = both(valid)
    z = (both([("test", "negative"), valid[0]]) - scale.mean(0)) / scale.std(0, ddof=1)
    of_valid = heuristics(np.concatenate([kept.pairs[key] for key in valid], 1))
    x = (heuristics(pairs) - of_valid.mean(0)) / of_valid.std(0, ddof=1)
    first, _, last = module.gate
    hidden = np.maximum(x @ first.weight.detach().numpy().T + first.bias.detach().numpy(), 0)
    logit = hidden @ last.weight.detach().numpy().T + last.bias.detach().numpy()
    weight = np.exp(logit) / np.exp(logit).sum(1, keepdims=True)
    assert np.ptp(weight) > 0.05
    np.testing.assert_allclose(found, 1.5 * (weight * z).sum(1) - 0.25, atol=1e-4)


def test_a_pair_that_no_run_has_scored_has_no_score(runs, kept):
    module = build(runs())
    module.prepare(GRAPH, LINKS)
    view = View.of(GRAPH, module.structure(GRAPH))
    known = torch.from_numpy(kept.pairs["test", "positive"])
    assert module(NONE, view, known).shape == (40 - 10,)
    code = {u * GRAPH.num_nodes + v for part in kept.pairs.values() for u, v in part.T.tolist()}
    new = next(c for c in range(GRAPH.num_nodes**2) if c not in code)
    pair = torch.tensor([[new // GRAPH.num_nodes], [new % GRAPH.num_nodes]])
    with pytest.raises(RunnerError, match=r"model\.runs: the runs have not scored 1 of these 2"):
        module(NONE, view, torch.cat([known[:, :1], pair], 1))


def test_scores_belong_to_the_graph_that_they_were_made_on(runs, kept):
    """The test graph may have the links of validation; then only its own scores count there."""
    larger = Graph.from_edges(torch.cat([LINKS, torch.tensor([[0], [76]])], 1), GRAPH.num_nodes)
    module = build(runs())
    with pytest.raises(RunnerError, match="another split or another seed"):
        module.structure(larger)
    graphs = {"valid": GRAPH.fingerprint, "test": larger.fingerprint}
    folders = runs(graphs=graphs)
    kept_scores.write(module.runs[0], replace(kept, facts=replace(kept.facts, graphs=graphs)))
    module = build(folders)
    assert len(module.structure(GRAPH)["key"]) == len(module.structure(larger)["key"]) == 70


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"learned_from_validation": True}, "has learned from links of validation"),
        ({"normalises_pairs": True}, "normalises the pairs"),
        ({"failed_audits": ["knowledge"]}, "has failed its audit of knowledge"),
        ({"data": "other"}, "another split or another seed"),
    ],
)
def test_runs_that_may_not_be_learned_from(runs, changed, said):
    with pytest.raises(RunnerError, match=f"model.runs: .*other .*{said}"):
        build(runs(**changed)).prepare(GRAPH, LINKS)


def test_a_run_without_scores_and_a_damaged_file(runs, tmp_path):
    folders = runs()
    with pytest.raises(RunnerError, match="stands twice"):
        build([folders[0], folders[0]])
    around = str(tmp_path / "other" / ".." / folders[0].rpartition("/")[2])
    with pytest.raises(RunnerError, match="stands twice"):
        build([folders[0], around]).prepare(GRAPH, LINKS)
    file = tmp_path / "other" / kept_scores.FILE
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(RunnerError, match="is damaged"):
        build(folders).prepare(GRAPH, LINKS)
    file.unlink()
    for use in (lambda m: m.prepare(GRAPH, LINKS), lambda m: m.structure(GRAPH), lambda m: m.reads):
        with pytest.raises(RunnerError, match=r"has no scores\.npz.*run\.keep_scores=true"):
            use(build(folders))


def test_a_checkpoint_goes_with_the_scores_that_it_has_learned_from(runs, kept):
    folders = runs()
    module, fresh = build(folders), build(folders)
    module.prepare(GRAPH, LINKS)
    fresh.load_state_dict(module.state_dict())
    assert fresh.reads == module.reads
    assert torch.equal(fresh.score_scale, module.score_scale)
    runs(epoch=4)
    assert len(build(folders).reads) == 2
    for changed in (lambda: fresh.reads, lambda: fresh.structure(GRAPH)):
        with pytest.raises(RunnerError, match="other have changed since"):
            changed()
    resumed = build(folders)
    resumed.prepare(GRAPH, LINKS)
    with pytest.raises(RunnerError, match="have changed since"):
        resumed.load_state_dict(module.state_dict())


def test_the_gate_reads_heuristics_alone(runs):
    gate = {"cn": CommonNeighbours(), "ncn": NCN(hidden=4)}
    with pytest.raises(RunnerError, match=r"model\.gate\.ncn: .* would have to be trained"):
        Mixture(runs=runs(), experts=["one", "other"], gate=gate, hidden=4)
