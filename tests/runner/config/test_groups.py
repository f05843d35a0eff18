import pytest

from runner.config.groups import GROUPS, refuse_groups
from runner.errors import RunnerError

CHOICES = dict.fromkeys(GROUPS, "an_option")


def test_ordinary_choices_pass():
    refuse_groups(["model=ncn", "seed=1", "+x=1", "~y"], CHOICES, multirun=False)
    refuse_groups(["sweep=seeds"], {**CHOICES, "sweep": "seeds"}, multirun=True)


@pytest.mark.parametrize(
    ("override", "choices", "message"),
    [
        ("+model=gae", CHOICES, r"\+model=gae: every run has one already; leave out the \+"),
        ("+experiment=x", CHOICES, "every run has one already"),
        ("~model", CHOICES, "~model: every run has one; choose another"),
        ("model=[ncn]", {**CHOICES, "model": None}, r"model=\[ncn\]: it takes the name of one"),
        ("sweep=seeds", {**CHOICES, "sweep": "seeds"}, "a sweep is several runs"),
    ],
)
def test_what_hydra_lets_pass(override, choices, message):
    with pytest.raises(RunnerError, match=message):
        refuse_groups([override], choices, multirun=False)
