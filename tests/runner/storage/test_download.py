import hashlib
import http.server
import os
import threading

import pytest

from runner.storage.download import download

CONTENT = os.urandom(100_000)


class Files(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/missing":
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if self.path == "/half.zip" else CONTENT)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as found:
        thread = threading.Thread(target=found.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_a_file_comes_whole_and_without_a_word(tmp_path, server, capfd):
    file = download(f"{server}/data.zip", tmp_path)
    assert file == tmp_path / "data.zip" and file.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [file]
    assert capfd.readouterr() == ("", "")


def test_a_file_with_another_checksum_is_an_error(tmp_path, server):
    known = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    assert download(f"{server}/data.zip", tmp_path / "a", known).read_bytes() == CONTENT
    with pytest.raises(ValueError):
        download(f"{server}/data.zip", tmp_path / "b", f"{known[:-1]}g")
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.parametrize("name", ["half.zip", "missing"])
def test_what_does_not_come_whole_is_an_error_and_no_file(tmp_path, server, name):
    with pytest.raises(OSError):
        download(f"{server}/{name}", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there(tmp_path, server):
    with pytest.raises(OSError):
        download("http://127.0.0.1:1/data.zip", tmp_path)
    assert list(tmp_path.iterdir()) == []
