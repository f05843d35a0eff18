"""A trained run in use, against the scores that its evaluation has measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import runner as public
from runner.errors import RunnerError
from runner.storage.seal import read_lines, sealed_lines
from runner.training.named_metrics import parse_metric

QUICK = ("dataset=lesmis", "tracker=none", "train.epochs=3", "encoder.hidden=16")


@pytest.fixture
def folder(made_once):
    return made_once("model=ncnc", *QUICK)


@pytest.fixture
def run(folder):
    return public.load(folder)


def test_scores_give_the_metrics_of_the_run(run):
    test = run._trained.data.test
    positive, negative = (
        torch.from_numpy(run.score(run.nodes.of(pairs.T.flatten()).reshape(-1, 2)))
        for pairs in (test.positive, test.negative)
    )
    for name, value in run.metrics["test"].items():
        assert parse_metric(name)(positive, negative) == pytest.approx(value)


def test_top_is_the_best_of_all_scores(run):
    frame = run.top("Valjean", 5)
    others = [name for name in run.nodes if name != "Valjean"]
    scores = run.score([("Valjean", name) for name in others])
    known = run.top("Valjean", 77, include_known=True).set_index("target")["known"]
    best = sorted(
        ((s, n) for s, n in zip(scores, others, strict=True) if not known[n]), reverse=True
    )[:5]
    assert frame["target"].tolist() == [name for _, name in best]
    assert np.array_equal(frame["score"], [score for score, _ in best])
    assert set(frame["source"]) == {"Valjean"}
    assert known.sum() == 36  # all that he meets, in whatever part


def test_the_graph_of_all_links_gives_other_scores(folder, run):
    everything = public.load(folder, graph="all")
    pair = [("Cosette", "Javert")]
    assert everything.score(pair)[0] != run.score(pair)[0]
    with pytest.raises(RunnerError, match="graph=train: which links"):
        public.load(folder, graph="train")


def test_embeddings_and_names(run):
    assert run.embeddings().shape == (77, 16)
    assert run.embeddings().dtype == np.float32
    assert run.nodes[0] == "Napoleon"
    assert run.config["model"]["_target_"].endswith("NCNC")


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (
            lambda run: run.score([("Valjean", "Javer")]),
            "Javer: no node has this name; near are Jav",
        ),
        (lambda run: run.score([("Javert", "Javert")]), "Javert with itself is no pair"),
        (lambda run: run.top("Javert", 0), "k=0: it takes"),
        (lambda run: run.top("Javert", 1.5), "k=1.5: it takes"),
        (lambda run: run.top("Javert", side="target"), "side=target: this graph is not bipartite"),
        (lambda run: run.top("Javert", side="left"), "side=left: say source or target"),
        (lambda run: run.top_links(1, within="ab"), "within=ab: it takes several"),
        (lambda run: run.top_links(1, threshold="high"), "threshold=high: it is a probability"),
        (lambda run: run.score([("Javert", None)]), "None: an empty cell is no node"),
        (
            lambda run: public.load(run.folder, overrides=["train.epochs=9"]),
            "train.epochs=9: a trained run stays as it is",
        ),
        (lambda run: public.load(run.folder, overrides="dataset.root=x"), "give a list"),
    ],
)
def test_mistakes_are_told(run, ask, message):
    with pytest.raises(RunnerError, match=message):
        ask(run)


def test_a_threshold_without_calibration_is_refused_before_anything_is_scored(run, monkeypatch):
    def refuse(*_):
        raise RunnerError("no validation")

    monkeypatch.setattr("runner.prediction.run.calibration_of", refuse)
    monkeypatch.setattr(
        "runner.prediction.top_links.find_top_links", lambda *_, **__: pytest.fail("scored")
    )
    with pytest.raises(RunnerError, match="no validation"):
        run.top_links(threshold=0.5)


def test_numbers_of_numpy_are_numbers(run):
    assert len(run.top("Javert", np.int64(2))) == 2


def test_folders_that_are_no_runs_or_have_no_weights(tmp_path, copied):
    with pytest.raises(RunnerError, match=r"^/.*/none: there is no such folder"):
        public.load(tmp_path / "none")
    with pytest.raises(RunnerError, match=r"latest: no run in .* has weights"):
        public.load("latest")
    folder = copied("outputs/a", "model=ncnc", *QUICK)
    assert public.load("latest").folder == folder
    (folder / "checkpoints" / "best.pt").unlink()
    with pytest.raises(RunnerError, match=r"no weights here \(best.pt is missing\)"):
        public.load(folder)


def test_a_changed_graph_is_refused(tmp_path, copied):
    file = tmp_path / "g.csv"
    rows = [f"n{i},n{j}" for i in range(20) for j in range(i) if (i * j) % 3 == 1]
    file.write_text("source,target\n" + "\n".join(rows))
    own = ("dataset=edges", f"dataset.path={file}", "model=cn", "tracker=none")
    folder = copied("b", *own)
    assert public.load(folder).score([("n1", "n4")]).shape == (1,)
    file.write_text("source,target\n" + "\n".join(rows[1:]))
    with pytest.raises(RunnerError, match="the dataset has changed since"):
        public.load(folder)


def test_a_class_that_is_not_ours_is_not_run(copied):
    folder = copied("c", "model=ncnc", *QUICK)
    config = folder / "config.yaml"
    text = read_lines(config.read_text()).replace("runner.models.ncnc.NCNC", "os.system")
    config.write_text(sealed_lines(text))
    with pytest.raises(RunnerError, match=r"runs os.system \(model._target_\)"):
        public.load(folder)


def test_scores_that_are_no_numbers_are_refused(run):
    with torch.no_grad():
        next(run._trained.model.predictor.parameters()).fill_(float("nan"))
    for ask in (lambda: run.top("Valjean"), lambda: run.score([("Valjean", "Javert")])):
        with pytest.raises(RunnerError, match="no numbers"):
            ask()


def test_pairs_that_are_normalised_together_are_told(folder, monkeypatch, caplog):
    monkeypatch.setattr("runner.models.ncnc.NCNC.normalises_pairs", True)
    public.load(folder)
    assert "normalises pairs that are scored together" in caplog.text
