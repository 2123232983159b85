"""Near-duplicates: what editing leaves is found, what only looks alike is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.images import read_image
from lensmith.datasets.check.confirm import confirm, prepare
from lensmith.datasets.check.describe import DESCRIPTOR_BYTES, TURNS, WHOLE, describe, turned, turning
from lensmith.datasets.check.near import Known, find_near
from lensmith.datasets.check.search import find_candidates

Edit = Callable[[np.ndarray], np.ndarray]


def photograph(seed: int, height: int = 180, width: int = 240) -> np.ndarray:
    """Structure of every size, like a photograph's: BGR uint8."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256)[None])
    frequency[0, 0] = 1
    noise = rng.normal(size=(3, 256, 129)) + 1j * rng.normal(size=(3, 256, 129))
    values = np.fft.irfft2((noise + 2 * noise[:1]) / frequency**1.5)[:, :height, :width].transpose(1, 2, 0)
    values = (values - values.mean()) / values.std() * 45 + 110
    return np.ascontiguousarray(np.clip(values, 0, 255).astype(np.uint8))


def jpeg(bgr: np.ndarray, quality: int) -> np.ndarray:
    decoded = cv2.imdecode(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def cut(left: float, top: float, size: float) -> Edit:
    def edit(bgr: np.ndarray) -> np.ndarray:
        height, width = bgr.shape[:2]
        x, y = round(left * width), round(top * height)
        return bgr[y : y + round(size * height), x : x + round(size * width)]

    return edit


def light(gain: float) -> Edit:
    return lambda bgr: np.clip(bgr * gain, 0, 255).astype(np.uint8)


EDITS: list[tuple[str, Edit]] = [
    *((f"position {turn}", lambda bgr, turn=turn: np.ascontiguousarray(turned(bgr, turn))) for turn in range(1, TURNS)),
    ("quality 30", lambda bgr: jpeg(bgr, 30)),
    ("a quarter brighter", light(1.25)),
    ("a quarter darker", light(0.75)),
    ("grey", lambda bgr: cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)),
    ("half the size", lambda bgr: cv2.resize(bgr, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)),
    ("stretched to a square", lambda bgr: cv2.resize(bgr, (200, 200), interpolation=cv2.INTER_AREA)),
    ("a tenth of the area off, centre", cut(0.025, 0.025, 0.95)),
    ("a tenth of each side off, centre", cut(0.05, 0.05, 0.9)),
    ("a tenth of each side off, corner", cut(0.1, 0.0, 0.9)),
    ("a tenth of each side off, between", cut(0.03, 0.08, 0.9)),
    ("corner, mirrored, quality 60", lambda bgr: jpeg(cut(0.0, 0.1, 0.9)(bgr)[:, ::-1], 60)),
]


def looks(pictures: list[np.ndarray]) -> np.ndarray:
    return np.array([np.frombuffer(describe(picture), np.uint8) for picture in pictures], np.uint8).reshape(-1, 256)


def found(pictures: list[np.ndarray]) -> set[tuple[int, int]]:
    return {(i, j) for i, j, _ in find_near(looks(pictures), lambda index: pictures[index], {})}


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    return [photograph(seed) for seed in range(20)]


@pytest.mark.parametrize("edit", [edit for _, edit in EDITS], ids=[name for name, _ in EDITS])
def test_an_edited_photograph_is_found(photographs: list[np.ndarray], edit: Edit) -> None:
    edited = [jpeg(edit(picture), 90) for picture in photographs]
    assert found(photographs + edited) == {(i, i + len(photographs)) for i in range(len(photographs))}


def _tripod(seed: int) -> np.ndarray:
    scene, rng = photograph(0).copy(), np.random.default_rng(seed)
    x, y = rng.integers(30, 200), rng.integers(30, 150)
    cv2.circle(scene, (int(x), int(y)), 9, (20, 20, 230), -1)
    return scene


def _page(seed: int) -> np.ndarray:
    page, rng = np.full((256, 192, 3), 255, np.uint8), np.random.default_rng(seed)
    for line in range(20, 240, 12):
        cv2.putText(page, "".join(rng.choice(list("abcdefgh jklmn"), 24)), (12, line), 0, 0.3, (0, 0, 0), 1)
    return page


def _sign(seed: int) -> np.ndarray:
    sign = np.full((128, 128, 3), 235, np.uint8)
    cv2.circle(sign, (64, 64), 50, (180, 90, 30), -1)
    cv2.putText(sign, chr(ord("A") + seed), (45, 85), 0, 1.8, (255, 255, 255), 4)
    return sign


def _plain(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, 250, 3, dtype=np.uint8)
    return rng.integers(0, 4, (64, 64, 3), dtype=np.uint8) + colour


def _gradient(seed: int) -> np.ndarray:
    ramp = np.linspace(20 + seed, 200, 64).astype(np.uint8)
    return np.repeat(np.repeat(ramp[None, :, None], 64, axis=0), 3, axis=2)


@pytest.mark.parametrize("make", [photograph, _tripod, _page, _sign, _plain, _gradient])
def test_what_only_looks_alike_is_not(make: Callable[[int], np.ndarray]) -> None:
    assert found([jpeg(make(seed), 90) for seed in range(12)]) == set()


def test_a_second_search_reads_no_picture(photographs: list[np.ndarray]) -> None:
    pictures = [*photographs, *(picture[:, ::-1] for picture in photographs[:5]), *(_tripod(seed) for seed in range(5))]
    memo: dict[tuple[int, int], float] = {}
    reads: list[int] = []

    def read(index: int) -> np.ndarray:
        reads.append(index)
        return pictures[index]

    first = find_near(looks(pictures), read, memo)
    assert len(first) == 5
    assert len(reads) > 0
    reads.clear()
    assert find_near(looks(pictures), read, memo) == first
    assert reads == []


def test_what_is_known_is_not_compared_again(photographs: list[np.ndarray]) -> None:
    pictures = photographs[:3] * 2
    nowhere = np.zeros(6, bool)
    known = Known(np.array([0, 1, 2, 0, 4, 5]), np.zeros(6, np.int64), nowhere, np.array([False] * 5 + [True]))
    pairs = find_near(looks(pictures), lambda index: pictures[index], {}, known)
    assert [(i, j) for i, j, _ in pairs] == [(1, 4)]
    assert pairs[0][2] > 0.99


def test_each_picture_of_a_later_split_gets_its_leak(photographs: list[np.ndarray]) -> None:
    pictures = [photographs[0]] * 4
    known = Known(np.arange(4), np.array([0, 2, 2, 2]), np.zeros(4, bool), np.zeros(4, bool))
    pairs = {(i, j) for i, j, _ in find_near(looks(pictures), lambda index: pictures[index], {}, known)}
    assert {(0, 1), (0, 2), (0, 3)} <= pairs


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(photographs: list[np.ndarray], count: int) -> None:
    assert found(photographs[:count]) == set()


def test_a_series_of_the_same_look_stays_cheap(photographs: list[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    base = np.frombuffer(describe(photographs[0]), np.uint8).astype(int)
    series = np.clip(base + rng.integers(-3, 4, (200, DESCRIPTOR_BYTES)), 0, 255).astype(np.uint8)
    memo: dict[tuple[int, int], float] = {}

    def read(index: int) -> np.ndarray:
        coarse = np.random.default_rng(index).integers(0, 256, (24, 24, 3), dtype=np.uint8)
        return cv2.resize(coarse, (96, 96), interpolation=cv2.INTER_CUBIC)

    assert find_near(series, read, memo) == []
    assert len(memo) <= 3 * len(series)


def test_candidates_among_many() -> None:
    """Cells are in use here: the planted are found without comparing all with all."""
    rng = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(16)[:, None], np.fft.rfftfreq(16)[None])
    frequency[0, 0] = 1
    noise = rng.normal(size=(3000, 16, 9)) + 1j * rng.normal(size=(3000, 16, 9))
    values = np.fft.irfft2(noise / frequency**1.3, s=(16, 16))
    values = values / values.std(axis=(1, 2), keepdims=True) * 40 + 120
    seen = np.clip(values, 0, 255).astype(np.uint8).reshape(3000, -1)
    planted = np.clip(seen[:60, turning(5)] + rng.integers(-2, 3, (60, 256)), 0, 255).astype(np.uint8)
    candidates = find_candidates(np.concatenate([seen, planted]), 0.9)
    pairs = {(min(i, j), max(i, j)) for i, j in zip(candidates.first.tolist(), candidates.second.tolist(), strict=True)}
    assert pairs == {(i, 3000 + i) for i in range(60)}


@pytest.mark.parametrize("turn", range(TURNS))
def test_a_turned_picture_has_a_turned_look(photographs: list[np.ndarray], turn: int) -> None:
    look = np.frombuffer(describe(photographs[1]), np.uint8)
    assert len(look) == DESCRIPTOR_BYTES
    of_turned = np.frombuffer(describe(np.ascontiguousarray(turned(photographs[1], turn))), np.uint8)
    assert np.abs(look[turning(turn)].astype(int) - of_turned).max() <= 2
    grey = cv2.cvtColor(photographs[1], cv2.COLOR_BGR2GRAY)
    assert np.abs(np.frombuffer(describe(grey), np.uint8).astype(int) - look).max() <= 2


def test_grey_and_colour_are_compared(photographs: list[np.ndarray]) -> None:
    grey = cv2.cvtColor(photographs[2], cv2.COLOR_BGR2GRAY)
    assert confirm(prepare(grey), prepare(photographs[2]), 0, WHOLE) > 0.9
    assert confirm(prepare(photographs[3]), prepare(photographs[2]), 0, WHOLE) == 0


def test_real_photographs(test_data: Path) -> None:
    """Of 240 cats and dogs two show the same puppies; their dataset does not say so."""
    folder = test_data / "classify/catsdogs"
    files = sorted(folder.rglob("*.jpg"))
    twins = [files[591], files[972]]
    chosen = sorted({*files[::6], *twins})
    pictures = [cv2.resize(read_image(file), (256, 256), interpolation=cv2.INTER_AREA) for file in chosen]
    assert found(pictures) == {(chosen.index(twins[0]), chosen.index(twins[1]))}
