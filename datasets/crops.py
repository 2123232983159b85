"""Cut the boxes out of a detection dataset: pictures for the classifier that works behind the detector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..core.crop import CROP_MARGIN, cut_crop
from ..core.errors import DataError, UsageError
from ..core.files import slug
from ..core.images import ImageError, read_image
from ..core.progress import warn
from ..core.words import many
from ..core.workspace import Workspace
from .balance import count_objects
from .encode import encode
from .formats.picture import Picture
from .model import SPLITS, Dataset, Split
from .parent import parent_of
from .read import open_dataset
from .record import DatasetOrigin, DatasetRecord, read_record
from .write import NewDataset, ensure_writable, write_dataset

_MOST_MARGIN = 2
_MOST_PARENTS = 20


@dataclass(frozen=True)
class CropsConfig:
    """How to cut.

    Attributes:
        margin: How much more than the box is cut out on each side, see `core.crop.crop_place`.
        min_size: Boxes with a side of fewer pixels than this are passed over; there is nothing to learn from them.
        name: Of the new dataset. Default: the old name and `-crops`.
    """

    margin: float = CROP_MARGIN
    min_size: int = 16
    name: str | None = None


@dataclass(frozen=True)
class CropsReport:
    """What was cut.

    Attributes:
        folder, record: The new dataset.
        crops: How many by class name and split.
        too_small: Boxes passed over because of their size.
        unreadable: Pictures that could not be read, and why.
    """

    folder: Path
    record: DatasetRecord
    crops: dict[str, dict[Split, int]]
    too_small: int
    unreadable: dict[str, str]


def cut_crops(given: str | Path, workspace: Workspace, config: CropsConfig = CropsConfig()) -> CropsReport:
    """Write each box of a detection dataset as a picture of its own, in one folder per class.

    The crops inherit the splits of their pictures, so what a detector was not trained on neither was the classifier. A
    crop of a JPEG is a JPEG of quality 95, of anything else a PNG; its name is the picture's and the number of the box.

    Args:
        given: A dataset's name or folder.
        workspace: Where names are looked up and the new dataset goes.
        config: How to cut.

    Raises:
        UsageError: the dataset has no boxes because it is for classification, the margin or the size makes no sense,
            or the new name is taken.
        NotFoundError, DataError: see `open_dataset`; or no box is large enough.
        DiskFullError, OSError: as the system gave it.
    """
    if not 0 <= config.margin <= _MOST_MARGIN:
        raise UsageError("A margin is a share of the box, 0 to 2.", where="--margin", next_step="give --margin 0.1")
    if config.min_size < 1:
        raise UsageError("A crop has a pixel at least.", where="--min-size", next_step="give --min-size 16")
    dataset = open_dataset(given, workspace)
    if dataset.task != "detect":
        raise UsageError(
            f"'{dataset.name}' has no boxes: its pictures lie in one folder per class already.",
            where=dataset.root,
            next_step=f"train on it as it is: cv finetune {dataset.name}",
        )
    ensure_writable(workspace)
    parent = parent_of(dataset, "crops", {key: value for key, value in asdict(config).items() if key != "name"})
    new = NewDataset(
        name=config.name or f"{slug(dataset.name)}-crops",
        task="classify",
        names=dataset.names,
        origin=parent.origin,
        licence=parent.licence,
    )
    cutter = _Cutter(dataset, config)
    total = int(count_objects(dataset, list(dataset.items()))[:, :-1].sum())
    try:
        folder, record = write_dataset(workspace, new, cutter.pictures(), total)
    except DataError:
        if cutter.crops.any():
            raise
        small = f" All {cutter.too_small} are smaller than {config.min_size} pixels." if cutter.too_small else ""
        raise DataError(
            f"There is no box to cut out of '{dataset.name}'.{small}",
            where=dataset.root,
            next_step="give a smaller --min-size" if small else "cv check-dataset says what is wrong with its labels",
        ) from None
    if cutter.unreadable:
        unread = many(len(cutter.unreadable), "picture")
        warn(f"{unread} could not be read and gave no crops; cv check-dataset names what is unreadable")
    crops: dict[str, dict[Split, int]] = {
        name: {split: int(cutter.crops[number, place]) for place, split in enumerate(SPLITS)}
        for number, name in enumerate(dataset.names)
    }
    return CropsReport(folder, record, crops, cutter.too_small, cutter.unreadable)


def margin_of(root: Path) -> float | None:
    """The margin with which the pictures of a dataset were cut out of others; None where they were not, or who knows.

    A dataset that was made of crops, by splitting or mending them, is asked for the one it came from, which lies beside
    it in the workspace.

    Args:
        root: The dataset's folder.
    """
    wanted: str | None = None
    for _ in range(_MOST_PARENTS):
        try:
            record = read_record(root)
        except DataError:  # damaged: a training that has come this far is not lost for want of this number
            return None
        if record is None or not isinstance(record.origin, DatasetOrigin):
            return None
        if wanted is not None and record.fingerprint != wanted:  # another dataset has that name now
            return None
        if record.origin.made_by == "crops":
            margin = record.origin.options.get("margin")
            return float(margin) if isinstance(margin, (int, float)) and 0 <= margin <= _MOST_MARGIN else None
        root, wanted = root.parent / slug(record.origin.parent), record.origin.parent_fingerprint
    return None


class _Cutter:
    """Goes through a dataset's pictures and counts what comes out."""

    def __init__(self, dataset: Dataset, config: CropsConfig) -> None:
        self.dataset = dataset
        self.config = config
        self.crops = np.zeros((len(dataset.names), len(SPLITS)), np.int64)
        self.too_small = 0
        self.unreadable: dict[str, str] = {}

    def pictures(self) -> Iterator[Picture]:
        """The crops, one after the other; no more than one picture is in memory."""
        for item in self.dataset.items():
            boxes, _ = self.dataset.boxes(item)
            if not len(boxes):
                continue
            try:
                bgr = read_image(item.image)
            except ImageError as error:
                self.unreadable[item.image.relative_to(self.dataset.root).as_posix()] = error.reason
                continue
            suffix = ".jpg" if item.image.suffix.lower() in {".jpg", ".jpeg"} else ".png"
            corners = boxes.xyxy(bgr.shape[1], bgr.shape[0])
            for number, (xyxy, class_id) in enumerate(zip(corners, boxes.class_id.tolist(), strict=True), 1):
                crop = self._cut(bgr, xyxy)
                if crop is None:
                    self.too_small += 1
                    continue
                self.crops[class_id, SPLITS.index(item.split)] += 1
                name = f"{item.image.stem}-{number}{suffix}"
                yield Picture(encode(crop, suffix), name, item.split, class_id=class_id)

    def _cut(self, bgr: np.ndarray, xyxy: np.ndarray) -> np.ndarray | None:
        """The box with its margin, as far as the picture goes; None when the box is too small."""
        x1, y1, x2, y2 = xyxy.tolist()
        if min(x2 - x1, y2 - y1) < self.config.min_size:
            return None
        return cut_crop(bgr, xyxy, self.config.margin)
