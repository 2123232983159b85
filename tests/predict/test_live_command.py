"""`cv live`, the real command: in a real window under Xvfb, and without one."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lensmith.cli.app import main
from lensmith.core.draw import class_colour
from lensmith.core.images import read_image
from lensmith.core.workspace import Workspace
from lensmith.predict.recorder import VideoRecorder
from tests.helpers import cv_path, run_cv
from tests.roboflow_server import KEY, Project, serve

from .make_bundle import blocks, make_detector
from .mjpeg import NetworkCamera
from .rtsp import RtspCamera, need_rtsp_server
from .x11 import ask_to_close

_NO_SCREEN = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
_PATIENCE_SECONDS = 60


def _need(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing and os.environ.get("CI"):
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (Debian: apt install xvfb xdotool imagemagick ffmpeg)")


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real X server on a free display; gives the environment for it."""
    _need("Xvfb", "xdotool", "import")
    read, write = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x800x24"], pass_fds=[write], stderr=subprocess.DEVNULL
    )
    os.close(write)
    with os.fdopen(read) as numbers:
        display = numbers.readline().strip()  # comes when the server is ready
    yield {**os.environ, "DISPLAY": f":{display}"}
    server.terminate()
    server.wait(30)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle "cells" that finds coloured blocks, and ten seconds of video with a red one in the middle."""
    folder = tmp_path_factory.mktemp("made")
    make_detector(folder / "cells", ("blue", "green", "red"))
    with VideoRecorder(folder / "clip.mp4", 20) as recorder:
        for _ in range(200):
            recorder.write(blocks(512, 512, (192, 192, 320, 320, 2)))
    return folder


@pytest.fixture
def cells(workspace: Workspace, made: Path) -> None:
    shutil.copytree(made / "cells", workspace.weights / "cells")


@pytest.fixture
def clip(workspace: Workspace, made: Path, cells: None) -> Path:
    """The video beside the bundle."""
    return Path(shutil.copy(made / "clip.mp4", workspace.root / "clip ü.mp4"))


@pytest.fixture
def endless(cells: None) -> Iterator[str]:
    """The address of a camera that shows the same for ever: a test on a busy machine may take as long as it likes."""
    camera = NetworkCamera(0.05, blocks(512, 512, (192, 192, 320, 320, 2))).plug_in()
    yield camera.address
    camera.unplug()


def _live(workspace: Workspace, source: str, env: dict[str, str], *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [cv_path(), "live", "--weights", "cells", "--source", source, *more],
        cwd=workspace.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def _find_window(env: dict[str, str]) -> str:
    found = subprocess.run(
        ["xdotool", "search", "--sync", "--onlyvisible", "--name", "Lensmith"],
        env=env, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return found.stdout.split()[0]


def _screenshot(env: dict[str, str], path: Path, process: subprocess.Popen[str]) -> np.ndarray:
    """The screen once a box is painted on it; a busy machine may take a while from frame to pixels."""
    limit = time.monotonic() + _PATIENCE_SECONDS
    while True:
        subprocess.run(["import", "-window", "root", str(path)], env=env, check=True, timeout=60)
        picture = read_image(path)
        if _shows(picture, class_colour(2)) or process.poll() is not None or time.monotonic() > limit:
            return picture  # without the box what is asserted of it fails, and the file shows what was there


def _shows(screen: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return int((np.abs(screen.astype(int) - colour).max(axis=2) < 12).sum()) > 200


def test_a_real_window_shows_boxes_and_a_key_ends_it(
    screen: dict[str, str], workspace: Workspace, endless: str, tmp_path: Path
) -> None:
    process = _live(workspace, endless, screen, "--json")
    try:
        window = _find_window(screen)
        assert process.stdout
        for _ in range(5):  # five frames were shown
            assert json.loads(process.stdout.readline())["detections"]
        picture = _screenshot(screen, tmp_path / "screen.png", process)
        subprocess.run(["xdotool", "key", "--window", window, "Escape"], env=screen, check=True, timeout=30)
        _, talk = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, talk
    assert _shows(picture, class_colour(2))  # the box
    assert _shows(picture, (0, 0, 255))  # what is in it
    assert "p95" in talk


def test_closing_the_window_ends_it(screen: dict[str, str], workspace: Workspace, endless: str) -> None:
    process = _live(workspace, endless, screen)
    try:
        window = _find_window(screen)
        ask_to_close(int(window), screen["DISPLAY"])
        _, talk = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, talk
    assert "shown" in talk


def _page_of(process: subprocess.Popen[str]) -> str:
    """The page's address, as the command says it."""
    assert process.stderr
    for line in process.stderr:
        if found := re.search(r"http://127\.0\.0\.1:\d+/[\w-]+/", line):
            return found[0]
    raise AssertionError("no page")


def _press(page: str, key: str) -> None:
    request = urllib.request.Request(page + "key", key.encode(), {"X-Lensmith": "key"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 204


def _wait_for_status(page: str, text: str) -> None:
    limit, status = time.monotonic() + _PATIENCE_SECONDS, ""
    while text not in status:
        assert time.monotonic() < limit, status
        with urllib.request.urlopen(page + "state", timeout=30) as answer:
            status = json.load(answer)["status"]


def _next_records(process: subprocess.Popen[str], count: int) -> list[dict[str, Any]]:
    assert process.stdout
    return [json.loads(process.stdout.readline()) for _ in range(count)]


@pytest.mark.usefixtures("cells")
def test_without_a_screen_it_is_a_page_with_the_same_keys(workspace: Workspace) -> None:
    picture = np.full((512, 512, 3), 128, np.uint8)
    picture[192:320, 192:320] = (80, 80, 200)  # red, of which the model is about 63 % sure
    camera = NetworkCamera(0.05, picture).plug_in()
    process = _live(workspace, camera.address, {**os.environ, **_NO_SCREEN}, "--json")
    try:
        page = _page_of(process)
        first = _next_records(process, 3)[-1]
        assert first["detections"]
        for _ in range(9):  # from the model's 0.25 to 0.7
            _press(page, "+")
        while _next_records(process, 1)[0]["detections"]:
            pass
        for _ in range(3):
            _press(page, "-")
        while not _next_records(process, 1)[0]["detections"]:
            pass
        _press(page, " ")
        _wait_for_status(page, "paused")  # what was on its way still comes, and then nothing
        _press(page, "u")
        _wait_for_status(page, "--upload")  # a pause shows what a key does
        _press(page, "s")
        _press(page, " ")
        _next_records(process, 20)
        _press(page, "q")
        _, talk = process.communicate(timeout=60)
    finally:
        process.kill()
        camera.unplug()
    assert process.returncode == 0, talk
    assert "paused for" in talk
    assert "--upload WORKSPACE/PROJECT" in talk
    assert "by key: 1 saved, 0 uploaded" in talk
    assert len(list((workspace.root / "frames").iterdir())) == 3


def test_a_key_uploads_what_is_seen_to_be_labelled(workspace: Workspace, endless: str) -> None:
    pytest.importorskip("roboflow")
    with serve(Project(b"")) as server:
        env = {**os.environ, **_NO_SCREEN, **server.env(), "ROBOFLOW_API_KEY": ""}
        process = _live(workspace, endless, env, "--json", "--upload", "acme/parts", "--api-key", KEY)
        try:
            page = _page_of(process)
            _next_records(process, 3)
            _press(page, "u")
            while not any(picture.annotations for picture in server.uploads.pictures.values()):
                _next_records(process, 1)  # the picture goes on meanwhile
            _press(page, "q")
            _, talk = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0, talk
    assert "uploaded for labelling" in talk
    assert "1 uploaded" in talk
    assert KEY not in talk
    (picture,) = server.uploads.pictures.values()
    assert _first_label(picture.annotations[0])[0] == 2  # red
    assert cv2.imdecode(np.frombuffer(picture.data, np.uint8), cv2.IMREAD_COLOR).shape == (512, 512, 3)


def _first_label(annotation: dict[str, Any]) -> list[float]:
    """The first row of a YOLO text: class, centre, size."""
    return [float(word) for word in annotation["annotationFile"].splitlines()[0].split()]


def test_a_killed_run_leaves_a_recording_that_plays(workspace: Workspace, endless: str) -> None:
    options = ["--record", "rec.mp4", "--json"]
    process = _live(workspace, endless, {**os.environ, **_NO_SCREEN}, *options)
    records = _next_records(process, 1)
    while records[-1]["seconds"] < records[0]["seconds"] + 3:
        records += _next_records(process, 1)
    process.kill()
    process.communicate(timeout=30)
    assert _length_seconds(workspace.root / "rec.mp4") > 1.5
    assert [path.name for path in workspace.root.glob("*rec*")] == ["rec.mp4"]


@pytest.mark.usefixtures("cells")
def test_an_rtsp_camera_stopped_and_started_while_it_is_recorded_and_watched_for(workspace: Workspace) -> None:
    need_rtsp_server()
    camera = RtspCamera().plug_in()
    note = workspace.root / "note.py"
    note.write_text("import sys; open('calls', 'a').write(sys.stdin.read() + '\\n')")
    options = [
        "--record", "rec.mp4", "--json", "--every", "1s", "--save", "seen", "--run", f"'{sys.executable}' note.py",
    ]  # fmt: skip
    process = _live(workspace, camera.address, {**os.environ, **_NO_SCREEN}, *options)
    try:
        last = _next_records(process, 20)[-1]["seconds"]
        camera.unplug()
        camera.plug_in(120)
        while _next_records(process, 1)[0]["seconds"] < last + 1.0:  # a gap: what came after it came from the new one
            pass
        _next_records(process, 20)
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=60)
    finally:
        process.kill()
        camera.unplug()
    assert process.returncode == 130, talk
    assert "is gone; trying to reach it again" in talk
    assert "is back" in talk
    assert "lost and came back: 1" in talk
    assert _length_seconds(workspace.root / "rec.mp4") > 1
    calls = [json.loads(line) for line in (workspace.root / "calls").read_text().splitlines()]
    assert len(calls) >= 2
    assert calls[0]["source"] == camera.address
    assert len(list((workspace.root / "seen").glob("*.json"))) >= 2


def test_no_screen_is_one_message_with_a_way_out(workspace: Workspace, clip: Path) -> None:
    options = ["--source", clip.name, "--show", "window"]
    done = run_cv("live", "--weights", "cells", *options, cwd=workspace.root, env=_NO_SCREEN)
    assert done.returncode == 1
    assert "No window can be shown here" in done.stderr
    assert "--show page" in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_dead_screen_does_not_kill_the_command(workspace: Workspace, clip: Path) -> None:
    options = ["--source", clip.name, "--record", "x.mp4", "--seconds", "0.5"]
    done = run_cv("live", "--weights", "cells", *options, cwd=workspace.root, env={"DISPLAY": ":987"})
    assert done.returncode == 0, done.stderr
    assert "':987'" in done.stderr
    assert "recording alone" in done.stderr
    assert _length_seconds(workspace.root / "x.mp4") > 0.2


def _length_seconds(path: Path) -> float:
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    return count / capture.get(cv2.CAP_PROP_FPS)


def test_recording_without_a_window_for_some_seconds(workspace: Workspace, clip: Path) -> None:
    options = ["--no-window", "--record", "out/rec.mp4", "--seconds", "1", "--json"]
    done = run_cv("live", "--weights", "cells", "--source", clip.name, *options, cwd=workspace.root, env=_NO_SCREEN)
    assert done.returncode == 0, done.stderr
    assert 0.7 < _length_seconds(workspace.root / "out" / "rec.mp4") < 3
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(records) > 2
    assert records[0]["detections"][0]["class"] == "red"


@pytest.mark.parametrize("polite", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_recording_that_plays(polite: signal.Signals, workspace: Workspace, clip: Path) -> None:
    process = _live(workspace, clip.name, {**os.environ, **_NO_SCREEN}, "--no-window", "--record", "rec.mp4", "--json")
    assert process.stdout
    for _ in range(10):
        process.stdout.readline()
    process.send_signal(polite)
    _, talk = process.communicate(timeout=60)
    assert process.returncode == 130, talk
    assert _length_seconds(workspace.root / "rec.mp4") > 0.3
    assert "shown" in talk
    assert "Traceback" not in talk


def _main(
    workspace: Workspace, options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """The command in this process: the exit code, and what it said."""
    monkeypatch.chdir(workspace.root)
    monkeypatch.setattr("sys.argv", ["cv", "live", "--weights", "cells", *options])
    for name, value in _NO_SCREEN.items():
        monkeypatch.setenv(name, value)
    polite = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as left:
            main()
    finally:
        signal.signal(signal.SIGTERM, polite)
    assert isinstance(left.value.code, int)
    return left.value.code, capsys.readouterr().err


def _not_yet(*_: object, **__: object) -> None:
    pytest.fail("the model was opened before the slip was told")


_CLIP = ["--source", "clip ü.mp4"]


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        pytest.param(["--camera", "93"], 3, "There is no camera 93", id="no camera"),
        pytest.param(["--source", "nowhere.mp4"], 3, "no video", id="no file"),
        pytest.param(["--source", "gopher://x"], 2, "gopher://", id="scheme"),
        pytest.param(["--camera", "0", "--source", "x.mp4"], 2, "not both", id="both"),
        pytest.param(["--source", "clip ü.mp4", "--record", "x.gif"], 2, "cannot be written as", id="ending"),
        pytest.param(["--source", "clip ü.mp4", "--record", "clip ü.mp4"], 2, "already", id="taken"),
        pytest.param(["--source", "clip ü.mp4", "--on", "rad", "--save", "x"], 2, "did you mean 'red'", id="class"),
        pytest.param(["--source", "clip ü.mp4", "--on", "red"], 2, "--run COMMAND", id="nothing to do"),
        pytest.param([*_CLIP, "--save", "x"], 2, "--every 5s, or --on CLASS", id="save by a key that nobody has"),
        pytest.param([*_CLIP, "--upload", "a/b"], 2, "--show page", id="upload by a key that nobody has"),
        pytest.param([*_CLIP, "--on", "red>80", "--save", "x"], 2, "from 0 to 1, or as 80%", id="confidence"),
    ],
)
def test_a_slip_is_one_message_before_the_model_is_opened(
    options: list[str], code: int, says: str, workspace: Workspace, clip: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert clip
    monkeypatch.setattr("lensmith.predict.ensemble.open_models", _not_yet)
    got, talk = _main(workspace, ["--no-window", *options], monkeypatch, capsys)
    assert got == code, talk
    assert says in " ".join(talk.split())
    assert "Traceback" not in talk


def test_nothing_at_the_address_is_told_without_the_login(
    workspace: Workspace, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert clip
    options = ["--no-window", "--source", "http://me:hidden77@127.0.0.1:9/x"]
    got, talk = _main(workspace, options, monkeypatch, capsys)
    assert got == 3, talk
    assert "Nothing that can be shown answers" in " ".join(talk.split())
    assert "hidden77" not in talk


def test_the_folder_alone_is_for_the_key(
    workspace: Workspace, clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a page, where nobody presses it; with --every it is filled."""
    options = ["--source", clip.name, "--show", "page", "--seconds", "0.5", "--save"]
    assert _main(workspace, [*options, "seen"], monkeypatch, capsys)[0] == 0
    assert not (workspace.root / "seen").exists()
    assert _main(workspace, [*options, "seen", "--every", "0.1s"], monkeypatch, capsys)[0] == 0
    assert list((workspace.root / "seen").glob("*.json"))
