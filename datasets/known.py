"""Which pictures of a measurement a model has seen before: it learned from them, or was chosen by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ..core.errors import LensmithError
from ..core.files import sha256_of
from ..core.manifest import DatasetRef, RunManifest
from ..core.words import many
from ..core.workspace import Workspace
from .fingerprint import fingerprint
from .model import Dataset
from .read import open_dataset


@dataclass(frozen=True)
class Learner:
    """A model that is measured.

    Attributes:
        name: What it is called.
        reference: The data that it was made from; None where nobody knows. A bundle does not say where that lay,
            because it may be given to others.
        run: The run that made it.
        folder: Where the bundle lies; beside its `weights/` are the runs of the person who made it.
    """

    name: str
    reference: DatasetRef | None
    run: str | None
    folder: Path

    def places(self) -> Iterator[Path]:
        """Where its dataset may lie: where the run found it, and under its name in the model's workspace."""
        if self.reference is None:
            return
        workspace = Workspace(self.folder.resolve().parent.parent)
        paths = [self.reference.path]
        if self.run:
            try:
                noted = RunManifest.load(workspace.runs / Path(self.run).name).dataset
            except (LensmithError, OSError):
                noted = None  # the run was deleted, or the model comes from elsewhere
            paths.append(noted and noted.path)
        yield from (Path(path) for path in paths if path)
        yield workspace.datasets / self.reference.name


class Known(NamedTuple):
    """What a model has seen of the measured pictures before.

    Attributes:
        remark: A sentence about it; None when it has seen none, as far as anybody can tell.
        pictures: Which; none where they are the very split that it learned from or was chosen by.
    """

    remark: str | None = None
    pictures: frozenset[Path] = frozenset()


def known_to(model: Learner, dataset: Dataset, split: str, images: Sequence[Path], *, chosen: str) -> Known:
    """Find the measured pictures that a model has seen before.

    Args:
        model: Which.
        dataset: What it is measured on.
        split: Which pictures of it.
        images: These pictures.
        chosen: What validation pictures decide about such a model: "was chosen and calibrated by".
    """
    if model.reference is None:
        return Known()
    if split in ("train", "valid") and model.reference.fingerprint == fingerprint(dataset):
        did = "was trained on" if split == "train" else chosen
        return Known(f"'{model.name}' {did} these very pictures, so it does worse on new ones.")
    seen = _seen(model, model.reference, dataset, images)
    if not seen:
        return Known()
    return Known(
        f"{len(seen)} of the {many(len(images), 'picture')} lie in '{model.reference.name}' too, among those that"
        f" '{model.name}' was trained on or chosen by, so it does worse on new ones.",
        seen,
    )


def _seen(model: Learner, reference: DatasetRef, dataset: Dataset, images: Sequence[Path]) -> frozenset[Path]:
    """The measured pictures that a model was trained on or chosen by, where its dataset still is as it was.

    A new split of the same pictures puts some of those that were learned from among those that are measured.
    """
    for home in dict.fromkeys(model.places()):
        if home.resolve() == dataset.root.resolve():
            continue  # within one dataset, what is told of leaks says it
        try:
            learned = open_dataset(home, Workspace(home.parent))
        except LensmithError:
            continue  # it is no dataset, or none any more
        seen = _shared(learned, images)
        if seen and fingerprint(learned) == reference.fingerprint:
            return seen
    return frozenset()


def _shared(learned: Dataset, images: Sequence[Path]) -> frozenset[Path]:
    """Which of the images are, byte for byte, training or validation pictures of a dataset."""
    measured: dict[int, list[Path]] = {}
    for image in images:
        measured.setdefault(image.stat().st_size, []).append(image)
    alike = {
        item.image
        for split in ("train", "valid")
        for item in learned.items(split)
        if item.image.stat().st_size in measured
    }
    known = {sha256_of(image) for image in alike}
    sizes = {image.stat().st_size for image in alike}
    return frozenset(image for size in sizes for image in measured[size] if sha256_of(image) in known)
