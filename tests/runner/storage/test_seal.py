import random
import zipfile

import pytest

from runner.storage.seal import (
    Damaged,
    has_seal,
    read_json,
    read_lines,
    seal_archive,
    sealed_json,
    sealed_lines,
    verify_archive,
)

CONTENT = {"status": "done", "error": None, "nested": {"pid": [1, 2.5]}}
LINES = "model: ncn\ntrain:\n  epochs: 3\n"


def test_round_trips():
    for content in (CONTENT, {}, {"a": {}}, {"a": {"sha256": ""}, "b": 'x,\n  "sha256": "\u2028'}):
        assert read_json(sealed_json(content)) == content
    assert read_lines(sealed_lines(LINES)) == LINES
    assert sealed_json(read_json(sealed_json(CONTENT))) == sealed_json(CONTENT)


@pytest.mark.parametrize(
    ("text", "read"), [(sealed_json(CONTENT), read_json), (sealed_lines(LINES), read_lines)]
)
def test_every_truncation_and_every_changed_character_is_noticed(text, read):
    draw = random.Random(0)
    for length in range(len(text)):
        with pytest.raises(Damaged):
            read(text[:length])
    for position in range(len(text)):
        changed = chr(ord(text[position]) ^ 1 << draw.randrange(7))
        with pytest.raises(Damaged):
            read(text[:position] + changed + text[position + 1 :])


def test_what_was_never_sealed_is_damaged():
    for read in (read_json, read_lines):
        for text in ("", "[1]", "{}", "a: 1\n"):
            with pytest.raises(Damaged):
                read(text)


def test_an_archive_that_was_sealed_is_intact_until_a_byte_changes(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", "b" * 50)
    assert not has_seal(path)
    with pytest.raises(Damaged):
        verify_archive(path)
    seal_archive(path)
    assert has_seal(path)
    verify_archive(path)
    assert zipfile.ZipFile(path).read("a") == b"b" * 50
    whole = path.read_bytes()
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(Damaged):
            verify_archive(path)
        path.write_bytes(whole[:position])
        with pytest.raises(Damaged):
            verify_archive(path)
