import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from runner.errors import Pruned, RunnerError
from runner.sweeps.study import space
from runner.sweeps.study import study_of as _study_of

TPE = {
    "sampler": {"_target_": "optuna.samplers.TPESampler", "seed": 5, "n_startup_trials": 3},
    "pruner": {
        "_target_": "optuna.pruners.MedianPruner",
        "n_startup_trials": 2,
        "n_warmup_steps": 2,
    },
    "storage": None,
    "study": None,
}
SPACE = {"lr": FloatDistribution(1e-4, 1.0, log=True), "model": CategoricalDistribution(["a", "b"])}


def study_of(folder, search, sweep="a1b2"):
    return _study_of(folder, sweep, search)


def override(line):
    return {"x": OverridesParser.create().parse_override(line)}


@pytest.mark.parametrize(
    ("line", "distribution"),
    [
        ("x=interval(0.5,1)", FloatDistribution(0.5, 1.0)),
        ("x=tag(log,interval(1e-4,1))", FloatDistribution(1e-4, 1.0, log=True)),
        ("x=int(interval(1,9))", IntDistribution(1, 9)),
        ("x=range(2,11,3)", IntDistribution(2, 8, step=3)),
        ("x=1e-3,a,true", CategoricalDistribution(["0.001", "a", "True"])),
        ("x=choice(gcn,gin)", CategoricalDistribution(["gcn", "gin"])),
    ],
)
def test_hydras_words_for_a_space(line, distribution):
    assert space(override(line)) == {"x": distribution}


@pytest.mark.parametrize("line", ["x=interval(2,1)", "x=tag(log,interval(0,1))", "x=range(0)"])
def test_an_empty_space_is_named(line):
    with pytest.raises(RunnerError, match="cannot be searched"):
        space(override(line))


def search(folder, jobs, stop_before=()):
    """The proposals of a search in which the value is lr itself."""
    found = []
    study = study_of(folder, TPE)
    for job in jobs:
        if job in stop_before:
            study = study_of(folder, TPE)
        found.append(study.propose(job, SPACE, 100))
        study.tell(job, float(found[-1]["lr"]), state="complete")
    return found


def test_a_stopped_search_proposes_what_it_would_have(tmp_path):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = search(tmp_path / "whole", range(8))
    stopped = search(tmp_path / "stopped", range(8), stop_before=(1, 2, 5))
    assert whole == stopped
    assert len({proposal["lr"] for proposal in whole}) == 8
    assert whole[0] == study_of(tmp_path / "whole", TPE).propose(0, SPACE, 100)  # asked again


def test_a_run_that_is_behind_is_given_up(tmp_path):
    study = study_of(tmp_path, TPE)
    for job in range(2):
        study.propose(job, SPACE, 100)
        told = study.judge(job)
        for epoch in range(1, 4):
            told(epoch, 0.5)
        study.tell(job, 0.5, state="complete")
    study.propose(2, SPACE, 100)
    told = study.judge(2)
    told(1, 0.1)  # too early to say
    with pytest.raises(Pruned, match="after epoch 2"):
        told(2, 0.1)
    study.tell(2, None, state="pruned")
    again = study_of(tmp_path, TPE)
    again.propose(3, SPACE, 100)
    again.judge(3)(2, 0.6)


def test_a_lost_trial_goes_on_and_a_failed_one_is_queued_again(tmp_path):
    study = study_of(tmp_path, TPE)
    proposal = study.propose(0, SPACE, 100)
    study.judge(0)(1, 0.3)
    lost = study_of(tmp_path, TPE)  # another process: the first was killed
    lost.judge(0)(1, 0.3)  # the epoch again
    lost.tell(0, None, state="fail")
    again = study_of(tmp_path, TPE)
    assert again.propose(0, SPACE, 100) == proposal
    again.judge(0)(1, 0.4)
    again.tell(0, 0.4, state="complete")
    again.tell(0, 0.4, state="complete")  # written down twice, where a kill came between
    states = [trial.state.name for trial in again._study.trials]
    assert states == ["FAIL", "COMPLETE"]


def test_sweeps_that_share_a_study_share_its_total(tmp_path):
    shared = {**TPE, "storage": f"sqlite:///{tmp_path / 'study.db'}", "study": "ours"}
    first, second = (study_of(tmp_path, shared, sweep) for sweep in ("one", "two"))
    proposals = [study.propose(job, SPACE, 5) for job in range(3) for study in (first, second)]
    assert proposals[-1] is None and None not in proposals[:-1]
    assert len({proposal["lr"] for proposal in proposals[:-1]}) == 5
    assert first.propose(0, SPACE, 5) == proposals[0]


def test_a_torn_line_of_a_killed_process_is_dropped(tmp_path):
    study = study_of(tmp_path, TPE)
    study.propose(0, SPACE, 100)
    journal = tmp_path / "study.journal"
    journal.write_bytes(journal.read_bytes() + b'{"op_code":4,"wor')
    again = study_of(tmp_path, TPE)
    again.tell(0, 0.5, state="complete")
    assert study_of(tmp_path, TPE)._study.best_value == 0.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sampler": {"_target_": "optuna.samplers.Nope"}}, "search.sampler: it cannot be made"),
        ({"pruner": {"_target_": "optuna.pruners.MedianPruner", "no": 1}}, "search.pruner: it"),
        ({"storage": "nope://x"}, "storage=nope://x: no study can be kept there"),
    ],
)
def test_what_optuna_refuses_is_one_sentence(tmp_path, change, message):
    with pytest.raises(RunnerError, match=message):
        study_of(tmp_path, {**TPE, **change}).propose(0, SPACE, 100)
