"""Arrays with a few words about them in one file: what was measured, kept to be looked at again."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError
from .files import write_atomic

_ABOUT = "about"


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
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop(_ABOUT)))
    except FileNotFoundError:
        raise
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
        AttributeError,
    ) as error:
        raise DataError(f"The file cannot be read: {error}", where=path, next_step=next_step) from None
    if not isinstance(about, dict):
        raise DataError("The file does not say what it holds.", where=path, next_step=next_step)
    return about, arrays
