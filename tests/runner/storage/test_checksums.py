import os

import pytest

from runner.storage.checksums import broken, digest, read_json, seal, write_json


@pytest.fixture
def sealed(tmp_path):
    folder = tmp_path / "sealed"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "graph.pt").write_bytes(bytes(range(256)))
    (folder / "RELEASE").touch()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "raw").write_bytes(b"raw")
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    seal(folder, made_of="raw files")
    return folder


def test_a_whole_folder_is_used_whatever_its_links_lead_to(sealed):
    (sealed / "link" / "raw").write_bytes(b"other")
    assert broken(sealed, made_of="raw files") is None
    assert broken(sealed, made_of="others") == "was made of other raw files"


@pytest.mark.parametrize("position", [0, 100, 255])
def test_a_flipped_bit_is_noticed(sealed, position):
    file = sealed / "inner" / "graph.pt"
    content, status = bytearray(file.read_bytes()), file.stat()
    content[position] ^= 0x10
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert broken(sealed, made_of="raw files") == "is damaged (inner/graph.pt)"


def test_a_file_that_is_cut_off_or_missing_or_new_is_noticed(sealed):
    file = sealed / "inner" / "graph.pt"
    file.write_bytes(file.read_bytes()[:-1])
    (sealed / "RELEASE").unlink()
    (sealed / "new").touch()
    assert broken(sealed, made_of="raw files") == "is damaged (RELEASE, inner/graph.pt, new)"


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"null", b"\xff", b'{"made_of": 1}'])
def test_a_damaged_seal_is_noticed(sealed, content):
    file = sealed / "checksums.json"
    file.unlink() if content is None else file.write_bytes(content)
    assert broken(sealed, made_of="raw files") == "has no readable checksums.json"


def test_a_digest_knows_names_and_contents(tmp_path):
    file = tmp_path / "edge.csv"
    file.write_bytes(b"0,1")
    status, first = file.stat(), digest(tmp_path)
    assert digest(tmp_path) == first
    file.write_bytes(b"0,2")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert digest(tmp_path) != first
    file.write_bytes(b"0,1")
    file.rename(tmp_path / "edge2.csv")
    assert digest(tmp_path) != first


@pytest.mark.parametrize("bit", [0, 5])  # 5 makes a capital of a small letter
def test_json_with_a_flipped_bit_is_refused(tmp_path, bit):
    path = tmp_path / "folder" / "sizes.json"
    content = {"nodes": 17, "features": None}
    write_json(path, content)
    assert read_json(path) == content
    whole = path.read_bytes()
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << bit
        path.write_bytes(flipped)
        with pytest.raises(ValueError):
            read_json(path)


@pytest.mark.parametrize("content", ["", "null", "[1]", '{"nodes": 17}'])
def test_what_is_no_json_of_ours_is_refused(tmp_path, content):
    (tmp_path / "sizes.json").write_text(content)
    with pytest.raises(ValueError):
        read_json(tmp_path / "sizes.json")
