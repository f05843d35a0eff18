import pytest

from runner.storage.files import atomic, discard_empty, existing


def test_atomic_keeps_the_old_file_when_writing_fails(tmp_path):
    target = tmp_path / "file"
    target.write_text("old")
    with pytest.raises(OSError, match="disk"), atomic(target) as temporary:
        temporary.write_text("half")
        raise OSError("disk full")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_discard_empty_leaves_what_holds_something(tmp_path):
    (tmp_path / "keep").write_text("")
    (tmp_path / "a" / "b").mkdir(parents=True)
    discard_empty(tmp_path / "a" / "b", keep=[])
    assert [path.name for path in tmp_path.iterdir()] == ["keep"]


def test_discard_empty_leaves_what_was_there_before(tmp_path):
    (tmp_path / "theirs").mkdir()
    before = existing(tmp_path / "theirs" / "ours")
    (tmp_path / "theirs" / "ours").mkdir()
    discard_empty(tmp_path / "theirs" / "ours", keep=before)
    assert [path.name for path in tmp_path.rglob("*")] == ["theirs"]
