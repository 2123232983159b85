"""What a dataset that is made of another one takes over from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from .fingerprint import fingerprint
from .licence import stated_licence
from .model import Dataset
from .record import DatasetOrigin, read_record


@dataclass(frozen=True)
class Parent:
    """What is known of a dataset that another is made of.

    Attributes:
        origin: For the record of the new dataset.
        licence: As the old one's record or files state it.
        ours: Whether Lensmith made the old one, so that its pictures may be shared with it as hard links.
    """

    origin: DatasetOrigin
    licence: str | None
    ours: bool


def parent_of(dataset: Dataset, made_by: Literal["fix", "split", "crops"], options: Mapping[str, Any]) -> Parent:
    """Look at the dataset that another is to be made of. Reads all its pictures, for the fingerprint.

    Raises:
        DataError: its record is damaged.
        OSError: a picture cannot be read.
    """
    record = read_record(dataset.root)
    gone = {item.image: "0" * 64 for item in dataset.items() if not item.image.is_file()}  # a link to nothing, say
    return Parent(
        origin=DatasetOrigin(
            parent=dataset.name,
            parent_fingerprint=fingerprint(dataset, gone),
            made_by=made_by,
            options=dict(options),
        ),
        licence=record.licence if record else stated_licence(dataset.root),
        ours=record is not None,
    )
