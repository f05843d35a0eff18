"""A few bad inputs; `scripts/soaks/bad_input.py` tries thousands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.configuration import set_hypothesis_home_dir
from tests.arena import Arena, Outcome, message_faults
from tests.bad_configs import bad_configs
from tests.bad_files import bad_files
from tests.bad_input import BadInput, shown

# Each example is one run of the command, in an arena that is made once.
FEW = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def arena(tmp_path: Path) -> Iterator[Arena]:
    set_hypothesis_home_dir(tmp_path / "hypothesis")
    with Arena(tmp_path / "arena") as made:
        yield made


@settings(FEW, max_examples=18)
@given(bad=bad_configs())
def test_bad_configs(arena, bad):
    assert not arena.faults(bad), shown(bad)


@settings(FEW, max_examples=8)
@given(bad=bad_files())
def test_bad_files(arena, bad):
    assert not arena.faults(bad), shown(bad)


SEED = BadInput("wrong type", ("seed=x",), ("seed",))


def test_a_good_refusal_has_no_faults():
    refused = Outcome(1, "", "runner: seed: 'x' is no number\n")
    assert not list(message_faults(SEED, refused))


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (Outcome(0, "", ""), "accepted"),
        (Outcome(2, "", "runner: seed is no number"), "exit code 2"),
        (Outcome("a hang", "", ""), "a hang"),
        (Outcome(1, "", "runner: seed\nTraceback (most recent call last)"), "a traceback"),
        (Outcome(1, "", "UserWarning: x\nrunner: seed is no number"), "does not begin with"),
        (Outcome(1, "", "runner: seed is no number\nrunner: nor here"), "2 messages"),
        (Outcome(1, "", "runner: seed"), "an empty message"),
        (Outcome(1, "", "runner: unexpected seed of x"), "something unexpected"),
        (Outcome(1, "", "runner: seed is wrong (KeyError)"), "internals: KeyError"),
        (Outcome(1, "", "runner: that was no number"), "none of seed is named"),
        (Outcome(1, "", "runner: seed" + "x" * 9999), "characters"),
    ],
)
def test_what_is_wrong_with_a_refusal_is_noticed(outcome, fault):
    assert any(fault in line for line in message_faults(SEED, outcome))


def test_what_a_refusal_leaves_is_noticed(arena, monkeypatch):
    def leave(status):
        def call(arguments):
            run = arena.work / "outputs" / "run"
            run.mkdir(parents=True)
            (run / "config.yaml").touch()
            (run / "status.json").write_text(f'{{"status": "{status}"}}')
            (arena.work / "other").touch()
            (arena.cache / ".x.making-1").mkdir(parents=True)
            return Outcome(1, "", "runner: seed: 'x' is no number")

        return call

    monkeypatch.setattr(arena, "_call", leave("running"))
    assert arena.faults(SEED) == [
        "half-written in the cache: .x.making-1",
        "a run folder with status running",
        "left behind: other",
    ]
    monkeypatch.setattr(arena, "_call", leave("failed"))
    assert "a run folder with status failed" not in (arena.faults(SEED) or ())


@pytest.mark.command
def test_a_command_is_tried_like_a_call(arena):
    bad = BadInput("wrong type", ("dataset=lesmis", "seed=x"), ("seed",))
    assert arena.faults(bad, command=True) == []
