"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lensmith.core.errors import DataError, NotFoundError
from lensmith.core.files import place_new, slug, whole_folder, write_atomic
from lensmith.core.redact import redact, register_secret
from lensmith.core.workspace import Workspace, locate


def test_folder_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "set"
    with whole_folder(target) as folder:
        (folder / "a").write_text("x")
        assert not target.exists()
    assert (target / "a").read_text() == "x"
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_folder_is_absent_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), whole_folder(tmp_path / "set") as folder:
        (folder / "a").write_text("x")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_kept_unless_replaced(tmp_path: Path) -> None:
    target = tmp_path / "set"
    with whole_folder(target) as folder:
        (folder / "old").touch()
    with pytest.raises(DataError), whole_folder(target):
        pass
    with pytest.raises(RuntimeError), whole_folder(target, replace=True):
        raise RuntimeError
    assert (target / "old").exists()
    with whole_folder(target, replace=True) as folder:
        (folder / "new").touch()
    assert [p.name for p in target.iterdir()] == ["new"]


@pytest.mark.parametrize("replace", [False, True])
def test_what_appears_meanwhile_is_never_replaced(tmp_path: Path, replace: bool) -> None:
    target = tmp_path / "set"
    with pytest.raises(DataError, match="while the folder was filled"), whole_folder(target, replace=replace) as folder:
        (folder / "ours").touch()
        target.mkdir()
        (target / "theirs").touch()
    assert [path.name for path in target.iterdir()] == ["theirs"]
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_only_what_stood_there_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "set"
    target.mkdir()
    with pytest.raises(DataError, match="while the folder was filled"), whole_folder(target, replace=True) as folder:
        (folder / "ours").touch()
        target.rename(tmp_path / "elsewhere")
        target.mkdir()
        (target / "theirs").touch()
    assert [path.name for path in target.iterdir()] == ["theirs"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "set"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_takes_a_free_name_only(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    ours, target = tmp_path / "ours", tmp_path / "target"
    ours.write_text("ours")
    target.write_text("theirs")
    with pytest.raises(DataError):
        place_new(ours, target)
    assert target.read_text() == "theirs"
    target.unlink()
    place_new(ours, target)
    assert target.read_text() == "ours"
    assert not ours.exists()


def _run_and_kill(code: str, *arguments: object) -> None:
    """Run Python code until it prints a line, then kill it."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "now"
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_kill_while_filling_leaves_nothing_that_counts(tmp_path: Path) -> None:
    _run_and_kill(
        """
        import sys, time
        from pathlib import Path
        from lensmith.core.files import whole_folder
        with whole_folder(Path(sys.argv[1])) as folder:
            (folder / "half").touch()
            print("now", flush=True)
            time.sleep(60)
        """,
        tmp_path / "set",
    )
    assert not (tmp_path / "set").exists()
    with whole_folder(tmp_path / "set") as folder:  # sweeps what the killed one left
        (folder / "a").touch()
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


def test_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "set") as folder:
        (folder / "old").touch()
    _run_and_kill(
        """
        import sys, time
        from pathlib import Path
        from lensmith.core.files import whole_folder
        rename = Path.rename
        def slow(self, target):
            if Path(target).name == "set":
                print("now", flush=True)
                time.sleep(60)
            return rename(self, target)
        Path.rename = slow
        with whole_folder(Path(sys.argv[1]), replace=True) as folder:
            (folder / "new").touch()
        """,
        tmp_path / "set",
    )
    assert not (tmp_path / "set").exists()
    found = locate("set", tmp_path, "dataset")
    assert (found / "old").exists()


def test_reader_sees_old_or_new_file_never_a_part(tmp_path: Path) -> None:
    path = tmp_path / "file"
    contents = [b"a" * 200_000, b"b" * 100_000]
    write_atomic(path, contents[0])
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            for content in contents:
                write_atomic(path, content)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert all(path.read_bytes() in contents for _ in range(200))
    finally:
        stop.set()
        writer.join()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a limit on file size, which this system does not have")
def test_no_space_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, "old")
    code = """
        import resource, signal, sys
        from pathlib import Path
        from lensmith.core.files import write_atomic
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        write_atomic(Path(sys.argv[1]), b"x" * 5000)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path)], capture_output=True, check=False)
    assert done.returncode != 0
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@given(st.text(max_size=200) | st.text("aä漢-.", min_size=90, max_size=300))
def test_slug_is_one_harmless_path_component(name: str) -> None:
    made = slug(name)
    assert made
    assert Path(made).name == made
    assert made not in {".", ".."}
    assert "/" not in made
    assert "\\" not in made
    assert "\0" not in made
    assert len(made.encode()) <= 200
    assert slug(made) == made


def test_near_names_are_offered(workspace: Workspace) -> None:
    (workspace.datasets / "chess-v2").mkdir(parents=True)
    with pytest.raises(NotFoundError, match="chess-v2"):
        locate("ches-v2", workspace.datasets, "dataset")


@pytest.mark.parametrize(
    "text",
    [
        "https://api.example/ws?api_key=SECRETSECRET&x=1",
        "https://storage.example/f.zip?X-Goog-Signature=SECRETSECRET",
        "rtsp://me:SECRETSECRET@camera/1",
        "rtsp://me:SECRET@SECRET@camera/1",
        "https://SECRETSECRET2@mirror/",
        "https://store/x?sig=SECRETSECRET3",
        "a traceback with SECRETSECRET in it",
    ],
)
def test_keys_are_hidden(text: str) -> None:
    register_secret("SECRETSECRET")
    assert "SECRET" not in redact(text)


def test_plain_paths_are_left_alone() -> None:
    assert redact("/data/monkey=1/pics") == "/data/monkey=1/pics"
