from dataclasses import replace

from runner.comparison.fingerprints import distinguish_data
from runner.comparison.run import Files, Run


def run(graph, features="f" * 64, dataset="mine", experiment="mine-ncn-12345678"):
    return Run(
        "a", None, "done", dataset=dataset, experiment=experiment, graph=graph, features=features
    )


def test_runs_on_one_graph_stay_as_they_are():
    runs = [run("a" * 64), run("a" * 64), run(None, None), run("b" * 64, dataset="other")]
    assert distinguish_data(runs) == runs


def test_two_graphs_under_one_name_are_two_datasets():
    found = distinguish_data([run("a" * 64), run("b" * 64), run(None)])
    assert [r.dataset for r in found] == [
        "mine (graph aaaaaaaa)",
        "mine (graph bbbbbbbb)",
        "mine (unknown graph)",
    ]


def test_other_features_are_another_experiment_on_the_same_graph():
    found = distinguish_data(
        [run("a" * 64), run("a" * 64, "e" * 64), run("a" * 64, "d" * 64, experiment="x")]
    )
    assert {r.dataset for r in found} == {"mine"}
    assert [r.experiment for r in found] == [
        "mine-ncn-12345678 (features ffffffff)",
        "mine-ncn-12345678 (features eeeeeeee)",
        "x",
    ]


def own(graph, dataset, path="/a/graph.csv", created="2026", nodes=20, features=None):
    return replace(
        run(graph, dataset=dataset, experiment=f"{dataset}-ncn-12345678"),
        model="ncn",
        files=Files(path, features, nodes, 14),
        provenance={"created": created},
    )


def told(runs):
    return [(r.dataset, r.experiment) for r in distinguish_data(runs)]


def test_one_graph_of_ones_own_has_one_name_wherever_its_file_lies():
    runs = [own("a" * 64, "acme", "/b/acme.csv", "2027"), own("a" * 64, "graph", created="2026")]
    assert told(runs) == [("acme", "acme-ncn-12345678")] * 2


def test_two_graphs_of_one_name_or_of_one_file_stay_apart():
    runs = [own("a" * 64, "graph"), own("b" * 64, "graph"), own("b" * 64, "graph", "/b/graph.csv")]
    assert [dataset for dataset, _ in told(runs)] == [
        "graph (graph aaaaaaaa)", "graph (graph bbbbbbbb)", "graph (graph bbbbbbbb)",
    ]  # fmt: skip


def test_a_run_from_before_counts_by_the_place_of_its_file():
    new, old = own("a" * 64, "acme", created="2027"), own(None, "edges")
    assert told([old, new]) == [("acme", "acme-ncn-12345678")] * 2
    moved = own(None, "edges", "/b/graph.csv")
    grown = own(None, "edges", nodes=21)
    for other in (moved, grown):
        assert told([other, new]) == [("edges", "edges-ncn-12345678"), told([new])[0]]
    assert [dataset for dataset, _ in told([old, moved])] == [
        "edges (graph in /a/graph.csv)", "edges (graph in /b/graph.csv)",
    ]  # fmt: skip


def test_a_run_that_never_read_its_file_parts_nothing():
    failed = own(None, "acme", nodes=None)
    assert told([own("a" * 64, "acme"), failed])[0] == ("acme", "acme-ncn-12345678")


def test_a_graph_of_ones_own_does_not_pose_as_a_dataset_of_ours():
    """Not even beside runs from before, of which no fingerprint tells the real one."""
    for real in ("b" * 64, None):
        mine, ours = told([own("a" * 64, "cora"), run(real, dataset="cora")])
        assert mine[0] == "cora (graph aaaaaaaa)" and ours[0] != mine[0]


def test_figures_of_two_protocols_stand_in_two_columns():
    judged = [replace(run("a" * 64), protocol=protocol) for protocol in ("heart", "hard", "")]
    found = distinguish_data(judged)
    assert [r.dataset for r in found] == ["mine, heart", "mine, hard", "mine"]
    same = [replace(run("a" * 64), protocol="heart")] * 2
    assert distinguish_data(same) == same
