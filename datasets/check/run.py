"""Look a dataset over once and say what is wrong with it, before hours of training do."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from ...core.images import inspect_bytes, read_bytes, read_image
from ..model import SPLITS, Dataset, Split
from .cache import LookCache, Verdicts, cache_path
from .classes import class_findings
from .finding import CheckReport, Severity, Twin
from .items import Items
from .labels import Labels, label_findings, read_all_labels
from .layout import layout_findings
from .looks import Looks
from .pictures import picture_findings
from .scan import Scan
from .splits import split_findings
from .twins import find_twins
from .union import Groups

_ORDER: dict[Severity, int] = {"problem": 0, "warning": 1, "note": 2}
_COMPARED_SIDE = 256  # pixels


@dataclass(frozen=True)
class CheckConfig:
    """How to check.

    Attributes:
        workers: How many processes may work; None takes one for each core.
        remember: Use what earlier checks saw, and keep what this one sees. Without it every picture is read.
    """

    workers: int | None = None
    remember: bool = True


def check_dataset(
    dataset: Dataset, config: CheckConfig | None = None, advance: Callable[[float], None] | None = None
) -> CheckReport:
    """Go through all pictures and labels once and list what is wrong, the worst first.

    What is looked for stands in `kinds.KINDS`. Files are only read, and a picture that has not changed since an earlier
    check is not even opened.

    Args:
        dataset: An opened dataset.
        config: How to check.
        advance: Called with how many more pictures are done, for a progress bar; once for each picture in all.
    """
    config = config or CheckConfig()
    cache = LookCache(cache_path() if config.remember else None)
    try:
        with Scan(dataset, cache, config.workers, advance, config.remember) as scan:
            labels = read_all_labels(dataset, scan.looks.items)
            looks = scan.finish()
        twins = _find_twins(looks, cache)
    finally:
        cache.close()
    counts: dict[Split, int] = {split: int((looks.items.split == number).sum()) for number, split in enumerate(SPLITS)}
    findings = [
        *layout_findings(dataset),
        *split_findings(dataset, counts, twins),
        *picture_findings(looks),
        *label_findings(dataset, labels, looks),
        *class_findings(dataset, labels.objects, counts, _differing(looks.items, labels, twins)),
    ]
    findings.sort(key=lambda found: _ORDER[found.severity])
    return CheckReport(dataset, tuple(findings), tuple(twins), len(looks), counts, labels.objects)


def _differing(items: Items, labels: Labels, twins: Sequence[Twin]) -> Callable[[int], int]:
    """How many pictures that show different things have a class: one asks for few classes, if any."""

    @cache
    def roots() -> np.ndarray:
        connected = Groups(len(items))
        number = {items.path(index): index for index in range(len(items))}
        for twin in twins:
            connected.join(number[str(twin.first.image)], number[str(twin.second.image)])
        return connected.roots()

    return lambda class_id: len(np.unique(roots()[labels.having[class_id]]))


def _find_twins(looks: Looks, cache: LookCache) -> list[Twin]:
    items = looks.items
    key = _key(looks)
    known = cache.twins(key)
    if known is not None:
        return [Twin(items[first], items[second], kind, similarity) for first, second, kind, similarity in known]

    def read(number: int) -> np.ndarray:
        path = Path(items.path(number))
        return _reduced(read_bytes(path), path)

    memo = Verdicts(cache, looks.digest)
    try:
        twins = find_twins(items, looks, read, memo)
    finally:
        memo.save()
    number = {items.path(index): index for index in range(len(items))}
    cache.remember_twins(key, [
        (number[str(twin.first.image)], number[str(twin.second.image)], twin.kind, twin.similarity) for twin in twins
    ])  # fmt: skip
    return twins


def _reduced(data: bytes, path: Path) -> np.ndarray:
    """A picture in colour, which tells what strong light cut off; JPEGs are reduced while they are decoded."""
    info = inspect_bytes(data, path)
    times = max(info.width, info.height) // _COMPARED_SIDE
    flags = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))
    flag = next((flag for least, flag in flags if times >= least), cv2.IMREAD_COLOR)
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if bgr is None:
        bgr = read_image(path)
    scale = _COMPARED_SIDE / max(bgr.shape)
    return cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else bgr


def _key(looks: Looks) -> bytes:
    """A hash of all that decides which pictures are twins: content, names, splits."""
    digest = hashlib.sha256(looks.sha256.tobytes() + looks.items.split.tobytes())
    for index in range(len(looks)):
        digest.update(os.path.basename(looks.items.path(index)).encode(errors="surrogateescape") + b"\0")  # noqa: PTH119
    return digest.digest()
