"""The model bundle: one folder that holds everything inference needs, so that what was trained is what runs.

bundle.json           the record, see `record`; it names every file below with its hash
model.pt|model.keras  the native weights
model.onnx            the portable model: uint8 BGR pictures in, scaling and colour order inside; an export has the
                      files of its format instead, perhaps in folders (saved_model/...)
golden.npz            a few inputs with the outputs they must give
labels.txt            class names, one a line, for other programs
README.md             the card: what it is, how good it is, what it was made from

Only files that the record names are ever read, copied or sent. Others that a person puts there are left in peace, and a
change of the record keeps them.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
from pydantic import ValidationError
from pydantic_core import from_json

from ..core.arrays import load_arrays
from ..core.errors import DataError, NotFoundError
from ..core.files import sha256_of, whole_folder, write_atomic
from ..core.workspace import Workspace, locate
from .card import card_of
from .known import WRITTEN, marks_of, note_marks
from .migrate import migrated
from .protobuf import plain
from .record import (
    BUNDLE_NAME,
    Activation,
    BundleRecord,
    ClassifierRecord,
    DetectorRecord,
    Export,
    Output,
    Pooling,
    Preprocessing,
    Tiles,
    safe_file_name,
)

__all__ = [
    "BUNDLE_NAME",
    "GOLDEN_NAME",
    "PORTABLE_NAME",
    "Activation",
    "Bundle",
    "BundleRecord",
    "ClassifierRecord",
    "DetectorRecord",
    "Export",
    "Output",
    "Pooling",
    "Preprocessing",
    "Tiles",
    "copy_model",
    "find_bundle",
    "open_bundle",
    "put_record",
    "read_bundle",
    "read_record",
    "rewrite_bundle",
    "write_bundle",
]

GOLDEN_NAME = "golden.npz"
PORTABLE_NAME = "model.onnx"
LABELS_NAME = "labels.txt"
CARD_NAME = "README.md"
WRITTEN_NAMES = (LABELS_NAME, CARD_NAME)  # made from the record
LARGEST_RECORD_BYTES = 16 << 20
_MOST_GOLDEN_BYTES = 384 << 20  # four inputs of 1920 pixels and their answers take 150


class Bundle:
    """An opened bundle. Its hashes were checked when it was opened."""

    def __init__(self, folder: Path, record: BundleRecord) -> None:
        self.folder = folder
        self.record = record

    @property
    def name(self) -> str:
        """The name of its folder, which is how people call it."""
        return self.folder.name

    def file(self, name: str) -> Path | None:
        """Path of one of the bundle's own files ("model.onnx", "saved_model/fingerprint.pb"), None if it has none."""
        return self.folder / name if name in self.record.files else None

    def golden(self) -> tuple[np.ndarray, np.ndarray]:
        """The golden samples: inputs uint8 BGR `(n, h, w, 3)`, and the native model's outputs for them, float32.

        Raises:
            DataError: the file is damaged or missing.
        """
        path = self.file(GOLDEN_NAME)
        if path is None:
            raise DataError("The model comes without golden samples.", where=self.folder)
        again = "use another copy of the model"
        try:
            arrays = load_arrays(path, again, _MOST_GOLDEN_BYTES)
        except FileNotFoundError:
            raise DataError("The golden samples are gone.", where=path, next_step=again) from None
        if not {"inputs", "outputs"} <= arrays.keys():
            raise DataError("The golden samples are not in their file.", where=path, next_step=again)
        return arrays["inputs"], arrays["outputs"]


def write_bundle(
    target: Path, record: BundleRecord, fill: Callable[[Path], None], *, golden: tuple[np.ndarray, np.ndarray]
) -> Bundle:
    """Write a bundle, whole or not at all.

    Args:
        target: The folder to make, usually `workspace.weights / name`; an existing bundle there is replaced at the end.
        record: Everything but `files`, which is filled in here.
        fill: Called with the folder to put the model files into; they may lie in folders.
        golden: Inputs and outputs as `Bundle.golden` returns them.
    """
    with whole_folder(target, replace=True) as folder:
        fill(folder)
        np.savez_compressed(folder / GOLDEN_NAME, inputs=golden[0], outputs=golden[1])
        complete = put_record(folder, record, dict(_files_below(folder)))
        if record.origin != "imported":  # an import is a stranger's until it was tried out
            note_marks(folder, [WRITTEN])
        return Bundle(target, complete)


def _files_below(folder: Path) -> list[tuple[str, str]]:
    """The name and hash of each file that is put into a new bundle."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [(safe_file_name(name), sha256_of(folder / name)) for name in names]


def put_record(folder: Path, record: BundleRecord, files: dict[str, str]) -> BundleRecord:
    """Write the record, and what is made from it, into a bundle's folder that has no name yet.

    Args:
        folder: Holds the model and the golden samples.
        record: Everything but `files`.
        files: SHA-256 by name; labels.txt and README.md are added here.

    Returns:
        The record as it was written.
    """
    (folder / LABELS_NAME).write_text("\n".join(record.names) + "\n", encoding="utf-8")
    (folder / CARD_NAME).write_text(card_of(record), encoding="utf-8")
    hashes = {**files, **{name: sha256_of(folder / name) for name in WRITTEN_NAMES}}
    complete = record.model_copy(update={"files": dict(sorted(hashes.items()))})
    write_atomic(folder / BUNDLE_NAME, complete.model_dump_json(indent=2) + "\n")
    return complete


def rewrite_bundle(bundle: Bundle, record: BundleRecord) -> Bundle:
    """Give a bundle that stands another record, whole or not at all; its model and golden samples stay as they are.

    Files in its folder that are none of the bundle's stay there too.

    Raises:
        DataError: a file is missing or changed, or the bundle was replaced meanwhile.
    """
    files = dict(read_bundle(bundle.folder).record.files)
    marks = marks_of(bundle.folder)
    with whole_folder(bundle.folder, replace=True) as folder:
        shutil.copytree(bundle.folder, folder, symlinks=True, dirs_exist_ok=True)
        complete = put_record(folder, record, files)
        note_marks(folder, marks)
        return Bundle(bundle.folder, complete)


def open_bundle(given: str | Path, workspace: Workspace) -> Bundle:
    """Open a bundle by name or path, and check every file against its hash.

    Raises:
        NotFoundError: there is no such bundle.
        DataError: a file is missing or changed, or the record is not one we know.
    """
    return read_bundle(find_bundle(given, workspace))


def find_bundle(given: str | Path, workspace: Workspace) -> Path:
    """The folder of a bundle by its name or path; nothing in it is looked at.

    Raises:
        NotFoundError: there is no such folder; with the nearest names.
    """
    try:
        return locate(given, workspace.weights, "model", marker=BUNDLE_NAME)
    except NotFoundError as error:
        hint = (error.next_step or "").rstrip("?")
        more = "cv weights lists the models, and cv train-yolo or cv finetune makes one"
        raise NotFoundError(
            error.what, where=error.where, next_step=f"{hint}{'?' if hint != error.next_step else ';'} {more}"
        ) from None


def read_bundle(folder: Path) -> Bundle:
    """Open the bundle in this folder, see `open_bundle`."""
    record = read_record(folder)
    for name, expected in record.files.items():
        path = folder / name
        if not path.is_file() or _is_linked(folder, name):
            raise DataError("A file of this model is missing.", where=path, next_step=_GET_AGAIN)
        if sha256_of(path) != expected:
            raise DataError("A file of this model was changed after it was made.", where=path, next_step=_GET_AGAIN)
    return Bundle(folder, record)


def _is_linked(folder: Path, name: str) -> bool:
    """Whether the file, or a folder between it and the bundle's, is a link, which could change its aim later."""
    steps = [PurePosixPath(name), *PurePosixPath(name).parents][:-1]
    return any((folder / step).is_symlink() for step in steps)


def read_record(folder: Path) -> BundleRecord:
    """Read `bundle.json` alone, of this schema version or an older one, without checking the files it names.

    Raises:
        DataError: there is none, or it cannot be used; a newer version is told by its number.
    """
    path = folder / BUNDLE_NAME
    if path.exists() and not path.is_file():  # a pipe would be waited for without end
        raise DataError("bundle.json is no file.", where=path, next_step=_GET_AGAIN)
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_RECORD_BYTES + 1)
        content = from_json(text) if len(text) <= LARGEST_RECORD_BYTES else None
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise DataError("This is no model of Lensmith: it holds no bundle.json.", where=folder) from None
    except ValueError as error:
        what = f"bundle.json cannot be used: it is no JSON: {error}"
        raise DataError(what, where=path, next_step=_GET_AGAIN) from None
    content = migrated(content, path)
    try:
        return BundleRecord.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        spot = ".".join(str(part) for part in first["loc"] if part != "[key]") or "the file"
        what = f"bundle.json cannot be used: {plain(spot)[:200]}: {first['msg'].removeprefix('Value error, ')}"
        raise DataError(what, where=path, next_step=_GET_AGAIN) from None


def copy_model(source: Path, folder: Path, name: str) -> None:
    """Copy a model file into a bundle folder under its bundle name, which may have folders in it."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


_GET_AGAIN = "use another copy of the model, or train it again; a changed model is never run"
