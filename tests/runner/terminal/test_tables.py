import io

import pytest
from rich.console import Console

from runner.terminal.tables import closing_table, sweep_table

FOLDER = "/home/someone/experiments/outputs/cora/ncnc/2026-11-24_08-40-34-[abcd1234]"
SUMMARY = {
    "model": "ncnc",
    "dataset": "cora",
    "seed": 3,
    "epochs": 100,
    "best_epoch": 57,
    "select": "hits@100",
    "valid": {"hits@20": 0.4444, "hits@100": 0.9123, "mrr": 0.3},
    "test": {"hits@20": 0.5555, "hits@100": 0.9012, "mrr": 0.25},
    "published": {"metric": "hits@100", "mean": 89.65, "std": 1.36},
    "seconds": 3725.4,
    "peak_memory_gib": 1.234,
    "folder": FOLDER,
    "upload": f"wandb sync {FOLDER}/wandb",
}


def output(print_it, *arguments, encoding: str = "utf-8") -> list[str]:
    buffer = io.BytesIO()
    with io.TextIOWrapper(buffer, encoding=encoding) as file:
        print_it(*arguments, Console(file=file, width=80))
        file.flush()
        text = buffer.getvalue().decode(encoding)
    assert "\x1b" not in text
    return text.splitlines()


def cells(lines: list[str], first: str) -> list[str]:
    """The cells of the table row whose first cell is `first`."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line]
    return next(row for row in rows if row[0] == first)


def test_closing_table_has_every_result():
    lines = output(closing_table, SUMMARY)
    assert lines[0] == "ncnc on cora, seed 3: best epoch 57 of 100, by validation hits@100"
    assert cells(lines, "hits@100") == ["hits@100", "91.23", "90.12", "89.65 ± 1.36", "+0.47"]
    assert cells(lines, "hits@20") == ["hits@20", "44.44", "55.55", "", ""]
    assert cells(lines, "mrr") == ["mrr", "30.00", "25.00", "", ""]
    assert lines[-3:] == [
        "time        1:02:05, peak memory 1.23 GiB",
        f"run folder  {FOLDER}",
        f"upload      wandb sync {FOLDER}/wandb",
    ]
    assert max(len(line) for line in lines[:-2]) <= 80


def test_what_differs_from_the_published_setting_is_said():
    rows = [{"key": "train.epochs", "value": 10, "published": 100},
            {"key": "train.patience", "value": 5, "published": None},
            {"key": "data", "value": "not recorded"}]  # fmt: skip
    lines = output(closing_table, {**SUMMARY, "differs": rows})
    note = "note        not the published setting: train.epochs 10, published 100; "
    assert note + "train.patience 5, published null; data not recorded" in lines
    (line,) = (line for line in output(closing_table, {**SUMMARY, "differs": rows[:1] * 9})
               if line.startswith("note"))  # fmt: skip
    assert line.count("train.epochs") == 6 and line.endswith("; and 3 more")
    assert not any(line.startswith("note") for line in output(closing_table, SUMMARY))


def test_closing_table_without_a_published_figure():
    lines = output(closing_table, {**SUMMARY, "published": None, "seconds": 4.25})
    assert cells(lines, "hits@100") == ["hits@100", "91.23", "90.12"]
    assert not any("published" in line for line in lines)
    assert "time        4.2 s, peak memory 1.23 GiB" in lines


def test_a_published_figure_of_another_metric_is_not_compared():
    published = {"metric": "hits@50", "mean": 64.0, "std": None}
    lines = output(closing_table, {**SUMMARY, "published": published})
    assert cells(lines, "hits@100") == ["hits@100", "91.23", "90.12", "", ""]
    assert "published   hits@50 64.00 %" in lines


def test_published_figures_of_several_metrics_and_the_mark_of_one():
    also = [
        {"metric": "mrr", "mean": 24.0, "std": None, "unverified": True},
        {"metric": "hits@50", "mean": 64.0, "std": 1.0},
    ]
    lines = output(closing_table, {**SUMMARY, "published": {**SUMMARY["published"], "also": also}})
    assert cells(lines, "hits@100")[3:] == ["89.65 ± 1.36", "+0.47"]
    assert cells(lines, "mrr")[3:] == ["24.00 (unverified)", "+1.00"]
    assert "published   hits@50 64.00 ± 1.00 %" in lines


@pytest.mark.parametrize(
    ("links", "last"),
    [
        ({"upload": None}, f"run folder  {FOLDER}"),
        ({"upload": None, "url": "https://wandb.ai/a/b"}, "W&B         https://wandb.ai/a/b"),
    ],
)
def test_closing_lines_follow_the_tracker(links, last):
    assert output(closing_table, {**SUMMARY, **links})[-1] == last


def test_closing_table_in_ascii():
    assert any(
        "89.65 +/- 1.36" in line for line in output(closing_table, SUMMARY, encoding="ascii")
    )


def test_sweep_table_shows_every_job():
    result = {"metric": "hits@100", "valid": 0.9123, "test": 0.9012}
    overrides = ["seed=1", "dataset=ogbl-collab", "train.epochs=1000", "model=[x]"]
    rows = [
        _job(0, ["seed=0", "model=ncnc"], "done", folder=FOLDER, result=result),
        _job(1, overrides, "failed", folder=FOLDER, error="dataset.root=[data]: no such folder"),
        _job(2, [], "pending"),
        _job(3, [], "pruned", folder=FOLDER, result={"metric": "mrr", "valid": 0.5}),
    ]
    lines = output(sweep_table, rows)
    assert lines[0] == "4 jobs: 1 done, 1 failed, 1 pending, 1 pruned"
    assert cells(lines, "3")[2:] == ["pruned", "mrr", "50.00", ""]
    assert cells(lines, "0") == ["0", "seed=0 model=ncnc", "done", "hits@100", "91.23", "90.12"]
    assert cells(lines, "1")[2:] == ["failed", "", "", ""]
    assert any("model=[x]" in line for line in lines)
    assert lines[-3:] == [
        f"job 0       {FOLDER}",
        "job 1       failed: dataset.root=[data]: no such folder",
        f"job 3       {FOLDER}",
    ]
    assert max(len(line) for line in lines[:-3]) <= 80


def _job(number, overrides, status, *, folder=None, result=None, error=None):
    return {"job": number, "overrides": overrides, "status": status, "folder": folder,
            "result": result, "error": error}  # fmt: skip
