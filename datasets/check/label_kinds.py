"""The kinds of finding about labels and classes: what they are called, how bad they are, and what repairs them."""

from __future__ import annotations

from .kind import REGROUP, Kind

_LEFT_OUT = "leaves the row out and keeps the picture's other boxes"

LABELS: dict[str, Kind] = {
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
    "label-polygons": Kind(
        "objects outlined by polygons", "note",
        "A detector learns the boxes around them, which hold background too.",
    ),
    "label-oriented": Kind(
        "boxes that lean", "problem",
        "This looks like an export for oriented boxes (YOLO-OBB). A detector learns upright boxes alone, and those"
        " around leaning ones hold much background and overlap. Export upright boxes, or train an OBB model with"
        " Ultralytics itself. If they are outlines with four corners, go on with the boxes around them.",
        "writes the upright boxes around them",
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

CLASSES: dict[str, Kind] = {
    "class-few": Kind(
        "classes with fewer than 10 examples to learn from", "warning",
        "A model cannot learn what a thing looks like from so few, and its score for them is chance.",
    ),
    "class-absent": Kind(
        "classes missing from a split", "problem",
        "What is not in 'train' cannot be learnt, and what is not in 'valid' or 'test' is not measured.", REGROUP,
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
