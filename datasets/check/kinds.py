"""Everything that a check can find: what it is called, how bad it is, why it hurts, and what repairs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .finding import Finding, Severity

_LEFT_OUT = "leaves the row out and keeps the picture's other boxes"
_PLAIN = "writes the picture anew as plain 8-bit colour"
_REGROUP = "shares the pictures out anew, so that those which belong together lie in one split"


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes:
        title: What was found, as a heading.
        severity: As a rule; single findings may be more or less severe and say so.
        why: Why it hurts.
        fix: What `cv fix-dataset` does about it; empty where only a person can help.
    """

    title: str
    severity: Severity
    why: str
    fix: str = ""


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
    "nested-folders": Kind(
        "a dataset deeper in the folder than expected", "note", "It was found; other tools may look one folder higher.",
        "lays the folders out the usual way",
    ),
}  # fmt: skip

_LABELS: dict[str, Kind] = {
    "label-without-picture": Kind(
        "label files without a picture", "warning", "Their boxes are lost; usually a picture was renamed or deleted.",
        "leaves them out",
    ),
    "picture-without-label": Kind(
        "pictures without a label file", "warning",
        "A detector takes them for pictures with nothing on them, and unlearns what is there. If that is what they are,"
        " give each an empty label file.",
    ),
    "picture-without-objects": Kind(
        "pictures labelled as showing nothing", "note",
        "Some of these are good: they teach a detector what not to find. Many may be labels that were forgotten.",
    ),
    "label-unknown-class": Kind(
        "label rows with a class that has no name", "problem",
        "The row cannot mean anything, and Ultralytics drops the whole picture for it.", _LEFT_OUT,
    ),
    "label-nan": Kind(
        "label rows with NaN or infinity", "problem", "One such number turns the whole training into NaN.", _LEFT_OUT
    ),
    "label-not-a-number": Kind(
        "label rows with something that is no number", "problem", "Ultralytics drops the whole picture for it.",
        _LEFT_OUT,
    ),
    "label-row-length": Kind(
        "label rows with too few or too many numbers", "problem", "Ultralytics drops the whole picture for it.",
        _LEFT_OUT,
    ),
    "label-out-of-range": Kind(
        "boxes outside the picture", "problem",
        "Usually pixels where fractions belong, or the labels of another picture; Ultralytics drops the whole picture"
        " for it.", _LEFT_OUT,
    ),
    "label-clipped": Kind(
        "boxes that reach past the edge", "warning",
        "What lies outside cannot be learnt, and some tools refuse such boxes.", "cuts them off at the edge",
    ),
    "label-no-area": Kind(
        "boxes without area", "warning", "There is nothing in them, and they disturb training.", _LEFT_OUT
    ),
    "label-duplicate": Kind(
        "boxes that stand twice", "warning", "Each counts double in training and in the score.", "keeps one of each"
    ),
    "label-covers-all": Kind(
        "boxes that cover nearly the whole picture", "warning",
        "Most boxes here do not; such a one is often a slip of the hand, or a label for the picture as a whole. Look at"
        " them.",
    ),
    "label-misread": Kind(
        "boxes written in another way than expected", "problem",
        "So many cannot reach past the edge by chance: the numbers probably are corners (x1 y1 x2 y2) where centre,"
        " width and height belong, so all boxes are wrong. Export the dataset again in a standard format.",
    ),
    "label-shared": Kind(
        "pictures that share one label file", "warning",
        "They have one name with different endings (a.jpg and a.png), so both get the same boxes, right or wrong."
        " Rename one of them and give it its own label file.",
    ),
    "label-conflict": Kind(
        "the same thing labelled as two classes", "warning",
        "Whatever the model answers is wrong for one of the two. Only a person can tell which one is right.",
    ),
    "label-polygons-mixed": Kind(
        "polygons among boxes", "warning",
        "Boxes around the polygons are used here; Ultralytics treats a dataset with both as if it had boxes only, or"
        " stops.", "writes them as boxes",
    ),
    "label-encoding": Kind(
        "label files in another encoding than UTF-8", "warning", "They were understood here; other tools stop at them.",
        "writes them as plain text",
    ),
    "label-decimal-comma": Kind(
        "numbers with a decimal comma", "warning", "They were understood here; other tools drop the picture.",
        "writes them with a point",
    ),
    "label-one-based": Kind(
        "boxes that count pixels from 1", "note",
        "Pascal VOC does; read as if they counted from 0, every box is one pixel off.", "counts from 0",
    ),
    "label-size-differs": Kind(
        "label files that state another picture size", "warning",
        "The picture was resized or exchanged after labelling, so boxes may lie in the wrong places. Look at a few with"
        " `cv preview`.",
    ),
    "label-crowd": Kind(
        "pictures of which only a crowd is labelled", "note",
        "A crowd's outline is no box of one object, so nobody has said what else is there; these count as unlabelled.",
    ),
    "label-unreadable": Kind(
        "label files that cannot be read", "problem", "All boxes of their pictures are lost.",
        "treats their pictures as unlabelled and leaves them out",
    ),
}  # fmt: skip

_CLASSES: dict[str, Kind] = {
    "class-few": Kind(
        "classes with fewer than 10 examples to learn from", "warning",
        "A model cannot learn what a thing looks like from so few, and its score for them is chance.",
    ),
    "class-absent": Kind(
        "classes missing from a split", "problem",
        "What is not in 'train' cannot be learnt, and what is not in 'valid' or 'test' is not measured.", _REGROUP,
    ),
    "class-unused": Kind(
        "classes that no picture has", "warning",
        "The model gets an answer that is never right; usually a typing mistake or a leftover.",
    ),
    "class-imbalance": Kind(
        "classes far out of balance", "warning",
        "The model learns to prefer the frequent class, and a good overall score hides that it misses the rare one."
        " Collect more of the rare one.",
    ),
    "class-names-alike": Kind(
        "class names that differ only in how they are written", "warning",
        "Probably one class in two spellings; the model is asked to tell apart what is the same.",
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
        "The model is examined on what it has learnt by heart, so the score comes out too high.", _REGROUP,
    ),
    "copy-within": Kind(
        "the same picture twice in one split", "note", "It counts double.",
        "keeps one of those that are labelled alike",
    ),
    "sibling-across": Kind(
        "copies of one photograph in two splits", "problem",
        "Roboflow's augmentation made them of one photograph (`.rf.` in the name); the score comes out too high.",
        _REGROUP,
    ),
    "near-across": Kind(
        "nearly the same picture in two splits", "problem",
        "Mirrored, turned, cropped, brighter or compressed again, it still gives the answer away, so the score comes"
        " out too high.", _REGROUP,
    ),
    "near-within": Kind(
        "nearly the same picture twice in one split", "note",
        "They teach little that is new, and make the dataset look larger than it is.",
    ),
    "frame-across": Kind(
        "neighbouring frames of a video in two splits", "warning",
        "They show nearly the same, so the score comes out higher than on a new video.", _REGROUP,
    ),
}  # fmt: skip

_PAIRS = frozenset(kind for kind in _SPLITS if kind.endswith(("-across", "-within")))

KINDS: dict[str, Kind] = {**_PICTURES, **_LAYOUT, **_LABELS, **_CLASSES, **_SPLITS}
"""Every kind of finding by its name."""


def finding(
    kind: str, what: str, files: Iterable[Path] = (), count: int | None = None, severity: Severity | None = None
) -> Finding:
    """A finding of a kind; `count` is the number of files unless it is given."""
    known = KINDS[kind]
    paths = tuple(files)
    number = len(paths) if count is None else count
    return Finding(kind, severity or known.severity, what, paths, number, known.why, known.fix, kind in _PAIRS)


def many(count: int, one: str, more: str | None = None) -> str:
    """A number with its word: "1 picture", "2 pictures"."""
    return f"{count} {one if count == 1 else more or one + 's'}"
