"""The model bundle: one folder that holds everything inference needs, so that what was trained is what runs.

bundle.json           the record below
model.pt|model.keras  the native weights
model.onnx            the portable model: uint8 BGR pictures in, scaling and colour order inside
golden.npz            a few inputs with the outputs they must give
labels.txt            class names, one a line, for other programs
README.md             the card: what it is, how good it is, what it was made from
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..core.errors import DataError, NotFoundError
from ..core.files import sha256_of, whole_folder, write_atomic
from ..core.manifest import DatasetRef, library_versions
from ..core.workspace import Workspace, locate
from .card import card_of

BUNDLE_NAME = "bundle.json"
GOLDEN_NAME = "golden.npz"
PORTABLE_NAME = "model.onnx"
SCHEMA_VERSION = 1
_WRITTEN = {GOLDEN_NAME, "labels.txt", "README.md"}  # by `write_bundle` itself


def _plain_file_name(name: str) -> str:
    if PurePosixPath(name).name != name or "\\" in name or name in {"", ".", ".."}:
        raise ValueError("a bundle's files lie directly in its folder")
    return name


FileName = Annotated[str, AfterValidator(_plain_file_name)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Preprocessing(_Strict):
    """How a decoded picture (BGR uint8, any size) becomes the model's input (BGR uint8, `height` x `width`).

    Attributes:
        resize: "letterbox" keeps the aspect ratio and pads with `pad_value`, centred; "stretch" fills the input.
        interpolation: "linear" or "area" (area when shrinking, linear when growing).
    """

    width: int = Field(gt=0, le=8192)
    height: int = Field(gt=0, le=8192)
    resize: Literal["letterbox", "stretch"]
    interpolation: Literal["linear", "area"] = "linear"
    pad_value: int = Field(default=114, ge=0, le=255)


class Tiles(_Strict):
    """How large pictures are cut into overlapping parts, so that small objects come large enough before the model.

    Attributes:
        size: Side of a tile in pixels of the original picture.
        overlap: Least share of a tile's side that it has in common with the next, 0 to 0.9.
        whole: Whether the model looks at the whole picture too, for what is larger than the overlap.
    """

    size: int = Field(ge=32, le=8192)
    overlap: float = Field(default=0.2, ge=0, le=0.9)
    whole: bool = True


Output = Literal["raw", "final", "queries"]


class DetectorRecord(_Strict):
    """What is particular to a detector.

    Attributes:
        family: The model's name with size, "yolo26n".
        output: "raw": `(n, 4 + classes, anchors)`, cxcywh in input pixels and class scores, needs suppression;
            "final": `(n, boxes, 6)`, xyxy in input pixels, confidence, class: already without doubles;
            "queries": the same with cxcywh in shares of the input, which is what RT-DETR gives.
        tiles: How pictures are cut for it, see `predict.tiles`; None: it looks at each picture as a whole.
    """

    family: str
    output: Output
    iou: float = Field(default=0.7, gt=0, le=1)
    max_det: int = Field(default=300, gt=0)
    tiles: Tiles | None = None


Pooling = Literal["average", "flatten"]
Activation = Literal["leaky_relu", "relu", "gelu", "silu", "elu", "tanh"]


class ClassifierRecord(_Strict):
    """Everything needed to rebuild a classifier without reading code out of a file (see `weights.architecture`).

    Attributes:
        backbone: A name in `weights.backbones.BACKBONES`.
        pooling: How the last feature map becomes one row of numbers.
        units: Size of the hidden layer of the head.
        dropout: Share dropped before each layer of the head.
        activation: After the hidden layer of the head.
        normalize: Whether BatchNormalization evens out what enters the head: features of some backbones differ a
            hundredfold, and then the head learns little.
        unfrozen_from: Name of the first layer that was fine-tuned, None when all of the base stayed frozen.
        stage: Which stage gave the weights: "frozen" or "tuned".
        weights: What the backbone began with: "imagenet", a "file" of the person's, or "none" for random numbers; None
            in bundles of before it was noted.
    """

    backbone: str
    units: int = Field(gt=0)
    dropout: float = Field(ge=0, lt=1)
    pooling: Pooling = "average"
    activation: Activation = "leaky_relu"
    normalize: bool = False
    unfrozen_from: str | None = None
    stage: Literal["frozen", "tuned"] = "tuned"
    weights: Literal["imagenet", "file", "none"] | None = None


class BundleRecord(_Strict):
    """The content of `bundle.json`."""

    schema_version: Literal[1] = SCHEMA_VERSION
    name: str
    task: Literal["detect", "classify"]
    names: tuple[str, ...] = Field(min_length=1)
    preprocessing: Preprocessing
    detector: DetectorRecord | None = None
    classifier: ClassifierRecord | None = None
    confidence: float = Field(default=0.25, ge=0, le=1, description="default threshold")
    thresholds: tuple[Annotated[float, Field(ge=0, le=1)], ...] | None = Field(
        default=None, description="a threshold for each class, in place of `confidence`"
    )
    temperature: float = Field(default=1.0, gt=0, description="divides a classifier's logits before its probabilities")
    metrics: dict[str, int | float] = Field(default_factory=dict)
    metrics_split: str | None = None
    dataset: DatasetRef | None = None
    run: str | None = None
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    versions: dict[str, str] = Field(default_factory=library_versions)
    files: dict[FileName, str] = Field(default_factory=dict, description="sha256 of each file")

    @model_validator(mode="after")
    def _one_threshold_a_class(self) -> Self:
        if self.thresholds is not None and len(self.thresholds) != len(self.names):
            raise ValueError(f"there are {len(self.thresholds)} thresholds for {len(self.names)} classes")
        return self

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The 95% interval of one of the metrics, 0..1; None where none is known."""
        low, high = self.metrics.get(f"{metric}_low"), self.metrics.get(f"{metric}_high")
        return None if low is None or high is None else (low, high)


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
        """Path of one of the bundle's own files, None if it has none of that name."""
        return self.folder / name if name in self.record.files else None

    def golden(self) -> tuple[np.ndarray, np.ndarray]:
        """The golden samples: inputs uint8 BGR `(n, h, w, 3)`, and the native model's outputs for them, float32.

        Raises:
            DataError: the file is damaged or missing.
        """
        path = self.file(GOLDEN_NAME)
        if path is None:
            raise DataError("The model comes without golden samples.", where=self.folder)
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return arrays["inputs"], arrays["outputs"]
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"The golden samples cannot be read: {error}", where=path) from None


def write_bundle(
    target: Path, record: BundleRecord, fill: Callable[[Path], None], *, golden: tuple[np.ndarray, np.ndarray]
) -> Bundle:
    """Write a bundle, whole or not at all.

    Args:
        target: The folder to make, usually `workspace.weights / name`; an existing bundle there is replaced at the end.
        record: Everything but `files`, which is filled in here.
        fill: Called with the folder to put the model files into.
        golden: Inputs and outputs as `Bundle.golden` returns them.
    """
    with whole_folder(target, replace=True) as folder:
        fill(folder)
        np.savez_compressed(folder / GOLDEN_NAME, inputs=golden[0], outputs=golden[1])
        (folder / "labels.txt").write_text("\n".join(record.names) + "\n", encoding="utf-8")
        (folder / "README.md").write_text(card_of(record), encoding="utf-8")
        files = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file()}
        complete = record.model_copy(update={"files": files})
        write_atomic(folder / BUNDLE_NAME, complete.model_dump_json(indent=2) + "\n")
    return Bundle(target, complete)


def rewrite_bundle(bundle: Bundle, record: BundleRecord) -> Bundle:
    """Give a bundle that stands another record, whole or not at all; its model and golden samples stay as they are.

    Raises:
        DataError: a file is missing or changed, or the bundle was replaced meanwhile.
    """
    kept = [name for name in read_bundle(bundle.folder).record.files if name not in _WRITTEN]

    def fill(folder: Path) -> None:
        for name in kept:
            copy_model(bundle.folder / name, folder, name)

    return write_bundle(bundle.folder, record, fill, golden=bundle.golden())


def open_bundle(given: str | Path, workspace: Workspace) -> Bundle:
    """Open a bundle by name or path, and check every file against its hash.

    Raises:
        NotFoundError: there is no such bundle.
        DataError: a file is missing or changed, or the record is not one we know.
    """
    try:
        folder = locate(given, workspace.weights, "model", marker=BUNDLE_NAME)
    except NotFoundError as error:
        hint = (error.next_step or "").rstrip("?")
        more = "cv weights lists the models, and cv train-yolo or cv finetune makes one"
        raise NotFoundError(
            error.what, where=error.where, next_step=f"{hint}{'?' if hint != error.next_step else ';'} {more}"
        ) from None
    return read_bundle(folder)


def read_bundle(folder: Path) -> Bundle:
    """Open the bundle in this folder, see `open_bundle`."""
    record = read_record(folder)
    for name, expected in record.files.items():
        path = folder / name
        if not path.is_file() or path.is_symlink():
            raise DataError("A file of this model is missing.", where=path, next_step=_GET_AGAIN)
        if sha256_of(path) != expected:
            raise DataError("A file of this model was changed after it was made.", where=path, next_step=_GET_AGAIN)
    return Bundle(folder, record)


def read_record(folder: Path) -> BundleRecord:
    """Read `bundle.json` alone, without checking the files it names."""
    path = folder / BUNDLE_NAME
    try:
        return BundleRecord.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise DataError("This is no model of Lensmith: it holds no bundle.json.", where=folder) from None
    except ValidationError as error:
        first = error.errors()[0]
        spot = ".".join(str(part) for part in first["loc"]) or "the file"
        raise DataError(
            f"bundle.json cannot be used: {spot}: {first['msg']}",
            where=path,
            next_step="a newer Lensmith may have made it",
        ) from None


def copy_model(source: Path, folder: Path, name: str) -> None:
    """Copy a model file into a bundle folder under its bundle name."""
    shutil.copyfile(source, folder / name)


_GET_AGAIN = "use another copy of the model, or train it again; a changed model is never run"
