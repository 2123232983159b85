"""How well near-duplicates are found, and what the search costs.

Truth: takes photographs, edits each in one way, mixes both and asks `find_near` for pairs. Recall is the share of
photographs that are connected with their edited copy; precision is the share of pairs found that are one photograph.
Pairs that the photographs have among themselves (looked at by eye: real ones) are told and left out. The peer is the
64- and 256-bit perceptual hash that most tools use (`imagehash.phash` computes it the same), helped here by hashing all
8 positions, each at the loosest distance that still has a precision of 0.99 over all edits together.

Curve: seconds and peak memory of the search alone over 1,000, 10,000 and 100,000 made-up looks with a power-law
spectrum like photographs', 1% of them planted, each in a process of its own; and the exponent of the growth.

    python benchmarks/near_duplicates.py [--pictures 1000] [--only truth|curve] [--sizes 1000,10000,100000]

Photographs: catsdogs and flowers in CV_TEST_DATA (default ../shared/data); made-up ones where that is absent.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from lensmith.core.images import read_image
from lensmith.datasets.check.describe import describe, turned, turning
from lensmith.datasets.check.near import find_near
from lensmith.datasets.check.search import find_candidates

Edit = Callable[[np.ndarray, random.Random], np.ndarray]


def jpeg(bgr: np.ndarray, quality: int = 92) -> np.ndarray:
    data = cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def light(gain: float) -> Edit:
    return lambda bgr, _: np.clip(bgr * gain, 0, 255).astype(np.uint8)


def cut(size: float, place: str) -> Edit:
    """Keeps `size` of the width and of the height: in the centre, in a corner, or anywhere."""

    def edit(bgr: np.ndarray, rng: random.Random) -> np.ndarray:
        x, y = {
            "centre": (0.5, 0.5),
            "corner": (rng.choice([0, 1]), rng.choice([0, 1])),
            "anywhere": (rng.random(), rng.random()),
        }[place]
        height, width = bgr.shape[:2]
        h, w = round(height * size), round(width * size)
        top, left = round((height - h) * y), round((width - w) * x)
        return bgr[top : top + h, left : left + w]

    return edit


AREA = 0.9**0.5  # of each side, for a tenth of the area off
EDITS: dict[str, Edit] = {
    "mirrored": lambda bgr, _: bgr[:, ::-1],
    "upside down, mirrored": lambda bgr, _: bgr[::-1],
    "quarter turn": lambda bgr, _: np.rot90(bgr),
    "half turn": lambda bgr, _: np.rot90(bgr, 2),
    "three quarter turn": lambda bgr, _: np.rot90(bgr, 3),
    "JPEG quality 30": lambda bgr, _: jpeg(bgr, 30),
    "25% brighter": light(1.25),
    "25% darker": light(0.75),
    "10% of area off, centre": cut(AREA, "centre"),
    "10% of area off, corner": cut(AREA, "corner"),
    "10% of area off, anywhere": cut(AREA, "anywhere"),
    "10% of sides off, centre": cut(0.9, "centre"),
    "10% of sides off, corner": cut(0.9, "corner"),
    "10% of sides off, anywhere": cut(0.9, "anywhere"),
    "sides, corner, quality 60": lambda bgr, rng: jpeg(cut(0.9, "corner")(bgr, rng), 60),
    "sides, anywhere, mirrored": lambda bgr, rng: cut(0.9, "anywhere")(bgr, rng)[:, ::-1],
}


def photographs(count: int) -> tuple[str, list[Path | int]]:
    """What they are, and paths of real photographs or seeds of made-up ones."""
    data = Path(os.environ.get("CV_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    files = [file for name in ("catsdogs", "flowers") for file in sorted((data / "classify" / name).rglob("*.jpg"))]
    if not files:
        return "made-up photographs", list(range(count))
    step = max(len(files) // count, 1)
    return "photographs of cats, dogs and flowers", list(files[::step][:count])


def picture(source: Path | int) -> np.ndarray:
    if isinstance(source, Path):
        return read_image(source)
    rng = np.random.default_rng(source)
    frequency = np.hypot(np.fft.fftfreq(512)[:, None], np.fft.rfftfreq(512)[None])
    frequency[0, 0] = 1
    noise = rng.normal(size=(3, 512, 257)) + 1j * rng.normal(size=(3, 512, 257))
    values = np.fft.irfft2((noise + 2 * noise[:1]) / frequency**1.5)[:, :375, :500].transpose(1, 2, 0)
    return np.clip((values - values.mean()) / values.std() * 45 + 110, 0, 255).astype(np.uint8)


def reduced(bgr: np.ndarray, side: int = 256) -> np.ndarray:
    scale = min(side / max(bgr.shape[:2]), 1)
    return cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def near_pairs(pictures: list[np.ndarray]) -> set[tuple[int, int]]:
    looks = np.array([np.frombuffer(describe(bgr), np.uint8) for bgr in pictures])
    return {(i, j) for i, j, _ in find_near(looks, lambda index: pictures[index], {})}


def phash(bgr: np.ndarray, size: int) -> np.ndarray:
    """8 x (size * size) bits: the low frequencies of each position above their median."""
    grey = cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), (4 * size,) * 2, interpolation=cv2.INTER_AREA)
    bits = []
    for turn in range(8):
        low = cv2.dct(np.ascontiguousarray(turned(grey, turn)).astype(np.float32))[:size, :size].ravel()
        bits.append(low > np.median(low))
    return np.array(bits)


def distances(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Of the closest of 8 positions, int `(n, m)`."""
    upright = others[:, 0].astype(np.float32) * 2 - 1
    bits = hashes.shape[2]
    return np.min([(bits - (hashes[:, t].astype(np.float32) * 2 - 1) @ upright.T) / 2 for t in range(8)], axis=0)


def truth(count: int) -> None:
    what, sources = photographs(count)
    originals = [picture(source) for source in sources]
    clean = [reduced(bgr) for bgr in originals]
    total, natural = len(clean), near_pairs(clean)
    print(f"{total} {what}; {len(natural)} pairs of them are near-duplicates by themselves")
    hashes = {size: np.array([phash(bgr, size) for bgr in clean]) for size in (8, 16)}
    rows: list[tuple[str, float, float, float]] = []
    peers: dict[int, list[np.ndarray]] = {8: [], 16: []}
    for name, edit in EDITS.items():
        edited = [reduced(jpeg(edit(bgr, random.Random(n)))) for n, bgr in enumerate(originals)]
        began = time.perf_counter()
        pairs = near_pairs(clean + edited)
        seconds = time.perf_counter() - began
        true = sum(j == i + total for i, j in pairs)
        wrong = sum((i % total, j % total) not in natural and i % total != j % total for i, j in pairs)
        rows.append((name, true / total, true / max(true + wrong, 1), seconds))
        for size, known in hashes.items():
            peers[size].append(distances(known, np.array([phash(bgr, size) for bgr in edited])))
    recalls = {size: peer_recalls(parts, natural) for size, parts in peers.items()}
    print(f"{'edit':28} {'recall':>7} {'precision':>9} {'seconds':>8}   recall of pHash 64 / 256 at precision 0.99")
    for n, (name, recall, precision, seconds) in enumerate(rows):
        print(f"{name:28} {recall:7.4f} {precision:9.4f} {seconds:8.1f}   {recalls[8][n]:.3f} / {recalls[16][n]:.3f}")


def peer_recalls(parts: list[np.ndarray], natural: set[tuple[int, int]]) -> list[float]:
    """Recall of each edit at the loosest distance whose precision over all edits is 0.99."""
    others = ~np.eye(len(parts[0]), dtype=bool)
    for i, j in natural:
        others[i, j] = others[j, i] = False
    limit = 0
    for distance in range(128):
        true = sum(int((np.diag(part) <= distance).sum()) for part in parts)
        wrong = sum(int((part[others] <= distance).sum()) for part in parts)
        if true < 0.99 * (true + wrong):
            break
        limit = distance
    return [float((np.diag(part) <= limit).mean()) for part in parts]


def made_up_looks(count: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(24)[:, None], np.fft.rfftfreq(24)[None])
    frequency[0, 0] = 1
    looks = np.empty((count, 256), np.uint8)
    for start in range(0, count, 2000):
        n = min(2000, count - start)
        noise = rng.normal(size=(n, 24, 13)) + 1j * rng.normal(size=(n, 24, 13))
        values = np.fft.irfft2(noise / frequency**1.3, s=(24, 24))[:, 4:20, 4:20].reshape(n, -1)
        values = (values - values.mean(axis=1, keepdims=True)) / values.std(axis=1, keepdims=True) * 40 + 120
        looks[start : start + n] = np.clip(values, 0, 255)
    some = count // 100
    moved = looks[:some, turning(5)] + rng.integers(-2, 3, (some, 256))
    looks[count // 2 : count // 2 + some] = np.clip(moved, 0, 255)
    return looks


def search_once(count: int) -> None:
    """Prints seconds, MB more than before, and how many of the planted were found."""
    looks = made_up_looks(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    candidates = find_candidates(looks, 0.93)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    far = np.abs(candidates.first - candidates.second) == count // 2
    print(seconds, peak / 1024, (peak - before) / 1024, int(far.sum()), count // 100)


def curve(sizes: list[int]) -> None:
    print(f"{'looks':>8} {'seconds':>8} {'peak MB':>8} {'of it the search':>17} {'planted found':>14} {'exponent':>9}")
    last: tuple[int, float] | None = None
    for count in sizes:
        command = [sys.executable, __file__, "--search", str(count)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        seconds, peak, more = (float(value) for value in output[:3])
        exponent = f"{math.log(seconds / last[1]) / math.log(count / last[0]):9.2f}" if last else ""
        print(f"{count:8} {seconds:8.1f} {peak:8.0f} {more:17.0f} {output[3] + ' of ' + output[4]:>14} {exponent}")
        last = (count, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--only", choices=["truth", "curve"])
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--search", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.search:
        search_once(options.search)
        return
    if options.only != "curve":
        truth(options.pictures)
    if options.only != "truth":
        curve([int(size) for size in options.sizes.split(",")])


if __name__ == "__main__":
    main()
