"""What a person may name as a source, and what lies in it."""

from __future__ import annotations

import io
import os
import struct
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lensmith.core.errors import DataError, LensmithError, NotFoundError, UsageError
from lensmith.predict.address import hide_login, parse_address
from lensmith.predict.engines.onnx import OnnxEngine
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import Model
from lensmith.predict.recorder import VideoRecorder
from lensmith.predict.results import Detections
from lensmith.predict.sources import StdinSource, StreamSource, natural_key, open_source
from tests.helpers import make_picture

from .make_bundle import blocks, make_detector


def make_video(path: Path, frames: int = 30, rate: float = 15.0, size: tuple[int, int] = (64, 48)) -> Path:
    """Grey video that gets lighter with each frame."""
    recorder = VideoRecorder(path, rate)
    for index in range(frames):
        recorder.write(np.full((size[1], size[0], 3), index * 255 // frames, np.uint8))
    recorder.close()
    return path


def test_folder_is_searched_in_natural_order_with_sub_folders(tmp_path: Path) -> None:
    for name in ["shot10.png", "shot2.png", "Shot1.png", "ä ö/b.png", "ä ö/a.png", ".hidden/x.png", "notes.txt"]:
        path = tmp_path / name
        make_picture(path) if path.suffix == ".png" else path.write_text("no picture")
    source = open_source(tmp_path)
    names = [str(Path(frame.source).relative_to(tmp_path)) for frame in source]
    assert names == ["Shot1.png", "shot2.png", "shot10.png", "ä ö/a.png", "ä ö/b.png"]
    assert (source.total, source.skipped) == (5, [])


def test_pattern_and_a_name_that_looks_like_one(tmp_path: Path) -> None:
    make_picture(tmp_path / "a" / "x.jpg")
    make_picture(tmp_path / "b" / "y[1].jpg")
    assert open_source(str(tmp_path / "**" / "*.jpg")).total == 2
    assert open_source(str(tmp_path / "b" / "y[1].jpg")).total == 1


def _odd_pictures(folder: Path) -> None:
    good = make_picture(folder / "good.jpg", 60, 40).read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(good[: len(good) // 2])
    (folder / "text.png").write_text("I am no picture")
    Image.open(io.BytesIO(good)).convert("CMYK").save(folder / "cmyk.jpg")
    Image.open(io.BytesIO(good)).convert("L").save(folder / "grey.png")
    Image.fromarray(np.full((40, 60), 40000, np.uint16)).save(folder / "sixteen.png")
    Image.new("RGBA", (60, 40), (255, 0, 0, 128)).save(folder / "clear.png")


def test_bad_pictures_are_named_and_the_others_are_read(tmp_path: Path) -> None:
    _odd_pictures(tmp_path)
    source = open_source(tmp_path)
    read = {Path(frame.source).name: frame.bgr for frame in source}
    assert set(read) == {"good.jpg", "cmyk.jpg", "grey.png", "sixteen.png", "clear.png"}
    assert all(bgr.shape == (40, 60, 3) and bgr.dtype == np.uint8 for bgr in read.values())
    assert 130 < read["sixteen.png"].mean() < 180
    assert {Path(path).name for path, _ in source.skipped} == {"empty.jpg", "cut.jpg", "text.png"}
    assert all(reason for _, reason in source.skipped)
    assert len(list(source)) == 5
    assert len(source.skipped) == 3  # not six: each round counts anew


def test_boxes_of_a_turned_photo_are_upright(tmp_path: Path) -> None:
    upright = blocks(256, 512, (64, 128, 128, 192, 2))
    lying = Image.fromarray(np.ascontiguousarray(np.rot90(upright)[:, :, ::-1]))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise when shown
    lying.save(tmp_path / "phone.jpg", exif=exif, quality=95)
    bundle = make_detector(tmp_path / "cells")
    (done,) = predict_frames(open_source(tmp_path / "phone.jpg"), Model(bundle, OnnxEngine(bundle)), confidence=0.9)
    assert done.frame.bgr.shape == (512, 256, 3)
    assert isinstance(done.result, Detections)
    np.testing.assert_allclose(done.result.xyxy, [[64, 128, 128, 192]])


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("nothing-here", NotFoundError, "no picture, folder or video"),
        ("*.jpg", NotFoundError, "No file matches"),
        ("*.txt", NotFoundError, "None of the files"),
        ("empty", NotFoundError, "no picture in this folder"),
        ("notes.txt", DataError, "No line of this text file"),
        ("notes.doc", DataError, "not a kind"),
        ("-", UsageError, "standard input"),
        ("empty.mp4", DataError, "empty"),
        ("fake.mp4", DataError, "cannot be opened as a video"),
        ("0", UsageError, "camera number"),
        ("rtsp://me:verysecret@10.0.0.1/live", UsageError, "an address"),
    ],
)
def test_sources_that_are_none(
    given: str, error: type[LensmithError], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "notes.doc").write_text("text")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "fake.mp4").write_bytes(b"not a video at all" * 100)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=says) as caught:
        open_source(given)
    assert "verysecret" not in str(caught.value)


def test_video_with_its_times(tmp_path: Path) -> None:
    source = open_source(make_video(tmp_path / "video ü.mp4", frames=30, rate=12.5))
    frames = list(source)
    assert (len(frames), source.total, source.frames_per_second) == (30, 30, 12.5)
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(30) / 12.5, atol=0.002)
    means = [frame.bgr.mean() for frame in frames]
    assert means == sorted(means)
    assert source.skipped == []


def test_video_cut_in_the_middle_is_told(tmp_path: Path) -> None:
    noise = np.random.default_rng(0)
    writer = cv2.VideoWriter(str(tmp_path / "whole.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(40):
        writer.write(noise.integers(0, 256, (48, 64, 3), dtype=np.uint8))
    writer.release()
    data = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 2])
    source = open_source(tmp_path / "cut.avi")
    assert 5 < len(list(source)) < 35
    assert "cut short" in source.skipped[0].reason


def test_a_playlist_that_calls_itself_a_video_opens_nothing(tmp_path: Path) -> None:
    real = make_video(tmp_path / "real.mp4")
    concat = f"ffconcat version 1.0\nfile '{real.name}'\n"
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{real}\n#EXT-X-ENDLIST\n"
    for number, text in enumerate([concat, playlist]):
        trap = tmp_path / f"trap{number}.mp4"
        trap.write_text(text)
        with pytest.raises(DataError, match="cannot be opened"):
            open_source(trap)
    assert "OPENCV_FFMPEG_CAPTURE_OPTIONS" not in os.environ


@pytest.mark.parametrize(
    "address",
    ["file:///etc/passwd", "concat:a|b", "subfile,,start,0,end,9,,:/etc/passwd", "ftp://x/y", "data:video/mp4,x"],
)
def test_only_some_kinds_of_address_are_opened(address: str) -> None:
    with pytest.raises((UsageError, NotFoundError)):
        parse_address(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://me:pass@cam/live", "rtsp://***@cam/live"),
        ("http://token@cam/live?key=abc&x=1", "http://***@cam/live?***"),
        ("https://cam/live", "https://cam/live"),
    ],
)
def test_addresses_are_shown_without_login(address: str, shown: str) -> None:
    assert hide_login(address) == shown
    assert parse_address(address).label == shown


def test_folder_with_only_a_video_says_so(tmp_path: Path) -> None:
    make_video(tmp_path / "clip.mp4")
    with pytest.raises(NotFoundError, match=r"clip\.mp4"):
        open_source(tmp_path)


def test_opencv_agrees_with_the_shared_video(test_data: Path) -> None:
    source = open_source(test_data / "video" / "household-items-short.mp4")
    assert len(list(source)) == source.total == 90


def _zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return path


def test_pictures_of_a_zip_are_read_where_they_lie(tmp_path: Path) -> None:
    good = make_picture(tmp_path / "good.jpg", 60, 40).read_bytes()
    folder = tmp_path / "zip"
    folder.mkdir()
    path = _zipped(
        folder / "shots.zip",
        **{
            "a/shot10.jpg": good, "a/shot2.jpg": good, "../../out.jpg": good, "/abs.jpg": good, "C:\\x.jpg": good,
            "bad.jpg": b"no picture", "cut.jpg": good[: len(good) // 2], "notes.txt": b"text", ".hidden/x.jpg": good,
            "__MACOSX/._shot2.jpg": b"\0", "ansi\x1b[31m.jpg": good, "bomb.bmp": b"BM" + bytes(20_000_000),
        },
    )  # fmt: skip
    source = open_source(path)
    read = [frame.source.removeprefix(f"{path}/") for frame in source]
    assert read == ["../../out.jpg", "/abs.jpg", "a/shot2.jpg", "a/shot10.jpg", "ansi?[31m.jpg", "C:\\x.jpg"]
    assert (source.name, source.total) == ("shots", 9)
    reasons = {Path(one.path).name: one.reason for one in source.skipped}
    assert set(reasons) == {"bad.jpg", "bomb.bmp", "cut.jpg"}
    assert "claims to unpack" in reasons["bomb.bmp"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.jpg", "zip"]
    assert [path.name for path in folder.iterdir()] == ["shots.zip"]


def test_members_of_a_zip_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    good = make_picture(tmp_path / "good.png", 60, 40).read_bytes()
    path = _zipped(
        tmp_path / "shots.zip", **{"broken.png": good, "fine.png": good, "locked.png": good, "odd.png": good}
    )
    data = bytearray(path.read_bytes())
    entries = {entry.filename: entry.header_offset for entry in zipfile.ZipFile(path).infolist()}
    directory = {name: data.rindex(name.encode()) - 46 for name in entries}
    data[entries["broken.png"] + 60] ^= 0xFF
    struct.pack_into("<H", data, directory["locked.png"] + 8, 1)  # encrypted
    struct.pack_into("<H", data, directory["odd.png"] + 10, 97)
    path.write_bytes(data)
    source = open_source(path)
    assert [Path(frame.source).name for frame in source] == ["fine.png"]
    reasons = {Path(one.path).name: one.reason for one in source.skipped}
    assert "damaged" in reasons["broken.png"]
    assert "encrypted" in reasons["locked.png"]
    assert "packed with method 97" in reasons["odd.png"]


def test_members_packed_by_rare_methods_are_skipped_by_name_whatever_they_hold(tmp_path: Path) -> None:
    good = make_picture(tmp_path / "good.png", 60, 40).read_bytes()
    path = _zipped(tmp_path / "shots.zip", **{"a.png": good, "z.png": good})
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("damaged.png", good, zipfile.ZIP_LZMA)
        packed.writestr("b.png", good, zipfile.ZIP_BZIP2)
        damaged = packed.getinfo("damaged.png").header_offset
    data = bytearray(path.read_bytes())
    data[damaged + 45 : damaged + 85] = bytes(40)
    path.write_bytes(data)
    source = open_source(path)
    assert [Path(frame.source).name for frame in source] == ["a.png", "z.png"]
    assert [(Path(one.path).name, one.reason.split(",")[0]) for one in source.skipped] == [
        ("b.png", "it is packed with bzip2"), ("damaged.png", "it is packed with lzma"),
    ]  # fmt: skip


def _with_list(path: Path, size: int, *, wide: bool = False, offset: int = 0, comment: bytes = b"") -> None:
    """A zip, mostly a hole, that says that its list of names has so many bytes."""
    end = struct.pack(
        "<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 0xFFFFFFFF if wide else size, offset, len(comment)
    )  # fmt: skip
    far = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, size, 0)
    far += struct.pack("<4sLQL", b"PK\6\7", 0, offset, 1)
    with path.open("wb") as file:
        file.seek(size)
        file.write((far if wide else b"") + end + comment)


_LONG = 64 << 20


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: _with_list(path, _LONG), id="plain"),
        pytest.param(lambda path: _with_list(path, _LONG, comment=b"PK"), id="with a comment"),
        pytest.param(lambda path: _with_list(path, _LONG, offset=int.from_bytes(b"PK\5\6", "little")), id="false end"),
        pytest.param(lambda path: _with_list(path, _LONG, wide=True), id="64 bits"),
        pytest.param(lambda path: _with_list(path, _LONG, wide=True, offset=1 << 20), id="64 bits, said elsewhere"),
    ],
)
def test_a_list_of_names_that_would_fill_the_memory(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "x.zip")
    with pytest.raises(DataError, match="too long"):
        open_source(tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        pytest.param(lambda path: path.write_bytes(b"PK no zip"), "cannot be read", id="none"),
        pytest.param(lambda path: _zipped(path, **{"a.txt": b"text"}), "no picture in this zip", id="no picture"),
        pytest.param(lambda path: path.write_bytes(_zipped(path, a=b"1" * 999).read_bytes()[:50]), "cannot", id="cut"),
        pytest.param(
            lambda path: path.write_bytes(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, 64 << 20, 0, 0)),
            "cannot be read", id="a list longer than the zip",
        ),
    ],
)  # fmt: skip
def test_what_is_no_zip_of_pictures(make: Callable[[Path], object], says: str, tmp_path: Path) -> None:
    make(tmp_path / "x.zip")
    with pytest.raises(DataError, match=says):
        open_source(tmp_path / "x.zip")


def test_a_list_names_pictures_beside_it(tmp_path: Path) -> None:
    make_picture(tmp_path / "shots" / "b ü.png")
    make_picture(tmp_path / "shots" / "a.png")
    far = make_picture(tmp_path / "far.png")
    lines = f"\ufeffshots/b ü.png\r\n\r\n  shots/a.png  \n{far}\nshots/gone.png\nshots\nnul\0.png"
    (tmp_path / "list.txt").write_text(lines, encoding="utf-8", newline="")
    source = open_source(tmp_path / "list.txt")
    assert [Path(frame.source).name for frame in source] == ["b ü.png", "a.png", "far.png"]
    assert [Path(one.path).name for one in source.skipped] == ["gone.png", "shots", "nul?.png"]
    assert source.total == 6


def test_standard_input_is_read_as_it_comes(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as lines, os.fdopen(writing, "wb", buffering=0) as pipe:
        frames = iter(StdinSource(lines))
        for name in ("one.png", "two.png"):
            pipe.write(f"{make_picture(tmp_path / name)}\n\n".encode())
            assert Path(next(frames).source).name == name  # nothing waits for the end
        pipe.close()
        assert next(frames, None) is None


@pytest.mark.parametrize("length", [32_767, 32_768, 70_000])
def test_a_line_that_is_too_long_for_a_path_is_one_skip(length: int, tmp_path: Path) -> None:
    good = make_picture(tmp_path / "one.png")
    lines = io.BytesIO(b"x" * length + f"\n{good}\n{good}".encode())
    source = StdinSource(lines)
    assert [frame.source for frame in source] == [str(good)] * 2
    ((shown, _),) = source.skipped
    assert shown.startswith("xxx")


def test_a_picture_that_vanishes_is_skipped_and_a_new_one_ignored(tmp_path: Path) -> None:
    for number in range(3):
        make_picture(tmp_path / f"{number}.png")
    source = open_source(tmp_path)
    frames = iter(source)
    next(frames)
    (tmp_path / "1.png").unlink()
    make_picture(tmp_path / "1a.png")
    assert [Path(frame.source).name for frame in frames] == ["2.png"]
    assert [Path(one.path).name for one in source.skipped] == ["1.png"]


def test_natural_order_of_many_names() -> None:
    names = ["shot.png", "shot2.png", "shot10.png", "Shot1.png", "shot02.png", "shots/1.png", "9" * 5000 + ".png", "a"]
    ordered = sorted(names, key=natural_key)
    assert ordered == [
        "9" * 5000 + ".png", "a", "Shot1.png", "shot02.png", "shot2.png", "shot10.png", "shot.png", "shots/1.png",
    ]  # fmt: skip


@pytest.mark.parametrize("given", ["2", "logitech", "BRIO"])
def test_a_camera_by_its_number_or_name(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("address", "sources.choose"):
        monkeypatch.setattr(f"lensmith.predict.{place}.cameras_here", lambda: {0: "Built-in", 2: "Logitech BRIO"})
    source = open_source(given, live=True, seconds=1)
    assert isinstance(source, StreamSource)
    assert source.address.target == 2


def test_a_name_that_no_camera_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lensmith.predict.sources.choose.cameras_here", lambda: {0: "Built-in"})
    with pytest.raises(NotFoundError, match="no picture, folder or video"):
        open_source("logitech", live=True)
    with pytest.raises(NotFoundError, match="no picture, folder or video"):
        open_source("built", live=False)


def test_videos_beside_pictures_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_picture(tmp_path / "a.png")
    make_video(tmp_path / "clip.mp4")
    assert open_source(tmp_path).total == 1
    assert "clip.mp4" in capsys.readouterr().err


def test_a_stream_ends_by_its_time(tmp_path: Path) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=600, rate=60)
    source = StreamSource(parse_address(str(video)), seconds=0.2)
    frames = list(source)
    assert 0 < len(frames) < 600
    assert source.read >= len(frames) + source.passed_over
    assert not [thread for thread in threading.enumerate() if thread.name == "camera"]
