"""Pictures of a dataset as training samples: the one decoder, augmentation, the one resize."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from ..core.device import usable_cores
from ..core.errors import DataError
from ..core.images import ImageError, read_image
from ..core.progress import progress, warn
from ..datasets.augment import Augmentation, sample_seed
from ..datasets.augment_spec import AugmentSpec
from ..datasets.holdout import training_splits
from ..datasets.model import Dataset, Item
from ..predict.prepare import fit
from ..weights.bundle import Preprocessing
from .learning import LearningData
from .picture_store import PictureStore

Kind = Literal["plain", "large"]
_NAMED = 5


@dataclass(frozen=True)
class Skip:
    """A picture that cannot be used, and why."""

    item: Item
    reason: str


class Samples:
    """The usable pictures of some items, ready to be asked for one at a time from any thread. See `LearningData`.

    Each is decoded once: what the model needs of it is kept in a scratch file.

    Args:
        items: Pictures with class ids.
        preprocessing: The model's.
        augment: The augmentation; None for measuring.
        seed: Of the augmentation.
        what: What they are called in messages: "training pictures".
        check: Decode all of them now, so that a damaged one is found before training and not in the middle of it.
            `compute_features` finds them as well.

    Attributes:
        items: The usable ones, in the order given; all of them where they were not checked.
        skipped: The others.
        lost: Numbers of items that could be read before and no longer can.
        preprocessing: As given.
        what: As given.
    """

    def __init__(
        self,
        items: Sequence[Item],
        preprocessing: Preprocessing,
        augment: AugmentSpec | None = None,
        seed: int = 0,
        what: str = "pictures",
        *,
        check: bool = True,
    ) -> None:
        self.preprocessing = preprocessing
        self.what = what
        self._augment = augment if augment and augment.transforms else None
        self._seed = seed
        self._own = threading.local()
        self._kept = PictureStore()
        self._lock = threading.Lock()
        self.items: list[Item] = list(items)
        self.skipped: list[Skip] = []
        self.lost: set[int] = set()
        self._checked = False
        if check:
            self.check()

    def __len__(self) -> int:
        return len(self.items)

    @property
    def labels(self) -> np.ndarray:
        """int64 `(n,)` class ids."""
        return np.array([item.class_id for item in self.items], np.int64)

    def plain(self, index: int) -> np.ndarray:
        """A picture as the model's input, as it is: uint8 BGR `(height, width, 3)`.

        Raises:
            ImageError: it cannot be read.
        """
        return self._decoded(self.items[index], ("plain",))[0]

    def picture(self, index: int, epoch: int = 0) -> np.ndarray:
        """A picture as the model's input, augmented as this epoch wants it: uint8 BGR `(height, width, 3)`.

        Raises:
            ImageError: it cannot be read.
        """
        if self._augment is None:
            return self.plain(index)
        return self._changed(self._decoded(self.items[index], ("large",))[0], index, epoch, self._augment, self._seed)

    def views(self, index: int, views: int, augment: AugmentSpec, seed: int) -> list[np.ndarray]:
        """Several inputs from one picture: as it is, and changed at random by the seeds of epochs 1, 2, ...

        Raises:
            ImageError: it cannot be read.
        """
        if views == 1:
            return [self.plain(index)]
        plain, large = self._decoded(self.items[index], ("plain", "large"))
        return [plain, *(self._changed(large, index, view, augment, seed) for view in range(1, views))]

    def batch(self, indices: np.ndarray, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Some samples as float32 RGB 0..255 `(n, h, w, 3)` with int64 class ids `(n,)`.

        A picture that can no longer be read is left out.

        Raises:
            DataError: none of them can be read any more.
        """
        pictures, labels = [], []
        for index in map(int, indices):
            if index in self.lost:
                continue
            try:
                pictures.append(self.picture(index, epoch))
            except ImageError as error:
                self._lose(index, error)
                continue
            labels.append(self.items[index].class_id)
        if not pictures:
            raise DataError("The pictures of a whole batch can no longer be read; was the dataset moved?")
        return np.stack(pictures)[..., ::-1].astype(np.float32), np.array(labels, np.int64)

    def _lose(self, index: int, error: ImageError) -> None:
        with self._lock:
            known = index in self.lost
            self.lost.add(index)
        if not known:
            warn(f"left out from here on, because it can no longer be read: {error.where}: {error.reason}")

    def _changed(self, large: np.ndarray, index: int, epoch: int, spec: AugmentSpec, seed: int) -> np.ndarray:
        bgr, _ = self._augmentation(spec)(large, sample_seed(seed, epoch, index))
        return fit(bgr, self.preprocessing)[0]

    def _augmentation(self, spec: AugmentSpec) -> Augmentation:
        """Each thread has its own, because it holds the state of the random numbers."""
        if getattr(self._own, "spec", None) != spec:
            self._own.augmentation, self._own.spec = Augmentation(spec), spec
        return self._own.augmentation

    def _decoded(self, item: Item, kinds: Sequence[Kind]) -> list[np.ndarray]:
        kept = [self._kept.get((item.image, kind)) for kind in kinds]
        found = [pixels for pixels in kept if pixels is not None]
        if len(found) == len(kinds):
            return found
        bgr = read_image(item.image)
        made = [self._reduce(bgr, kind) for kind in kinds]
        for kind, pixels in zip(kinds, made, strict=True):
            self._kept.put((item.image, kind), pixels)
        return made

    def _reduce(self, bgr: np.ndarray, kind: Kind) -> np.ndarray:
        """What has to be kept of a picture: the model's input, or twice its size where augmentation still crops."""
        if kind == "plain":
            return fit(bgr, self.preprocessing)[0]
        height, width = bgr.shape[:2]
        scale = 2 * max(self.preprocessing.height / height, self.preprocessing.width / width)
        if scale >= 1:
            return bgr
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        return cv2.resize(bgr, size, interpolation=cv2.INTER_AREA)

    def check(self) -> None:
        """Decode all pictures that have not been, and leave out those that cannot be; what can be read is kept.

        To be called before any of them is asked for by its number.
        """
        if self._checked:
            return
        self._checked = True
        items, self.items = self.items, []
        with (
            progress(f"reading {self.what}", len(items), unit="pictures") as step,
            ThreadPoolExecutor(usable_cores()) as pool,
        ):
            for item, reason in zip(items, pool.map(self._verdict, items), strict=True):
                if reason is None:
                    self.items.append(item)
                else:
                    self.skipped.append(Skip(item, reason))
                step(1)
        warn_of_skipped(self.skipped, len(items), self.what)

    def _verdict(self, item: Item) -> str | None:
        try:
            self._decoded(item, ("large",) if self._augment else ("plain",))
        except ImageError as error:
            return error.reason
        return None


def warn_of_skipped(skipped: Sequence[Skip], total: int, what: str) -> None:
    """Count and name the pictures that are left out."""
    if skipped:
        named = "; ".join(f"{skip.item.image}: {skip.reason}" for skip in skipped[:_NAMED])
        more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
        warn(f"{len(skipped)} of {total} {what} cannot be used and are left out: {named}{more}")


def training_items(dataset: Dataset, seed: int) -> tuple[list[Item], list[Item], str]:
    """The pictures to learn from, those to validate on, and what the latter are called.

    See `datasets.holdout` for a dataset without a valid split.

    Returns:
        Training items, validation items, and "valid" or "held-out".

    Raises:
        DataError: the dataset is for detection, has one class, or has no training picture.
    """
    if dataset.task != "classify":
        raise DataError(
            f"'{dataset.name}' is a detection dataset; a classifier learns from one folder per class.",
            where=dataset.root,
            next_step="train a detector with cv train-yolo, or cut its objects out with cv crops and classify those",
        )
    if len(dataset.names) < 2:
        raise DataError(
            f"'{dataset.name}' has {len(dataset.names)} class; a classifier needs two or more to tell apart.",
            where=dataset.root,
            next_step="add a folder with pictures of something else",
        )
    splits = training_splits(dataset, seed)
    if splits.held_out:
        warn(f"'{dataset.name}' has no valid split: {len(splits.valid)} of its training pictures are held out")
    return list(splits.train), list(splits.valid), "held-out" if splits.held_out else "valid"


def need_every_class(samples: LearningData, names: tuple[str, ...], where: object) -> None:
    """Raise DataError when a class has no usable training picture."""
    counts = np.bincount(samples.labels, minlength=len(names)) if len(samples) else np.zeros(len(names), int)
    empty = [name for name, count in zip(names, counts, strict=True) if count == 0]
    if empty:
        raise DataError(
            f"There is no usable training picture of: {', '.join(empty)}.",
            where=str(where),
            next_step="add pictures, or remove the empty class folder in every split",
        )
