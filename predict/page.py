"""`cv live` in a browser, for machines whose screen is elsewhere: a page on this machine alone, at a secret address.

The server listens on 127.0.0.1, and its paths begin with a token that nobody can guess. Requests under another host
name are refused, so no web page can reach it by a name of its own that leads here ("DNS rebinding"). From another
machine: `ssh -L PORT:127.0.0.1:PORT` and the same address.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import cv2
import numpy as np

from .keys import HELP, KEYS
from .page_text import PAGE_CSS, PAGE_JS, page_html

_JPEG_QUALITY = 85
_MOST_WATCHERS = 8
_TIMEOUT_SECONDS = 10.0
_LOOK_SECONDS = 0.5
_MOST_KEYS = 32
_BOUNDARY = "frame"
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; img-src 'self'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Page:
    """A screen that browsers look at, see `screen.Screen`. Each gets the newest picture; a slow one gets fewer.

    Args:
        title: What stands above the picture.

    Attributes:
        address: Where it is, with its token.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._token = secrets.token_urlsafe(16)
        self._news = threading.Condition()  # of what follows
        self._picture: np.ndarray | None = None
        self._number = 0
        self._status = "starting"
        self._keys: list[str] = []
        self._watchers = 0
        self._closed = False
        self._encoding = threading.Lock()
        self._encoded: tuple[int, bytes] = (0, b"")
        page = self

        class Handler(_Handler):
            def do_GET(self) -> None:
                page._get(self)

            def do_POST(self) -> None:
                page._post(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        port = self._server.server_address[1]
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self.address = f"http://127.0.0.1:{port}/{self._token}/"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="page", daemon=True).start()

    def show(self, bgr: np.ndarray, status: str) -> None:
        """Give the page a new picture, uint8 BGR, which is not changed any more, and the line below it."""
        with self._news:
            self._picture, self._status = bgr, status
            self._number += 1
            self._news.notify_all()

    def listen(self) -> list[str]:
        """The keys that were pressed since the last call."""
        with self._news:
            keys, self._keys = self._keys, []
        return keys

    def close(self) -> None:
        """Stop serving. May be called twice."""
        with self._news:
            if self._closed:
                return
            self._closed = True
            self._news.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def _get(self, handler: _Handler) -> None:
        answers = {
            "": ("text/html", lambda: page_html(self._title, HELP)),
            "page.css": ("text/css", lambda: PAGE_CSS),
            "page.js": ("text/javascript", lambda: PAGE_JS),
            "state": ("application/json", self._state),
        }
        path = self._path_of(handler)
        if path == "stream":
            self._stream(handler)
        elif path in answers:
            kind, content = answers[path]
            handler.answer(200, kind, content().encode())
        else:
            handler.answer(404, "text/plain", b"There is nothing here.\n")

    def _post(self, handler: _Handler) -> None:
        """A key. Without its own header it comes from no script of ours."""
        body = handler.body()
        ours = self._path_of(handler) == "key" and handler.headers.get("X-Lensmith") == "key"
        origin = handler.headers.get("Origin")
        if not ours or (origin is not None and origin.removeprefix("http://") not in self._hosts):
            handler.answer(404, "text/plain", b"There is nothing here.\n")
        elif body not in KEYS:
            handler.answer(400, "text/plain", b"This is no key.\n")
        else:
            with self._news:
                if len(self._keys) < _MOST_KEYS:
                    self._keys.append(body)
            handler.answer(204, "text/plain", b"")

    def _path_of(self, handler: _Handler) -> str | None:
        """What follows the token; None for a wrong token or host."""
        head, _, rest = handler.path.partition("?")[0].removeprefix("/").partition("/")
        known = secrets.compare_digest(head.encode(), self._token.encode())
        return rest if known and handler.headers.get("Host", "").lower() in self._hosts else None

    def _state(self) -> str:
        with self._news:
            return json.dumps({"status": self._status, "frames": self._number})

    def _stream(self, handler: _Handler) -> None:
        """Pictures as `multipart/x-mixed-replace`, until the browser goes or the end comes."""
        with self._news:
            welcome = self._watchers < _MOST_WATCHERS
            self._watchers += welcome
        if not welcome:  # said without the lock: a browser that takes nothing would hold the picture
            handler.answer(503, "text/plain", b"Too many are watching.\n")
            return
        try:
            handler.begin(200, f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            handler.wfile.write(f"--{_BOUNDARY}\r\n".encode())
            seen = 0
            while (found := self._next_jpeg(seen)) is not None:
                seen, jpeg = found
                # With the boundary behind it a browser shows a picture at once, and not when the next has come.
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                handler.wfile.write(head + jpeg + f"\r\n--{_BOUNDARY}\r\n".encode())
        finally:
            with self._news:
                self._watchers -= 1

    def _next_jpeg(self, seen: int) -> tuple[int, bytes] | None:
        """The newest picture once it is another than that seen; None at the end."""
        with self._news:
            while self._number == seen and not self._closed:
                self._news.wait(_LOOK_SECONDS)
            if self._closed or self._picture is None:
                return None
            number, picture = self._number, self._picture
        with self._encoding:  # several watchers, one encoding
            if self._encoded[0] < number:
                done, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
                self._encoded = (number, jpeg.tobytes() if done else b"")
            return self._encoded


class _Handler(BaseHTTPRequestHandler):
    """Answers with the headers that all answers have, and says nothing on the terminal."""

    timeout = _TIMEOUT_SECONDS
    server_version, sys_version = "lensmith", ""

    def handle(self) -> None:
        """As the base, but that a browser which goes is no error."""
        with contextlib.suppress(OSError):
            super().handle()

    def begin(self, status: int, kind: str) -> None:
        """Send the head of an answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind if kind.startswith("multipart") else f"{kind}; charset=utf-8")
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.end_headers()

    def answer(self, status: int, kind: str, content: bytes) -> None:
        """Send a whole answer; the connection ends with it."""
        self.begin(status, kind)
        self.wfile.write(content)

    def body(self) -> str:
        """The first few letters of what was sent."""
        length = self.headers.get("Content-Length", "0")
        return self.rfile.read(min(int(length), 16) if length.isdigit() else 0).decode(errors="replace")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing is logged."""
