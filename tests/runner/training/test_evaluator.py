import pytest
import torch

from runner.data.candidates import Candidates
from runner.data.link_data import EvaluationSplit
from runner.errors import RunnerError
from runner.models.encoder import Encoder
from runner.models.link_model import LinkModel
from runner.models.predictor import Predictor
from runner.ops.csr import Graph
from runner.training.evaluator import RankingEvaluator
from runner.training.task import Inputs


class Identity(Encoder):
    def forward(self, features, graph, weight=None):
        return features


class Centred(Predictor):
    """Scores that depend on their company: the mean of the batch is taken from them."""

    def forward(self, h, view, pairs):
        return h[pairs[0], 0] - h[pairs[0], 0].mean()


class FirstFeature(Predictor):
    """Scores a pair by its source's feature, and remembers how many pairs it saw at a time."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, h, view, pairs):
        self.seen.append(pairs.shape[1])
        return h[pairs[0], 0]


@pytest.fixture
def scene():
    features = torch.arange(10.0).unsqueeze(1)
    graph = Graph.from_edges(torch.tensor([[0], [1]]), 10)
    return LinkModel(Identity(), FirstFeature()), Inputs(features, graph)


def pairs(*sources):
    return torch.tensor([sources, [0] * len(sources)], dtype=torch.int64)


def evaluator(metrics, select=None, batch_size=100):
    return RankingEvaluator(metrics=metrics, select=select, batch_size=batch_size)


def test_shared_negatives(scene):
    split = EvaluationSplit(positive=pairs(9, 5, 3, 1), negative=pairs(8, 4, 2))
    judge = evaluator(["hits@1", "hits@2", "hits@3"])
    judge.prepare({"valid": split})
    scores = judge.evaluate(*scene, split)
    assert scores == {"hits@1": 0.25, "hits@2": 0.5, "hits@3": 0.75}
    assert judge.selection == "hits@3"


def test_negatives_of_their_own(scene):
    negative = torch.stack([pairs(8, 7), pairs(9, 1)], dim=1)
    split = EvaluationSplit(positive=pairs(9, 5), negative=negative)
    judge = evaluator(["mrr"])
    judge.prepare({"valid": split})
    assert judge.evaluate(*scene, split) == {"mrr": pytest.approx((1 + 1 / 2) / 2)}
    assert judge.selection == "mrr"


def test_batch_size_bounds_the_pairs_and_changes_nothing(scene):
    split = EvaluationSplit(positive=pairs(*range(9)), negative=pairs(5, 6, 7))
    results = []
    for size in (1, 4, 100):
        judge = evaluator(["hits@2", "mrr"], batch_size=size)
        judge.prepare({"valid": split})
        scene[0].predictor.seen.clear()
        results.append(judge.evaluate(*scene, split))
        assert max(scene[0].predictor.seen) <= size
    assert results[0] == results[1] == results[2]


def test_mixed_company_changes_what_depends_on_the_batch_alone(scene):
    """Of each pair the score stays its own, whatever order the pairs are scored in."""
    split = EvaluationSplit(pairs(9, 7, 5, 3), torch.stack([pairs(8, 2), pairs(6, 1)] * 2, dim=1))
    model, inputs = scene
    for predictor, alike in ((model.predictor, True), (Centred(), False)):
        found = []
        for company in ("apart", "mixed", "mixed"):
            judge = RankingEvaluator(metrics=["mrr"], select=None, batch_size=4, company=company)
            judge.prepare({"valid": split})
            found.append(judge.evaluate(LinkModel(Identity(), predictor), inputs, split)["mrr"])
        assert (found[0] == found[1]) == alike and found[1] == found[2]


def test_nodes_are_ranked_beside_pairs_and_the_summary_says_how_many(scene):
    """A candidate's score is its query's feature: all candidates of a node tie."""
    links = pairs(9, 5)
    candidates = Candidates(10, torch.tensor([[9], [1]]), directed=True)
    split = EvaluationSplit(links, pairs(8, 4, 2), candidates)
    judge = evaluator(["hits@1", "ndcg@10", "recall@1"], select="ndcg@10")
    judge.prepare({"valid": split})
    scores = judge.evaluate(*scene, split)
    assert scores["recall@1"] == pytest.approx((1 / 8 + 1 / 9) / 2)  # 9 is known to be linked to 1
    assert list(scores) == ["hits@1", "ndcg@10", "recall@1"]
    assert judge.facts == {"ranked": {"valid": {"nodes": 2, "of": 2}}}


def test_a_sample_of_nodes_is_told(scene, caplog):
    split = EvaluationSplit(pairs(9, 5, 3), pairs(8, 4), Candidates(10, pairs(), directed=True))
    judge = RankingEvaluator(metrics=["node_mrr"], select=None, batch_size=7, queries=2)
    judge.prepare({"test": split})
    assert judge.facts == {"ranked": {"test": {"nodes": 2, "of": 3}}}
    assert "test: 2 of the 3 nodes with a link are ranked" in caplog.text
    assert judge.evaluate(*scene, split) == {"node_mrr": pytest.approx(1 / 5)}


def test_k_above_the_negatives_is_refused():
    split = EvaluationSplit(positive=pairs(1), negative=pairs(2, 3))
    with pytest.raises(RunnerError, match=r"hits@3 needs at least 3 negatives, the test split has"):
        evaluator(["hits@3"]).prepare({"test": split})


@pytest.mark.parametrize(
    ("negatives", "names"),
    [
        (3000, ["hits@20", "hits@50", "hits@100", "mrr"]),
        (2400, ["hits@10", "hits@20", "hits@50", "mrr"]),
        (25, ["hits@1", "mrr"]),
        (1, ["hits@1", "mrr"]),
    ],
)
def test_automatic_k_follows_the_negatives(negatives, names):
    judge = evaluator(None)
    split = EvaluationSplit(positive=pairs(1), negative=torch.zeros(2, negatives, dtype=torch.long))
    judge.prepare({"valid": split})
    assert [metric.name for metric in judge.metrics] == names
    assert judge.selection == names[-2]


def test_select_must_be_a_metric():
    split = EvaluationSplit(positive=pairs(1), negative=torch.zeros(2, 99, dtype=torch.long))
    with pytest.raises(RunnerError, match=r"select=mrr: the metrics of this run are hits@10"):
        evaluator(["hits@10"], select="mrr").prepare({"valid": split})


def test_all_ties_are_told_once(scene, caplog):
    """As a predictor that has collapsed gives them."""
    split = EvaluationSplit(positive=pairs(4, 4), negative=pairs(4, 4, 4))
    judge = evaluator(["hits@2"])
    judge.prepare({"valid": split})
    for _ in range(2):
        judge.evaluate(*scene, split)
    assert [record.message for record in caplog.records] == [
        "every pair has the score 4: all tie, and the metrics say nothing"
    ]
