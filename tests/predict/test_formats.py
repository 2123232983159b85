"""Results in the formats of other programs, and sinks behind their queue."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.errors import DiskFullError
from lensmith.predict.results import Classified, Detections, Frame, Prediction, Scores
from lensmith.predict.sinks import (
    Behind,
    Call,
    CocoResults,
    CsvFile,
    DrawnPictures,
    FileNames,
    JsonLines,
    Sink,
    YoloLabels,
)

NAMES = ("cat", "hünd 犬")


def _found(source: str, *boxes: tuple[float, float, float, float], index: int = 0, side: int = 100) -> Prediction:
    count = len(boxes)
    result = Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.arange(count, dtype=np.int64) % 2,
        np.linspace(0.9, 0.5, count, dtype=np.float32),
    )  # fmt: skip
    return Prediction(Frame(np.full((side, 2 * side, 3), 90, np.uint8), source, index), result)


def _write(sink: Sink, *predictions: Prediction, names: tuple[str, ...] = NAMES) -> None:
    for prediction in predictions:
        sink.write(prediction, prediction.as_record(names))
    sink.close()


def test_a_row_for_each_object_that_no_spreadsheet_runs(tmp_path: Path) -> None:
    names = ("=HYPERLINK(1)", 'a,"b"\nc')
    one = _found("=1+1.jpg", (0, 10, 50, 60), (1, 2, 3, 4))
    assert isinstance(one.result, Detections)
    second = Classified(("@x",), np.array([0, -1]), np.array([0.75, 0.25], np.float32))
    both = Detections(one.result.xyxy, one.result.class_id, one.result.confidence, np.array([7, -1]), second)
    _write(CsvFile(tmp_path / "r.csv", objects=True), one, _found("none.jpg"), Prediction(one.frame, both), names=names)
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["source"] for row in rows] == ["'=1+1.jpg"] * 4
    assert [row["class"] for row in rows] == ["'=HYPERLINK(1)", 'a,"b"\nc'] * 2
    assert [rows[0][name] for name in ("confidence", "x1", "y1", "x2", "y2")] == ["0.9", "0.0", "10.0", "50.0", "60.0"]
    assert [row["track_id"] for row in rows] == ["", "", "7", ""]
    assert [row["classifier_class"] for row in rows] == ["", "", "'@x", "unknown"]


def test_a_row_for_each_picture_of_a_classifier(tmp_path: Path) -> None:
    frame = Frame(np.zeros((4, 6, 3), np.uint8), "a.png")
    unsure = Prediction(frame, Scores(np.array([0.6, 0.4], np.float32), 0.7))
    _write(CsvFile(tmp_path / "r.csv", objects=False), unsure)
    lines = (tmp_path / "r.csv").read_text().splitlines()
    assert lines == ["source,index,seconds,width,height,class,class_id,confidence", "a.png,0,0.0,6,4,unknown,,0.6"]


def test_yolo_labels_come_back_as_the_boxes(tmp_path: Path) -> None:
    sink = YoloLabels(tmp_path, NAMES, numbered=False)
    same = [_found(f"{place}/shot.jpg", (20, 30, 120, 80), (0, 0, 200, 100)) for place in "ab"]
    _write(sink, *same, _found("c/classes.jpg"), _found("../../out.jpg"))
    assert sorted(path.name for path in (tmp_path / "labels").iterdir()) == [
        "classes-2.txt", "classes.txt", "out.txt", "shot-2.txt", "shot.txt",
    ]  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]
    assert (tmp_path / "labels" / "classes.txt").read_text(encoding="utf-8").splitlines() == list(NAMES)
    rows = np.loadtxt(tmp_path / "labels" / "shot-2.txt")
    np.testing.assert_allclose(rows, [[0, 0.35, 0.55, 0.5, 0.5, 0.9], [1, 0.5, 0.5, 1, 1, 0.5]], atol=1e-6)
    assert (tmp_path / "labels" / "out.txt").read_text() == ""


def test_yolo_labels_of_a_video_are_told_apart_by_their_number(tmp_path: Path) -> None:
    sink = YoloLabels(tmp_path, NAMES, numbered=True)
    _write(sink, *(_found("clip.mp4", index=number) for number in range(3)))
    assert {path.name for path in (tmp_path / "labels").iterdir()} == {
        "classes.txt", *(f"clip-{number:06d}.txt" for number in range(3))
    }  # fmt: skip


def test_coco_is_valid_at_any_moment_and_its_ids_mean_something(tmp_path: Path) -> None:
    sink = CocoResults(tmp_path, NAMES)
    seen = []
    for prediction in (_found("ü.jpg"), _found("b.jpg", (10, 20, 40, 60), (0, 0, 5, 5)), _found("c.jpg", (1, 1, 2, 3))):
        sink.write(prediction, prediction.as_record(NAMES))
        seen.append(len(json.loads((tmp_path / "coco_results.json").read_text())))
        about = json.loads((tmp_path / "coco_images.json").read_text(encoding="utf-8"))
    sink.close()
    assert seen == [0, 2, 3]
    results = json.loads((tmp_path / "coco_results.json").read_text())
    assert results[1] == {"image_id": 2, "category_id": 2, "bbox": [0.0, 0.0, 5.0, 5.0], "score": 0.5}
    assert results[0]["bbox"] == [10.0, 20.0, 30.0, 40.0]
    assert [image["file_name"] for image in about["images"]] == ["ü.jpg", "b.jpg", "c.jpg"]
    assert [image["id"] for image in about["images"]] == [1, 2, 3]
    assert about["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "hünd 犬"}]


_FULL = """
import resource, sys
from pathlib import Path
from lensmith.core.errors import DiskFullError
from lensmith.predict.sinks import CocoResults, CsvFile, JsonLines, YoloLabels
from tests.predict.test_formats import NAMES, _found
few, many = _found("a.jpg", (1, 2, 3, 4)), _found("many.jpg", *[(1, 2, 3, 4)] * 200)
for limit in sys.argv[2:]:
    folder = Path(sys.argv[1]) / limit
    folder.mkdir()
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
    sinks = [CocoResults(folder, NAMES), CsvFile(folder / "r.csv", objects=True), JsonLines(folder / "r.jsonl")]
    for sink in [*sinks, YoloLabels(folder, NAMES, numbered=False)]:
        written = 0
        try:
            for number in range(1000):
                one = many if isinstance(sink, YoloLabels) and number == 20 else few
                sink.write(one, one.as_record(NAMES))
                written += 1
        except DiskFullError as error:
            print(written)
        sink.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process as POSIX has them")
def test_a_full_disk_leaves_only_what_is_valid(tmp_path: Path) -> None:
    limits = ["4000", "4001", "4050", "4117"]
    done = subprocess.run(
        [sys.executable, "-c", _FULL, tmp_path, *limits], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = np.array(done.stdout.split(), int).reshape(-1, 4)
    for limit, counts in zip(limits, written.tolist(), strict=True):
        _check_whole_files(tmp_path / limit, *counts)


def _check_whole_files(folder: Path, coco: int, rows: int, lines: int, labels: int) -> None:
    images = json.loads((folder / "coco_images.json").read_text())["images"]
    assert len(json.loads((folder / "coco_results.json").read_text())) == coco == len(images)
    with (folder / "r.csv").open(newline="") as file:
        assert [row["class"] for row in csv.DictReader(file)] == ["cat"] * rows
    assert [json.loads(line)["source"] for line in (folder / "r.jsonl").read_text().splitlines()] == ["a.jpg"] * lines
    assert labels == 20
    files = [path for path in (folder / "labels").iterdir() if path.name != "classes.txt"]
    assert len(files) == labels
    assert all(np.loadtxt(path).shape == (6,) for path in files)
    assert 0 < min(coco, rows, lines) < 1000


def test_names_of_many_equal_files_are_found_at_once() -> None:
    names = FileNames()
    given = [names.free(f"{number}/image.jpg") for number in range(20_000)]  # tried one by one, this takes minutes
    given += [names.free(one) for one in ("IMAGE.jpg", "image-3.jpg")]
    assert len({name.casefold() for name in given}) == len(given)


class _Held(Sink):
    """Writes one prediction after another, each only when it is let."""

    def __init__(self, breaks_at: int | None = None) -> None:
        self.let = threading.Semaphore(0)
        self.seen: list[int] = []
        self.closed = False
        self._breaks_at = breaks_at

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:
        assert self.let.acquire(timeout=30)
        if prediction.frame.index == self._breaks_at:
            raise DiskFullError("here")
        self.seen.append(prediction.frame.index)

    def close(self) -> None:
        self.closed = True


def test_what_waits_is_bounded_and_nothing_is_lost() -> None:
    sink = _Held()
    behind = Behind([sink])
    given: list[int] = []

    def give() -> None:
        for number in range(200):
            prediction = _found("made", index=number)
            behind.write(prediction, {})
            given.append(number)

    giving = threading.Thread(target=give)
    giving.start()
    sink.let.release(10)
    while len(sink.seen) < 10 or len(given) < 70:
        giving.join(0.01)
    assert len(given) <= 10 + 64 + 1
    sink.let.release(200)
    giving.join()
    behind.close()
    assert sink.seen == list(range(200))
    assert sink.closed


def test_an_error_in_a_sink_comes_to_the_caller_once(tmp_path: Path) -> None:
    sink = _Held(breaks_at=3)
    sink.let.release(100)
    behind = Behind([sink, JsonLines(tmp_path / "r.jsonl")])
    with pytest.raises(DiskFullError):
        for number in range(1_000_000):
            behind.write(_found("made", index=number, side=1), {"n": number})
    behind.close()  # what was told is not told again
    assert sink.closed
    assert len((tmp_path / "r.jsonl").read_text().splitlines()) == 3


def test_an_error_in_the_last_write_comes_at_the_end() -> None:
    sink = _Held(breaks_at=0)
    sink.let.release()
    behind = Behind([sink])
    behind.write(_found("made"), {})
    with pytest.raises(DiskFullError):
        behind.close()


class _OnlySome(Sink):
    """A disk with room for five records."""

    def __init__(self, path: Path) -> None:
        self._file = JsonLines(path)
        self._written = 0

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:
        if self._written == 5:
            raise DiskFullError("here")
        self._file.write(prediction, record)
        self._written += 1

    def close(self) -> None:
        self._file.close()


@pytest.mark.parametrize("recorded_first", [False, True])
def test_no_drawn_copy_is_left_without_its_record(recorded_first: bool, tmp_path: Path) -> None:
    lines, full = JsonLines(tmp_path / "all.jsonl"), _OnlySome(tmp_path / "some.jsonl")
    behind = Behind([lines, full] if recorded_first else [full, lines], DrawnPictures(tmp_path, NAMES))
    with pytest.raises(DiskFullError):
        for number in range(40):
            behind.write(_found(f"{number}.jpg", (1, 2, 30, 40)), {})
        behind.close()
    behind.close()
    recorded = [json.loads(line)["drawn"] for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert len(recorded) == 5 + recorded_first
    assert {path.name for path in tmp_path.glob("*.jpg")} == set(recorded)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


class _Pressed(Sink):
    """Ctrl-C twice while the first record is written."""

    def __init__(self) -> None:
        self.begun, self.let = threading.Event(), threading.Event()

    def write(self, prediction: Prediction, record: dict[str, Any]) -> None:
        self.begun.set()
        assert self.let.wait(30)

    def close(self) -> None:
        pass


def test_what_a_second_ctrl_c_drops_is_not_left_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink, lines = _Pressed(), JsonLines(tmp_path / "r.jsonl")
    behind = Behind([sink, lines], DrawnPictures(tmp_path, NAMES))
    for number in range(9):
        behind.write(_found(f"{number}.jpg", (1, 2, 30, 40)), {})
    assert sink.begun.wait(30)
    while len(list(tmp_path.glob("[0-9].jpg"))) < 9:
        threading.Event().wait(0.01)
    finish = behind._finish

    def pressed() -> None:
        monkeypatch.setattr(behind, "_finish", lambda: (sink.let.set(), finish()))
        raise KeyboardInterrupt

    monkeypatch.setattr(behind, "_finish", pressed)
    with pytest.raises(KeyboardInterrupt):
        behind.close()
    (record,) = (tmp_path / "r.jsonl").read_text().splitlines()
    assert {path.name for path in tmp_path.glob("*.jpg")} == {json.loads(record)["drawn"]}


def test_a_record_is_written_when_its_drawn_copy_is_there(tmp_path: Path) -> None:
    told: list[tuple[str, bool]] = []
    behind = Behind(
        [Call(lambda record: told.append((record["drawn"], (tmp_path / record["drawn"]).is_file())))],
        DrawnPictures(tmp_path, NAMES),
    )
    for number in range(30):
        behind.write(_found(f"{number % 10}.jpg", (1, 2, 30, 40)), {})
    behind.close()
    names = [f"{number}{again}.jpg" for again in ("", "-2", "-3") for number in range(10)]
    assert told == [(name, True) for name in names]
    assert len(list(tmp_path.iterdir())) == 30
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("draw", "sinks"))]
