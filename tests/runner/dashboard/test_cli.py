from __future__ import annotations

import json
import sys

import pytest
import wandb
import yaml
from tests.wandb_stub import API_KEY, WandbStub

from runner.dashboard import cli


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = cli.main(arguments)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_sweep_is_printed_or_written(capsys, tmp_path):
    code, out, err = told(capsys, "sweep", "seeds", "dataset=cora", "--method", "random", "model=a")
    assert (code, out) == (1, "") and "model=a" in err  # an override after an option counts too
    code, out, err = told(capsys, "sweep", "seeds", "dataset=cora", "--metric", "valid/mrr")
    assert code == 0, err
    assert yaml.safe_load(out)["metric"]["name"] == "valid/mrr"
    code, out, _ = told(capsys, "sweep", "seeds", "--output", "seeds.yaml")
    assert (code, out) == (0, "wandb sweep seeds.yaml\n")
    assert yaml.safe_load((tmp_path / "seeds.yaml").read_text())["program"] == "runner"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sweep", "nonsense"), "sweep=nonsense: there is no such sweep; known: ablation"),
        (("sweep", "seeds", "dataset=nope"), "dataset=nope: there is no such dataset"),
        (("sweep", "seeds", "train.epoch=3"), "train.epoch: there is no such key"),
        (("sweep", "seeds", "--metric", "loss"), "--metric=loss"),
        (("sweep", "seeds", "--output", "no/such/folder/s.yaml"), "no/such/folder"),
        (("sweep", "seeds", "--methods=grid"), "--methods=grid: there is no such option"),
        (("report", "--dataset", "cora", "now"), "now: there is no such option"),
    ],
)
def test_bad_input_is_one_line(capsys, arguments, said):
    code, out, err = told(capsys, *arguments)
    assert (code, out) == (1, "")
    assert err.startswith("runner-wandb: ") and said in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("command", ["workspace", "report"])
def test_without_the_package_the_remedy_is_named(capsys, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "wandb_workspaces", None)
    code, _, err = told(capsys, command, "--show")
    assert code == 1 and "pip install 'link-runner[workspaces]'" in err
    assert len(err.splitlines()) == 1


@pytest.mark.command
class TestWithThePackage:
    @pytest.fixture(autouse=True)
    def needed(self) -> None:
        pytest.importorskip("wandb_workspaces", reason="pip install 'link-runner[workspaces]'")

    @pytest.mark.parametrize("command", ["workspace", "report"])
    def test_it_is_shown_without_a_login_and_saved_only_with_one(self, capsys, command):
        code, out, err = told(capsys, command, "--show", "--project", "mine", "--dataset", "cora")
        assert code == 0, err
        assert "Curves by model" in out and "mine" in out and json.loads(out)
        code, out, err = told(capsys, command)
        assert (code, out) == (1, "")
        assert "wandb login" in err and "--show" in err and len(err.splitlines()) == 1

    @pytest.mark.parametrize("command", ["workspace", "report"])
    def test_with_a_login_it_is_saved(self, capsys, monkeypatch, command):
        with WandbStub() as stub:
            monkeypatch.setenv("WANDB_BASE_URL", stub.url)
            monkeypatch.setenv("WANDB_API_KEY", API_KEY)
            monkeypatch.setenv("WANDB_MODE", "online")
            wandb.teardown()
            code, out, err = told(capsys, command, "--sweep", "spring")
            wandb.teardown()
        assert code == 0, err
        (saved,) = stub.views
        assert (saved["entityName"], saved["projectName"]) == ("stub", "runner")
        assert saved["displayName"] == "All runs, sweep spring"
        assert "Parameter Importance" in saved["spec"]
        assert out.startswith("http") and len(out.splitlines()) == 1

    def test_a_server_that_refuses_is_one_line(self, capsys, monkeypatch):
        from runner.dashboard import report

        def make(runs):
            raise ConnectionError("nobody there\nand more")

        monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
        monkeypatch.setattr(report, "report", make)
        code, _, err = told(capsys, "report", "--entity", "team")
        assert code == 1 and "(nobody there)" in err and len(err.splitlines()) == 1
