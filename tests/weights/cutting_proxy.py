"""A line to a server that is cut after so many bytes of its answers, again and again or a few times."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Line:
    """What is left of the cuts, and where the server is."""

    def __init__(self, server: tuple[str, int], after: int, times: int | None) -> None:
        self.server = server
        self._after = after
        self._times = times
        self._lock = threading.Lock()

    def allowance(self) -> int | None:
        """How many bytes of answers the next connection lets through; None: all."""
        with self._lock:
            if self._times is None:
                return self._after
            self._times -= 1
            return self._after if self._times >= 0 else None


@contextmanager
def cut_line(address: str, after: int, times: int | None = None) -> Iterator[str]:
    """An address that leads to `address`; each connection, or each of the first `times`, is cut after `after` bytes."""
    host, _, port = address.removeprefix("http://").partition(":")
    line = _Line((host, int(port)), after, times)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=_accept, args=(listening, line), daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, line: _Line) -> None:
    while True:
        try:
            client, _ = listening.accept()
        except OSError:
            return
        server = socket.create_connection(line.server)
        threading.Thread(target=_forward, args=(client, server, None), daemon=True).start()
        threading.Thread(target=_forward, args=(server, client, line.allowance()), daemon=True).start()


def _forward(source: socket.socket, target: socket.socket, most: int | None) -> None:
    passed = 0
    with contextlib.suppress(OSError):
        while data := source.recv(4096):
            kept = data if most is None else data[: most - passed]
            target.sendall(kept)
            passed += len(kept)
            if len(kept) < len(data):
                break
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
