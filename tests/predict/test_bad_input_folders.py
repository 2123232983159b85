"""A folder that changes while it is read, names that no program likes, and a disk that fills up: the real `cv`."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.images import read_image
from lensmith.core.workspace import Workspace
from tests.helpers import cv_path, records_of, run_cv

from .make_bundle import blocks, make_detector

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="pipes, mounts and names as Linux has them")

_COUNT = 150
_PIPE_BYTES = 4096  # so small that the command waits for whoever reads it


def _busy_picture() -> bytes:
    """A block in every second cell: its record takes some kilobytes."""
    places = [(x, y, x + 16, y + 16, (x + y) // 16 % 3) for x in range(0, 128, 16) for y in range(0, 128, 32)]
    return cv2.imencode(".png", blocks(128, 128, *places))[1].tobytes()


@pytest.fixture
def shots(workspace: Workspace) -> Path:
    """150 pictures of the same content, and a bundle called "cells"."""
    make_detector(workspace.weights / "cells")
    folder = workspace.root / "shots"
    folder.mkdir()
    data = _busy_picture()
    for number in range(_COUNT):
        (folder / f"{number:03d}.png").write_bytes(data)
    return folder


def test_a_folder_that_changes_while_it_is_read(shots: Path, workspace: Workspace) -> None:
    process = subprocess.Popen(
        [cv_path(), "predict", "shots", "--weights", "cells", "--save", "--json"],
        cwd=workspace.root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout
    fcntl.fcntl(process.stdout, 1031, _PIPE_BYTES)  # F_SETPIPE_SZ
    try:
        first = process.stdout.readline()
        (shots / "149.png").unlink()
        (shots / "148.png").write_bytes((shots / "148.png").read_bytes()[:200])
        (shots / "147.png").unlink()
        (shots / "147.png").mkdir()
        (shots / "146.png").unlink()
        (shots / "146.png").symlink_to(shots / "nowhere.png")
        (shots / "145.png").unlink()
        os.mkfifo(shots / "145.png")  # opening it would wait for ever
        (shots / "999.png").write_bytes((shots / "000.png").read_bytes())  # came later: it may be read or not
        rest, talk = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 5, talk
    assert "Traceback" not in talk
    records, told = records_of(first + rest)
    sources = [record["source"] for record in records]
    assert [Path(name).name for name in sources][:145] == [f"{number:03d}.png" for number in range(145)]
    (run,) = workspace.runs.iterdir()
    skipped = json.loads((run / "run.json").read_text())["result"]["skipped"]
    assert [Path(name).name for name, _ in skipped] == [f"{number:03d}.png" for number in range(145, 150)]
    assert all(reason for _, reason in skipped)
    assert told == dict(skipped)


def test_names_that_no_program_likes(workspace: Workspace) -> None:
    make_detector(workspace.weights / "cells")
    folder = workspace.root / "odd names"
    folder.mkdir()
    data = _busy_picture()
    names = [
        b"\xff\xfe.png", b"new\nline.png", b"escape\x1b[31m.png", "日本 ü.png".encode(), b"--save.png", b"[red]x.png",
        b"%s%d{0}.png", b"'; rm -rf x'.png", b"a.b.c.png", b"x" * 250 + b".png", b"con.png", b"A.png", b"a.png",
    ]  # fmt: skip
    for name in names:
        (folder / os.fsdecode(name)).write_bytes(data)
    (folder / "[red]bad.png").write_bytes(b"no picture")
    done = run_cv("predict", "odd names", "--weights", "cells", "--save", "--json", cwd=workspace.root)
    assert done.returncode == 5, done.stderr
    assert "[red]bad.png" in done.stderr
    assert "\x1b[31m" not in done.stderr
    records, _ = records_of(done.stdout)
    assert {os.fsencode(Path(record["source"]).name) for record in records} == set(names)
    (run,) = workspace.runs.iterdir()
    drawn = [record["drawn"] for record in records]
    assert len({name.casefold() for name in drawn}) == len(names)
    assert all(read_image(run / name).shape == (128, 128, 3) for name in drawn)


def test_a_limit_on_file_size_keeps_whole_records(shots: Path, workspace: Workspace) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [cv_path(), "predict", "shots", "--weights", "cells", "--save"],
        cwd=workspace.root, capture_output=True, text=True, timeout=60, check=False, preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "The disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = workspace.runs.iterdir()
    _check_what_is_left(run, least=5)


def test_a_full_disk_keeps_what_was_written(shots: Path, workspace: Workspace) -> None:
    """A real one of two megabytes, in a namespace of its own."""
    if not shutil.which("unshare"):
        pytest.skip("no unshare on this system")
    workspace.runs.mkdir()
    kept = workspace.root / "kept"
    script = 'mount -t tmpfs -o size=2m none runs || exit 77; "$@"; code=$?; cp -r runs kept; exit $code'
    noise = np.random.default_rng(0)
    for number in range(20):  # drawn copies of a hundred kilobytes
        picture = noise.integers(0, 256, (256, 512, 3), dtype=np.uint8)
        (shots / f"{number:03d}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh",
         cv_path(), "predict", "shots", "--weights", "cells", "--save"],
        cwd=workspace.root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    assert done.returncode == 1, done.stderr
    assert "The disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    (run,) = kept.iterdir()
    _check_what_is_left(run, least=5)


def _check_what_is_left(run: Path, least: int) -> None:
    """Whole records, whole pictures, nothing half-made."""
    lines = (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(lines) >= least
    assert all(line.endswith("\n") for line in lines)
    records = [json.loads(line) for line in lines]
    assert [record["index"] for record in records] == list(range(len(records)))
    pictures = sorted(run.glob("*.jpg"))
    assert {record["drawn"] for record in records} <= {path.name for path in pictures}
    for path in pictures:
        read_image(path)
    assert not [path for path in run.iterdir() if path.name.startswith(".")]


def test_a_place_that_cannot_be_written_to(workspace: Workspace) -> None:
    """The whole workspace read-only, in a namespace of its own: every command that writes says so in one message."""
    if not shutil.which("unshare"):
        pytest.skip("no unshare on this system")
    make_detector(workspace.weights / "cells")
    (workspace.root / "shots").mkdir()
    (workspace.root / "shots" / "one.png").write_bytes(_busy_picture())
    script = 'mount --bind "$PWD" "$PWD" && mount -o remount,ro,bind "$PWD" || exit 77; cd "$PWD"; "$@"'
    for command in (
        ["predict", "shots", "--weights", "cells", "--save"],
        ["weights", "export", "cells", "--to", "cells.zip"],
        ["export", "cells", "--to", "onnx"],
    ):
        done = subprocess.run(
            ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", cv_path(), *command],
            cwd=workspace.root, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if done.returncode == 77 or "unshare" in done.stderr:
            pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
        assert done.returncode == 1, done.stderr
        assert "Read-only file system" in done.stderr
        assert "did not expect" not in done.stderr
        assert "Traceback" not in done.stderr
