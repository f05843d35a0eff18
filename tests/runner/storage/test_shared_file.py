import torch

from runner.storage import shared_file


def test_what_killed_processes_have_left_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_file, "_SHARED_MEMORY", tmp_path)
    left = tmp_path / f"runner-{2**22 + 1}-abc.pt"
    left.touch()
    with shared_file.stored({"x": torch.ones(3)}) as file:
        assert not left.exists() and file.parent == tmp_path
        assert torch.load(file)["x"].sum() == 3
    assert not list(tmp_path.iterdir())
