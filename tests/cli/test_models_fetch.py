"""`mer models fetch`, from a server on this machine."""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from mertools.errors import MerError, UsageError
from mertools.pretrained.fetching import fetch
from mertools.pretrained.publications import PUBLICATIONS, Download
from tests.conftest import SHARED, Mer

CONTENT = np.random.default_rng(0).bytes(300_000)
DOWNLOAD = Download("", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), "MIT")
PUBLISHED = {
    "skey": SHARED / "weights" / "skey" / "skey.pt",
    "efficientat": SHARED / "weights" / "efficientat-mn04" / "mn04_as_mAP_432.pt",
}


class Server(ThreadingHTTPServer):
    """Has one file; may know no ranges, and may hang up after some bytes of an answer."""

    content = CONTENT
    knows_ranges = True
    hangs_up_after: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/file.pt"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        if self.path != "/file.pt":
            self.send_error(404)
            return
        goes_on = asked is not None and self.server.knows_ranges
        begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked and goes_on else 0
        answer = self.server.content[begin:]
        self.send_response(206 if goes_on else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer[: self.server.hangs_up_after])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_file_comes_whole(server: Server, tmp_path: Path) -> None:
    fetch(DOWNLOAD, server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [None]
    fetch(DOWNLOAD, server.url, tmp_path / "part")
    assert len(server.asked) == 1


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_what_was_cut_off_goes_on(server: Server, tmp_path: Path, knows_ranges: bool) -> None:
    server.knows_ranges, server.hangs_up_after = knows_ranges, 100_000
    with pytest.raises(MerError, match="run it again"):
        fetch(DOWNLOAD, server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT[:100_000]
    server.hangs_up_after = None
    fetch(DOWNLOAD, server.url, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-"]


@pytest.mark.parametrize("content", [CONTENT[::-1], CONTENT + b"more"], ids=["other", "longer"])
def test_another_file_is_not_kept(server: Server, tmp_path: Path, content: bytes) -> None:
    server.content = content
    with pytest.raises(MerError, match="is another file"):
        fetch(DOWNLOAD, server.url, tmp_path / "part")
    assert not (tmp_path / "part").exists()


def test_no_answer_is_an_error_and_no_file_is_touched(server: Server, tmp_path: Path) -> None:
    with pytest.raises(MerError, match="answers 404"):
        fetch(DOWNLOAD, server.url.replace("file", "none"), tmp_path / "part")
    with pytest.raises(MerError, match="cannot be fetched"):
        fetch(DOWNLOAD, "http://127.0.0.1:1/file.pt", tmp_path / "part")
    with pytest.raises(UsageError, match="http or https"):
        fetch(DOWNLOAD, (tmp_path / "a").as_uri(), tmp_path / "part")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_fetched_unasked(mer: Mer, tmp_path: Path, server: Server) -> None:
    data = {"XDG_DATA_HOME": str(tmp_path / "data")}
    done = mer("models", "fetch", "skey", "--from", server.url, status=2, **data)
    download = PUBLICATIONS["skey"].download
    assert download is not None
    for said in (server.url, "MIT", download.sha256, "765,465 bytes", "add --yes"):
        assert said in done.stderr
    there, here = pty.openpty()
    os.write(there, b"n\n")
    answered = subprocess.run(
        [sys.executable, "-m", "mertools", "models", "fetch", "skey", "--from", server.url],
        stdin=here,
        capture_output=True,
        env=os.environ | data,
        check=False,
    )
    os.close(there)
    os.close(here)
    assert answered.returncode == 1
    assert b"Fetch it?" in answered.stderr
    assert server.asked == []
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_fetched_is_said(mer: Mer, tmp_path: Path, server: Server) -> None:
    data = {"XDG_DATA_HOME": str(tmp_path)}
    assert "mer import weights vggish" in mer("models", "fetch", "vggish", status=2, **data).stderr
    assert "did you mean skey" in mer("models", "fetch", "skay", status=2, **data).stderr
    options = ("--from", server.url, "--yes")
    assert "another file" in mer("models", "fetch", "skey", *options, status=1, **data).stderr
    assert list(tmp_path.rglob("*.*")) == []


@pytest.mark.corpus
@pytest.mark.parametrize("name", ["skey", "efficientat"])
def test_the_published_files_are_those_of_the_digests(
    mer: Mer, tmp_path: Path, server: Server, name: str
) -> None:
    if not PUBLISHED[name].is_file():
        pytest.skip(f"the weights of {name} are not beside this checkout (../shared/weights)")
    server.content = PUBLISHED[name].read_bytes()
    data = {"XDG_DATA_HOME": str(tmp_path / "data")}
    mer("models", "fetch", name, "--from", server.url, "--yes", **data)
    folder = tmp_path / "data" / "mertools" / "weights"
    assert [path.name for path in folder.iterdir()] == [f"{name}.safetensors"]
    mer("import", "weights", name, PUBLISHED[name], "-o", "imported")
    fetched = (folder / f"{name}.safetensors").read_bytes()
    assert fetched == (tmp_path / "imported" / f"{name}.safetensors").read_bytes()
    again = mer("models", "fetch", name, "--from", server.url, "--yes", **data)
    assert "is there already" in again.stderr
    assert len(server.asked) == 1
