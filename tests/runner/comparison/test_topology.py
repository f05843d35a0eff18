"""Tables of nodes.csv: a small one by hand, on the terminal and on the page."""

from __future__ import annotations

import math

import pytest
from tests.runner.comparison.conftest import write_run

from runner.comparison.collect import collect
from runner.comparison.groups import group
from runner.comparison.topology import topologies

NODES = """\
node,name,degree,tc_train,atc_train,tc_valid,atc_valid,tc_test,atc_test,test/ndcg@10
0,a,2,1,0.9,,,0.5,0.4,0.5
1,b,3,0.5,0.8,0.2,0.1,0.3,0.2,0.25
2,NA,9,0.3,0.7,,,1,0.6,1
3,d,0,,,0,0,0,0,0
4,e,1,0,0.5,,,,,
"""
TIME = {"protocol.split._target_": "runner.data.time_split.TimeSplit"}
RANDOM = {"protocol.split._target_": "runner.data.splits.RandomSplit"}


def write(root, nodes=NODES, **options):
    folder = write_run(root, "cn", options.pop("seed", 0), 0.5, **options)
    if nodes is not None:
        (folder / "nodes.csv").write_text(nodes)
    return folder


def read(root):
    return topologies(group(collect([root])))


def test_one_run_by_hand(tmp_path):
    write(tmp_path, settings=TIME)
    (found,) = read(tmp_path)
    assert found.means.values.tolist() == [
        ["training", 4, pytest.approx(0.45), pytest.approx(0.725)],
        ["validation", 2, pytest.approx(0.1), pytest.approx(0.05)],
        ["test", 4, pytest.approx(0.45), pytest.approx(0.3)],
    ]
    assert found.shift == pytest.approx((0.5 + 0.2 - 0.7) / 3)
    assert "later than those of training" in found.meaning
    of = {(row["by"], row["from"]): row for row in found.bins.to_dict("records")}
    assert [of["tc_test", edge]["nodes"] for edge in (0, 0.2, 0.4, 0.6, 0.8)] == [1, 1, 1, 0, 1]
    assert of["tc_test", 0.8]["ndcg@10"] == 1 and math.isnan(of["tc_test", 0.6]["ndcg@10"])
    assert [of["degree", edge]["nodes"] for edge in (0, 1, 2, 4, 8)] == [1, 0, 2, 0, 1]
    assert of["degree", 2]["ndcg@10"] == pytest.approx(0.375)
    by = {row["by"]: row for row in found.correlations.to_dict("records")}
    assert by["degree"]["pearson"] == pytest.approx(4.625 / (45 * 0.546875) ** 0.5)
    assert by["tc_test"]["spearman"] == pytest.approx(1)
    assert by["tc_train"]["spearman"] == pytest.approx(-0.5)  # 0.5, 0.25, 1 of the first three
    assert by["tc_valid"]["pearson"] == pytest.approx(1)


def test_runs_of_a_group_are_averaged_and_those_without_a_report_left_out(tmp_path):
    write(tmp_path, seed=0, settings=RANDOM)
    write(tmp_path, NODES.replace("1,0.6,1\n", "1,0.6,0\n"), seed=1, settings=RANDOM)
    write(tmp_path, "node,name\n0,a\n", seed=2, settings=RANDOM)
    write(tmp_path, None, seed=3, settings=RANDOM)
    (found,) = read(tmp_path)
    assert found.runs == 2 and found.meaning.startswith("means nothing here: on a random split")
    bins = found.bins.set_index(["by", "from"])
    assert bins.loc[("tc_test", 0.8), "ndcg@10"] == 0.5


def test_the_command_prints_it(tmp_path, compare):
    write(tmp_path, settings=TIME)
    code, out, err = compare(tmp_path, "--topology")
    assert code == 0, err
    assert "shift of TC, training less test: 0.0000; links of the test are later" in out
    for words in ("topology of cora cn, 1 run", "0.8 to 1", "8 to 15", "0.932"):
        assert words in out, words


def test_without_a_report_the_command_says_how_to_get_one(tmp_path, compare):
    write(tmp_path, None)
    code, _, err = compare(tmp_path, "--topology")
    assert code == 2 and "run.node_report=true" in err and "runner-evaluate <run> --nodes" in err


def test_the_page_has_it_too(tmp_path, compare):
    write(tmp_path, settings=RANDOM)
    assert compare(tmp_path, "--html", tmp_path / "page.html")[0] == 0
    text = (tmp_path / "page.html").read_text()
    assert '<section id="topology">' in text and "means nothing here" in text
    assert "metric by tc_test" in text and ">0.8 to 1<" in text


def test_a_page_without_a_report_has_no_section(tmp_path, compare):
    write(tmp_path, None)
    assert compare(tmp_path, "--html", tmp_path / "page.html")[0] == 0
    assert 'id="topology"' not in (tmp_path / "page.html").read_text()
