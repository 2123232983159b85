"""Archives as they come from Roboflow, and as somebody who means harm would make them."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lensmith.core.errors import DataError
from lensmith.core.zips import Limits, name_fits_system
from lensmith.datasets.archive import extract_dataset
from tests.helpers import make_picture, make_yolo_dataset
from tests.roboflow_server import zip_folder


def _zip(path: Path, entries: dict[str, bytes] | list[tuple[zipfile.ZipInfo | str, bytes]]) -> Path:
    pairs = entries.items() if isinstance(entries, dict) else entries
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in pairs:
            archive.writestr(name, data)
    return path


def _extract(archive: Path, tmp_path: Path, limits: Limits | None = None):
    """Extract into a folder that lies deep enough to see what leaves it."""
    target = tmp_path / "out" / "a" / "b"
    target.mkdir(parents=True)
    try:
        return extract_dataset(archive, target, limits)
    finally:
        outside = [path for path in (tmp_path / "out").rglob("*") if not path.is_relative_to(target) and path.is_file()]
        assert outside == []


def test_a_dataset_comes_out_without_what_it_does_not_need(tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set ü")
    for name in ("labels.cache", "train/run.py", "setup.exe", ".hidden.txt", "__MACOSX/._a.jpg"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    make_picture(root / "train/images/été 1.JPG")
    archive = tmp_path / "set.zip"
    archive.write_bytes(zip_folder(root))
    done = _extract(archive, tmp_path)
    out = tmp_path / "out/a/b"
    assert (out / "train/images/été 1.JPG").read_bytes() == (root / "train/images/été 1.JPG").read_bytes()
    assert set(done.files) == {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert len(done.files) == 8 + 8 + 1 + 1
    assert dict(done.left_out) == {".cache": 1, ".py": 1, ".exe": 1, ".txt": 1, ".jpg": 1}


def _special(name: str, mode: int) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name)
    entry.external_attr = (mode | 0o777) << 16
    return entry


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"../x.txt": b"0"}, "leads out"),
        ({"a/../../x.txt": b"0"}, "leads out"),
        ({"..\\x.txt": b"0"}, "leads out"),
        ({"a/../x.txt": b"0"}, "leads out"),
        ({"../x.cache": b"0", "a.txt": b"0"}, "leads out"),
        ({"/etc/x.txt": b"0"}, "absolute"),
        ({"\\\\server\\x.txt": b"0"}, "absolute"),
        ({"C:\\x.txt": b"0"}, "absolute"),
        ({"c:x.txt": b"0"}, "absolute"),
        ({"a\nb.txt": b"0"}, "control characters"),
        ({"a\x1b[31m.txt": b"0"}, "control characters"),
        ({"a" * 300 + ".txt": b"0"}, "too long"),
        ([(_special("a.txt", stat.S_IFLNK), b"/etc/passwd")], "link or a special file"),
        ([(_special("a.jpg", stat.S_IFIFO), b"")], "link or a special file"),
        ([(_special("a.jpg", stat.S_IFCHR), b"")], "link or a special file"),
        ({"a/B.txt": b"0", "A/b.TXT": b"1"}, "same place"),
        ({"a.txt": b"0", "a.txt/b.txt": b"1"}, "same place"),
        ({"é.txt": b"0", "e\u0301.txt": b"1"}, "same place"),
        ({"run.py": b"0"}, "no pictures"),
        ({}, "no pictures"),
        ({"a.txt": b"0" * (12 << 20)}, "zip bomb"),
    ],
)
def test_hostile_archives_are_refused_before_anything_is_written(tmp_path: Path, entries, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _extract(_zip(tmp_path / "x.zip", entries), tmp_path)
    assert list((tmp_path / "out/a/b").iterdir()) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_the_same_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="same place"):
        _extract(_zip(tmp_path / "x.zip", [("a.txt", b"0"), ("a.txt", b"1")]), tmp_path)


def _patched(path: Path, change) -> Path:
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    return path


def _set_encrypted(data: bytearray) -> None:
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1


def _set_method(data: bytearray) -> None:
    for mark, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.index(mark) + offset] = 99


def _set_nul(data: bytearray) -> None:
    for _ in range(2):
        at = data.index(b"ab.py.txt")
        data[at : at + 9] = b"ab.py\0txt"


def _set_size(data: bytearray) -> None:
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)


def _flip(data: bytearray) -> None:
    data[data.index(b"ab.py.txt") + 15] ^= 0xFF


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set_encrypted, "is encrypted"),
        (_set_method, "compression method 99"),
        (_set_nul, "control characters"),
        (_set_size, "zip bomb"),
        (_flip, "damaged"),
        (lambda data: data.__delitem__(slice(len(data) // 2, None)), "damaged"),
        (lambda data: data.clear(), "damaged"),
    ],
)
def test_patched_archives_are_refused(tmp_path: Path, change, message: str) -> None:
    archive = _zip(tmp_path / "x.zip", {"ab.py.txt": bytes(range(256)) * 4})
    with pytest.raises(DataError, match=message):
        _extract(_patched(archive, change), tmp_path)


def test_overlapping_entries_are_refused(tmp_path: Path) -> None:
    """Two names in the directory for the same bytes, which is how small bombs are made."""
    archive = _zip(tmp_path / "x.zip", {"a.txt": b"0" * 1000, "b.txt": b"0" * 1000})

    def overlap(data: bytearray) -> None:
        second = data.index(b"PK\x01\x02", data.index(b"PK\x01\x02") + 4)
        data[second + 42 : second + 46] = struct.pack("<I", 0)

    with pytest.raises(DataError, match="Entries of the archive overlap"):
        _extract(_patched(archive, overlap), tmp_path)


def test_limits(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "x.zip", {f"{number}.txt": b"0 0.5 0.5 0.1 0.1" for number in range(20)})
    for limits in (Limits(files=10), Limits(total_bytes=100), Limits(file_bytes=5)):
        with pytest.raises(DataError, match=r"limit|zip bomb"):
            extract_dataset(archive, tmp_path, limits)


def test_names_that_windows_reserves() -> None:
    for name in ("aux", "CON.txt", "com1", "what?", "a:b", "end."):
        assert not name_fits_system([name], windows=True), name
        assert name_fits_system([name], windows=False), name
    assert name_fits_system(["console", "a b.jpg"], windows=True)


_name = st.text(st.sampled_from("ab./\\:~ é\0\n\u202e"), max_size=12) | st.sampled_from(
    ["../a.txt", "a/./b.txt", "//a.txt"]
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(_name, max_size=4), damage=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3)
)
def test_no_archive_writes_outside_or_crashes(tmp_path_factory, names: list[str], damage: list) -> None:
    folder = tmp_path_factory.mktemp("zip")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number, name in enumerate(names):
            archive.writestr(zipfile.ZipInfo(name.replace("\0", "") + f"{number}.txt"), b"0 0.5 0.5 0.1 0.1")
    data = bytearray(stream.getvalue())
    for position, value in damage:
        if position < len(data):
            data[position] = value
    (folder / "x.zip").write_bytes(data)
    try:
        _extract(folder / "x.zip", folder)
    except DataError:
        return
