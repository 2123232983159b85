"""Faults of YOLO label files, one picture each, and unusual but right files that must not be called faulty."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .site import Site

_ANY_NUMBER = ("label-not-a-number", "label-row-length")


class BadRow(NamedTuple):
    """One more row in a file whose other rows are right."""

    kind: str | tuple[str, ...]
    row: str


BAD_ROWS: tuple[BadRow, ...] = (
    BadRow("label-unknown-class", "3 0.5 0.5 0.1 0.1"),
    BadRow("label-unknown-class", "99 0.5 0.5 0.1 0.1"),
    BadRow("label-unknown-class", "-1 0.5 0.5 0.1 0.1"),
    BadRow("label-unknown-class", "1.5 0.5 0.5 0.1 0.1"),
    BadRow("label-unknown-class", f"{10**30} 0.5 0.5 0.1 0.1"),
    BadRow("label-nan", "0 nan 0.5 0.1 0.1"),
    BadRow("label-nan", "0 0.5 0.5 NaN 0.1"),
    BadRow("label-nan", "0 0.5 inf 0.1 0.1"),
    BadRow("label-nan", "0 0.5 0.5 0.1 -inf"),
    BadRow("label-nan", "0 0.5 1e400 0.1 0.1"),
    BadRow(("label-nan", "label-unknown-class"), "nan 0.5 0.5 0.1 0.1"),
    BadRow("label-not-a-number", "cat 0.5 0.5 0.1 0.1"),
    BadRow("label-not-a-number", "0 0.5 abc 0.1 0.1"),
    BadRow("label-not-a-number", "0 0.5 0.5 0.1 0x1"),
    BadRow(_ANY_NUMBER, "0 0.5 0.5 0.1 0.1 # the dog"),
    BadRow(_ANY_NUMBER, "<html><body>404</body></html>"),
    BadRow("label-row-length", "0"),
    BadRow("label-row-length", "0 0.5 0.5"),
    BadRow("label-row-length", "0 0.5 0.5 0.1"),
    BadRow("label-row-length", "0 0.5 0.5 0.1 0.1 0.93"),
    BadRow("label-row-length", "0 0.1 0.1 0.2 0.1 0.2 0.2 0.1"),
    BadRow("label-out-of-range", "0 120 80 40 30"),
    BadRow("label-out-of-range", "0 1.2 0.5 0.1 0.1"),
    BadRow("label-out-of-range", "0 0.5 -0.3 0.1 0.1"),
    BadRow("label-out-of-range", "0 0.5 0.5 1.7 0.1"),
    BadRow("label-out-of-range", "0 50.0 50.0 10.0 10.0"),
    BadRow("label-clipped", "0 0.9 0.5 0.6 0.1"),
    BadRow("label-clipped", "0 0.5 0.02 0.1 0.3"),
    BadRow("label-no-area", "0 0.5 0.5 0 0.1"),
    BadRow("label-no-area", "0 0.5 0.5 0.1 0.000000"),
    BadRow("label-no-area", "0 0.5 0.5 1e-9 0.1"),
    BadRow(("label-no-area", "label-out-of-range"), "0 0.5 0.5 -0.2 0.1"),
    BadRow("label-decimal-comma", "0 0,5 0,5 0,1 0,1"),
    BadRow("label-covers-all", "0 0.5 0.5 1 1"),
    BadRow("label-covers-all", "0 0.5 0.5 0.99 0.995"),
)

GOOD_ROWS: tuple[str, ...] = (
    "0 0.05 0.05 0.1 0.1",  # touches two edges exactly
    "1 0.95 0.95 0.1 0.1",
    "1 0.0499999 0.5 0.1 0.1",  # over the edge by 1e-7
    "1 0.95000001 0.5 0.1 0.1",
    "0 0.5 0.5 0.8 0.8",  # large, not everything
    "0 0.5 0.5 0.01 0.01",
    "2.0 0.5 0.5 0.05 0.05",
    "1 5e-1 .5 5.0E-2 0.05",
    "0  0.5\t0.5 0.04 0.05   ",
    "0 0.49999999999999994 0.5 0.031250000000000001 0.05",
)


def plant_bad_rows(site: Site, rows: tuple[BadRow, ...] = BAD_ROWS) -> None:
    """One bad row below the two right ones of each picture."""
    for kind, row in rows:
        shot = site.take()
        shot.label.write_text(shot.label.read_text() + row + "\n")
        site.plant(kind, f"row {row[:40]}", *shot.files)


def plant_good_rows(site: Site, rows: tuple[str, ...] = GOOD_ROWS) -> None:
    """One unusual but right row below the two others."""
    for row in rows:
        shot = site.take()
        shot.label.write_text(shot.label.read_text() + row + "\n")


def plant_doubles(site: Site) -> None:
    """The same box twice, or under two classes; and two boxes that are only near each other, which is no fault."""
    twice: dict[str, Callable[[list[str]], str]] = {
        "the same row": lambda fields: " ".join(fields),
        "the same with more digits": lambda fields: " ".join([fields[0], *(field + "000" for field in fields[1:])]),
        "moved by 1e-7": lambda fields: " ".join([fields[0], f"{float(fields[1]) + 1e-7:.9f}", *fields[2:]]),
    }
    for variant, again in twice.items():
        shot = site.take()
        rows = shot.label.read_text().splitlines()
        shot.label.write_text("\n".join([*rows, again(rows[0].split())]) + "\n")
        site.plant("label-duplicate", variant, *shot.files)
    for variant, moved in {"two classes": 0.0, "two classes, moved by 1e-7": 1e-7}.items():
        shot = site.take()
        rows = shot.label.read_text().splitlines()
        class_id, cx, *rest = rows[0].split()
        other = f"{(int(class_id) + 2) % 3} {float(cx) + moved:.9f} {' '.join(rest)}"
        shot.label.write_text("\n".join([*rows, other]) + "\n")
        site.plant("label-conflict", variant, *shot.files)
    shot = site.take()
    rows = shot.label.read_text().splitlines()
    class_id, cx, cy, w, h = rows[0].split()
    shot.label.write_text("\n".join([*rows, f"{class_id} {cx} {cy} {float(w) * 0.7:.6f} {float(h) * 0.7:.6f}"]) + "\n")


def _whole(kind: str | tuple[str, ...], variant: str, change: Callable[[bytes], bytes]) -> tuple[object, ...]:
    return kind, variant, change


_WHOLE_FILES = (
    _whole("label-encoding", "UTF-16 with its mark", lambda data: data.decode().encode("utf-16")),
    _whole(
        ("label-encoding", "label-not-a-number"),
        "UTF-16 without its mark",
        lambda data: data.decode().encode("utf-16-le"),
    ),
    _whole(
        ("label-encoding", "label-not-a-number", "label-unreadable"),
        "bytes that are no text",
        lambda _: bytes(range(128, 250)) * 3,
    ),
    _whole(("label-encoding", "label-not-a-number", "label-unreadable"), "zeros", lambda _: bytes(600)),
    _whole("label-decimal-comma", "every number", lambda data: data.replace(b".", b",")),
    _whole(
        ("label-decimal-comma", "label-not-a-number", "label-row-length"),
        "commas between the numbers",
        lambda data: data.replace(b" ", b","),
    ),
    _whole("picture-without-objects", "empty", lambda _: b""),
    _whole("picture-without-objects", "one empty line", lambda _: b"\n"),
    _whole("picture-without-objects", "blanks", lambda _: b"  \r\n\t\r\n"),
    _whole("", "UTF-8 with a mark", lambda data: b"\xef\xbb\xbf" + data),
    _whole("", "CRLF", lambda data: data.replace(b"\n", b"\r\n")),
    _whole("", "CR", lambda data: data.replace(b"\n", b"\r")),
    _whole("", "tabs", lambda data: data.replace(b" ", b"\t")),
    _whole("", "no line end", lambda data: data.rstrip(b"\n")),
    _whole("", "empty lines between", lambda data: data.replace(b"\n", b"\n\n")),
)


def plant_whole_files(site: Site) -> None:
    """Faults of a label file as a whole, and other ways to write a right one."""
    for kind, variant, change in _WHOLE_FILES:
        shot = site.take()
        shot.label.write_bytes(change(shot.label.read_bytes()))  # type: ignore[operator]
        if kind:
            site.plant(kind, str(variant), *shot.files)  # type: ignore[arg-type]
    shot = site.take()
    shot.label.unlink()
    site.plant("picture-without-label", "no file", *shot.files)
    shot = site.take()
    with shot.label.open("r+b") as stream:
        os.truncate(stream.fileno(), 17 << 20)
    site.plant(("label-unreadable", "label-encoding"), "17 MB", *shot.files)
    for variant, name in {"a text file of rows": "lost.txt", "an empty one": "lost-too.txt"}.items():
        stray = shot.label.with_name(name)
        stray.write_text("" if "too" in name else "0 0.5 0.5 0.2 0.2\n")
        site.plant("label-without-picture", variant, stray)
    shot.label.with_name("classes.txt").write_text("\n".join(site.names) + "\n")
    (site.root / "README.dataset.txt").write_text("Made by hand.\n")


def plant_polygons(site: Site, share: float) -> list[Path]:
    """Rewrite the boxes of some pictures as polygons of eight corners. All is worth knowing, some is a fault."""
    shots = [site.take() for _ in range(round(len(site.free) * share))]
    for shot in shots:
        lines = []
        for class_id, cx, cy, w, h in shot.rows:
            x1, y1, x2, y2 = cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2
            corners = (cx, y1, x2, y1, x2, cy, x2, y2, cx, y2, x1, y2, x1, cy, x1, y1)
            lines.append(f"{class_id} " + " ".join(f"{value:.6f}" for value in corners) + "\n")
        shot.label.write_text("".join(lines))
    if share:
        site.plant(
            "label-polygons-mixed" if share < 1 else "label-polygons",
            f"{share:.0%} of the pictures",
            *(shot.label for shot in site.shots),
            *(shot.image for shot in site.shots),
        )
    return [shot.image for shot in shots]


def plant_labels_without_pictures(site: Site) -> None:
    """A picture that got lost, its label left."""
    shot = site.take()
    shot.image.unlink()
    site.shots.remove(shot)
    site.plant("label-without-picture", "its picture was deleted", shot.label)
