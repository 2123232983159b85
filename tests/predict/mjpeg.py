"""A little network camera: MJPEG over HTTP, that can be unplugged and plugged in again."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np


class NetworkCamera:
    """Serves a picture every `interval` seconds; the left half tells the number of the picture, the right is white."""

    def __init__(self, interval: float = 0.03, bgr: np.ndarray | None = None) -> None:
        """With `bgr` it is always this picture."""
        self._interval = interval
        self._jpeg = None if bgr is None else cv2.imencode(".jpg", bgr)[1].tobytes()
        self._numbers = itertools.count()
        self._unplugged = threading.Event()
        self.silent = threading.Event()
        self.port = 0
        self.connections = 0
        self._sockets: list[socket.socket] = []
        self._server: ThreadingHTTPServer | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    def plug_in(self) -> NetworkCamera:
        camera = self
        self._unplugged.clear()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera._serve(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def unplug(self) -> None:
        """Everything stops at once, in the middle of a picture."""
        self._unplugged.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in self._sockets:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._sockets.clear()

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        self.connections += 1
        self._sockets.append(handler.connection)
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                jpeg = self._jpeg or _picture(next(self._numbers) % 250)
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode()
                if self._unplugged.wait(self._interval):
                    handler.wfile.write(head + jpeg[: len(jpeg) // 2])  # cut off in the middle
                    return
                if self.silent.is_set():
                    self._unplugged.wait()
                    return
                handler.wfile.write(head + jpeg + b"\r\n")
                handler.wfile.flush()


class FileServer:
    """Serves a file over HTTP, as a context; it may promise more bytes than it has."""

    def __init__(self, data: bytes, promised: int | None = None) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "video/mp4")
                self.send_header("Content-Length", str(promised or len(data)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/v.mp4"

    def __enter__(self) -> FileServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def number_of(bgr: np.ndarray) -> int:
    """The number that a picture carries, -1 when it is none of the camera's."""
    left, right = bgr[:, :28], bgr[:, 36:]
    return round(float(left.mean())) if right.min() > 245 and left.std() < 3 else -1


def _picture(number: int) -> bytes:
    bgr = np.full((48, 64, 3), 255, np.uint8)
    bgr[:, :32] = number
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
