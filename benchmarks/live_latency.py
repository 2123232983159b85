"""How old a picture is when its boxes are on the screen: `cv live`'s loop beside the plain `read()` loop.

A server of its own process sends 30 pictures a second as MJPEG over HTTP, each with the time of sending written into
its pixels; a model takes 150 ms for each (--busy: of a core's work; else as a GPU does, elsewhere). Latency is counted
from sending to drawn, so with the network, the decoder and every queue in between. What counts is that it stays: the
first ten seconds, the last ten and all.

    python benchmarks/live_latency.py [--seconds 60] [--model-ms 150] [--fps 30] [--busy] [--width 1280] [--no-peer]
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from lensmith.predict.address import parse_address
from lensmith.predict.draw import draw
from lensmith.predict.live import LiveConfig, LiveView
from lensmith.predict.results import Detections, Frame, Prediction

_BITS, _CELL = 40, 16
_WINDOW_SECONDS = 10.0

_SERVER = """
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import cv2, numpy as np
width, fps, bits, cell = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng = np.random.default_rng(0)
scene = cv2.resize(rng.integers(0, 256, (9, 16, 3), dtype=np.uint8), (width, width * 9 // 16))

def picture():
    bgr = scene.copy()
    stamp = int(time.monotonic() * 1000)
    row = np.array([255 * (stamp >> bit & 1) for bit in range(bits)], np.uint8)
    block = np.repeat(np.repeat(row[None], cell, 0), cell, 1)
    bgr[:cell, : bits * cell] = block[..., None]
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        due = time.monotonic()
        while True:
            jpeg = picture()
            head = f"--frame\\r\\nContent-Type: image/jpeg\\r\\nContent-Length: {len(jpeg)}\\r\\n\\r\\n"
            try:
                self.wfile.write(head.encode() + jpeg + b"\\r\\n")
            except OSError:
                return
            due = max(due + 1 / fps, time.monotonic() - 1)
            time.sleep(max(0, due - time.monotonic()))

    def log_message(self, *args):
        pass

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(server.server_address[1], flush=True)
server.serve_forever()
"""


class SlowModel:
    """Finds one box, and takes its time over it, see `lensmith.predict.model.Predictor`."""

    name, names, engine_name, device, batch, dataset = "slow", ("thing",), "slow", "cpu", 1, None

    def __init__(self, seconds: float, busy: bool) -> None:
        self._seconds, self._busy = seconds, busy
        self._matrix = np.random.default_rng(0).random((256, 256), np.float32)

    def prepare(self, bgr: np.ndarray) -> np.ndarray:
        return cv2.resize(bgr, (640, 640))

    def infer(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        until = time.perf_counter() + self._seconds
        while self._busy and time.perf_counter() < until:
            self._matrix @ self._matrix
        time.sleep(max(0.0, until - time.perf_counter()))
        return [np.zeros(1) for _ in prepared]

    def stream(self, batches: Iterable[tuple[Any, Sequence[np.ndarray]]]) -> Iterator[tuple[Any, list[np.ndarray]]]:
        for tag, batch in batches:
            yield tag, self.infer(batch)

    def decode(self, raw: np.ndarray, prepared: np.ndarray, confidence: float | None) -> Detections:
        del raw, prepared, confidence
        box = np.array([[100, 100, 300, 300]], np.float32)
        return Detections(box, np.zeros(1, np.int64), np.ones(1, np.float32))


def age_milliseconds(bgr: np.ndarray) -> float:
    """How long ago a picture was sent."""
    row = bgr[_CELL // 2, _CELL // 2 : _BITS * _CELL : _CELL].mean(axis=1) > 127
    return time.monotonic() * 1000 - sum(int(bit) << place for place, bit in enumerate(row))


def ours(address: str, model: SlowModel, seconds: float) -> list[tuple[float, float]]:
    """Ages of the frames that `cv live`'s loop shows, each with its time since the beginning."""
    ages: list[tuple[float, float]] = []
    began = time.monotonic()

    class Measured(LiveView):
        def _show(self, prediction: Prediction) -> bool:
            going_on = super()._show(prediction)
            ages.append((time.monotonic() - began, age_milliseconds(prediction.frame.bgr)))
            return going_on

    Measured(parse_address(address), model, LiveConfig(show="none", seconds=seconds)).run()
    return ages


def plain_loop(address: str, model: SlowModel, seconds: float) -> list[tuple[float, float]]:
    """The same of the loop in every tutorial: read, predict, draw, again."""
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    ages: list[tuple[float, float]] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        done, bgr = capture.read()
        if not done:
            break
        prepared = model.prepare(bgr)
        result = model.decode(model.infer([prepared])[0], prepared, None)
        draw(Prediction(Frame(bgr, "x"), result), model.names)
        ages.append((time.monotonic() - began, age_milliseconds(bgr)))
    capture.release()
    return ages


@contextlib.contextmanager
def camera(width: int, fps: float) -> Iterator[str]:
    """The server's address."""
    command = [sys.executable, "-c", _SERVER, str(width), str(fps), str(_BITS), str(_CELL)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield f"http://127.0.0.1:{int(server.stdout.readline())}/"
        finally:
            server.kill()


def main() -> None:
    """Measure both and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model-ms", type=float, default=150)
    parser.add_argument("--fps", type=float, default=30)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--no-peer", action="store_true", help="measure cv live's loop alone")
    given = parser.parse_args()
    model = SlowModel(given.model_ms / 1000, given.busy)
    limit = 1.3 * given.model_ms + 1000 / given.fps
    print(
        f"{given.fps:g} fps, {given.width} pixels wide; a model of {given.model_ms:g} ms; limit for p95: {limit:.0f} ms"
    )
    print(f"{'':<12}{'frames':>8}{'p50':>8}{'p95':>8}{'p95 of the first 10 s':>24}{'of the last 10 s':>18}   ms")
    p95 = {}
    loops: dict[str, Callable[[str, SlowModel, float], list[tuple[float, float]]]] = {
        "cv live": ours, **({} if given.no_peer else {"read() loop": plain_loop})
    }  # fmt: skip
    for name, loop in loops.items():
        with camera(given.width, given.fps) as address:
            ages = loop(address, model, given.seconds)
        start, end = ages[0][0], ages[-1][0]
        first = [age for at, age in ages if at - start <= _WINDOW_SECONDS]
        last = [age for at, age in ages if end - at <= _WINDOW_SECONDS]
        p50, p95[name] = np.percentile([age for _, age in ages], [50, 95])
        early, late = (float(np.percentile(part, 95)) for part in (first, last))
        print(f"{name:<12}{len(ages):>8}{p50:>8.0f}{p95[name]:>8.0f}{early:>24.0f}{late:>18.0f}")
    print(f"p95 of cv live is {'within' if p95['cv live'] < limit else 'OVER'} the limit")
    if not given.no_peer:
        print(f"p95 of the plain loop: {p95['read() loop'] / p95['cv live']:.1f} times as much")


if __name__ == "__main__":
    main()
