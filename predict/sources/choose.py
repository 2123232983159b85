"""Find out what a person meant by a source."""

from __future__ import annotations

import glob
import itertools
import os
import sys
from collections import Counter
from pathlib import Path

from ...core.errors import DataError, LensmithError, NotFoundError, UsageError
from ...core.images import IMAGE_SUFFIXES, MAX_MEGAPIXELS, is_image
from ...core.progress import say, warn
from ...core.redact import redact
from ...core.words import many, near_names, some
from ..address import Address, cameras_here, check_address, find_camera, is_address, parse_address
from ..video import VIDEO_SUFFIXES, VideoSource
from .base import Source
from .pictures import PictureSource, natural_key, pictures_in
from .streams import StreamSource
from .texts import LIST_SUFFIXES, StdinSource, read_list
from .zips import ZipSource

STDIN = "-"
_MOST_BESIDE = 10_000


def open_source(
    given: str | Path, *, max_megapixels: float = MAX_MEGAPIXELS, live: bool = False, seconds: float | None = None
) -> Source:
    """Find out what a person meant by a source, and open it.

    Args:
        given: A picture, a video, a folder (searched with its sub-folders, in natural order: 2 before 10; videos in it
            are named and left out), a pattern such as `shots/**/*.jpg`, a text file with one path a line, or a zip.
        max_megapixels: Larger pictures are skipped before they are decoded.
        live: Take also what comes as it happens: a camera's number or name, an address (rtsp, http), or "-" for paths
            on standard input.
        seconds: End what is live after so long; None goes on.

    Raises:
        NotFoundError: there is nothing there, or no picture in it; no such camera.
        UsageError: it is live, and `live` is false; or an address of a kind that is not opened.
        DataError: it is no kind of file that we read, or a video or a zip that cannot be opened.
    """
    text = str(given)
    if not text.strip():  # it would be the current folder
        raise UsageError("The source is empty.", where="SOURCE", next_step="is a variable of your shell not set?")
    path = Path(given).expanduser()
    if path.is_dir():
        return _from_folder(path, max_megapixels)
    if path.is_char_device() and path.name.removeprefix("video").isdigit():
        text = path.name.removeprefix("video")
    elif path.exists() and text != STDIN:
        return _from_file(path, max_megapixels)
    if text == STDIN or text.isdigit() or is_address(text) or (live and _names_camera(text)):
        if not live:
            raise _not_live(text)
        if text == STDIN:
            if sys.stdin.isatty():
                say("type paths of pictures, one a line; Ctrl-D ends")
            return StdinSource(max_megapixels=max_megapixels)
        return StreamSource(_address(text), seconds)
    if glob.has_magic(text):
        return _from_pattern(text, max_megapixels)
    near = near_names(path.name, _names_beside(path))
    raise NotFoundError(
        f"There is no picture, folder or video called '{text}'.",
        where=path.absolute(),
        next_step=f"did you mean {' or '.join(str(path.with_name(name)) for name in near)}?" if near else
        "give a picture, a folder, a video, a zip, a list of paths, or a pattern in quotes: 'shots/*.jpg'",
    )  # fmt: skip


def _names_beside(path: Path) -> list[str]:
    """What in the same folder may be a source, the first ten thousand entries."""
    kinds = {*IMAGE_SUFFIXES, *VIDEO_SUFFIXES, *LIST_SUFFIXES, ".zip"}
    try:
        with os.scandir(path.parent) as entries:
            names = [(entry.name, entry.is_dir()) for entry in itertools.islice(entries, _MOST_BESIDE)]
    except OSError:
        return []
    return sorted(
        name for name, is_folder in names
        if not name.startswith(".") and (is_folder or Path(name).suffix.lower() in kinds)
    )  # fmt: skip


def _names_camera(text: str) -> bool:
    return any(text.casefold() in name.casefold() for name in cameras_here().values())


def _address(text: str) -> Address:
    address = parse_address(text) if is_address(text) else find_camera(text)
    check_address(address)
    return address


def _not_live(text: str) -> LensmithError:
    what = "standard input" if text == STDIN else "a camera number" if text.isdigit() else "an address"
    return UsageError(
        f"'{redact(text)}' is {what}, not a file.",
        where="SOURCE",
        next_step="give files here; `cv predict` and `cv live` look at cameras and streams",
    )


def _from_folder(folder: Path, max_megapixels: float) -> Source:
    found, runs = pictures_in(folder)
    videos = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
    if not found:
        hint = f"it holds a video: give {folder / videos[0]}" if videos else "it needs .jpg, .png, .bmp, .tif or .webp"
        hint = f"results of earlier runs are left out: give {runs[0]} itself" if runs and not videos else hint
        raise NotFoundError("There is no picture in this folder.", where=folder, next_step=hint)
    if videos:
        warn(f"videos beside the pictures are left out, give each by itself: {some(videos)}")
    _tell_what_is_in(folder, found, runs)
    return PictureSource(folder.resolve().name or "pictures", found, max_megapixels)


def _tell_what_is_in(folder: Path, found: list[str], runs: list[str]) -> None:
    """Say where many pictures come from: a folder may hold more than a person thinks of."""
    if runs:
        say(f"results of earlier runs are left out: {some([os.path.relpath(run, folder) for run in runs], 3)}")
    start = len(folder.parts)
    places = Counter(
        parts[start] if len(parts := Path(path).parts) > start + 1 else "the folder itself" for path in found
    )
    if len(places) > 1:
        listed = [f"{count} in {place}" for place, count in places.most_common()]
        say(f"{many(len(found), 'picture')}: {some(listed, 8)}")


def _from_file(path: Path, max_megapixels: float) -> Source:
    suffix = path.suffix.lower()
    if is_image(path):
        return PictureSource(path.stem, [path], max_megapixels)
    if suffix in VIDEO_SUFFIXES:
        return VideoSource(path)
    if suffix == ".zip":
        return ZipSource(path, max_megapixels)
    if suffix in LIST_SUFFIXES and path.is_file():
        return read_list(path, max_megapixels)
    raise DataError(
        f"'{path.suffix or path.name}' is not a kind of picture or video that Lensmith reads.",
        where=path,
        next_step="pictures: bmp, jpg, png, tif, webp; videos: " + ", ".join(sorted(s[1:] for s in VIDEO_SUFFIXES))
        + "; a zip of pictures; a .txt with one path a line",
    )  # fmt: skip


def _from_pattern(pattern: str, max_megapixels: float) -> Source:
    matched = [Path(match) for match in glob.iglob(str(Path(pattern).expanduser()), recursive=True)]  # noqa: PTH207 - the pattern may be absolute
    found = sorted((path for path in matched if is_image(path) and path.is_file()), key=natural_key)
    if not found:
        what = "None of the files that match the pattern is a picture." if matched else "No file matches the pattern."
        raise NotFoundError(what, where=pattern, next_step="check the folder and the ending, and put it in quotes")
    plain = [part for part in Path(pattern).parts[:-1] if not glob.has_magic(part)]
    return PictureSource(plain[-1] if plain else "pictures", found, max_megapixels)
