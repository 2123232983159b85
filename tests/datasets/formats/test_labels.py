"""Every row of a label file is used, mended, or named; none takes the picture's other boxes with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lensmith.datasets.formats.labels import read_labels
from lensmith.datasets.formats.write_yolo import label_rows

GOOD = "1 0.5 0.5 0.2 0.4"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("x 0.5 0.5 0.2 0.2", "not a number"),
        ("0 nan 0.5 0.2 0.2", "NaN"),
        ("0 0.5 inf 0.2 0.2", "NaN or infinity"),
        ("2 0.5 0.5 0.2 0.2", "has no name"),
        ("-1 0.5 0.5 0.2 0.2", "has no name"),
        ("0.5 0.5 0.5 0.2 0.2", "not a whole number"),
        ("0 320 240 64 64", "not pixels"),
        ("0 -0.5 0.5 0.2 0.2", "outside 0..1"),
        ("0 0.5 0.5 0 0.2", "no area"),
        ("0 0.5 0.5 -0.001 0.2", "no area"),
        ("0 0.5 0.5 0.2", "4 numbers"),
        ("0 0.5 0.5 0.2 0.2 0.9", "6 numbers"),
        ("0 0.1 0.1 0.1 0.5 0.1 0.9", "no area"),
        (GOOD, "already"),
    ],
)
def test_a_bad_row_is_named_and_the_others_stay(tmp_path: Path, row: str, reason: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(f"{GOOD}\n{row}\n0 0.25 0.25 0.1 0.1\n")
    boxes, problems = read_labels(path, 2)
    assert boxes.class_id.tolist() == [1, 0]
    np.testing.assert_allclose(boxes.cxcywh, [[0.5, 0.5, 0.2, 0.4], [0.25, 0.25, 0.1, 0.1]], atol=1e-6)
    assert [(problem.file, problem.row) for problem in problems] == [(path, 2)]
    assert problems[0].reason.startswith("left out: ")
    assert reason in problems[0].reason


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\xef\xbb\xbf1 0.5 0.5 0.2 0.4\r\n", "byte order mark and CRLF"),
        (b"1\t0.5\t0.5  0.2 0.4", "tabs, no newline at the end"),
        (b"1.0 0.5 0.5 0.2 0.4\n\n\n", "class id as a float, empty lines"),
        (b"1 0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7", "polygon"),
    ],
)
def test_odd_but_clear_files_are_read(tmp_path: Path, data: bytes, what: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    boxes, problems = read_labels(tmp_path / "a.txt", 2)
    assert problems == [], what
    assert boxes.class_id.tolist() == [1]
    np.testing.assert_allclose(boxes.cxcywh, [[0.5, 0.5, 0.2, 0.4]], atol=1e-6)


def test_rounding_is_clipped_in_silence_and_more_with_a_word(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.1 0.5 0.2000002 0.2\n0 0.1 0.5 0.4 0.2\n")
    boxes, problems = read_labels(tmp_path / "a.txt", 1)
    np.testing.assert_allclose(boxes.cxcywh, [[0.1, 0.5, 0.2, 0.2], [0.15, 0.5, 0.3, 0.2]], atol=1e-6)
    assert [problem.row for problem in problems] == [2]
    assert problems[0].reason.startswith("clipped: ")


def test_no_file_and_an_empty_file_mean_no_objects(tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    for name in ("empty.txt", "missing.txt"):
        boxes, problems = read_labels(tmp_path / name, 1)
        assert len(boxes) == 0
        assert boxes.cxcywh.shape == (0, 4)
        assert problems == []


@pytest.mark.parametrize(
    ("data", "fault", "row"),
    [
        ("1 0.5 0.5 0.2 0.4\n".encode("utf-16"), "encoding", 0),
        ("1 0.5 0.5 0.2 0.4\n".encode("utf-16-le"), "encoding", 0),
        ("1 0.5 0.5 0.2 0.4\n".encode("utf-16-be"), "encoding", 0),
        (b"1 0.5 0.5 0.2 0.4\n\n# caf\xe9".replace(b"# caf\xe9", b"\xa0"), "encoding", 0),
        (b"1 0,5 0,5 0,2 0,4\n", "decimal-comma", 1),
        (b"1,0.5,0.5,0.2,0.4\n", "decimal-comma", 1),
        (b"1; 0.5; 0.5; 0.2; 0.4\n", "decimal-comma", 1),
    ],
)
def test_what_can_be_mended_is_mended_and_said(tmp_path: Path, data: bytes, fault: str, row: int) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    boxes, problems = read_labels(tmp_path / "a.txt", 2)
    np.testing.assert_allclose(boxes.cxcywh, [[0.5, 0.5, 0.2, 0.4]], atol=1e-6)
    assert [(problem.fault, problem.row) for problem in problems] == [(fault, row)]
    assert problems[0].reason.startswith("mended: ")


def test_a_mended_row_that_is_left_out_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("7 0,5 0,5 0,2 0,2\n")
    boxes, problems = read_labels(tmp_path / "a.txt", 2)
    assert len(boxes) == 0
    assert [problem.fault for problem in problems] == ["unknown-class"]


def test_nothing_but_nul_bytes_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(bytes(500))
    boxes, problems = read_labels(tmp_path / "a.txt", 2)
    assert len(boxes) == 0
    assert [problem.fault for problem in problems] == ["encoding"]
    assert problems[0].reason.startswith("left out: ")


def test_polygons_are_counted_and_keypoints_are_not(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.4 0.3 0.6 0.3 0.6 0.7 0.4 0.7\n0 0.5 0.5 0.1 0.1\n")
    assert read_labels(tmp_path / "a.txt", 1)[0].polygons == 1
    (tmp_path / "b.txt").write_text("0 0.5 0.5 0.2 0.4 0.9 0.9 0.1 0.1\n")
    boxes, problems = read_labels(tmp_path / "b.txt", 1, keypoints=True)
    np.testing.assert_allclose(boxes.cxcywh, [[0.5, 0.5, 0.2, 0.4]], atol=1e-6)
    assert (boxes.polygons, problems) == (0, [])


_side = st.one_of(st.floats(0, 1.01), st.floats(0, 3e-6))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(st.floats(-0.01, 1.01), st.floats(-0.01, 1.01), _side, _side), min_size=1, max_size=6))
def test_what_was_read_and_written_is_read_the_same_to_the_last_bit(tmp_path: Path, rows: list) -> None:
    """Boxes at, past and a hair past the edge, and tiny ones: clipping a clipped box must change nothing."""
    path = tmp_path / "a.txt"
    path.write_text("".join(f"0 {cx!r} {cy!r} {w!r} {h!r}\n" for cx, cy, w, h in rows))
    first, _ = read_labels(path, 1)
    path.write_text(label_rows(first))
    second, problems = read_labels(path, 1)
    assert problems == []
    assert second.cxcywh.tobytes() == first.cxcywh.tobytes()


_token = st.one_of(
    st.floats(-2, 2).map(str),
    st.integers(-3, 5).map(str),
    st.sampled_from(["nan", "inf", "-inf", "1e400", "0x1", "é", "\x00", "１", "", "1_0", "--"]),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.lists(_token, min_size=1, max_size=9), max_size=8))
def test_every_row_is_accounted_for(tmp_path: Path, rows: list[list[str]]) -> None:
    lines = [" ".join(row) for row in rows]
    (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    boxes, problems = read_labels(tmp_path / "a.txt", 3)
    left_out = [problem for problem in problems if problem.reason.startswith("left out: ")]
    assert len(boxes) + len(left_out) == sum(1 for line in lines if line.split())
    corners = boxes.xyxy(1, 1)
    assert np.isfinite(corners).all()
    assert ((corners >= -1e-6) & (corners <= 1 + 1e-6)).all()
    assert ((boxes.class_id >= 0) & (boxes.class_id < 3)).all()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200))
def test_any_bytes_are_survived(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    read_labels(tmp_path / "a.txt", 3)
