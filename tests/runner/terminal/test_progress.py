import io
import logging
import subprocess
import sys

import pytest
from rich.console import Console

from runner.terminal import bar, progress
from runner.terminal.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (bar, progress):
        monkeypatch.setattr(module, "monotonic", clock)
    return clock


def plain() -> Console:
    return Console(file=io.StringIO(), width=80)


def terminal() -> Console:
    return Console(file=io.StringIO(), width=80, force_terminal=True, _environ={"TERM": "xterm"})


def lines(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def seconds_left(line: str) -> int:
    hours, minutes, seconds = line.split("ETA ")[1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + int(seconds)


def run_epochs(display: Progress, clock: Clock, first: int, last: int, seconds: float) -> None:
    for epoch in range(first, last + 1):
        clock.now += seconds
        display.epoch(epoch, 1 / epoch, epoch / 100, seconds, best=epoch / 100)


def test_a_plain_line_has_every_value(clock):
    console = plain()
    with Progress(epochs=10, metric_name="hits@100", console=console) as display:
        run_epochs(display, clock, 1, 1, seconds=20)
        clock.now += 20
        display.epoch(2, 0.25, 0.5, 20.0, best=0.75)
    assert lines(console)[1] == (
        "epoch 2/10  loss 0.2500  valid hits@100 50.00 %  best 75.00 %  20.00 s/epoch  ETA 0:02:40"
    )


def test_slow_epochs_are_a_line_each(clock):
    console = plain()
    with Progress(epochs=5, metric_name="mrr", console=console) as display:
        run_epochs(display, clock, 1, 5, seconds=2)
    assert [line.split()[1] for line in lines(console)] == ["1/5", "2/5", "3/5", "4/5", "5/5"]


def test_fast_epochs_are_about_a_line_a_second_and_the_last(clock):
    console = plain()
    with Progress(epochs=399, metric_name="mrr", console=console) as display:
        run_epochs(display, clock, 1, 399, seconds=0.01)
    shown = [int(line.split()[1].split("/")[0]) for line in lines(console)]
    assert shown[0] == 1 and shown[-1] == 399
    assert 4 <= len(shown) <= 6


def test_the_last_epoch_before_an_end_by_force_is_shown(clock):
    console = plain()
    with (
        pytest.raises(KeyboardInterrupt),
        Progress(epochs=100, metric_name="mrr", console=console) as display,
    ):
        run_epochs(display, clock, 1, 7, seconds=0.01)
        raise KeyboardInterrupt
    assert [line.split()[1] for line in lines(console)] == ["1/100", "7/100"]


def test_a_long_epoch_gives_a_sign_of_life(clock):
    console = plain()
    with Progress(epochs=2, metric_name="mrr", console=console) as display:
        for step in range(1, 16):
            clock.now += 28
            display.step(step, 15, 0.5)
    assert len(lines(console)) == 5
    # 3 of 15 steps took 84 s; 12 + 15 more are to come.
    assert lines(console)[0] == "epoch 1/2  step 3/15  loss 0.5000  ETA 0:12:36"


def test_the_time_left_counts_only_what_this_process_has_seen(clock):
    console = plain()
    with Progress(epochs=4, start_epoch=1, metric_name="mrr", console=console) as display:
        for step in (9, 10):  # resumed after step 8 of epoch 2
            clock.now += 50
            display.step(step, 10, 0.5)
        run_epochs(display, clock, 2, 2, seconds=2)
        run_epochs(display, clock, 3, 3, seconds=500)
    # 2 of 10 steps took 100 s, then 102; at last 1.2 epochs took 602 s.
    assert [seconds_left(line) for line in lines(console)] == pytest.approx(
        [2 * 500, 2 * 510, 502], abs=1
    )


def test_the_time_left_counts_evaluations_however_many_steps_an_epoch_has(clock):
    console = plain()
    with Progress(epochs=10, metric_name="mrr", console=console) as display:
        for epoch in (1, 2, 3):
            for step in range(1, 5001):
                clock.now += 0.01
                display.step(step, 5000, 0.5)
            run_epochs(display, clock, epoch, epoch, seconds=50)
    assert seconds_left(lines(console)[-1]) == pytest.approx(7 * 100, rel=0.05)


def test_a_terminal_shows_a_live_display(clock):
    console = terminal()
    with Progress(epochs=10, metric_name="hits@100", console=console) as display:
        assert "epoch 1/10" in console.file.getvalue()
        display.step(1, 8, 0.5)
        run_epochs(display, clock, 1, 2, seconds=20)
        clock.now += 10
        display.step(4, 8, 0.75)
    final = console.file.getvalue().split("\x1b[2K")[-1]
    assert "epoch 3/10" in final and "ETA \x1b[36m0:02:30" in final
    assert "step 4/8  loss 0.7500  valid hits@100 2.00 %  best 2.00 %  20.00 s/epoch" in final
    assert final.endswith("\x1b[?25h")


def test_log_lines_and_prints_do_not_tear_the_live_display(clock):
    console = terminal()
    handler = logging.StreamHandler(console.file)  # made before, as Hydra's are
    handler.setFormatter(logging.Formatter("[note] %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with Progress(epochs=10, metric_name="mrr", console=console) as display:
            run_epochs(display, clock, 1, 1, seconds=1)
            before = len(console.file.getvalue())
            root.warning("disk is slow")
            written = console.file.getvalue()[before:]
        # The display is erased, the line stands, and the display is drawn anew below it.
        assert written.index("\x1b[2K") < written.index("[note] disk is slow\n")
        assert written.index("[note] disk is slow\n") < written.index("epoch 1/10")
        assert handler.stream is console.file
    finally:
        root.removeHandler(handler)


def test_a_log_file_stays_a_log_file(clock, tmp_path):
    root = logging.getLogger()
    handler = logging.FileHandler(tmp_path / "run.log")
    root.addHandler(handler)
    try:
        with Progress(epochs=1, metric_name="mrr", console=terminal()):
            root.warning("to the file")
    finally:
        root.removeHandler(handler)
        handler.close()
    assert (tmp_path / "run.log").read_text() == "to the file\n"


def test_nothing_moves_the_cursor_without_a_terminal(clock):
    console = plain()
    with Progress(epochs=3, metric_name="mrr", console=console) as display:
        display.step(1, 2, 0.5)
        run_epochs(display, clock, 1, 3, seconds=2)
    assert "\x1b" not in console.file.getvalue() and "\r" not in console.file.getvalue()


def test_lines_go_to_standard_output(clock, capsys):
    with Progress(epochs=1, metric_name="mrr") as display:
        run_epochs(display, clock, 1, 1, seconds=1)
    captured = capsys.readouterr()
    assert captured.out.startswith("epoch 1/1  loss 1.0000")
    assert captured.err == ""


@pytest.mark.command
def test_a_pipe_without_a_reader_is_no_error(tmp_path):
    code = (
        "from pathlib import Path; from runner.terminal.progress import Progress\n"
        "with Progress(epochs=1, metric_name='mrr') as display:\n"
        "    input(); display.epoch(1, 0.5, 0.5, 1.0, best=0.5)\n"
        "print('later', flush=True); Path('past').touch()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.close()
        process.communicate(b"\n")
    assert process.returncode == 0 and (tmp_path / "past").exists()


@pytest.mark.command
def test_the_command_does_not_wait_for_rich():
    code = (
        "import sys, runner.cli.main, runner.tracking.wandb, runner.terminal.tables\n"
        "print(sorted({'rich', 'wandb', 'torch'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
