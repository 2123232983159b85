"""Write one folder per class: `train/cat/001.jpg`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ...core.errors import DataError
from .picture import Names, Picture, place


def class_folders(names: Sequence[str]) -> list[str]:
    """The folder of each class: its name made safe, and told apart where two would share one."""
    given = Names()
    return [given.stem(name) for name in names]


def write_folders(
    folder: Path,
    pictures: Iterable[Picture],
    names: Sequence[str],
    *,
    link: bool = False,
    advance: Callable[[float], None] | None = None,
) -> Iterator[tuple[Picture, str, str]]:
    """Write pictures with a class into an empty folder, one after the other as the result is consumed.

    Args:
        folder: Where to write.
        pictures: What to write.
        names: Class names in order.
        link: Hard links instead of copies where the disk allows it.
        advance: Called with 1 after each picture.

    Yields:
        Each file once: the picture, its path below `folder` with forward slashes, and its SHA-256.

    Raises:
        DataError: a picture has no class.
        OSError: as the system gave it.
    """
    homes = class_folders(names)
    given: dict[str, Names] = {}

    for picture in pictures:
        if picture.class_id is None:
            raise DataError("A picture has no class.", where=picture.name)
        home = f"{picture.split}/{homes[picture.class_id]}"
        if home not in given:
            given[home] = Names()
            (folder / home).mkdir(parents=True)
        image = f"{home}/{given[home].file(picture.name)}"
        yield picture, image, place(picture, f"{folder}/{image}", link=link)
        if advance is not None:
            advance(1)
