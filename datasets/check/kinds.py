"""Everything that a check can find: what it is called, how bad it is, why it hurts, and what repairs it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .finding import Finding, Severity
from .kind import REGROUP, Kind
from .label_kinds import CLASSES, LABELS

_PLAIN = "writes the picture anew as plain 8-bit colour"

_PICTURES: dict[str, Kind] = {
    "picture-unreadable": Kind(
        "pictures that cannot be read", "problem",
        "Training skips them without a word or stops in the middle.", "leaves them out",
    ),
    "picture-truncated": Kind(
        "pictures cut short or damaged", "problem",
        "Decoders fill the missing part with grey and say nothing, and the model learns from that.", "leaves them out",
    ),
    "picture-empty": Kind(
        "picture files of zero bytes", "problem", "There is nothing in them; usually a copy that broke off.",
        "leaves them out",
    ),
    "picture-too-large": Kind(
        "pictures of more than 50 megapixels", "problem",
        "Decoding one takes hundreds of megabytes, and a file made to do harm takes all the memory there is.",
        "leaves them out",
    ),
    "picture-misnamed": Kind(
        "pictures whose name says another format", "note",
        "Lensmith looks at the content; other tools go by the name and may refuse them.", "gives them the right suffix",
    ),
    "picture-cmyk": Kind(
        "pictures in print colours (CMYK)", "warning",
        "Each program turns print colours into screen colours in its own way, so training and use may see different"
        " ones.", _PLAIN,
    ),
    "picture-16bit": Kind(
        "pictures with more than 8 bits per channel", "warning",
        "Models take 8 bits: some tools scale the values down, others cut them off and the picture is white.", _PLAIN,
    ),
    "picture-alpha": Kind(
        "pictures with transparency", "note",
        "Transparency is dropped, and what was see-through shows whatever colour lies under it.", _PLAIN,
    ),
    "picture-animated": Kind(
        "files with several pictures (animations, pages)", "warning", "Only the first of them is ever used.",
        "keeps the first picture as a plain file",
    ),
    "picture-rotated": Kind(
        "pictures that are turned by a note in the file (EXIF)", "note",
        "Lensmith turns them upright; a tool that does not would lay the boxes over the wrong places.",
        "stores them upright",
    ),
    "picture-not-read": Kind(
        "pictures in formats that are not read", "warning",
        "They are passed over as if they were not there. Save them as JPEG or PNG to use them; phones have a setting"
        " for it.",
    ),
    "picture-tiny": Kind(
        "pictures with a side of fewer than 10 pixels", "warning",
        "There is next to nothing to see in them, and YOLO training leaves them out.", "leaves them out",
    ),
}  # fmt: skip

_LAYOUT: dict[str, Kind] = {
    "yaml-path": Kind(
        "folders in data.yaml that are not there", "warning",
        "On this computer the right folders were found; other tools stop, or read something else.",
        "writes a new data.yaml",
    ),
    "yaml-names": Kind(
        "class names that do not fit in data.yaml", "warning",
        "When the count and the list disagree, other tools stop, or names land on the wrong ids.",
        "writes a new data.yaml",
    ),
    "yaml-download": Kind(
        "a `download:` line in data.yaml", "warning",
        "Some tools run what stands there: an address, or even program text. Lensmith never does.",
        "writes a new data.yaml without it",
    ),
    "cache-file": Kind(
        "caches and program files in the folder", "warning",
        "A `.cache` or pickle made by somebody else can run a program when a tool opens it, and an old one hides"
        " changed labels. Lensmith opens none.", "leaves them out",
    ),
    "links-leaving": Kind(
        "links that lead out of the folder", "warning",
        "They are not followed, because what they point at may change or be missing elsewhere.", "leaves them out",
    ),
    "loose-pictures": Kind(
        "pictures that nothing reads", "warning",
        "They lie in no class folder, or outside the folders of the splits, so they are not used.",
        "leaves them out",
    ),
    "other-format": Kind(
        "labels in a second format", "warning",
        "Only one of the two is read; if the other is newer, what is trained on is out of date.",
        "keeps the format that was read",
    ),
    "coco-category": Kind(
        "a COCO category that nothing has", "note",
        "Roboflow adds one that groups the others; counted as a class it would shift all class ids.", "leaves it out",
    ),
    "coco-merged": Kind(
        "pictures listed in several COCO files", "note",
        "Their annotations were put together. Where one file is an older version of another, boxes come twice: take the"
        " older one out.",
    ),
    "labels-left-out": Kind(
        "annotations that are not used", "note", "They stand for a crowd, or for no picture that is listed.",
        "leaves them out",
    ),
    "labels-keypoints": Kind(
        "keypoints", "problem",
        "A detector learns boxes alone and gives no points. For points, train a pose model with Ultralytics itself.",
        "writes the boxes without the points",
    ),
    "nested-folders": Kind(
        "a dataset deeper in the folder than expected", "note", "It was found; other tools may look one folder higher.",
        "lays the folders out the usual way",
    ),
}  # fmt: skip

_SPLITS: dict[str, Kind] = {
    "split-missing": Kind(
        "a split that is missing", "warning",
        "'valid' chooses the best state of the model, and 'test' tells the truth about it afterwards.",
        "shares the pictures out anew into all splits",
    ),
    "split-shared": Kind(
        "one folder for two splits", "problem",
        "Pictures that choose a model cannot also judge it: the score comes out too high.",
        "shares the pictures out anew",
    ),
    "split-none": Kind(
        "no splits at all", "warning",
        "A model must be measured on pictures that it has not learnt from. Without splits, some are held out by"
        " themselves.", "shares the pictures out into train, valid and test",
    ),
    "copy-across": Kind(
        "the same picture in two splits", "problem",
        "The model is examined on what it has learnt by heart, so the score comes out too high.", REGROUP,
    ),
    "copy-within": Kind(
        "the same picture twice in one split", "note", "It counts double.",
        "keeps one of those that are labelled alike",
    ),
    "sibling-across": Kind(
        "copies of one photograph in two splits", "problem",
        "Roboflow's augmentation made them of one photograph (`.rf.` in the name); the score comes out too high.",
        REGROUP,
    ),
    "near-across": Kind(
        "nearly the same picture in two splits", "problem",
        "Mirrored, turned, cropped, brighter or compressed again, it still gives the answer away, so the score comes"
        " out too high.", REGROUP,
    ),
    "near-within": Kind(
        "nearly the same picture twice in one split", "note",
        "They teach little that is new, and make the dataset look larger than it is.",
    ),
    "frame-across": Kind(
        "neighbouring frames of a video in two splits", "warning",
        "They show nearly the same, so the score comes out higher than on a new video.", REGROUP,
    ),
}  # fmt: skip

_PAIRS = frozenset(kind for kind in _SPLITS if kind.endswith(("-across", "-within")))

KINDS: dict[str, Kind] = {**_PICTURES, **_LAYOUT, **LABELS, **CLASSES, **_SPLITS}
"""Every kind of finding by its name."""


def finding(
    kind: str, what: str, files: Iterable[Path] = (), count: int | None = None, severity: Severity | None = None
) -> Finding:
    """A finding of a kind; `count` is the number of files unless it is given."""
    known = KINDS[kind]
    paths = tuple(files)
    number = len(paths) if count is None else count
    return Finding(kind, severity or known.severity, what, paths, number, known.why, known.fix, kind in _PAIRS)
