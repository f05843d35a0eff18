"""The collector of cycles is off while a command starts, and on while it works."""

import gc

from runner.machine import startup


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
