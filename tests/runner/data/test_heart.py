"""HeaRT's files, made here for a small graph; the real ones where RUNNER_DATA has them."""

import hashlib
import io
import json
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.test_configs import resolved

from runner.data import heart_archive
from runner.data.audit import audit, enforce
from runner.data.heart import NEGATIVES, HeartSplit
from runner.data.whole_graph import WholeGraph, split_data
from runner.errors import RunnerError

NODES = 12
RING = np.array([(v, (v + 1) % NODES) for v in range(NODES)])
PARTS = {"valid": RING[8:10], "test": RING[10:]}


def samples(positives: np.ndarray) -> np.ndarray:
    """500 negatives of each: the first half keeps its source, the second its target."""
    found = np.repeat(positives[:, None], NEGATIVES, axis=1)
    half = NEGATIVES // 2
    for (u, v), negatives in zip(positives, found, strict=True):
        negatives[:half, 1] = np.resize([x for x in range(NODES) if x not in (u, v)], half)
        negatives[half:, 0] = np.resize([x for x in range(NODES) if x not in (u, v)], half)
    return found


def write_rows(path: Path, rows) -> None:
    path.write_text("".join(f"{u}\t{v}\n" for u, v in rows))


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "heart" / "cora"
    folder.mkdir(parents=True)
    write_rows(folder / "train_pos.txt", [(3, 3), *RING[:8][:, ::-1], (5, 5)])
    for part, rows in PARTS.items():
        write_rows(folder / f"{part}_pos.txt", rows)
        write_rows(folder / f"{part}_neg.txt", [(0, 5), (2, 7)])
        np.save(folder / f"heart_{part}_samples.npy", samples(rows))
    return folder


@pytest.fixture
def whole(tmp_path) -> WholeGraph:
    graph = WholeGraph.of(torch.from_numpy(RING.T.copy()), NODES + 1)  # one node has no link
    return replace(graph, name="cora", root=str(tmp_path))


def test_links_and_own_negatives_are_those_of_the_files_in_their_order(folder, whole):
    split = HeartSplit(own_negatives=True).split(whole)
    assert split.train.T.tolist() == RING[:8][:, ::-1].tolist()
    for part, rows in PARTS.items():
        found = {"valid": split.valid, "test": split.test}[part]
        assert found.positive.T.tolist() == rows.tolist()
        assert found.negative.shape == (2, 2, NEGATIVES) and found.negative.dtype == torch.int64
        assert torch.equal(found.negative, torch.from_numpy(samples(rows)).permute(2, 0, 1))
    assert any("Planetoid" in note for note in split.notes)
    assert "HeaRT: 2 self-loops of its files are skipped" in split.notes
    assert split.facts == {"self-loops skipped": 2}


def test_the_existing_setting_has_shared_negatives_and_needs_no_own_ones(folder, whole):
    for file in folder.glob("*.npy"):
        file.unlink()
    split = HeartSplit(own_negatives=False).split(whole)
    assert split.test.negative.T.tolist() == [[0, 5], [2, 7]]
    with pytest.raises(RunnerError, match=r"lacks heart_valid_samples\.npy, heart_test_sample"):
        HeartSplit(own_negatives=True).split(whole)


def test_the_split_is_told_by_its_files(folder, whole):
    def fingerprint() -> str:
        split = HeartSplit(own_negatives=True)
        return split_data(whole, split, features=torch.ones(NODES + 1, 2)).split_fingerprint

    before = fingerprint()
    assert before == fingerprint()
    other = samples(PARTS["test"])
    other[0, 0, 1] = NODES
    np.save(folder / "heart_test_samples.npy", other)
    assert before != fingerprint()


def test_a_negative_that_is_another_positive_is_counted_and_permitted(folder, whole, tmp_path):
    data = split_data(whole, HeartSplit(own_negatives=True), features=torch.ones(NODES + 1, 2))
    found = audit(data, cache=tmp_path, keep=False)
    assert found.counts["test_negative_in_test"] > 0  # (10, 11) has (11, 0) and back
    protocol = resolved("dataset=cora", "protocol=heart")["protocol"]
    permitted = protocol["permitted_overlaps"]
    lines = [line for _, line in enforce(found, official=True, permitted=permitted)]
    assert any("test negative links in test, as the protocol permits" in line for line in lines)


def swapped(array):
    return array[::-1].copy()


def with_positive(array):
    array[1, 300] = PARTS["test"][1]
    return array


def with_node(node):
    def change(array):
        array[0, 0, 1] = node
        return array

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (swapped, "row 1 does not keep one end of its positive and change the other"),
        (with_positive, "row 2 does not keep one end"),
        (with_node(NODES + 1), "node 13 is not among 0 to 12"),
        (with_node(-1), "node -1 is not among"),
        (lambda a: a[:, :400], r"no int64 array of shape \(2, 500, 2\)"),
        (lambda a: a[:1], r"no int64 array of shape \(2, 500, 2\)"),
        (lambda a: a.astype(np.float64), "no int64 array"),
        (lambda a: a.astype(object), "NumPy cannot read it"),
    ],
)
def test_negatives_that_do_not_fit_are_refused(folder, whole, change, words):
    np.save(folder / "heart_test_samples.npy", change(samples(PARTS["test"])), allow_pickle=True)
    with pytest.raises(RunnerError, match=rf"heart_test_samples\.npy is damaged.*{words}") as error:
        HeartSplit(own_negatives=True).split(whole)
    assert "\n" not in str(error.value) and "heart_archive" in str(error.value)


@pytest.mark.parametrize("size", [0, 5, 100, 1000])
def test_cut_negatives_are_refused(folder, whole, size):
    file = folder / "heart_valid_samples.npy"
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(RunnerError, match=r"heart_valid_samples\.npy is damaged"):
        HeartSplit(own_negatives=True).split(whole)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("test_pos.txt", "10\t11\n11\t1\n", "11 and 1 have no link in the graph"),
        ("test_pos.txt", "10\t11\n", "have 11 links, 11 different ones, and the graph has 12"),
        ("test_pos.txt", "10\t11\n7\t8\n", "have 12 links, 11 different ones"),
        ("train_pos.txt", "0\t1\n1\t0\n", "different ones"),
        ("valid_pos.txt", "8\t9\n9\t13\n", "node 13 is not among 0 to 12"),
        ("valid_pos.txt", "8\t9\n9\tx\n", "no rows of two numbers"),
        ("valid_pos.txt", "8\t9\n9\n", "no rows of two numbers"),
        ("valid_pos.txt", "8 9 9 10\n", "no rows of two numbers"),
        ("valid_pos.txt", "8\t9\n9\t10.5\n", "no rows of two numbers"),
        ("valid_pos.txt", "", "no rows of two numbers"),
        ("valid_pos.txt", "8\t9\n\udcff", "no rows of two numbers"),
        ("valid_neg.txt", "0\t5\n", "1 rows for 2 positives"),
        ("valid_neg.txt", "0\t5\n2\t-7\n", "node -7 is not among"),
    ],
)
def test_texts_that_do_not_fit_are_refused(folder, whole, name, text, words):
    (folder / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(RunnerError, match=rf"is damaged, or of another graph.*{words}") as error:
        HeartSplit(own_negatives=False).split(whole)
    assert "\n" not in str(error.value)


def test_other_datasets_are_refused(whole):
    with pytest.raises(RunnerError, match="no files for this dataset; use dataset=cora"):
        HeartSplit(own_negatives=True).split(replace(whole, root=None, name=""))


def test_the_archive_brings_what_is_missing(folder, tmp_path, monkeypatch, capsys):
    kept = (folder / "test_pos.txt").read_text() + " "
    (folder / "test_pos.txt").write_text(kept)
    content = {name: (folder / name).read_bytes() for name in heart_archive.FILES}
    (folder / "heart_test_samples.npy").unlink()

    def download(url: str, working: Path, known_hash: str) -> Path:
        assert known_hash == "md5:d5086c7456ee98892af00ce00816aba1"
        archive = working / "HeaRT.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            for name, text in {**content, "gnn_feature": b"pickle", "../../x": b""}.items():
                for dataset in ("cora", "ogbl-ppa"):
                    member = tarfile.TarInfo(f"HeaRT/dataset/{dataset}/{name}")
                    member.size = len(text)
                    tar.addfile(member, io.BytesIO(text))
        return archive

    monkeypatch.setattr(heart_archive, "download", download)
    monkeypatch.setattr("sys.argv", ["heart_archive", str(tmp_path)])
    heart_archive.main()
    assert capsys.readouterr().out == f"{folder / 'heart_test_samples.npy'}\n"
    found = (folder / "heart_test_samples.npy").read_bytes()
    assert hashlib.md5(found).digest() == hashlib.md5(content["heart_test_samples.npy"]).digest()
    assert (folder / "test_pos.txt").read_text() == kept
    assert {path.name for path in folder.parent.iterdir()} == {"cora"}
    assert {path.name for path in folder.iterdir()} == set(heart_archive.FILES)


def test_an_archive_that_does_not_come_is_said_with_what_to_do(tmp_path, monkeypatch):
    def download(*_):
        raise OSError("no network")

    monkeypatch.setattr(heart_archive, "download", download)
    with pytest.raises(RunnerError, match=r"cannot be downloaded .*no network.*put its folders"):
        heart_archive.fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []


DATA = Path(os.environ.get("RUNNER_DATA", ""))
HAS_CITESEER = (DATA / "heart" / "citeseer").is_dir() and (DATA / "planetoid/CiteSeer").is_dir()


@pytest.mark.skipif(
    "RUNNER_DATA" not in os.environ or not HAS_CITESEER,
    reason="RUNNER_DATA has no HeaRT files of CiteSeer",
)
@pytest.mark.parametrize("model", ["cn", "aa", "ra", "shortest_path", "katz"])
def test_heuristics_on_citeseer_are_the_published_ones_to_the_digit(runner, model):
    published = {
        "cn": (8.42, 18.68), "aa": (10.82, 22.20), "ra": (10.84, 22.86),
        "shortest_path": (5.83, 16.26), "katz": (11.19, 24.84),
    }  # fmt: skip
    code, _, err = runner(
        f"model={model}", "dataset=citeseer", "protocol=heart", "tracker=none", "hydra.run.dir=run",
    )  # fmt: skip
    assert code == 0, err
    summary = json.loads(Path("run/summary.json").read_text())
    assert list(summary["test"]) == ["mrr", "hits@1", "hits@3", "hits@10", "hits@100"]
    found = tuple(round(100 * summary["test"][name], 2) for name in ("mrr", "hits@10"))
    assert found == published[model]
    figures = (summary["published"], *summary["published"]["also"])
    assert tuple(figure["mean"] for figure in figures) == published[model]
    meta = json.loads(Path("run/meta.json").read_text())
    assert meta["sizes"]["nodes"] == 3327
