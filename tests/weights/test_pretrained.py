"""Pretrained weights: where they are looked for, and what happens when they cannot be had."""

from __future__ import annotations

import hashlib
import shlex
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, LensmithError, NotFoundError
from lensmith.core.isolation import cache_folder
from lensmith.core.workspace import Workspace
from lensmith.weights.checksums import PUBLISHED
from lensmith.weights.pretrained import find_pretrained, pretrained_from_path
from tests.predict.make_bundle import make_detector

ASSET = "yolo12n.pt"  # nobody knows a checksum of it
KNOWN = "yolo11n.pt"
DATA = bytes(range(256)) * 800


@contextmanager
def _server(status: int = 200, body: bytes = DATA, announced: int | None = None) -> Iterator[str]:
    """A real server on this machine; `announced` is the length it claims to send."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) if announced is None else announced))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/files"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_file_in_the_workspace_wins(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    workspace.weights.mkdir()
    for folder, data in ((workspace.weights, b"mine"), (cache_folder("pretrained"), b"cached")):
        (folder / ASSET).write_bytes(data)
    found = find_pretrained(ASSET, workspace)
    assert found.path == workspace.weights / ASSET
    assert len(found.sha256) == 64


def test_a_mirror_folder_is_copied_into_the_cache(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    (mirror / ASSET).write_bytes(DATA)
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(mirror))
    assert find_pretrained(ASSET, workspace).path == cache_folder("pretrained") / ASSET
    (mirror / ASSET).unlink()
    assert find_pretrained(ASSET, workspace).path.read_bytes() == DATA


def test_a_mirror_address_is_fetched_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with _server() as address:
        monkeypatch.setenv("CV_WEIGHTS_MIRROR", address)
        found = find_pretrained(ASSET, workspace)
    assert found.origin == f"{address}/{ASSET}"
    assert found.path.read_bytes() == DATA
    assert find_pretrained(ASSET, workspace).sha256 == found.sha256  # the server is gone


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param({"status": 404, "body": b"no"}, "404", id="not there"),
        pytest.param({"status": 403, "body": DATA}, "403", id="forbidden"),
        pytest.param({"body": b"<html>sign in</html>" * 9000}, "a page", id="a page instead"),
        pytest.param({"announced": len(DATA) + 1000}, "", id="cut half-way"),
    ],
)
def test_a_failed_download_leaves_nothing_and_names_the_ways_out(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, answer: dict, reason: str
) -> None:
    with _server(**answer) as address:
        monkeypatch.setenv("CV_WEIGHTS_MIRROR", address)
        with pytest.raises(LensmithError) as failed:
            find_pretrained(ASSET, workspace)
    assert reason in failed.value.what
    assert list(cache_folder("pretrained").iterdir()) == []
    assert "--weights PATH" in str(failed.value)
    assert "--from-scratch" in str(failed.value)


def test_offline_is_one_error_that_names_the_ways_out(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", f"http://127.0.0.1:{port}")
    with pytest.raises(LensmithError) as failed:
        find_pretrained(ASSET, workspace)
    assert "no connection" in failed.value.what
    assert "--weights PATH" in str(failed.value)
    assert "--from-scratch" in str(failed.value)


def test_weights_that_lie_here_are_offered(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(tmp_path / "empty"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "my model.pt").write_bytes(DATA)
    workspace.weights.mkdir(parents=True)
    (workspace.weights / "yolov8s.pt").write_bytes(DATA)
    make_detector(workspace.weights / "cells")
    (workspace.weights / "cells" / "model.pt").write_bytes(DATA)
    with pytest.raises(LensmithError) as failed:
        find_pretrained(ASSET, workspace)
    own = (workspace.weights / "yolov8s.pt", workspace.weights / "cells" / "model.pt")
    files = ", ".join(["'my model.pt'", *(shlex.quote(str(path)) for path in own)])
    assert f"--weights with a .pt file that is here ({files})" in str(failed.value)


def test_a_mirror_folder_without_the_file_says_so(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(tmp_path))
    with pytest.raises(LensmithError, match="has no file yolo12n"):
        find_pretrained(ASSET, workspace)


def test_a_path_must_be_a_pt_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        pretrained_from_path(tmp_path / "none.pt")
    (tmp_path / "model.onnx").write_bytes(b"x")
    with pytest.raises(DataError):
        pretrained_from_path(tmp_path / "model.onnx")


@pytest.mark.parametrize("name", ["../x.pt", "/etc/x.pt", "x.onnx", ".pt", "a/b.pt"])
def test_a_name_cannot_leave_its_folder(workspace: Workspace, name: str) -> None:
    with pytest.raises(NotFoundError):
        find_pretrained(name, workspace)


def test_another_file_than_the_published_one_is_refused_and_not_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with _server() as address:
        monkeypatch.setenv("CV_WEIGHTS_MIRROR", address)
        with pytest.raises(DataError, match=PUBLISHED[KNOWN]) as refused:
            find_pretrained(KNOWN, workspace)
    assert hashlib.sha256(DATA).hexdigest() in str(refused.value)
    assert list(cache_folder("pretrained").iterdir()) == []
    (tmp_path / KNOWN).write_bytes(DATA)
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(tmp_path))
    with pytest.raises(DataError, match="not kept"):
        find_pretrained(KNOWN, workspace)
    assert list(cache_folder("pretrained").iterdir()) == []


def test_the_published_file_is_known_as_such(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / KNOWN).write_bytes(DATA)
    monkeypatch.setitem(PUBLISHED, KNOWN, hashlib.sha256(DATA).hexdigest())
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(tmp_path))
    assert find_pretrained(KNOWN, workspace).checked == "published"
    assert find_pretrained(KNOWN, workspace).checked == "published"  # out of the cache


def test_a_file_without_a_published_checksum_is_remembered(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ASSET).write_bytes(DATA)
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(tmp_path))
    assert find_pretrained(ASSET, workspace).checked == "not checked"
    assert "not checked" in capsys.readouterr().err
    cached = find_pretrained(ASSET, workspace)
    assert cached.checked == "remembered"
    cached.path.write_bytes(DATA + b"x")
    with pytest.raises(DataError, match="changed after it was fetched"):
        find_pretrained(ASSET, workspace)
    cached.path.unlink()
    (tmp_path / ASSET).write_bytes(DATA + b"another")
    with pytest.raises(DataError, match=r"not the yolo12n\.pt that was"):
        find_pretrained(ASSET, workspace)
    assert not cached.path.exists()
