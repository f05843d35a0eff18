from dataclasses import replace

import pytest

from runner.errors import RunnerError
from runner.sweeps.definition import Definition, added

GRID = Definition(
    identity="a1b2c3d4",
    arguments=["model=a,b"],
    directory="/home/x",
    config={"train": {"epochs": 3, "lr": "${tuned:train.lr,0.1}"}},
    swept={"model": "a,b"},
    paired=[],
    search=None,
    trials=None,
)


def test_it_round_trips_and_damage_is_noticed(tmp_path):
    GRID.write(tmp_path)
    assert Definition.read(tmp_path) == GRID
    text = (tmp_path / "sweep.yaml").read_text()
    (tmp_path / "sweep.yaml").write_text(text.replace("epochs: 3", "epochs: 4"))
    with pytest.raises(RunnerError, match=r"sweep\.yaml cannot be read \(its checksum"):
        Definition.read(tmp_path)
    with pytest.raises(RunnerError, match=r"resume=.*nowhere: there is no sweep"):
        Definition.read(tmp_path / "nowhere")


def test_of_two_that_begin_at_once_one_defines(tmp_path):
    GRID.begin(tmp_path)
    replace(GRID, identity="late").begin(tmp_path)
    assert Definition.read(tmp_path) == GRID
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.yaml"]


def test_the_same_sweep_goes_on_wherever_it_is_typed(tmp_path):
    other = replace(GRID, identity="x", arguments=["hydra/launcher=joblib"], directory="/elsewhere")
    other.refuse_change(GRID, tmp_path, extend=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": {"train": {"epochs": 5, "lr": "${tuned:train.lr,0.1}"}}},
         r"leave that out.*\n  train\.epochs: 3 then, 5 now$"),
        ({"config": {**GRID.config, "new": 1}}, r"new: not there then, 1 now$"),
        ({"paired": [["model", "seed"]]}, "paired"),
        ({"search": {"sampler": {"seed": 1}}}, r"search\.sampler\.seed: not there then, 1 now"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("extend", [True, False])
def test_another_sweep_is_refused(tmp_path, change, message, extend):
    with pytest.raises(RunnerError, match=message):
        replace(GRID, **change).refuse_change(GRID, tmp_path, extend=extend)


NEGATIVES = {"_target_": "runner.training.negatives.UniformNonEdges", "per_positive": 1}


def test_a_key_that_a_column_may_give_by_now_and_one_that_came_later_change_no_sweep(tmp_path):
    earlier = replace(GRID, config={"train": {"epochs": 3, "lr": 0.1}, "negatives": NEGATIVES})
    tuned = {**NEGATIVES, "redraw": "${tuned:redraw,true}"}
    today = replace(GRID, config={**GRID.config, "negatives": tuned})
    today.refuse_change(earlier, tmp_path, extend=False)
    drawn_once = {**NEGATIVES, "redraw": False}
    with pytest.raises(RunnerError, match=r"negatives\.redraw: True then, False now$"):
        replace(today, config={**GRID.config, "negatives": drawn_once}).refuse_change(
            earlier, tmp_path, extend=False
        )


@pytest.mark.parametrize(
    "earlier",
    [
        replace(GRID, config={"train": {"epochs": 3, "lr": 0.2}}),
        replace(GRID, config={"train": {"epochs": 3, "lr": 0.1}}, arguments=["train.lr=0.1"]),
    ],
)
def test_a_value_of_ones_own_is_no_default_of_today(tmp_path, earlier):
    with pytest.raises(RunnerError, match=r"train\.lr: 0\.. then, \$\{tuned"):
        GRID.refuse_change(earlier, tmp_path, extend=False)


@pytest.mark.parametrize("change", [{"swept": {"model": "a,b,c"}}, {"trials": 9}])
def test_a_larger_sweep_is_refused_unless_it_is_to_be_extended(tmp_path, change):
    larger = replace(GRID, **change)
    with pytest.raises(RunnerError, match="extend=true adds what is new"):
        larger.refuse_change(GRID, tmp_path, extend=False)
    larger.refuse_change(GRID, tmp_path, extend=True)


def test_only_what_is_new_is_added():
    jobs = [{"seed": "0"}, {"seed": "2"}, {"seed": "1"}]
    assert added(jobs, [{"seed": "1"}, {"seed": "0"}]) == [{"seed": "2"}]
    with pytest.raises(RunnerError, match=r"1 would go, the first: seed=7"):
        added(jobs, [{"seed": "7"}, {"seed": "0"}])
