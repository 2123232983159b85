"""Which pictures of a measurement a model has seen before: it learned from them, or was chosen by them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from ..core.errors import LensmithError
from ..core.files import sha256_of
from ..core.manifest import DatasetRef
from ..core.words import many
from ..core.workspace import Workspace
from .fingerprint import fingerprint
from .model import Dataset
from .read import open_dataset


def about_known(
    models: Iterable[tuple[str, DatasetRef | None]],
    dataset: Dataset,
    split: str,
    images: Sequence[Path],
    *,
    chosen: str,
) -> list[str]:
    """A sentence for each model that has seen the measured pictures before.

    Args:
        models: Name of each, and the data that it was made from.
        dataset: What it is measured on.
        split: Which pictures of it.
        images: These pictures.
        chosen: What validation pictures decide about such a model: "was chosen and calibrated by".
    """
    mark = fingerprint(dataset) if split in ("train", "valid") else None
    said = []
    for name, reference in models:
        if reference is None:
            continue
        if reference.fingerprint == mark:
            did = "was trained on" if split == "train" else chosen
            said.append(f"'{name}' {did} these very pictures, so it does worse on new ones.")
        elif count := _known_pictures(reference, dataset, images):
            said.append(
                f"{count} of the {many(len(images), 'picture')} lie in '{reference.name}' too, among those that"
                f" '{name}' was trained on or chosen by, so it does worse on new ones."
            )
    return said


def _known_pictures(reference: DatasetRef, dataset: Dataset, images: Sequence[Path]) -> int:
    """How many of the measured pictures a model was trained on or chosen by, where its dataset still is as it was.

    A new split of the same pictures puts some of those that were learned from among those that are measured.
    """
    home = Path(reference.path or "")
    if reference.path is None or not home.is_dir() or home.resolve() == dataset.root.resolve():
        return 0  # within one dataset, what is told of leaks says it
    try:
        learned = open_dataset(home, Workspace(home.parent))
    except LensmithError:
        return 0  # it is no dataset any more, so nobody can say
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
    count = sum(sha256_of(image) in known for size in sizes for image in measured[size])
    return count if count and fingerprint(learned) == reference.fingerprint else 0
