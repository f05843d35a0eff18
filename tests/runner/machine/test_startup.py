"""The collector of cycles is off while a command starts, and on while it works."""

import gc
from types import SimpleNamespace

from runner.experiment import follow
from runner.machine import startup
from runner.training.ranks import ALONE


def test_what_begins_ends():
    startup.begin()
    assert not gc.isenabled()
    startup.begin()
    startup.end()
    assert gc.isenabled() and gc.get_freeze_count()
    startup.thaw()
    assert not gc.get_freeze_count()


def test_a_collector_that_the_caller_has_switched_off_stays_off():
    gc.disable()
    try:
        startup.begin()
        startup.end()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_run_ends_it_before_its_first_step(runner):
    startup.begin()
    assert runner("model=cn", "dataset=lesmis", "tracker=none")[0] == 0
    assert gc.isenabled() and not gc.get_freeze_count()


def test_so_does_another_process_of_the_run(monkeypatch):
    seen = []
    monkeypatch.setattr(follow, "RunConfig", SimpleNamespace(read=lambda config: None))
    parts = SimpleNamespace(training=SimpleNamespace(model=None), data=None)
    monkeypatch.setattr(follow, "assemble", lambda *given: parts)
    monkeypatch.setattr(follow, "begin_encoder", lambda *given: None)
    monkeypatch.setattr(follow, "fit", lambda *given: seen.append(gc.isenabled()))
    startup.begin()
    try:
        follow.compute(config={}, folder="", checkpoint=None, ranks=ALONE)
    finally:
        startup.thaw()
    assert seen == [True]


def test_and_so_does_a_run_that_fails_before(runner):
    startup.begin()
    assert runner("model=ncn", "dataset=lesmis", "tracker=none", "protocol=hard")[0] == 1
    assert gc.isenabled() and not gc.get_freeze_count()
