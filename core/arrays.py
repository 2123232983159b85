"""Arrays with a few words about them in one file: what was measured, kept to be looked at again."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError
from .files import write_atomic

_ABOUT = "about"
_MOST_ARRAYS = 10_000


def write_arrays(path: Path, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write them as `.npz`, whole or not at all.

    Args:
        path: The file.
        about: What JSON can hold; names of files need not be text.
        arrays: By name, none of them called "about".
    """
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **{_ABOUT: np.array(json.dumps(about))}, **arrays)
    write_atomic(path, file.getvalue())


def read_arrays(path: Path, next_step: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read what `write_arrays` wrote: what was said about the arrays, and the arrays. Nothing in the file is run.

    Args:
        path: The file.
        next_step: What a person can do where it is damaged.

    Raises:
        FileNotFoundError: there is none.
        DataError: it is damaged.
    """
    arrays = load_arrays(path, next_step)
    try:
        about = json.loads(str(arrays.pop(_ABOUT)))
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"The file cannot be read: {error}", where=path, next_step=next_step) from None
    if not isinstance(about, dict):
        raise DataError("The file does not say what it holds.", where=path, next_step=next_step)
    return about, arrays


def load_arrays(path: Path, next_step: str, most_bytes: int = 16 << 30) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file by name. Nothing in it is run, and none of its sizes is believed.

    Args:
        path: The file.
        next_step: What a person can do where it is damaged.
        most_bytes: Of all arrays together.

    Raises:
        FileNotFoundError: there is none.
        DataError: it is damaged, larger inside than `most_bytes`, or says that an array is of another size than it is.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_arrays(archive, most_bytes)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except FileNotFoundError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        MemoryError,
        NotImplementedError,
        RuntimeError,
        SyntaxError,
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
    ) as error:
        raise DataError(f"The file cannot be read: {error}", where=path, next_step=next_step) from None


def _check_arrays(archive: zipfile.ZipFile, most_bytes: int) -> None:
    entries = archive.infolist()
    if sum(entry.file_size for entry in entries) > most_bytes or len(entries) > _MOST_ARRAYS:
        raise ValueError("it is far larger inside than such a file is")
    for entry in entries:
        _check_array(archive, entry)


def _check_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Raise unless an array is as long as its own header says: NumPy takes the memory before it reads."""
    with archive.open(entry) as file:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        held = entry.file_size - file.tell()
    if dtype.hasobject:
        raise ValueError("it holds objects, which only a program could make")
    if min(shape, default=1) < 0 or prod(shape) * dtype.itemsize != held:
        raise ValueError(f"an array should be {shape} and has {held} bytes")
