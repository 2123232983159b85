"""Newest frames only; lost and found again; nothing made up."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.errors import DataError, LensmithError, NotFoundError, UsageError
from lensmith.predict.address import Address, cameras_here, find_camera, parse_address
from lensmith.predict.camera import Camera
from lensmith.predict.engines.base import Tag, one_by_one
from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import Model
from lensmith.predict.results import Frame
from lensmith.weights.bundle import Bundle

from .make_bundle import make_classifier
from .mjpeg import FileServer, NetworkCamera, number_of
from .rtsp import RtspCamera, need_rtsp_server
from .test_sources import make_video

_PATIENCE_SECONDS = 30


@pytest.fixture
def network_camera() -> Iterator[NetworkCamera]:
    camera = NetworkCamera().plug_in()
    yield camera
    camera.unplug()


def _patient() -> Callable[[], bool]:
    """A `while_waiting` that gives up in the end, so that a broken test fails rather than hangs."""
    limit = time.monotonic() + _PATIENCE_SECONDS
    return lambda: time.monotonic() < limit


class _SlowEngine:
    """Takes its time over each picture, as a large model does."""

    name, device, batch = "slow", "cpu", 8

    def __init__(self, bundle: Bundle, seconds: float) -> None:
        self._engine = OnnxEngine(bundle)
        self._seconds = seconds
        self.batches: list[int] = []

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        self.batches.append(len(pictures))
        time.sleep(self._seconds)
        return self._engine.infer(pictures)

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        return one_by_one(self.infer, batches)


def test_slow_model_gets_newer_frames_not_older_ones(tmp_path: Path) -> None:
    video = make_video(tmp_path / "fast.mp4", frames=50, rate=50)
    bundle = make_classifier(tmp_path / "tint")
    camera = Camera(parse_address(str(video)), _patient())
    engine = _SlowEngine(bundle, 0.1)
    seen = [p.frame for p in predict_frames(camera, Model(bundle, engine), live=True)]
    assert camera.state == "ended"
    assert camera.read == 50
    assert 2 <= len(seen) < 25
    assert set(engine.batches) == {1}
    assert camera.dropped == 50 - len(seen)
    indices = [frame.index for frame in seen]
    assert indices == sorted(indices)
    assert indices[-1] == 49  # the last one is the newest there is
    # A backlog would give 0, 1, 2, ...: each frame is as new as the model's pace allows.
    assert max(np.diff(indices)) >= 3


@pytest.fixture
def rtsp_camera() -> Iterator[RtspCamera]:
    need_rtsp_server()
    camera = RtspCamera().plug_in()
    yield camera
    camera.unplug()


def test_rtsp_camera_stopped_and_started_again(rtsp_camera: RtspCamera) -> None:
    camera = Camera(parse_address(rtsp_camera.address), _patient())
    numbers: list[int] = []
    for frame in camera:
        numbers.append(number_of(frame.bgr))
        if len(numbers) == 10:
            rtsp_camera.unplug()
            rtsp_camera.plug_in(numbers[-1] + 10)
        if camera.reconnections and len(numbers) > 20:
            break
    assert camera.reconnections == 1
    assert -1 not in numbers  # no half, grey or black picture
    assert numbers == sorted(numbers)


def test_rtsp_camera_that_sends_no_more_without_closing(
    rtsp_camera: RtspCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lensmith.predict.address.READ_TIMEOUT_SECONDS", 0.5)
    patient = _patient()

    def wait() -> bool:
        if camera.state == "reconnecting" and rtsp_camera.frozen:
            rtsp_camera.unplug()
            rtsp_camera.plug_in(100)
        return patient()

    camera = Camera(parse_address(rtsp_camera.address), wait)
    for seen, _ in enumerate(camera, 1):
        if seen == 5:
            rtsp_camera.freeze()
        if camera.reconnections:
            break
    assert camera.reconnections == 1


def test_a_file_behind_an_address_is_played_once(tmp_path: Path) -> None:
    writer = cv2.VideoWriter(str(tmp_path / "v.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for value in range(30):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    data = (tmp_path / "v.avi").read_bytes()  # says at its beginning how many frames it has
    whole, cut = FileServer(data), FileServer(data[: len(data) * 2 // 3], promised=len(data))
    seen = []
    for server in (whole, cut):
        with server:
            camera = Camera(parse_address(server.address), _patient())
            seen.append([frame.index for frame in camera])
            assert camera.state == "ended"
            assert seen[-1] == sorted(set(seen[-1]))
            assert camera.read + camera.missing == 30
    assert seen[0][-1] == 29
    assert 5 < seen[1][-1] < 29


def test_after_a_pause_the_next_frame_is_of_now(network_camera: NetworkCamera) -> None:
    camera = Camera(parse_address(network_camera.address), _patient())
    frames = iter(camera)
    next(frames)
    while camera.dropped < 3:  # pictures come in and overtake each other
        time.sleep(0.01)
    camera.forget()
    old = camera.read
    assert next(frames).index >= old
    camera.close()


_CAMERAS = {0: "Logitech C270", 1: "Logitech C270", 2: "Integrated Camera", 4: "USB Camera"}


@pytest.mark.parametrize(("given", "number"), [("logi", 0), ("Integrated Camera", 2), ("usb", 4), ("4", 4), ("7", 7)])
def test_a_camera_by_a_part_of_its_name(given: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lensmith.predict.address.cameras_here", lambda: _CAMERAS)
    assert find_camera(given).target == number


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("webcam", NotFoundError, "Logitech C270"),
        ("camera", UsageError, "2 \\(Integrated Camera\\), 4 \\(USB Camera\\)"),
        (" ", NotFoundError, "Logitech C270"),
    ],
)
def test_a_camera_by_a_name_that_is_none_or_several(
    given: str, error: type[LensmithError], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lensmith.predict.address.cameras_here", lambda: _CAMERAS)
    with pytest.raises(error) as caught:
        find_camera(given)
    assert re.search(says, str(caught.value))


def test_a_file_plays_at_its_own_speed(tmp_path: Path) -> None:
    started = time.perf_counter()
    frames = list(Camera(parse_address(str(make_video(tmp_path / "v.mp4", frames=20, rate=20))), _patient()))
    assert time.perf_counter() - started > 0.9
    assert frames[-1].seconds == pytest.approx(0.95)


def test_stream_cut_and_back(network_camera: NetworkCamera) -> None:
    camera = Camera(parse_address(network_camera.address), _patient())
    numbers: list[int] = []
    for frame in camera:
        numbers.append(number_of(frame.bgr))
        if len(numbers) == 10:
            network_camera.unplug()
            network_camera.plug_in()
        if camera.reconnections and len(numbers) > 20:
            break
    assert camera.reconnections == 1
    assert network_camera.connections >= 2
    assert -1 not in numbers  # no half, grey or black picture
    assert numbers == sorted(numbers)


def test_while_a_stream_is_gone_no_frame_comes_and_the_waiting_is_told(network_camera: NetworkCamera) -> None:
    states: list[str] = []
    numbers: list[int] = []

    def wait() -> bool:
        states.append(camera.state)
        return states.count("reconnecting") < 20

    camera = Camera(parse_address(network_camera.address), wait)
    for frame in camera:
        numbers.append(number_of(frame.bgr))
        if len(numbers) == 5:
            network_camera.unplug()
    assert states.count("reconnecting") == 20
    assert -1 not in numbers


def test_a_reader_that_hangs_is_given_up(network_camera: NetworkCamera, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lensmith.predict.address.READ_TIMEOUT_SECONDS", 2 * _PATIENCE_SECONDS)
    patient = _patient()

    def wait() -> bool:
        if camera.state == "reconnecting":
            network_camera.silent.clear()
        return patient()

    camera = Camera(parse_address(network_camera.address), wait, stall_seconds=0.5)
    for seen, _ in enumerate(camera, 1):
        if seen == 5:
            network_camera.silent.set()
        if camera.reconnections:
            break
    assert camera.reconnections == 1


@pytest.mark.parametrize("path", ["stream", "?token=abcdefghij"])
def test_nothing_at_the_address(path: str) -> None:
    camera = Camera(parse_address(f"http://me:verysecret@127.0.0.1:9/{path}"), _patient())
    with pytest.raises(NotFoundError) as caught:
        list(camera)
    assert "verysecret" not in str(caught.value)
    assert "abcdefghij" not in str(caught.value)


def test_no_such_camera_names_those_that_are_there() -> None:
    missing = max(cameras_here(), default=0) + 7
    with pytest.raises(NotFoundError, match="camera") as caught:
        list(Camera(parse_address(str(missing)), _patient()))
    assert "--source" in str(caught.value)


def test_file_without_a_frame(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").write_bytes(b"nothing")
    with pytest.raises(DataError):
        list(Camera(parse_address(str(tmp_path / "x.mp4")), _patient()))


def test_the_persons_wish_to_stop_is_heard_while_waiting(network_camera: NetworkCamera) -> None:
    camera = Camera(parse_address(network_camera.address), lambda: False)
    frames: list[Frame] = []
    frames.extend(camera)
    assert len(frames) <= 1


def test_errors_are_meant_for_the_person() -> None:
    with pytest.raises(LensmithError):
        parse_address("no such file.mp4")


def test_a_file_that_goes_before_it_is_opened_is_no_endless_wait(tmp_path: Path) -> None:
    video = make_video(tmp_path / "v.mp4", frames=2, rate=20)
    address = parse_address(str(video))
    video.unlink()
    with pytest.raises(LensmithError, match="cannot be read: No such file"):
        list(Camera(address, _patient()))


def test_whatever_breaks_a_reader_of_a_stream_is_a_lost_connection(
    network_camera: NetworkCamera, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter([25.0, MemoryError(), MemoryError()])

    def rate(capture: cv2.VideoCapture) -> float:
        if isinstance(answer := next(calls, 25.0), Exception):
            raise answer
        return answer

    monkeypatch.setattr("lensmith.predict.camera.frames_per_second", rate)
    camera = Camera(parse_address(network_camera.address), _patient())
    for seen, _ in enumerate(camera, 1):
        if seen == 5:
            network_camera.unplug()
            network_camera.plug_in()
        if camera.reconnections:
            break
    assert camera.reconnections == 1
    assert next(calls, None) is None


class _Hanging:
    """A camera whose driver gives one picture and then blocks in each read, until it is freed."""

    def __init__(self, free: threading.Event) -> None:
        self._free, self._first = free, True

    def get(self, _: int) -> float:
        return 0.0

    def grab(self) -> bool:
        if not self._first:
            self._free.wait(_PATIENCE_SECONDS)
        return True

    def retrieve(self) -> tuple[bool, np.ndarray]:
        self._first = False
        return True, np.zeros((4, 4, 3), np.uint8)

    def release(self) -> None:
        pass


def test_a_driver_that_hangs_costs_a_few_threads_and_not_one_more_each_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    free, opened, looks = threading.Event(), [], 0

    def open_one(address: Address) -> _Hanging:
        opened.append(address)
        hanging = _Hanging(free)
        hanging._first = len(opened) == 1 or free.is_set()
        return hanging

    def wait() -> bool:
        nonlocal looks
        looks += said > 0
        if looks == 20:  # twenty times nothing more was begun
            assert len(opened) == 3
            free.set()
        return time.monotonic() < limit

    said, text, limit = 0, "", time.monotonic() + _PATIENCE_SECONDS
    monkeypatch.setattr("lensmith.predict.camera.open_capture", open_one)
    monkeypatch.setattr("lensmith.predict.camera.OPEN_TIMEOUT_SECONDS", 0.0)

    def note(words: str) -> None:
        nonlocal said, text
        said, text = said + 1, words

    monkeypatch.setattr("lensmith.predict.camera.warn", note)
    camera = Camera(Address("camera", 0, "camera 0"), wait, stall_seconds=0.02)
    for _ in camera:
        if camera.reconnections:
            break
    assert said == 1
    assert "unplug it" in text
    assert camera.reconnections == 1
