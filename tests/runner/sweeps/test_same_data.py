"""A sweep on the user's own file goes on with the graph that its jobs have seen, or not at all."""

from __future__ import annotations

import pytest
from tests.runner.experiment.test_same_data import LINKS, QUICK, write

from runner.sweeps.ledger import Ledger


def jobs(tmp_path):
    return Ledger(tmp_path / "sw").jobs()


@pytest.fixture
def swept(runner, tmp_path):
    sweep = ("-m", *QUICK, write("graph.csv"), "train.epochs=1", "hydra.sweep.dir=sw")
    assert runner(*sweep, "seed=0,1")[0] == 0
    return sweep


def test_a_sweep_on_a_changed_file_stops_before_any_job(runner, tmp_path, swept):
    before = jobs(tmp_path)
    assert [job.folder for job in before] == ["graph/ncn/0", "graph/ncn/1"]
    write("graph.csv", LINKS[:-5])
    extended = (*swept, "seed=0,1,2", "hydra.sweeper.extend=true")
    for command in (("-m", "resume=sw"), (*swept, "seed=0,1"), extended):
        code, out, err = runner(*command)
        assert code == 1 and "job 0 in graph/ncn/0: the dataset has changed" in err, out + err
        assert f"{len(LINKS)} links then, 20 and {len(LINKS) - 5} now" in err
        assert "begin another sweep: hydra.sweep.dir=…" in err
        assert jobs(tmp_path) == before
    write("graph.csv")
    assert "this sweep is finished" in runner("-m", "resume=sw")[1]
    code, out, err = runner(*extended)
    assert code == 0 and [job.state for job in jobs(tmp_path)] == ["done"] * 3, out + err


def test_the_same_path_in_another_folder_is_another_file(runner, tmp_path, swept, monkeypatch):
    other = tmp_path / "other"
    write("other/graph.csv", LINKS[3:])
    monkeypatch.chdir(other)
    elsewhere = [word.replace("dir=sw", "dir=../sw") for word in swept]
    code, out, err = runner(*elsewhere, "seed=0,1")
    assert code == 1 and "the dataset has changed" in err, out
    write("graph.csv")
    code, out, err = runner(*elsewhere, "seed=0,1")
    assert code == 0 and "this sweep is finished" in out, err


def test_a_file_is_read_once_for_all_its_jobs(runner, tmp_path, swept, monkeypatch):
    from runner.experiment import build

    read, original = [], build.load_data
    monkeypatch.setattr(build, "load_data", lambda config: read.append(1) or original(config))
    assert runner("-m", "resume=sw")[0] == 0
    assert len(read) == 1


def test_a_sweep_over_splits_of_the_files_stops_where_they_have_changed(runner, tmp_path):
    from tests.runner.experiment.test_same_data import timed

    sweep = ("-m", *QUICK, *timed("graph.csv"), "train.epochs=1", "hydra.sweep.dir=sw",
             "protocol.split.test=0.2,0.3", "seed=0,1")  # fmt: skip
    assert runner(*sweep)[0] == 0
    code, out, err = runner(*sweep)
    assert code == 0 and "this sweep is finished" in out, err
    timed("graph.csv", backwards=True)
    code, out, err = runner(*sweep)
    assert code == 1 and "the graph is the same, its split is another" in err, out + err
