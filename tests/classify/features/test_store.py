"""Features on disk are whole or absent: kills, two at once, changed bytes, full disks."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from lensmith.classify.features import room
from lensmith.classify.features.room import make_room
from lensmith.classify.features.store import Growing, Layout, lock_of, open_stored
from lensmith.core.errors import LensmithError
from lensmith.core.isolation import cache_folder

LAYOUT = Layout(shape=(4, 4, 512), dtype="float16", pictures=200, views=3, engine="keras")
# Written by a process of its own, which says when each chunk is on the disk.
WRITER = """
import sys
import numpy as np
from lensmith.classify.features.store import Growing, lock_of, open_stored
from tests.classify.features.test_store import LAYOUT, rows
with lock_of("k"):
    if open_stored("k"):
        print("there", flush=True)
        sys.exit()
    with Growing("k", LAYOUT) as growing:
        print("done", len(growing.done), flush=True)
        for first in LAYOUT.chunks():
            if first not in growing.done:
                growing.write(first, rows(first), {first: "damaged"})
                print("chunk", flush=True)
        growing.finish()
    print("finished", flush=True)
"""


def rows(first: int) -> np.ndarray:
    count = len(LAYOUT.numbers(first)) * LAYOUT.views
    return np.random.default_rng(first).normal(size=(count, *LAYOUT.shape)).astype(LAYOUT.dtype)


def start_writer() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True, env=dict(os.environ))


def write_all(key: str = "k") -> None:
    with lock_of(key), Growing(key, LAYOUT) as growing:
        for first in LAYOUT.chunks():
            growing.write(first, rows(first), {})
        growing.finish().file.close()


def assert_whole() -> None:
    stored = open_stored("k")
    assert stored is not None
    assert stored.layout == LAYOUT
    for first in LAYOUT.chunks():
        read = np.empty_like(rows(first))
        stored.file.read(first * LAYOUT.views * LAYOUT.row_bytes, read)
        assert np.array_equal(read, rows(first))
    stored.file.close()


def test_a_killed_process_leaves_nothing_that_is_taken_for_whole_and_is_gone_on_with() -> None:
    assert len(LAYOUT.chunks()) == 4
    for killed_after in (1, 2):
        with start_writer() as writer:
            assert writer.stdout is not None
            done = int(writer.stdout.readline().split()[1])
            assert done >= killed_after - 1, "what the one before wrote is kept"
            for _ in range(killed_after - done):
                assert writer.stdout.readline() == "chunk\n"
            writer.send_signal(signal.SIGKILL)
        if writer.returncode == -signal.SIGKILL:
            assert open_stored("k") is None
    with start_writer() as writer:
        said = writer.communicate()[0].split("\n")
    assert int(said[0].split()[1]) >= 2
    assert said[-2] == "finished"
    assert_whole()
    stored = open_stored("k")
    assert stored is not None
    assert stored.skipped == dict.fromkeys(LAYOUT.chunks(), "damaged"), "what was skipped before the kill counts too"


def test_a_chunk_that_was_half_written_is_written_again() -> None:
    with lock_of("k"), Growing("k", LAYOUT) as growing:
        for first in LAYOUT.chunks()[:3]:
            growing.write(first, rows(first), {})
    part = cache_folder("features") / ".k.part"
    with (part / "features.bin").open("r+b") as file:
        file.seek(LAYOUT.chunks()[1] * LAYOUT.views * LAYOUT.row_bytes + 5)
        file.write(b"\xff\xff\xff")
    with (part / "journal.jsonl").open("a") as journal:
        journal.write('{"first": 192, "che')
    with Growing("k", LAYOUT) as growing:
        assert growing.done == {0, LAYOUT.chunks()[2]}
    with Growing("k", replace(LAYOUT, engine="openvino f32")) as growing:
        assert not growing.done, "what another engine computed is not gone on with"


def test_of_two_processes_one_computes_and_the_other_takes_it() -> None:
    with start_writer() as one, start_writer() as other:
        said = sorted([one.communicate()[0], other.communicate()[0]], key=len)
    assert said[0] == "there\n"
    assert said[1].endswith("finished\n")
    assert_whole()


@pytest.mark.parametrize("name", ["features.bin", "index.json"])
def test_a_changed_byte_is_noticed_and_said(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    write_all()
    path = cache_folder("features") / "k" / name
    data = bytearray(path.read_bytes())
    place = data.find(b"keras") if name == "index.json" else len(data) // 2
    data[place] ^= 4
    path.write_bytes(data)
    assert open_stored("k") is None
    assert "computed again" in capfd.readouterr().err
    assert not path.exists()


def test_a_file_that_was_cut_short_is_noticed() -> None:
    write_all()
    os.truncate(cache_folder("features") / "k" / "features.bin", LAYOUT.bytes - 1)
    assert open_stored("k") is None


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs a limit on file size")
def test_a_full_disk_is_told_before_the_work_and_leaves_nothing() -> None:
    limited = f"""
import resource
from lensmith.core.errors import LensmithError
from tests.classify.features.test_store import LAYOUT
from lensmith.classify.features.store import Growing
resource.setrlimit(resource.RLIMIT_FSIZE, ({LAYOUT.bytes} // 2, resource.RLIM_INFINITY))
try:
    Growing("k", LAYOUT)
except LensmithError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", limited], capture_output=True, text=True, check=True)
    for word in (f"{LAYOUT.bytes / 1e6:.0f} MB", str(cache_folder("features")), "--no-cache", "CV_CACHE"):
        assert word in done.stdout
    assert not [path for path in cache_folder("features").iterdir() if path.name != ".locks"]


def test_more_than_the_disk_has_is_refused() -> None:
    with pytest.raises(LensmithError, match="no room"):
        make_room(1 << 60)


def test_the_least_recently_used_go_first(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    for age, key in enumerate(("a new", "c middle", "b old")):
        write_all(key)
        index = cache_folder("features") / key / "index.json"
        os.utime(index, (index.stat().st_mtime - 100 * (age + 1),) * 2)
    stored = open_stored("b old")  # which makes it the last used
    assert stored is not None
    monkeypatch.setattr(room, "MOST_BYTES", 3 * LAYOUT.bytes)
    make_room(LAYOUT.bytes)
    kept = {path.name for path in cache_folder("features").iterdir() if not path.name.startswith(".")}
    assert kept == {"a new", "b old"}
    assert "not used for the longest time" in capfd.readouterr().err
    stored.file.close()


def test_what_is_open_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("closed", "own", "another's"):
        write_all(key)
    monkeypatch.setattr(room, "MOST_BYTES", 1)
    own = open_stored("own")
    assert own is not None
    held = (
        "from lensmith.classify.features.store import open_stored\n"
        """stored = open_stored("another's"); print("open", flush=True); input()"""
    )
    command, pipe = [sys.executable, "-c", held], subprocess.PIPE
    with subprocess.Popen(command, text=True, env=dict(os.environ), stdin=pipe, stdout=pipe) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with Growing("growing", LAYOUT):
            for path in (cache_folder("features") / ".growing.part").iterdir():
                os.utime(path, (0, 0))
            make_room(LAYOUT.bytes)
            assert entries() == {"own", "another's", ".growing.part"}
        other.communicate("\n")
    own.file.close()
    make_room(LAYOUT.bytes)
    assert not entries()


def entries() -> set[str]:
    return {path.name for path in cache_folder("features").iterdir() if path.name != ".locks"}


def test_leftovers_of_killed_processes_go_after_a_day() -> None:
    with Growing("k", LAYOUT):
        pass
    part = cache_folder("features") / ".k.part"
    make_room(1)
    assert part.is_dir()
    for path in part.iterdir():
        os.utime(path, (0, 0))
    make_room(room.MOST_BYTES)
    assert not part.exists()
