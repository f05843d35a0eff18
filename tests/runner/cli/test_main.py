"""The `runner` command, end to end on the smallest real graph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from tests.conftest import run_folders

QUICK = ("dataset=lesmis", "tracker=none", "train.epochs=2", "encoder.hidden=8")


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def read(folder: Path, name: str) -> dict:
    return json.loads((folder / name).read_text())


def test_one_run_one_folder(runner, tmp_path):
    code, out, err = runner("model=ncn", *QUICK)
    assert code == 0, err
    (folder,) = run_folders(tmp_path)
    assert folder.parent == tmp_path / "outputs" / "lesmis" / "ncn"
    names = {path.name for path in folder.iterdir()}
    expected = {"config.yaml", "overrides.yaml", "meta.json", "metrics.jsonl", "summary.json"}
    expected |= {"hardest_pairs.json", "status.json", "run.log", "checkpoints", "nodes.csv"}
    assert names == {*expected, ".lock"}
    checkpoints = {path.name for path in (folder / "checkpoints").iterdir()}
    assert checkpoints == {"last.pt", "last-1.pt", "best.pt"}
    assert read(folder, "status.json")["status"] == "done"

    summary = read(folder, "summary.json")
    assert (summary["model"], summary["dataset"], summary["seed"]) == ("ncn", "lesmis", 0)
    assert summary["published"] is None
    assert summary["seconds"] > 0 and summary["peak_memory_gib"] > 0
    assert set(summary["valid"]) == set(summary["test"])
    assert all(0 <= value <= 1 for value in {**summary["valid"], **summary["test"]}.values())

    metrics = rows(folder)
    assert [row["epoch"] for row in metrics] == [1, 2]
    best = max(metrics, key=lambda row: row[f"valid/{summary['select']}"])
    assert summary["best_epoch"] == best["epoch"]
    assert summary["test"] == {
        name.removeprefix("test/"): value
        for name, value in best.items()
        if name.startswith("test/")
    }
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["train"]["epochs"] == 2 and config["encoder"]["hidden"] == 8
    assert "model=ncn" in yaml.safe_load((folder / "overrides.yaml").read_text())
    assert str(folder) in out.replace("\n", "")


@pytest.mark.parametrize(
    ("model", "encoder"),
    [
        ("gae", "gcn"),
        ("inner_product", "sir_gcn"),
        ("gae_cn", "puregcn"),
        ("ncn", "puresum"),
        ("ncn_diff", "puremean"),
        ("ncn2", "puremax"),
        ("ncnc", "sage"),
        ("ncnc2", "gin"),
        ("ncnc_learned_t", "auto"),
        ("ncn_no_target_link_removal", "auto"),
    ],
)
def test_every_model_and_every_encoder_learn(runner, tmp_path, model, encoder):
    code, _, err = runner(
        f"model={model}", f"encoder={encoder}", "dataset=lesmis", "tracker=none", "train.epochs=4",
        "encoder.layers=2", "train.batch_size=16",
    )  # fmt: skip
    assert code == 0, err
    (folder,) = run_folders(tmp_path)
    losses = [row["loss"] for row in rows(folder)]
    assert losses[-1] < losses[0] - 0.2


HEURISTICS = ["cn", "aa", "ra", "ppr", "katz", "shortest_path"]


@pytest.mark.parametrize(
    ("model", "tracker"),
    [
        *((model, "tracker=none") for model in HEURISTICS),
        pytest.param("cn", "tracker.mode=offline", marks=pytest.mark.command),
    ],
)
def test_heuristics_are_evaluated_without_training(runner, tmp_path, model, tracker):
    code, out, err = runner(f"model={model}", "dataset=lesmis", tracker)
    assert code == 0, err
    assert "without training" in out
    (folder,) = run_folders(tmp_path)
    (row,) = rows(folder)
    summary = read(folder, "summary.json")
    assert row["epoch"] == summary["best_epoch"] == summary["epochs"] == 0
    assert "loss" not in row and summary["test"]["mrr"] == row["test/mrr"] > 0.05
    code, out, _ = runner(f"resume={folder}")
    assert code == 0 and "this run is finished" in out
    (folder / "summary.json").unlink()
    code, _, err = runner(f"resume={folder}")
    assert code == 0, err
    (row,) = rows(folder)
    again = read(folder, "summary.json")
    assert again["test"] == summary["test"] and again["seconds"] == round(row["seconds"], 3)
    code, _, err = runner(f"resume={folder}", "train.epochs=3")
    assert code == 1 and "start a new run to train" in err


def test_a_sweep_over_models_may_set_the_epochs(runner, tmp_path):
    code, out, err = runner("-m", "model=cn,ncn", *QUICK[:3])
    assert code == 0, err
    assert "cn has nothing to train: train.epochs=2 is taken as 0" in out
    epochs = {f.parent.name: read(f, "summary.json")["epochs"] for f in run_folders(tmp_path)}
    assert epochs == {"cn": 0, "ncn": 2}


def test_a_model_can_be_evaluated_untrained(runner, tmp_path):
    assert runner("model=ncn", "dataset=lesmis", "tracker=none", "train.epochs=0")[0] == 0
    (folder,) = run_folders(tmp_path)
    assert [row["epoch"] for row in rows(folder)] == [0]


def test_same_seed_same_bits_other_seed_other_bits(runner, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        code, _, err = runner(f"hydra.run.dir={name}", f"seed={seed}", "model=ncnc", *QUICK)
        assert code == 0, err

    def values(name):
        return [
            {k: v for k, v in row.items() if "seconds" not in k and k != "memory_gib"}
            for row in rows(tmp_path / name)
        ]

    assert values("a") == values("b")
    assert values("a") != values("c")


def test_a_folder_that_holds_a_run_is_left_alone(runner, copied):
    here = copied("here", "model=ncn", *QUICK)
    before = {path: path.read_bytes() for path in here.iterdir() if path.is_file()}
    code, _, err = runner("hydra.run.dir=here", "seed=5", *QUICK)
    assert code == 1 and "already holds a run" in err
    assert before == {path: path.read_bytes() for path in before}


def test_dry_run_shows_and_leaves_nothing(runner, tmp_path):
    code, out, err = runner("run.dry=true", "model=ncnc", "dataset=cora")
    assert code == 0, err
    for part in (
        "runner.training.samplers.TargetLinkRemoval",
        "runner.models.completion.Completion",
    ):
        assert part in out
    assert "published column" in out and "parameters: predictor" in out
    assert not list(tmp_path.rglob("status.json")) and not (tmp_path / "outputs").exists()


def test_dry_run_reads_a_file_of_ones_own(runner, tmp_path):
    lines = [f"n{u},n{v}" for u in range(20) for v in range(u) if (u * v + u) % 3 == 0]
    (tmp_path / "mine.csv").write_text("\n".join(["source,target", *lines]))
    code, out, err = runner("run.dry=true", "dataset=edges", "dataset.path=mine.csv", "model=ncn")
    assert code == 0, err
    assert "columns: source source, target target" in out and "20 nodes, 99 links" in out
    assert run_folders(tmp_path) == []
    code, _, err = runner("run.dry=true", "dataset=edges", "dataset.path=nowhere.csv", "model=ncn")
    assert code == 1 and "nowhere.csv: there is no such file" in err


def test_dry_run_counts_parameters_once_the_sizes_are_known(runner, tmp_path):
    assert runner("model=ncn", *QUICK)[0] == 0
    _, out, _ = runner("run.dry=true", "model=ncn", *QUICK)
    (folder,) = run_folders(tmp_path)
    assert f"parameters: {read(folder, 'meta.json')['sizes']['parameters']:,} (" in out


def test_multirun_gives_each_job_a_folder_and_a_bad_one_stops_no_other(runner, tmp_path):
    code, out, err = runner("-m", "model=gae,ncn", "train.batch_size=16,5000", *QUICK)
    assert code == 1
    statuses = [read(folder, "status.json") for folder in run_folders(tmp_path)]
    assert sorted(status["status"] for status in statuses) == ["done", "done", "failed", "failed"]
    assert err.count("train.batch_size=5000") >= 2
    assert "failed" in out and "Traceback" not in out + err


def test_multirun_jobs_share_no_state(runner, tmp_path, made_once):
    assert runner("-m", "seed=0,1", "model=ncn", *QUICK)[0] == 0
    alone = made_once("seed=1", "model=ncn", *QUICK)
    summaries = {
        folder.name: read(folder, "summary.json") for folder in run_folders(tmp_path / "outputs")
    }
    second = next(s for s in summaries.values() if s["seed"] == 1)
    first = read(alone, "summary.json")
    assert second["test"] == first["test"] and second["valid"] == first["valid"]


def test_sweep_preset(runner, tmp_path):
    code, _, err = runner("-m", "sweep=seeds", "model=gae", "train.epochs=0", *QUICK[:2])
    assert code == 0, err
    seeds = [read(folder, "summary.json")["seed"] for folder in run_folders(tmp_path)]
    assert sorted(seeds) == [0, 1, 2, 3, 4]


def test_a_job_that_cannot_even_begin_stops_no_other(runner, tmp_path):
    (tmp_path / "sw").mkdir()
    (tmp_path / "sw" / "1").write_text("in the way")
    code, out, _ = runner(
        "-m",
        "seed=0,1,2",
        "hydra.sweep.dir=sw",
        "hydra.sweep.subdir=${seed}/x",
        "model=gae",
        *QUICK,
    )
    assert code == 1
    assert "3 jobs: 2 done, 1 failed" in out and "sw/1" in out


def test_a_refused_sweep_leaves_no_folders(runner, tmp_path):
    assert runner("-m", "seed=0,1", "run.dry=true", *QUICK)[0] == 0
    assert not (tmp_path / "outputs" / "lesmis").exists()


def test_what_was_there_before_a_refused_run_stays(runner, tmp_path):
    (tmp_path / "mine" / "too").mkdir(parents=True)
    assert runner("hydra.run.dir=mine/too", "run.dry=true", *QUICK)[0] == 0
    assert runner("hydra.run.dir=mine/too/new", "train.epochs=ten")[0] == 1
    assert runner("hydra.run.dir=mine/../mine/too", "run.dry=true", *QUICK)[0] == 0
    assert [path.name for path in (tmp_path / "mine").rglob("*")] == ["too"]
    assert runner("run.model=../x", *QUICK)[0] == 1
    assert not (tmp_path / "outputs").exists()


def test_a_value_that_is_nested_too_deeply_is_one_line(runner):
    code, out, err = runner(f"encoder.layers={'[' * 400}{']' * 400}", *QUICK)
    assert code == 1 and err.startswith("runner: encoder.layers: ") and err.count("\n") == 1
    assert "Traceback" not in out + err


def test_training_that_diverges_names_the_epoch_and_keeps_nothing_of_it(runner, tmp_path):
    code, out, err = runner(
        "model=ncn", "train.lr_encoder=1e30", "train.lr_predictor=1e30", "train.batch_size=179",
        *QUICK,
    )  # fmt: skip
    assert code == 1 and "at the end of epoch 1" in err and "Traceback" not in out + err
    (folder,) = run_folders(tmp_path)
    assert not list((folder / "checkpoints").iterdir())


def test_a_run_can_be_resumed_from_elsewhere(runner, tmp_path, monkeypatch):
    (tmp_path / "graph.csv").write_text(
        "\n".join(f"{u},{v}" for u in range(30) for v in range(u) if (u * v + u) % 5 == 0)
    )
    arguments = ("dataset=edges", "dataset.path=graph.csv", "model=ncn", *QUICK[1:])
    code, _, err = runner(*arguments, "hydra.run.dir=run")
    assert code == 0, err
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, _, err = runner("resume=../run", "train.epochs=3")
    assert code == 0, err
    (tmp_path / "graph.csv").rename(tmp_path / "moved.csv")
    code, _, err = runner("resume=../run", "train.epochs=4", "dataset.path=../moved.csv")
    assert code == 0, err
    assert len(rows(tmp_path / "run")) == 4


def test_ablation_preset_uses_the_plain_sampler(runner, tmp_path):
    code, _, err = runner("experiment=no_target_link_removal", "model=ncn", *QUICK)
    assert code == 0, err
    (folder,) = run_folders(tmp_path)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["sampler"]["_target_"] == "runner.training.samplers.FullGraph"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=ncnn"], "model=ncnn: there is no such model; did you mean ncn?"),
        (["dataset=coar"], "did you mean cora?"),
        (["modle=ncn"], "modle: there is no such key; did you mean model?"),
        (["train.epoch=3"], "did you mean train.epochs?"),
        (["model.completion.alfa=3"], "did you mean model.completion.alpha?"),
        (["train.epochs=ten"], "train.epochs: 'ten'"),
        (["+model.extra=1"], "model.extra: there is no such key"),
        (["seed=[1"], "cannot be read"),
        (["dataset=edges"], "dataset.path: a value is needed"),
        (["dataset=lesmis", "train.batch_size=100000"], "train.batch_size=100000"),
        (["dataset=lesmis", "protocol.metrics=[hits@1000]"], "hits@1000 needs at least"),
        (["dataset=lesmis", "protocol.metrics=[hit@10]"], "hit@10"),
        (["dataset=lesmis", "protocol.select=hits@7"], "protocol.select=hits@7"),
        (["dataset=cora", "protocol.select=mr"], "'mr' is not among"),
        (["hardware.device=tpu"], "hardware.device: 'tpu'"),
        (["hardware.threads=99999999"], "hardware.threads: 99999999"),
        (["model.completion.t=-1"], "model.completion.t: -1 does not fit"),
        (["model.completion.t=ten"], "model.completion.t: 'ten' does not fit"),
        (["+protocol.tuned.model.beta=2.0"], "protocol.tuned.model.beta: there is no such key"),
        (
            ["model=ncn", "model.pool=lcm"],
            "model.pool: this is an option of a group; write model/pool",
        ),
        (
            ["model=ncn", "model/pool=lc"],
            "model/pool=lc: there is no such model/pool; did you mean",
        ),
        (["model=ocn", "model/pool=lcm"], "model/pool: the chosen model takes no such part"),
        (["model/pool=lcm"], "a learned monoid has no weights"),
        (["model=3"], "model=3: a group takes the name of an option"),
        (["tracker=null"], "tracker=null: a group takes the name of an option"),
        (["sweep=seeds"], "sweep=seeds: a sweep is several runs; write runner -m"),
        (["protocol.metrics=[]"], "protocol.metrics: []"),
        (["protocol.permitted_overlaps=[x]"], "permitted_overlaps.0: 'x'"),
        (["model.hidden=3"], "model.hidden: 3 is not the width"),
        (
            ["encoder.convolution.path=runner.models.gae.GAE"],
            "'runner.models.gae.GAE' is no convolution",
        ),
        (["dataset=lesmis", "+dataset.path=graph.csv"], "dataset.path: there is no such key"),
        (["+protocol.tuned.encoder.hiden=3"], "did you mean protocol.tuned.encoder.hidden?"),
        (["dataset=lesmis", "train.init_from=nowhere"], "no run that can be begun from"),
        (["resume=nowhere"], "resume=nowhere: there is no such folder"),
        (["resume=~nobody-of-that-name"], "there is no such folder"),
        (["resume=one", "resume=two"], "resume takes one run folder"),
        (["--nope"], "unrecognized arguments: --nope"),
        ([""], "'': this override cannot be read"),
        (["=3"], "=3: this override cannot be read"),
        (["tracker=true"], "tracker=true: a group takes the name of an option"),
        (["model={a: b}"], "model: it takes the name of an option"),
        (["model=/etc/x"], "model=/etc/x: there is no such model"),
        (["+train=none"], "every run has one already; leave out the +"),
        (["+model=gae"], "model: every run has one already; leave out the +"),
        (["+train.epochs=3"], "+train.epochs: there is such a key already; leave out the +"),
        (["seed=1,2"], "seed=1,2: several values are several runs: runner -m"),
        (["hydra.run.dir=${nope}"], "hydra.run.dir: Interpolation key 'nope' not found"),
        (["hydra.output_subdir=x"], "hydra.output_subdir=x: the run folder keeps its own"),
        (["-m", "seed=range(0)"], "the sweep has no jobs"),
        (["dataset=lesmis", "-m", "seed=-1"], "seed: -1 does not fit"),
    ],
)
def test_bad_input_is_one_clear_error(runner, tmp_path, arguments, message):
    if arguments[0].startswith("resume"):
        message = message.replace("nowhere", str(tmp_path / "nowhere"))
    code, out, err = runner(*arguments)
    assert code == 1
    assert message in err and err.startswith("runner: ")
    assert "Traceback" not in out + err
    left = {path.name for path in tmp_path.rglob("*")}
    assert left <= {"outputs"} or run_folders(tmp_path) or "ledger.jsonl" in left
    assert not [f for f in run_folders(tmp_path) if read(f, "status.json")["status"] != "failed"]


def test_overrides_are_kept_as_they_were_typed(runner, tmp_path):
    typed = "model.hidden=${encoder.hidden}"
    code, _, err = runner("model=ncn", typed, "hydra.run.dir=run", *QUICK)
    assert code == 0, err
    assert typed in yaml.safe_load((tmp_path / "run" / "overrides.yaml").read_text())


def test_a_sweep_tells_each_failure_once(runner):
    code, _, err = runner(*QUICK, "-m", "seed=-1,-2")
    assert code == 1
    assert [
        line for line in err.splitlines() if not line.startswith(("runner: ", "  seed: "))
    ] == []
    assert err.count("seed: -1 does not fit") == err.count("seed: -2 does not fit") == 1


@pytest.mark.parametrize("dry", ["true", "false"])
def test_a_model_that_fits_into_no_memory(runner, tmp_path, monkeypatch, dry):
    def build(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9")

    monkeypatch.setattr("runner.experiment.build.instantiate", build)
    code, _, err = runner("model=ncn", *QUICK, f"run.dry={dry}")
    assert code == 1 and err.startswith(
        "runner: the memory does not suffice; a smaller train.batch"
    )
    statuses = [read(folder, "status.json")["status"] for folder in run_folders(tmp_path)]
    assert statuses == ([] if dry == "true" else ["failed"])


def test_a_part_that_cannot_be_built_leaves_a_failed_run(runner, tmp_path):
    code, _, err = runner(*QUICK, "tracker._target_=os.getcwd")
    assert code == 1 and "tracker._target_: os.getcwd gives a str, which is no Tracker" in err
    (folder,) = run_folders(tmp_path)
    assert read(folder, "status.json")["status"] == "failed"


def test_a_missing_dataset_says_which_files_belong_where(runner, tmp_path, monkeypatch):
    def no_network(*arguments):
        raise OSError("no network")

    monkeypatch.setattr("runner.data.planetoid.download", no_network)
    code, _, err = runner("dataset=cora", f"dataset.root={tmp_path}/data", "tracker=none")
    assert code == 1
    assert f"{tmp_path}/data/planetoid/Cora/raw" in err and "ind.cora" in err


def test_a_gpu_that_is_not_there(runner):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    code, _, err = runner("hardware=gpu", *QUICK)
    assert code == 1 and "hardware=auto" in err


def test_an_unwritable_output_folder(runner, tmp_path):
    (tmp_path / "outputs").write_text("a file in the way")
    code, _, err = runner(*QUICK)
    assert code == 1 and "hydra.run.dir=" in err and "Traceback" not in err


@pytest.mark.command
@pytest.mark.parametrize("arguments", [["--cfg", "job"], ["train.epoch=3"], ["train.epochs=ten"]])
def test_mistakes_import_nothing_heavy(tmp_path, arguments):
    """torch alone takes seconds."""
    code = (
        "import sys; from runner.cli.main import main\n"
        "try: main()\n"
        "finally: print('heavy:', {'torch', 'wandb', 'ogb', 'scipy', 'pandas'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", code, *arguments]
    shown = subprocess.run(command, capture_output=True, text=True)
    assert shown.stdout.splitlines()[-1] == "heavy: set()"


@pytest.mark.command
def test_help_and_completion_answer_from_any_directory(tmp_path):
    executable = str(Path(sys.executable).parent / "runner")
    environment = {**os.environ, "COMP_LINE": "runner model=nc", "COMP_POINT": "15"}
    shown = subprocess.run([executable, "--help"], capture_output=True, text=True, check=True)
    assert "runner resume=<run folder>" in shown.stdout and "ncnc" in shown.stdout
    completed = subprocess.run(
        [executable, "-sc", "query=bash"],
        capture_output=True, text=True, check=True, env=environment,
    )  # fmt: skip
    assert {"model=ncn", "model=ncnc"} <= set(completed.stdout.split())
