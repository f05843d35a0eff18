"""Runs on a user's own graph: named, told apart and resumed by what is in the file."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from tests.conftest import run_folders

from runner.comparison.collect import collect
from runner.comparison.fingerprints import distinguish_data
from runner.comparison.groups import group
from runner.experiment import tracked
from runner.storage.seal import read_lines, sealed_json, sealed_lines

LINKS = [f"{u},{v}" for u in range(20) for v in range(u) if (u * v + u) % 3 == 0]
QUICK = ("dataset=edges", "tracker=none", "model=ncn", "encoder.hidden=8", "train.batch_size=16")


def write(path: str, links=LINKS) -> str:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text("\n".join(links))
    return f"dataset.path={path}"


def meta(folder: Path) -> dict:
    return json.loads((folder / "meta.json").read_text())


def groups(*folders: Path):
    return group(distinguish_data(collect(folders)))


def interrupt(folder: Path) -> None:
    """As if the run had been stopped at the end of its last epoch."""
    (folder / "summary.json").unlink()
    status = json.loads((folder / "status.json").read_text())
    (folder / "status.json").write_text(sealed_json({**status, "status": "interrupted"}))


def test_the_name_stands_in_folders_tables_and_titles(runner, tmp_path):
    code, out, err = runner(*QUICK, write("graph.csv"), "dataset.name=acme", "train.epochs=1")
    assert code == 0, err
    (folder,) = run_folders(tmp_path)
    assert folder.parent.relative_to(tmp_path) == Path("outputs/acme/ncn")
    assert "ncn on acme, seed 0" in out and "acme: 20 nodes" in out
    assert json.loads((folder / "summary.json").read_text())["dataset"] == "acme"
    assert meta(folder)["experiment"].startswith("acme-ncn-")


def test_a_graph_called_cora_has_nothing_of_cora(runner, tmp_path):
    code, _, err = runner(*QUICK, write("graph.csv"), "dataset.name=cora", "train.epochs=1")
    assert code == 0, err
    (folder,) = run_folders(tmp_path)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["protocol"]["published"] == config["protocol"]["tuned"] == {}
    assert json.loads((folder / "summary.json").read_text())["published"] is None


def test_one_file_in_two_folders_is_one_experiment_and_a_mended_one_is_two(runner, tmp_path):
    for seed, path, links in (
        (0, "a/x.csv", LINKS),
        (1, "b/y.csv", LINKS),
        (2, "a/x.csv", LINKS[3:]),
    ):
        place = f"hydra.run.dir=runs/{seed}"
        code, _, err = runner(*QUICK, write(path, links), f"seed={seed}", place, "train.epochs=1")
        assert code == 0, err
    one, other = groups(tmp_path / "runs")
    assert len(one.runs) == 2 and len(other.runs) == 1
    assert {one.dataset.split(" (")[0], other.dataset.split(" (")[0]} <= {"x", "y"}
    assert one.dataset != other.dataset
    ids = {meta(tmp_path / "runs" / str(seed))["experiment"][2:] for seed in range(3)}
    assert len(ids) == 1  # told apart by the fingerprint beside it


def as_before(folder: Path) -> None:
    """A folder as a version without names and fingerprints left it."""
    config = yaml.safe_load(read_lines((folder / "config.yaml").read_text()))
    config["run"]["dataset"] = config["dataset"]["name"] = "edges"
    del config["dataset"]["own"]
    (folder / "config.yaml").write_text(sealed_lines(yaml.safe_dump(config, sort_keys=False)))
    summary = json.loads((folder / "summary.json").read_text())
    (folder / "summary.json").write_text(sealed_json({**summary, "dataset": "edges"}))
    before = meta(folder)
    for key in ("graph", "features", "read"):
        del before["data"][key]
    del before["sizes"]["links"]
    (folder / "meta.json").write_text(sealed_json({**before, "experiment": "edges-ncn-0123abcd"}))


def test_a_run_from_before_is_a_repeat_by_its_path(runner, tmp_path):
    for seed, path in ((0, "graph.csv"), (1, "graph.csv"), (2, "other.csv")):
        place = f"hydra.run.dir=runs/{seed}"
        code, _, err = runner(*QUICK, write(path), f"seed={seed}", place, "train.epochs=1")
        assert code == 0, err
    for seed in (0, 2):
        as_before(tmp_path / "runs" / str(seed))
    found = {len(g.runs): g.dataset for g in groups(tmp_path / "runs")}
    assert found == {2: "graph", 1: "edges"}


@pytest.mark.parametrize(
    ("links", "said"),
    [
        (LINKS[:-5], f"20 nodes and {len(LINKS)} links then, 20 and {len(LINKS) - 5} now"),
        ([*LINKS[:-1], "0,1"], f"20 nodes and {len(LINKS)} links then and now, but other ones"),
    ],
)
def test_a_run_is_not_gone_on_with_on_a_changed_file(runner, tmp_path, links, said):
    folder = tmp_path / "runs" / "one"
    arguments = (*QUICK, write("graph.csv"), "train.epochs=2")
    assert runner(*arguments, f"hydra.run.dir={folder}")[0] == 0
    interrupt(folder)
    before = {
        path: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".json", ".pt")
    }
    write("graph.csv", links)
    auto = ("resume=auto", *arguments, "hydra.run.dir=runs/two")
    for command in ((f"resume={folder}", "train.epochs=3"), auto):
        code, out, err = runner(*command)
        assert code == 1 and "epoch 3" not in out
        assert f"resume={folder}: the dataset has changed" in err and said in err
        assert "put the old file back, or start a new run" in err
    assert before == {path: path.read_bytes() for path in before}
    write("graph.csv")
    code, out, err = runner(*auto)
    assert code == 0 and f"goes on with {folder}" in out, err


def test_other_names_of_the_nodes_are_another_file(runner, tmp_path):
    folder = tmp_path / "runs" / "one"
    named = [",".join(f"n{end}" for end in link.split(",")) for link in LINKS]
    arguments = (*QUICK, write("graph.csv", named), "train.epochs=2")
    assert runner(*arguments, f"hydra.run.dir={folder}")[0] == 0
    interrupt(folder)
    write("graph.csv", [link.replace("n3", "m3") for link in named])
    code, _, err = runner(f"resume={folder}", "train.epochs=3")
    assert code == 1 and "the graph is the same, its nodes have other names" in err


def test_a_run_from_before_says_how_its_file_is_read_now(runner, tmp_path):
    write("graph.csv", [f"{3 * u},{3 * v}" for u, v in (map(int, x.split(",")) for x in LINKS)])
    assert runner(*QUICK, "dataset.path=graph.csv", "train.epochs=1", "hydra.run.dir=run")[0] == 0
    as_before(tmp_path / "run")
    before = meta(tmp_path / "run")  # gaps in ids were nodes without a link
    before["sizes"]["nodes"], before["data"]["fingerprint"] = 58, "0" * 64
    (tmp_path / "run" / "meta.json").write_text(sealed_json(before))
    code, _, err = runner("resume=run", "train.epochs=2")
    train = before["sizes"]["training_links"]
    assert code == 1 and f"58 nodes and {train} training links then, 20 and {train} now" in err
    assert "it is read like this now: " in err and "numbered the 20 ids, 0 to 57" in err


def test_auto_goes_on_with_a_run_from_before(runner, tmp_path):
    arguments = (*QUICK, write("graph.csv"), "train.epochs=1")
    folder = tmp_path / "runs" / "old"
    assert runner(*arguments, f"hydra.run.dir={folder}")[0] == 0
    as_before(folder)
    config = yaml.safe_load(read_lines((folder / "config.yaml").read_text()))
    for node in (config["dataset"], config["dataset"]["source"]):
        del node["nodes"], node["columns"]  # keys that came later
    (folder / "config.yaml").write_text(sealed_lines(yaml.safe_dump(config, sort_keys=False)))
    interrupt(folder)
    shutil.rmtree(folder / "checkpoints")  # they hold the records of today
    code, out, err = runner("resume=auto", *arguments, "hydra.run.dir=runs/new")
    assert code == 0 and f"goes on with {folder}" in out, err


def test_auto_goes_on_with_a_moved_file_and_not_with_another_of_that_name(runner, tmp_path):
    place = "hydra.run.dir=outputs/graph/ncn/one"
    assert runner(*QUICK, write("a/graph.csv"), "train.epochs=1", place)[0] == 0
    folder = tmp_path / "outputs/graph/ncn/one"
    interrupt(folder)
    shutil.move("a", "b")
    auto = ("resume=auto", *QUICK, "train.epochs=1")
    code, out, err = runner(*auto, "dataset.path=b/graph.csv")
    assert code == 0 and f"goes on with {folder}" in out, err
    interrupt(folder)
    code, out, err = runner(*auto, write("c/graph.csv", LINKS[3:]))
    assert code == 0 and "goes on with" not in out, err
    assert len(run_folders(tmp_path)) == 2


@pytest.mark.parametrize("several", [(), ("-m", "seed=0,1")])
def test_a_path_is_seen_from_where_the_command_was_typed(runner, tmp_path, several):
    Path("nodes.csv").write_text("id,x\n" + "\n".join(f"{n},{n}" for n in range(20)))
    places = ("hydra.job.chdir=true", write("graph.csv"), "dataset.features=nodes.csv")
    code, _, err = runner(*several, *QUICK, "train.epochs=1", *places)
    assert code == 0, err
    folders = run_folders(tmp_path)
    assert len(folders) == (2 if several else 1)
    for folder in folders:
        dataset = yaml.safe_load((folder / "config.yaml").read_text())["dataset"]
        assert dataset["path"] == dataset["source"]["path"] == str(tmp_path / "graph.csv")
        assert dataset["features"] == dataset["source"]["features"] == str(tmp_path / "nodes.csv")


@pytest.mark.parametrize(
    ("dataset", "line"),
    [
        ("lesmis", "lesmis: 77 nodes, 254 links, undirected, unweighted; learned embeddings"),
        ("synthetic", "synthetic: 3000 nodes, 12000 links, undirected, unweighted; 32 features"),
    ],
)
def test_every_run_says_what_its_data_is(runner, dataset, line):
    code, out, err = runner(f"dataset={dataset}", "model=cn", "tracker=none")
    assert code == 0 and out.count(" nodes, ") == 1 and line in out, out + err


def test_two_graphs_are_two_groups_in_wandb(runner, monkeypatch):
    groups, original = [], tracked.RunInfo
    monkeypatch.setattr(tracked, "RunInfo", lambda **k: groups.append(k["group"]) or original(**k))
    for seed, links in enumerate((LINKS, LINKS, LINKS[3:])):
        typed = (*QUICK, write("graph.csv", links), f"seed={seed}", "train.epochs=1")
        code, _, err = runner(*typed)
        assert code == 0, err
    assert groups[0] == groups[1] != groups[2]


def test_resume_auto_does_not_take_a_finished_run_for_that_of_a_changed_file(runner, tmp_path):
    auto = (*QUICK, write("graph.csv"), "hydra.run.dir=one", "train.epochs=1", "resume=auto")
    assert runner(*auto)[0] == 0
    assert "this run is finished" in runner(*auto)[1]
    write("graph.csv", LINKS[:-5])
    code, out, err = runner(*auto)
    assert code == 1 and "one: the dataset has changed" in err, out + err
    write("graph.csv")
    assert "this run is finished" in runner(*auto)[1]


def parts(folder: str, *starts: int) -> tuple[str, ...]:
    """The links of the graph, cut into train, validation and test at two places of them."""
    Path(folder).mkdir(exist_ok=True)
    cuts = (0, *starts, len(LINKS))
    for name, (begin, end) in zip(("path", "valid", "test"), pairwise(cuts), strict=True):
        (Path(folder) / f"{name}.csv").write_text("\n".join(LINKS[begin:end]))
    return ("protocol=files", *(f"dataset.{n}={folder}/{n}.csv" for n in ("path", "valid", "test")))


def timed(path: str, *, backwards: bool = False) -> tuple[str, ...]:
    times = range(len(LINKS))[:: -1 if backwards else 1]
    rows = [f"{link},{time}" for link, time in zip(LINKS, times, strict=True)]
    return ("protocol=time", write(path, ["u,v,time", *rows]))


@pytest.mark.parametrize("by_time", [False, True])
def test_another_split_of_the_same_graph_is_another_experiment(runner, tmp_path, by_time):
    splits = {
        "one": timed("a.csv") if by_time else parts("a", 70, 80),
        "moved": timed("b.csv") if by_time else parts("b", 70, 80),
        "other": timed("c.csv", backwards=True) if by_time else parts("c", 72, 80),
    }
    for seed, (name, split) in enumerate(splits.items()):
        place = f"hydra.run.dir=runs/{name}"
        code, _, err = runner(*QUICK, *split, f"seed={seed}", place, "train.epochs=1")
        assert code == 0, err
    found = groups(tmp_path / "runs")
    assert sorted(len(row.runs) for row in found) == [1, 2]
    recorded = [meta(tmp_path / "runs" / name)["data"] for name in splits]
    assert len({data["graph"] for data in recorded}) == 1
    assert len({data["split"] for data in recorded}) == 2


def test_resume_auto_does_not_go_on_with_another_split(runner, tmp_path):
    run_one = (*QUICK, *parts("a", 70, 80), "hydra.run.dir=one", "train.epochs=1", "resume=auto")
    assert runner(*run_one)[0] == 0
    (done,) = run_folders(tmp_path)
    before = (done / "meta.json").read_text()
    moved = (*QUICK, *parts("b", 70, 80), *run_one[-3:])
    assert runner(*moved)[0] == 0 and (done / "meta.json").read_text() == before
    code, out, err = runner(*QUICK, *parts("b", 72, 80), *run_one[-3:])
    assert code == 1 and "this folder already holds a run" in err, out + err
