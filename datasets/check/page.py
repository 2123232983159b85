"""A check's report as one page to look at: the findings with pictures, and the pairs that leak side by side."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from ...core.draw import draw_boxes
from ...core.files import slug
from ...core.images import ImageError, read_image
from ...core.words import many
from ...core.workspace import Workspace
from ...report.page import Page
from ..model import SPLITS, Dataset, Item
from .finding import CheckReport, Finding, Twin
from .tell import shown_path

_THUMBNAILS = 6  # of each finding
_FILES = 8  # more of them by name
_WORST_PAIRS = 12
_SIDE = 320  # pixels, the long side of a thumbnail
_GAP = 6
_WORST: dict[str, int] = {"copy": 0, "near": 1, "sibling": 2, "frame": 3}


def write_check_page(report: CheckReport, workspace: Workspace, path: Path | None = None) -> Path:
    """Write the page and return its path.

    Args:
        report: What was found.
        workspace: The page goes to its `reports/check-NAME.html`,
        path: unless another place is given.
    """
    dataset = report.dataset
    severities = [finding.severity for finding in report.findings]
    classes = many(len(dataset.names), "class", "classes")
    page = Page(f"Check of {dataset.name}", f"{dataset.root}, {dataset.format} layout, {classes}.")
    page.numbers([
        ("Pictures", f"{report.pictures}", ", ".join(f"{split} {count}" for split, count in report.counts.items())),
        ("Problems", f"{severities.count('problem')}", "spoil the training or its score"),
        ("Warnings", f"{severities.count('warning')}", "may do so: look before you train"),
        ("Leaked pictures", f"{len(report.leaked)}", "of valid and test, seen in an earlier split"),
    ])  # fmt: skip
    items = _wanted_items(report)
    for finding in report.findings:
        _add_finding(page, finding, dataset, items)
    _add_leaks(page, report)
    _add_balance(page, report)
    return page.write(path or workspace.root / "reports" / f"check-{slug(dataset.name)}.html")


def _add_leaks(page: Page, report: CheckReport) -> None:
    leaks = sorted(
        (twin for twin in report.twins if twin.across),
        key=lambda twin: (-SPLITS.index(twin.second.split), _WORST[twin.kind], -twin.similarity),
    )
    if not leaks:
        return
    page.section(
        "Pictures in two splits",
        "Each pair shows the same thing: the left picture lies in an earlier split than the right one, which therefore"
        " measures what the model has learnt by heart.",
    )
    shown = [_side_by_side(report.dataset, twin) for twin in leaks[:_WORST_PAIRS]]
    caption = f"The worst {len(shown)} of {len(leaks)} pairs." if len(leaks) > len(shown) else ""
    page.pictures(shown, caption, width=420)


def _side_by_side(dataset: Dataset, twin: Twin) -> tuple[np.ndarray, str]:
    left, right = _thumbnail(dataset, twin.first), _thumbnail(dataset, twin.second)
    height = max(left.shape[0], right.shape[0])
    sheet = np.full((height, left.shape[1] + _GAP + right.shape[1], 3), 255, np.uint8)
    sheet[: left.shape[0], : left.shape[1]] = left
    sheet[: right.shape[0], left.shape[1] + _GAP :] = right
    names = " | ".join(shown_path(item.image, dataset.root) for item in (twin.first, twin.second))
    return sheet, f"{twin.kind}-across: {names}"


def _add_finding(page: Page, finding: Finding, dataset: Dataset, items: dict[Path, Item]) -> None:
    does = f" cv fix-dataset {finding.fix}." if finding.fix else ""
    page.section(f"{finding.severity.capitalize()}: {finding.what}", f"{finding.why}{does} [{finding.kind}]")
    examples = tuple(dict.fromkeys(finding.files[:_THUMBNAILS]))
    pictures = [
        (_thumbnail(dataset, items[path]), shown_path(path, dataset.root)) for path in examples if path in items
    ]
    if pictures:
        page.pictures(pictures, width=200)
    plain = [path for path in dict.fromkeys(finding.files) if path not in items or path not in examples]
    if plain:
        more = len(plain) - _FILES
        plain, caption = plain[:_FILES], f"and {more} more" if more > 0 else ""
        page.table(["file"], [[shown_path(path, dataset.root)] for path in plain], caption)


def _add_balance(page: Page, report: CheckReport) -> None:
    what = "boxes" if report.dataset.task == "detect" else "pictures"
    page.section("Classes", f"How many {what} each class has in each split.")
    totals = report.objects.sum(axis=0)
    rows = [
        [report.dataset.names[number], *report.objects[:, number].tolist(), int(totals[number])]
        for number in np.argsort(-totals, kind="stable").tolist()
    ]
    page.table(["class", *SPLITS, "all"], rows)


def _wanted_items(report: CheckReport) -> dict[Path, Item]:
    """The pictures to show, by their own path and by that of their label file."""
    wanted = {path for finding in report.findings for path in finding.files[:_THUMBNAILS]}
    found: dict[Path, Item] = {}
    for item in report.dataset.items():
        if item.image in wanted:
            found[item.image] = item
        if item.label in wanted and item.label is not None and report.dataset.format != "coco":
            found[item.label] = item
    return found


def _thumbnail(dataset: Dataset, item: Item) -> np.ndarray:
    """The picture with its boxes, or a grey field where it cannot be shown."""
    try:
        bgr = read_image(item.image)
    except ImageError:
        return np.full((_SIDE * 3 // 4, _SIDE, 3), 128, np.uint8)
    height, width = bgr.shape[:2]
    scale = min(_SIDE / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    small = cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)
    boxes, _ = dataset.boxes(item)
    names = [dataset.names[number] for number in boxes.class_id.tolist()]
    draw_boxes(small, boxes.xyxy(*size), boxes.class_id, names)
    return small
