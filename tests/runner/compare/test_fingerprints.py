from runner.compare.fingerprints import distinguish_data
from runner.compare.run import Run


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
