"""Write one folder per class: `train/cat/001.jpg`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from ...core.errors import DataError
from ..model import Split
from .picture import Names, Picture, place_all


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
    given: dict[tuple[Split, str], Names] = {}

    def targets() -> Iterator[tuple[Picture, Path]]:
        for picture in pictures:
            if picture.class_id is None:
                raise DataError("A picture has no class.", where=picture.name)
            home = homes[picture.class_id]
            key = (picture.split, home)
            if key not in given:
                given[key] = Names()
                (folder / picture.split / home).mkdir(parents=True)
            yield picture, folder / picture.split / home / given[key].file(picture.name)

    for picture, target, digest in place_all(targets(), link=link, advance=advance):
        yield picture, target.relative_to(folder).as_posix(), digest
