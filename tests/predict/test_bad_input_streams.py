"""Streams that hang without closing, and cameras that are not there: told in time, and no login in any output."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.workspace import Workspace
from tests.helpers import run_cv

from .make_bundle import make_detector

_LOGIN = "someone:hush-hush-77"
_KEY = "k3y-of-the-camera"
_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
_NO_SCREEN = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}

Peer = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def _server(serve: Peer) -> Iterator[int]:
    """A server on loopback; each connection is handed to `serve` and closed only at the end."""
    over = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                held.append(connection)
                threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            serve(connection, over)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for connection in held:
            connection.close()


def _frame() -> bytes:
    jpeg = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    return b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg) + jpeg + b"\r\n"


def _says_nothing(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(4096)
    over.wait()


def _head_and_nothing(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(4096)
    connection.sendall(_HEAD)
    over.wait()


def _byte_by_byte(connection: socket.socket, over: threading.Event) -> None:
    """Never silent for long enough to count as dead, and never a whole picture."""
    connection.recv(4096)
    connection.sendall(_HEAD + b"--frame\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8")
    while not over.wait(0.2):
        connection.sendall(b"\0")


def _no_picture(connection: socket.socket, over: threading.Event) -> None:
    connection.recv(4096)
    connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: 21\r\n\r\n<html>hello</html>   ")
    over.wait()


def _without_end(connection: socket.socket, over: threading.Event) -> None:
    """Sends what is no video for as long as somebody listens."""
    connection.recv(4096)
    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    while not over.wait(0.001):
        connection.sendall(bytes(65536))


_PEERS = (_says_nothing, _head_and_nothing, _byte_by_byte, _no_picture, _without_end)


def test_a_stream_that_gives_no_picture_is_told_in_time(workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")

    def run(case: tuple[str, Peer]) -> subprocess.CompletedProcess[str]:
        command, serve = case
        with _server(serve) as port:
            address = f"http://{_LOGIN}@127.0.0.1:{port}/stream?token={_KEY}"
            given = [address, "--save"] if command == "predict" else ["--source", address, "--no-window"]
            return run_cv(command, *given, "--weights", "cells", cwd=workspace.root, env=_NO_SCREEN, timeout=60)

    cases = [("live" if serve in (_byte_by_byte, _without_end) else "predict", serve) for serve in _PEERS]
    with ThreadPoolExecutor(len(cases)) as pool:  # they wait most of the time
        for case, done in zip(cases, pool.map(run, cases), strict=True):
            assert done.returncode in {1, 3}, (case, done.stderr)
            assert "127.0.0.1" in done.stderr
            assert "Traceback" not in done.stderr
            assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1
            _no_secret(done.stdout, done.stderr, workspace.root)


def test_a_stream_that_falls_silent_ends_with_the_time_that_was_given(workspace: Workspace) -> None:
    """It does not close; what came before is kept, and the time is held to although no frame comes any more."""

    def some_and_nothing(connection: socket.socket, over: threading.Event) -> None:
        connection.recv(4096)
        connection.sendall(_HEAD)
        for _ in range(40):
            connection.sendall(_frame())
            if over.wait(0.02):
                return
        over.wait()

    make_detector(workspace.weights / "cells")

    def run(command: str) -> subprocess.CompletedProcess[str]:
        with _server(some_and_nothing) as port:
            address = f"http://{_LOGIN}@127.0.0.1:{port}/stream?token={_KEY}"
            given = (
                [address, "--save"]
                if command == "predict"
                else ["--source", address, "--record", "r.mp4", "--no-window"]
            )
            return run_cv(
                command, *given, "--weights", "cells", "--seconds", "2", "--json", cwd=workspace.root, env=_NO_SCREEN,
                timeout=60,
            )  # fmt: skip

    with ThreadPoolExecutor(2) as pool:
        for done in pool.map(run, ["predict", "live"]):
            assert done.returncode == 0, done.stderr
            assert done.stdout.count("\n") >= 1
            assert "Traceback" not in done.stderr
            _no_secret(done.stdout, done.stderr, workspace.root)


@pytest.mark.parametrize("command", ["predict", "live"])
@pytest.mark.parametrize("camera", ["93", "no such camera"])
def test_an_unknown_camera(command: str, camera: str, workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")
    given = [camera] if command == "predict" else ["--camera", camera, "--no-window"]
    done = run_cv(command, *given, "--weights", "cells", cwd=workspace.root, env=_NO_SCREEN)
    assert done.returncode == 3, done.stderr
    assert camera in done.stderr
    if command == "live" or camera.isdigit():
        assert re.search(r"cameras? (found|here)|no camera was found", done.stderr), done.stderr
    assert "Traceback" not in done.stderr


def _no_secret(stdout: str, stderr: str, root: Path) -> None:
    for secret in (_LOGIN, _LOGIN.partition(":")[2], _KEY):
        assert secret not in stdout
        assert secret not in stderr
        for path in root.rglob("*"):
            assert secret not in os.fspath(path)
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path
