"""What a tracker may do to a run: nothing."""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path

import pytest

from runner.tracking import background as safe_tracker
from runner.tracking.background import SafeTracker
from runner.tracking.media import Table
from runner.tracking.tracker import NullTracker, RunInfo

ROWS = [{"epoch": epoch, "loss": 1.0 / epoch} for epoch in (1, 2, 3)]
SUMMARY = {"best_epoch": 2}


class Recording(NullTracker):
    """Notes its calls; the method `method` does `act` first."""

    def __init__(self, method: str = "", act=lambda: None) -> None:
        self.method, self.act = method, act
        self.calls: list[str] = []
        self.threads: set[int] = set()
        self.abandoned = threading.Event()

    def _call(self, method: str, what: str = "") -> None:
        self.calls.append(method + what)
        self.threads.add(threading.get_ident())
        if method == self.method:
            self.act()

    def start(self, run) -> None:
        self._call("start", f" {run.run_id}")

    def log(self, row, step) -> None:
        self._call("log", f" {step}")

    def finish(self, summary, exit_code) -> None:
        self._call("finish", f" {exit_code}")

    def abandon(self) -> None:
        self.abandoned.set()


def begin(tracker: SafeTracker) -> None:
    tracker.start(
        RunInfo(
            folder=Path("run"),
            run_id="abcd1234",
            name="ncn-cora-seed3",
            group="ncn-cora-0123",
            tags=["ncn"],
            config={"seed": 3},
            resumed=False,
            epochs=4,
        )
    )
    for row in ROWS:
        tracker.log(row, step=int(row["epoch"]))


def run(tracker: SafeTracker) -> None:
    begin(tracker)
    tracker.finish(SUMMARY, exit_code=0)


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "runner.tracking.background"]


def fail() -> None:
    raise OSError("first line\nsecond line")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safe_tracker, "_GRACE_SECONDS", 0.2)
    monkeypatch.setattr(safe_tracker, "_ABANDON_SECONDS", 0.2)


def test_the_calls_come_in_order_on_one_other_thread(caplog):
    tracker = Recording()
    run(SafeTracker(tracker))
    assert tracker.calls == ["start abcd1234", "log 1", "log 2", "log 3", "finish 0"]
    assert len(tracker.threads) == 1 and threading.get_ident() not in tracker.threads
    assert said(caplog) == [] and not tracker.abandoned.is_set()


def test_media_come_after_the_rows_and_only_to_a_tracker_that_shows_them():
    plain = Recording()
    assert not SafeTracker(plain).wants_media
    tracker = Recording()
    tracker.wants_media = True
    tracker.show_media = lambda media: tracker._call("media", f" {sorted(media)}")
    safe = SafeTracker(tracker)
    assert safe.wants_media
    begin(safe)
    safe.show_media({"pairs": Table(["source"], [[1]])})
    safe.finish(SUMMARY, exit_code=0)
    assert tracker.calls[-2:] == ["media ['pairs']", "finish 0"]
    assert threading.get_ident() not in tracker.threads


def test_media_that_a_tracker_fails_with_are_its_own_affair(caplog):
    def fail_to_show(media):
        raise OSError("no room")

    tracker = Recording()
    tracker.wants_media, tracker.show_media = True, fail_to_show
    safe = SafeTracker(tracker)
    begin(safe)
    safe.show_media({})
    safe.finish(SUMMARY, exit_code=0)
    assert tracker.calls[-1] == "finish 0"
    assert said(caplog) == ["the tracker failed (OSError: no room); the run goes on without it"]
    assert not safe.wants_media


@pytest.mark.parametrize("method", ["start", "log"])
def test_a_slow_tracker_does_not_hold_the_run_and_loses_nothing(caplog, method):
    go_on = threading.Event()
    tracker = Recording(method, go_on.wait)
    safe = SafeTracker(tracker)
    began = time.monotonic()
    begin(safe)
    assert time.monotonic() - began < 0.2
    threading.Timer(0.3, go_on.set).start()
    safe.finish(SUMMARY, exit_code=1)
    assert tracker.calls == ["start abcd1234", "log 1", "log 2", "log 3", "finish 1"]
    assert said(caplog) == []


def test_a_row_is_tracked_as_it_was_when_it_was_logged():
    go_on = threading.Event()
    rows = []
    tracker = Recording("start", go_on.wait)
    tracker.log = lambda row, step: rows.append(row)
    safe = SafeTracker(tracker)
    begin(safe)
    row = {"epoch": 4}
    safe.log(row, step=4)
    row["epoch"] = 5
    go_on.set()
    safe.finish(SUMMARY, exit_code=0)
    assert rows == [*ROWS, {"epoch": 4}]


@pytest.mark.parametrize(
    ("method", "calls"),
    [
        ("start", ["start abcd1234", "finish 0"]),
        ("log", ["start abcd1234", "log 1", "finish 0"]),
        ("finish", ["start abcd1234", "log 1", "log 2", "log 3", "finish 0"]),
    ],
)
def test_a_failing_tracker_is_logged_once_and_only_finished_then(caplog, method, calls):
    tracker = Recording(method, fail)
    run(SafeTracker(tracker))
    assert tracker.calls == calls
    assert said(caplog) == ["the tracker failed (OSError: first line); the run goes on without it"]


@pytest.mark.parametrize("method", ["start", "log", "finish"])
def test_a_stuck_tracker_is_abandoned_and_holds_nobody(caplog, impatient, method):
    stuck = threading.Event()
    tracker = Recording(method, stuck.wait)
    began = time.monotonic()
    run(SafeTracker(tracker))
    assert time.monotonic() - began < 2
    assert tracker.abandoned.is_set()
    assert said(caplog) == ["the tracker does not come to its end; the run goes on without it"]
    assert all(t.daemon for t in threading.enumerate() if t.name == "tracker")
    stuck.set()


def test_what_an_abandoned_tracker_fails_with_is_not_told_again(caplog, impatient):
    tracker = Recording("log")

    def until_abandoned() -> None:
        tracker.abandoned.wait()
        fail()

    tracker.act = until_abandoned
    run(SafeTracker(tracker))
    assert tracker.calls[-1] == "finish 0"
    assert len(said(caplog)) == 1


@pytest.mark.parametrize("timeout", ["init_timeout", "finish_timeout"])
def test_the_end_waits_as_long_as_the_timeouts_say(caplog, impatient, timeout):
    go_on = threading.Event()
    tracker = Recording("start", go_on.wait)
    setattr(tracker, timeout, 5.0)
    safe = SafeTracker(tracker)
    begin(safe)
    threading.Timer(0.8, go_on.set).start()
    safe.finish(SUMMARY, exit_code=0)
    assert tracker.calls[-1] == "finish 0" and not tracker.abandoned.is_set()


def test_what_is_left_to_start_counts_from_the_start(impatient):
    stuck = threading.Event()
    tracker = Recording("start", stuck.wait)
    tracker.init_timeout = 1.0
    safe = SafeTracker(tracker)
    begin(safe)
    time.sleep(1.0)
    began = time.monotonic()
    safe.finish(SUMMARY, exit_code=0)
    assert time.monotonic() - began < 0.9
    stuck.set()


def test_an_interrupt_ends_the_wait(caplog, impatient):
    # A shell that starts the tests in the background has SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    stuck = threading.Event()
    tracker = Recording("finish", stuck.wait)
    tracker.finish_timeout = 30.0
    main = threading.get_ident()
    threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(SafeTracker(tracker))
    signal.signal(signal.SIGINT, before)
    assert time.monotonic() - began < 5
    assert tracker.abandoned.is_set()
    stuck.set()


def test_a_failure_is_a_warning(caplog):
    run(SafeTracker(Recording("start", fail)))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_no_tracker_has_nothing_to_upload():
    tracker = SafeTracker(NullTracker())
    run(tracker)
    assert tracker.upload_command is None and tracker.url is None
