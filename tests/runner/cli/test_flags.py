import pytest

from runner.cli.flags import flags_first
from runner.errors import RunnerError


@pytest.mark.parametrize(
    "arguments",
    [
        ["model=ncn", "seed=1"],
        ["-m", "seed=0,1"],
        ["--cfg", "job", "model=ncn"],
        [],
        ["-sc", "query=bash"],
    ],
)
def test_what_hydra_reads_stays_as_it_is(arguments):
    assert flags_first(arguments) == arguments


def test_a_flag_may_stand_between_overrides():
    arguments = ["model=ncn", "-m", "seed=0,1", "--config-dir", "mine", "train.epochs=2"]
    expected = ["-m", "--config-dir", "mine", "model=ncn", "seed=0,1", "train.epochs=2"]
    assert flags_first(arguments) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nope"], "unrecognized arguments: --nope; `runner --hydra-help` lists"),
        (["--cfg"], "--cfg/-c: expected one argument"),
        (["--cfg", "nope", "seed=1"], "invalid choice: 'nope'"),
        (
            ["hydra.output_subdir=.hydra"],
            "hydra.output_subdir=.hydra: the run folder keeps its own",
        ),
        (["hydra.run.dir="], "hydra.run.dir=: a folder has a name"),
        (["-m", "hydra.sweep.dir=''"], "hydra.sweep.dir='': a folder has a name"),
    ],
)
def test_flags_that_are_none(arguments, message):
    with pytest.raises(RunnerError) as error:
        flags_first(arguments)
    assert message in str(error.value)
