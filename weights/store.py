"""Push models to a folder or store that others pull from.

    PLACE/NAME/bundle.json           says which of the versions below counts; written last
    PLACE/NAME/VERSION/bundle.json   a whole bundle: VERSION is the first 16 hex digits of the SHA-256 of bundle.json
    PLACE/NAME/VERSION/model.onnx    ...

Half an upload has no bundle.json above it, so nobody takes it for a model. A replacement goes beside what it replaces,
and one small write makes it count: whoever begins to pull gets the old one or the new one, and whoever is at it while
the old one goes is told that a file is missing, and pulls again. Every file that comes is checked against its hash. One
zip would be as safe, but a store's files could then not be looked at, sent again singly after a cut, or used as they
lie.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import DataError, NotFoundError, UsageError
from ..core.files import sha256_of, slug
from ..core.lock import only_one
from ..core.progress import progress
from ..core.words import some
from ..core.workspace import Workspace
from ..core.zips import need_room
from .bundle import BUNDLE_NAME, LARGEST_RECORD_BYTES, Bundle, BundleRecord
from .places import Place, missing
from .record import safe_file_name
from .shelf import take_in

_WAITING = ".pulling"
_KEPT_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class Pushed:
    """What a push did.

    Attributes:
        address: Where the model is now, to be pulled from.
        outcome: "pushed", "replaced" another one, or "same" when it was all there.
        files: How many files were sent.
    """

    address: str
    outcome: Literal["pushed", "replaced", "same"]
    files: int


def push_bundle(bundle: Bundle, place: Place, *, replace: bool = False) -> Pushed:
    """Copy a bundle to a place; it counts there when all of it is there. What was sent before a cut is not sent again.

    Args:
        bundle: An opened bundle.
        place: From `places.open_place`.
        replace: Whether another model of this name may be replaced there.

    Raises:
        UsageError: another model has the name there.
        AuthError, NotFoundError, LensmithError: as the place does.
    """
    text = (bundle.folder / BUNDLE_NAME).read_bytes()
    top, version = f"{bundle.name}/{BUNDLE_NAME}", _version(text)
    standing = place.read(top, LARGEST_RECORD_BYTES)
    if standing not in {None, text} and not replace:
        raise UsageError(
            f"There is another model called '{bundle.name}' in this place.",
            where=f"{place.address}/{bundle.name}",
            next_step="give --replace to put this one in its place, or rename yours: cv weights rename",
        )
    if standing is not None and place.size(f"{bundle.name}/{_version(standing)}/{BUNDLE_NAME}") is None:
        return _beside_a_plain_one(bundle, place, same=standing == text)
    sent = _send(bundle, place, f"{bundle.name}/{version}", again=replace)
    if standing != text:
        _put_record(bundle, place, top, text)
    if standing not in {None, text}:
        _remove_version(place, bundle.name, standing or b"")
    outcome = "pushed" if standing is None else "replaced" if standing != text else "pushed" if sent else "same"
    return Pushed(f"{place.address}/{bundle.name}", outcome, sent)


def _put_record(bundle: Bundle, place: Place, top: str, text: bytes) -> None:
    """Let the version count that was sent, unless the model got another record meanwhile."""
    if (bundle.folder / BUNDLE_NAME).read_bytes() != text:
        raise DataError(
            "The model was changed while it was pushed: another command gave it a name or thresholds.",
            where=bundle.folder, next_step="run this again",
        )  # fmt: skip
    place.put(bundle.folder / BUNDLE_NAME, top)


def _beside_a_plain_one(bundle: Bundle, place: Place, *, same: bool) -> Pushed:
    """Somebody's own bundle lies there, as in a workspace; nothing is ever put into that."""
    address = f"{place.address}/{bundle.name}"
    if same and all(place.size(f"{bundle.name}/{name}") is not None for name in bundle.record.files):
        return Pushed(address, "same", 0)
    raise UsageError(
        "A model lies there that was not pushed, as in the folder weights/ of a workspace.",
        where=address,
        next_step="choose another place, one that is for pushed models alone",
    )


def _version(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _send(bundle: Bundle, place: Place, folder: str, *, again: bool) -> int:
    """Send what is not there yet: under a version's name lies the file that is here, unless it was damaged there."""
    names = [*sorted(bundle.record.files), BUNDLE_NAME]
    sent = 0
    with progress("pushing", len(names)) as advance:
        for name in names:
            file = bundle.folder / name
            if again or place.size(f"{folder}/{name}") != file.stat().st_size:
                place.put(file, f"{folder}/{name}")
                sent += 1
            advance(1)
    return sent


def _remove_version(place: Place, name: str, text: bytes) -> None:
    """Take away the files of a version that counts no more, those alone that its record names."""
    try:
        files = json.loads(text)["files"]
        names = [safe_file_name(file) for file in files]
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # not of ours, whatever it was
    place.remove([f"{name}/{_version(text)}/{file}" for file in (*names, BUNDLE_NAME)])


def pull_bundle(
    place: Place, there: str, name: str | None, workspace: Workspace, prove: Callable[[Path], object]
) -> Bundle:
    """Bring a bundle from a place; it appears only when every hash is right and `prove` did not object.

    Files that came before a cut are kept, hidden, and not fetched again by the next call. A pull removes those that
    have waited for a week.

    Args:
        place: From `places.open_place`.
        there: Its name in that place; also the name of a plain folder with a bundle in it.
        name: What it is to be called here; None: the name that its record says.
        workspace: Where it goes.
        prove: Looks at a folder with the whole bundle, and raises when it should not be used.

    Raises:
        NotFoundError: there is no such model; those that there are are named.
        UsageError: another model has the name here.
        DataError: what came is damaged, or `prove` objects.
        AuthError, LensmithError: as the place does; or there is not enough room on the disk.
    """
    text = place.read(f"{there}/{BUNDLE_NAME}", LARGEST_RECORD_BYTES)
    if text is None:
        raise _no_such_model(place, there)
    version = _version(text)
    nested = place.size(f"{there}/{version}/{BUNDLE_NAME}") is not None
    folder = f"{there}/{version}" if nested else there
    waiting = workspace.weights / _WAITING / version

    def fetch(target: Path, record: BundleRecord) -> None:
        _fetch(place, folder, record, waiting, target)

    with only_one(workspace.weights / ".locks" / f"{version}.pull", f"another command that pulls {there}"):
        bundle = take_in(text, fetch, name, workspace, prove)
        shutil.rmtree(waiting, ignore_errors=True)
        _forget_cut_pulls(waiting.parent)
        with contextlib.suppress(OSError):  # it was not there, or another pull waits in it
            waiting.parent.rmdir()
    return bundle


def _forget_cut_pulls(home: Path) -> None:
    """Remove what pulls left behind that nobody went on with for a week."""
    with contextlib.suppress(OSError):  # it is gone already
        for cut in home.iterdir():
            if time.time() - cut.stat().st_mtime > _KEPT_SECONDS:
                shutil.rmtree(cut, ignore_errors=True)


def _fetch(place: Place, folder: str, record: BundleRecord, waiting: Path, target: Path) -> None:
    waiting.mkdir(parents=True, exist_ok=True)
    for kept in waiting.iterdir():
        if sha256_of(kept) != kept.name:
            kept.unlink()
    wanted = {name: sha256 for name, sha256 in record.files.items() if not (waiting / sha256).is_file()}
    sizes = {name: place.size(f"{folder}/{name}") for name in wanted}
    for name, size in sizes.items():
        if size is None:
            raise missing(f"{place.address}/{folder}/{name}")
    need_room(waiting, sum(size or 0 for size in sizes.values()), "the model")
    with progress("pulling", len(record.files)) as advance:
        for name, sha256 in record.files.items():
            kept = waiting / sha256
            if not kept.is_file():
                _fetch_one(place, f"{folder}/{name}", sha256, kept)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(kept, target / name)
            advance(1)


def _link_or_copy(kept: Path, target: Path) -> None:
    """One file under two names takes no room of its own; not every disk has that."""
    try:
        os.link(kept, target)
    except OSError:
        shutil.copyfile(kept, target)


def _fetch_one(place: Place, path: str, sha256: str, kept: Path) -> None:
    part = kept.with_suffix(".part")
    try:
        place.get(path, part)
        if sha256_of(part) != sha256:
            raise DataError(
                "What came from the store is not what its record says: it was changed, or cut short.",
                where=f"{place.address}/{path}",
                next_step="run this again; if it says so again, push the model again with --replace",
            )
        part.replace(kept)
    finally:
        part.unlink(missing_ok=True)


def _no_such_model(place: Place, there: str) -> NotFoundError:
    names = [name for name in place.names() if name == slug(name)]
    hint = f"there are: {some(names, 10)}" if names else "nothing is there; cv push-weights NAME --to PLACE"
    return NotFoundError(f"There is no model called '{there}' in this place.", where=place.address, next_step=hint)
