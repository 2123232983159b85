"""Where frames come from: a picture, a folder of pictures, a pattern, or a video file. Cameras are in `camera.py`."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from ..core.errors import DataError, NotFoundError, UsageError
from ..core.images import MAX_MEGAPIXELS, ImageError, is_image, read_image
from ..core.redact import redact
from .results import Frame, Skipped
from .video import VIDEO_SUFFIXES, VideoSource

_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]+://", re.IGNORECASE)


class Source(Protocol):
    """An iterable of frames. It may be gone through again.

    Attributes:
        name: What it is called in messages and in names of folders.
        total: How many frames to expect, None when nobody knows.
        skipped: What could not be used so far, in order; complete when the iteration has ended.
        frames_per_second: Of a video, not rounded; None for pictures.
    """

    name: str
    total: int | None
    skipped: list[Skipped]
    frames_per_second: float | None

    def __iter__(self) -> Iterator[Frame]: ...


class PictureSource:
    """Picture files, decoded one at a time, see `Source`. A bad one is noted in `skipped` and ends nothing."""

    def __init__(self, name: str, paths: Sequence[Path], max_megapixels: float = MAX_MEGAPIXELS) -> None:
        self.name = name
        self.paths = tuple(paths)
        self.total: int | None = len(self.paths)
        self.skipped: list[Skipped] = []
        self.frames_per_second: float | None = None
        self._max_megapixels = max_megapixels

    def __iter__(self) -> Iterator[Frame]:
        self.skipped.clear()
        for index, path in enumerate(self.paths):
            try:
                bgr = read_image(path, max_megapixels=self._max_megapixels)
            except ImageError as error:
                self.skipped.append(Skipped(str(path), error.reason))
                continue
            yield Frame(bgr, str(path), index)


def open_source(given: str | Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> Source:
    """Find out what a person meant by a source, and open it.

    Args:
        given: A picture, a video, a folder (searched with its sub-folders, in natural order: 2 before 10), or a
            pattern such as `shots/**/*.jpg`.
        max_megapixels: Larger pictures are skipped before they are decoded.

    Raises:
        NotFoundError: there is nothing there, or no picture in it.
        UsageError: it is an address or a camera number, which `cv live` is for.
        DataError: it is no kind of file that we read, or a video that cannot be opened.
    """
    text = str(given)
    path = Path(given).expanduser()
    if path.is_dir():
        return _from_folder(path, max_megapixels)
    if path.exists():
        return _from_file(path, max_megapixels)
    if _ADDRESS.match(text) or text.isdigit():
        what = "a camera number" if text.isdigit() else "an address"
        raise UsageError(
            f"'{redact(text)}' is {what}, not a file.",
            where="SOURCE",
            next_step="`cv live` shows cameras and streams: cv live --camera 0, or cv live --source ADDRESS",
        )
    if glob.has_magic(text):
        return _from_pattern(text, max_megapixels)
    raise NotFoundError(
        f"There is no picture, folder or video called '{text}'.",
        where=path.absolute(),
        next_step="give a picture, a folder, a video, or a pattern in quotes such as 'shots/*.jpg'",
    )


def natural_key(path: Path) -> tuple[list[tuple[int, int | str]], str]:
    """Sorts names the way people count: shot2 before shot10, capitals beside small letters."""
    parts = re.split(r"(\d+)", str(path).casefold())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts], str(path)


def _from_folder(folder: Path, max_megapixels: float) -> Source:
    found = [
        path
        for path in folder.rglob("*")
        if is_image(path) and path.is_file() and not _is_hidden(path.relative_to(folder))
    ]
    if not found:
        videos = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
        hint = f"it holds a video: give {folder / videos[0]}" if videos else "it needs .jpg, .png, .bmp, .tif or .webp"
        raise NotFoundError("There is no picture in this folder.", where=folder, next_step=hint)
    found.sort(key=lambda path: natural_key(path.relative_to(folder)))
    return PictureSource(folder.resolve().name or "pictures", found, max_megapixels)


def _from_file(path: Path, max_megapixels: float) -> Source:
    if is_image(path):
        return PictureSource(path.stem, [path], max_megapixels)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return VideoSource(path)
    raise DataError(
        f"'{path.suffix or path.name}' is not a kind of picture or video that Lensmith reads.",
        where=path,
        next_step="pictures: bmp, jpg, png, tif, webp; videos: " + ", ".join(sorted(s[1:] for s in VIDEO_SUFFIXES)),
    )


def _from_pattern(pattern: str, max_megapixels: float) -> Source:
    matched = [Path(match) for match in glob.iglob(str(Path(pattern).expanduser()), recursive=True)]  # noqa: PTH207 - the pattern may be absolute
    found = sorted((path for path in matched if is_image(path) and path.is_file()), key=natural_key)
    if not found:
        what = "None of the files that match the pattern is a picture." if matched else "No file matches the pattern."
        raise NotFoundError(what, where=pattern, next_step="check the folder and the ending, and put it in quotes")
    plain = [part for part in Path(pattern).parts[:-1] if not glob.has_magic(part)]
    return PictureSource(plain[-1] if plain else "pictures", found, max_megapixels)


def _is_hidden(relative: Path) -> bool:
    return any(part.startswith(".") for part in relative.parts)
