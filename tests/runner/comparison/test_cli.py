"""The command as a whole: what it imports, and how it refuses."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.runner.comparison.conftest import write_run
from tests.runner.comparison.test_importance import write_search

from runner.comparison.cli import main

_RUN = """
import sys
from runner.comparison.cli import main
code = main(sys.argv[1:])
print("imported:", *sorted({name.split(".")[0] for name in sys.modules}))
sys.exit(code)
"""


def imported(*arguments: object) -> set[str]:
    run = subprocess.run(
        [sys.executable, "-c", _RUN, *map(str, arguments)], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return set(run.stdout.rpartition("imported:")[2].split())


@pytest.mark.command
def test_torch_is_never_imported_nor_plotly_without_a_page(root, tmp_path):
    write_search(root, 12, seeds=2, score=lambda rate, dropout, kind: dropout)
    heavy = {"torch", "torch_geometric", "hydra", "wandb", "ogb", "numba"}
    plain = imported(root, "--pairs", "--csv", tmp_path / "a.csv", "--latex", tmp_path / "a.tex")
    assert not plain & (heavy | {"plotly", "optuna", "sklearn"})
    page = imported(root, "--html", tmp_path / "a.html")
    assert not page & heavy and "plotly" in page


@pytest.mark.command
def test_python_m_runs_it(root):
    command = [sys.executable, "-m", "runner.comparison", str(root)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 and "90.00 ± 2.00" in run.stdout and not run.stderr


@pytest.mark.command
def test_one_line_and_no_traceback(tmp_path):
    command = [sys.executable, "-m", "runner.comparison", str(tmp_path / "nowhere")]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and not run.stdout
    assert run.stderr.startswith("runner-compare: ") and "no such folder" in run.stderr


@pytest.mark.parametrize("alpha", ["0", "1", "2", "-1", "much", "nan"])
def test_a_level_is_between_zero_and_one(root, alpha, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([str(root), "--check", "--alpha", alpha])
    assert exit_.value.code == 2
    assert f"{alpha} is not between 0 and 1" in capsys.readouterr().err


def test_very_many_rows_are_cut_to_the_best_and_say_so(tmp_path, compare):
    for number in range(70):
        name, rate = f"-{number}", {"train.lr_encoder": number}
        write_run(
            tmp_path, "ncn", 0, number / 100, name=name, experiment=f"e-{number}", settings=rate
        )
    _, out, _ = compare(tmp_path)
    assert "the best 60 of 70 rows" in out and "lr_encoder=69 " in out and "=9 " not in out
    assert out.index("lr_encoder=10 ") > 0


def test_where_and_group_by_together(root, compare):
    code, out, _ = compare(root, "--where", "model=ncn", "--where", "seed>=1", "--group-by", "seed")
    assert code == 0 and "ncn seed=1" in out and "ncn seed=2" in out and "ncn2" not in out


@pytest.mark.command
def test_a_terminal_that_knows_ascii_alone_gets_ascii(root):
    write_run(root, "ncn\u2603", 0, 0.5)
    command = [sys.executable, "-m", "runner.comparison", str(root)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    run = subprocess.run(command, capture_output=True, env=environment)
    out = run.stdout.decode("ascii")
    assert run.returncode == 0 and "90.00 +/- 2.00" in out and "ncn?" in out
