"""HDF5 files of weights: only what lies in the very file, as plain arrays that it really holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.errors import DataError

MAX_RATIO = 10
MAX_GROUPS = 20_000
MAX_DEPTH = 12


def check_links(path: Path) -> None:
    """Refuse an HDF5 file of weights that points at other files, or holds more than any model.

    Raises:
        DataError: it does, or it is damaged.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _walk(file)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise DataError(f"The weights cannot be read: {error}", where=path) from None


def _walk(root: Any) -> None:
    import h5py

    waiting: list[tuple[Any, int]] = [(root, 0)]
    seen = 0
    while waiting:
        group, depth = waiting.pop()
        for key in group:
            seen += 1
            if seen > MAX_GROUPS * 4 or depth > MAX_DEPTH * 2:
                raise ValueError("it holds more groups than any model")
            member = own_member(group, key)
            if isinstance(member, h5py.Dataset):
                _held(plain_array(group, key), key)
            elif isinstance(member, h5py.Group):
                waiting.append((member, depth + 1))


def own_member(group: Any, key: str) -> Any | None:
    """A member that lies in this very file; links could point at any other file of the person's."""
    import h5py

    member = group
    for part in key.split("/"):
        if not isinstance(member, h5py.Group) or part not in member:
            return None
        if not isinstance(member.get(part, getlink=True), h5py.HardLink):
            raise ValueError(f"'{part}' is a link, which weights files need not have")  # noqa: TRY004 - a fault of the file
        member = member[part]
    return member


def plain_array(group: Any, key: str) -> Any:
    """A member that is an array of numbers, not read yet."""
    import h5py

    array = own_member(group, key)
    if not isinstance(array, h5py.Dataset) or array.is_virtual or array.external:
        raise ValueError(f"'{key}' is not a plain array")
    return array


def _held(array: Any, key: str) -> None:
    """Raise where an array is far larger than its bytes: what was never written reads as zeros of any size."""
    if array.nbytes > MAX_RATIO * max(array.id.get_storage_size(), 4096):
        raise ValueError(f"'{key}' claims {array.nbytes} bytes, which it does not hold")
