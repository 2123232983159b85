"""What is done about each kind of finding, and which are left to a person."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ...core.errors import UsageError

LEFT_OUT = frozenset({"picture-unreadable", "picture-truncated", "picture-empty", "picture-too-large", "picture-tiny"})
"""The picture is left out."""
RENAMED = frozenset({"picture-misnamed"})
"""The file gets the suffix of its format."""
REDRAWN = frozenset({"picture-cmyk", "picture-16bit", "picture-alpha", "picture-animated", "picture-rotated"})
"""The picture is written again as training sees it: 8-bit RGB, upright, one frame."""
COPIES = frozenset({"copy-within", "copy-across"})
"""One of the copies is kept."""
LEAKS = frozenset({"copy-across", "sibling-across", "near-across", "frame-across"})
"""Pictures that show the same thing move into one split."""
SPLITS_MISSING = frozenset({"split-missing", "split-none", "split-shared"})
"""Pictures for the missing splits are taken out of those that are there."""
SPREAD = frozenset({"class-absent"})
"""Pictures of the class move into the split that has none."""
WRITTEN_ANEW = {
    "yaml-path": "written anew with the folders that are there",
    "yaml-names": "written anew with as many names as `nc` says",
    "yaml-download": "written anew without its `download:` line",
    "cache-file": "left behind",
    "links-leaving": "left behind",
    "loose-pictures": "left behind",
    "other-format": "left behind",
    "label-without-picture": "left behind",
    "coco-category": "left out of the class names",
    "split-shared": "its pictures count for one split only",
    "nested-folders": "written without the folders around it",
    "labels-left-out": "left out",
    "labels-keypoints": "the boxes without the points",
    "label-oriented": "the upright boxes around them",
    "label-polygons-mixed": "the boxes around the polygons",
    "label-unreadable": "its picture is left out",
    "label-encoding": "written as UTF-8",
    "label-not-a-number": "the row is left out",
    "label-decimal-comma": "written with decimal points",
    "label-nan": "the row is left out",
    "label-row-length": "the row is left out",
    "label-unknown-class": "the row is left out",
    "label-out-of-range": "the row is left out",
    "label-no-area": "the row is left out",
    "label-duplicate": "the second row is left out",
    "label-clipped": "clipped to the picture",
    "label-one-based": "counted from zero",
}
"""What is right as soon as the dataset is written anew, whatever else is asked for; and what becomes of it."""

REPAIRED = LEFT_OUT | RENAMED | REDRAWN | COPIES | LEAKS | SPLITS_MISSING | SPREAD | WRITTEN_ANEW.keys()


def choose(only: Iterable[str], known: Iterable[str]) -> frozenset[str]:
    """The kinds to repair: all that can be, or those that a person named.

    Args:
        only: Kinds as they were typed.
        known: All kinds that a check can find.

    Raises:
        UsageError: one is unknown, or nothing that a program can repair.
    """
    chosen = frozenset(only)
    for kind in sorted(chosen - REPAIRED):
        if kind in set(known):
            raise UsageError(
                f"'{kind}' is nothing that a program can repair.",
                where="--only",
                next_step="cv check-dataset says what a person can do about it",
            )
        near = difflib.get_close_matches(kind, sorted(REPAIRED), n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(REPAIRED))}"
        raise UsageError(f"There is no kind of finding called '{kind}'.", where="--only", next_step=hint)
    return chosen or REPAIRED
