"""The pass over the pictures: the same with helpers and without, nothing read twice, and no helper's death stops it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.isolation import cache_folder
from lensmith.core.workspace import Workspace
from lensmith.datasets.check import crew as crew_module
from lensmith.datasets.check import scan as scan_module
from lensmith.datasets.check.cache import LookCache, cache_path, state_of
from lensmith.datasets.check.crew import Crew
from lensmith.datasets.check.look import Look, look_at
from lensmith.datasets.check.looks import Looks
from lensmith.datasets.check.scan import Scan
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset

fcntl = pytest.importorskip("fcntl")

COUNTS = {"train": 20, "valid": 4, "test": 4}


def _all(crew: Crew) -> dict[int, Look]:
    seen: dict[int, Look] = {}
    for numbers, looks in crew.rest():
        seen.update(zip(numbers, looks, strict=True))
    crew.stop()
    return seen


def scan_pictures(
    dataset: Dataset, workers: int | None = None, advance: Callable[[float], None] | None = None
) -> Looks:
    cache = LookCache(cache_path())
    try:
        with Scan(dataset, cache, workers, advance) as scan:
            return scan.finish()
    finally:
        cache.close()


def test_helpers_see_what_this_process_sees(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", COUNTS)
    (root / "train/cat/train-0-000.png").write_bytes(b"")
    (root / "train/cat/name with \udcff byte.png").write_bytes(b"no picture")
    dataset = open_dataset(root, workspace)
    alone = scan_pictures(dataset, workers=1)
    shutil.rmtree(cache_folder("checks"))
    monkeypatch.setattr(scan_module, "_BYTES_PER_HELPER", 1)
    monkeypatch.setattr(scan_module, "_PART_BYTES", 50_000)
    seen: list[float] = []
    helped = scan_pictures(dataset, workers=3, advance=seen.append)
    assert sum(seen) == len(alone) == 57
    assert np.array_equal(alone.sha256, helped.sha256)
    assert np.array_equal(alone.descriptors, helped.descriptors)
    assert alone.reasons == helped.reasons
    assert [alone.fault(number) for number in sorted(alone.reasons)] == ["unreadable", "empty"]


def test_an_unchanged_dataset_is_not_read_again(workspace: Workspace, tmp_path: Path) -> None:
    """An audit hook in a process of its own sees every file opened and every process started."""
    root = make_yolo_dataset(workspace.datasets / "set", COUNTS)
    code = """
import sys
events = []
from pathlib import Path
from lensmith.core.isolation import cache_folder
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.read import open_dataset
def hook(event, arguments):
    if event.startswith(("open", "subprocess")) and str(arguments[0]).endswith(".png"):
        events.append(str(arguments[0]))
    if event.startswith("subprocess"):
        events.append(event)
sys.addaudithook(hook)
for _ in range(2):
    report = check_dataset(open_dataset(sys.argv[1], Workspace(Path.cwd())))
    print(len(events), [(finding.kind, finding.count) for finding in report.findings])
    events.clear()
"""

    def check_twice() -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        return done.stdout.splitlines()

    first, again = check_twice()
    count, _, findings = first.partition(" ")
    assert int(count) >= 28
    assert again == f"0 {findings}"
    assert check_twice() == [again, again]
    make_picture(root / "train/images/train-003.png", seed=99)
    assert check_twice()[0].split()[0] == "1"


def test_what_is_remembered_follows_the_content(workspace: Workspace, tmp_path: Path) -> None:
    picture = make_picture(tmp_path / "a.png")
    cache = LookCache(cache_path())
    look = look_at(str(picture))
    state = state_of(str(picture))
    assert state is not None
    cache.remember([(str(picture), state, look)])
    cache.close()
    cache = LookCache(cache_path())
    assert cache.by_state(str(picture), state) == look
    assert cache.by_content(look.sha256) == look
    old = picture.stat()
    make_picture(picture, seed=5)
    os.utime(picture, ns=(old.st_atime_ns, old.st_mtime_ns))
    changed = state_of(str(picture))
    assert changed is not None
    assert cache.by_state(str(picture), changed) is None
    cache.close()


@pytest.mark.parametrize("damage", ["text", "cut", "folder", "no folder"])
def test_a_cache_that_cannot_be_used_is_only_a_loss_of_time(workspace: Workspace, damage: str) -> None:
    dataset = open_dataset(make_folder_dataset(workspace.datasets / "pets", {"train": 3}), workspace)
    expected = scan_pictures(dataset).sha256
    path = cache_path()
    assert path is not None
    if damage == "text":
        path.write_bytes(b"this is no database" * 1000)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "folder":
        path.unlink()
        path.mkdir()
    else:
        shutil.rmtree(path.parent)
        path.parent.write_text("a file where the folder should be")
    assert np.array_equal(scan_pictures(dataset).sha256, expected)
    assert np.array_equal(scan_pictures(dataset).sha256, expected)


def test_a_helper_that_is_killed_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(make_picture(tmp_path / f"{number}.png", seed=number)) for number in range(40)]
    parts = [[(number, paths[number]) for number in range(start, start + 8)] for start in range(0, 40, 8)]
    killed: list[int] = []
    start = Crew._start

    def start_and_kill(self: Crew) -> subprocess.Popen[bytes]:
        process = start(self)
        if len(killed) < 3:
            killed.append(process.pid)
            process.kill()
        return process

    monkeypatch.setattr(Crew, "_start", start_and_kill)
    seen = _all(Crew(parts, 2, None))
    assert len(killed) == 3
    assert seen == {number: look_at(path) for number, path in enumerate(paths)}


def test_a_picture_that_kills_its_helpers_is_told_from_its_neighbours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [str(make_picture(tmp_path / f"{number}.png", seed=number)) for number in range(12)]
    deadly = tmp_path / "deadly.png"
    paths.insert(5, str(deadly))
    code = f"""
import os
from lensmith.datasets.check import worker
real = worker.look_at
def look_at(path, known):
    if path == {str(deadly)!r}:
        os.kill(os.getpid(), 9)
    return real(path, known)
worker.look_at = look_at
worker.main()
"""
    monkeypatch.setattr(crew_module, "_START", code)
    seen = _all(Crew([[(number, path) for number, path in enumerate(paths)]], 1, None))
    assert sorted(seen) == list(range(13))
    assert [number for number, look in seen.items() if look.fault] == [5]
    assert "memory" in seen[5].reason


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="the size of a pipe can be set on Linux only")
def test_small_pipes_hold_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions and answers are both larger than a pipe, as they are on systems where a pipe holds 4 to 16 KB."""
    picture = make_picture(tmp_path / "a.png")
    paths = [tmp_path / f"{'long-name-' * 8}{number}.png" for number in range(800)]
    for path in paths:
        os.link(picture, path)
    parts = [[(number, str(paths[number])) for number in range(start, start + 200)] for start in range(0, 800, 200)]
    popen = subprocess.Popen

    def with_small_pipes(*arguments: Any, **options: Any) -> subprocess.Popen[Any]:
        process = popen(*arguments, **options)
        for pipe in (process.stdin, process.stdout):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
        return process

    monkeypatch.setattr(subprocess, "Popen", with_small_pipes)
    crew = Crew(parts, 1, None)
    seen = 0
    deadline = time.monotonic() + 60
    while seen < 800 and time.monotonic() < deadline:
        seen += sum(len(numbers) for numbers, _ in crew.ready())
    crew.stop()
    assert seen == 800


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are looked up in /proc")
def test_ctrl_c_ends_the_check_and_its_helpers(workspace: Workspace, tmp_path: Path) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", {"train": 8})
    slow = f"""
import os, time
from pathlib import Path
from lensmith.datasets.check import worker
def look_at(*_):
    Path({str(tmp_path)!r}, f"{{os.getpid()}}.busy").touch()
    time.sleep(600)
worker.look_at = look_at
worker.main()
"""
    code = f"""
import sys, time
from pathlib import Path
from lensmith.core.isolation import cache_folder
from lensmith.core.workspace import Workspace
from lensmith.datasets.check import crew, scan
from lensmith.datasets.check.run import CheckConfig, check_dataset
from lensmith.datasets.read import open_dataset
crew._START = {slow!r}
scan.look_at = lambda *_: time.sleep(600)
scan._BYTES_PER_HELPER = scan._PART_BYTES = 1
check_dataset(open_dataset(sys.argv[1], Workspace(Path.cwd())), CheckConfig(workers=3))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(root)], cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True
    )
    deadline = time.monotonic() + 60
    helpers: list[int] = []
    while len(helpers) < 2 and time.monotonic() < deadline and process.poll() is None:
        helpers = [int(path.stem) for path in tmp_path.glob("*.busy")]
    assert len(helpers) == 2
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) != 0
    for pid in helpers:
        _wait_gone(pid)


def _wait_gone(pid: int) -> None:
    gone = threading.Event()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not gone.is_set():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        gone.wait(0.02)
    raise AssertionError(f"process {pid} is still there")
