"""What `bundle.json` says of a model, schema version 2; `migrate` turns what older versions wrote into it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ..core.manifest import DatasetRef, library_versions
from ..core.zips import name_fits_system

BUNDLE_NAME = "bundle.json"
SCHEMA_VERSION = 2
_DEEPEST = 4  # folders and file name together; `saved_model/variables/variables.index` has three
_MOST_FILES = 1000
_NEVER_IN_NAMES = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


def safe_file_name(name: str) -> str:
    """A path below a bundle's folder as it may stand in `bundle.json`, the same on every system.

    Raises:
        ValueError: it is absolute, leads out, is hidden, has a backslash, a drive, a control character or a name that
            Windows keeps for itself, lies deeper than four levels, or is that of the record itself.
    """
    parts = name.split("/")
    if not name or any(part in {"", ".", ".."} for part in parts) or _NEVER_IN_NAMES.search(name):
        raise ValueError("a bundle's files lie in its folder, under plain names")
    if len(parts) > _DEEPEST:
        raise ValueError(f"a bundle's files lie at most {_DEEPEST} levels deep")
    if any(part.startswith(".") for part in parts) or not name_fits_system(parts, windows=True):
        raise ValueError("a bundle's files are not hidden, and have names that every system knows")
    if len(name.encode()) > 500 or any(len(part.encode()) > 200 for part in parts):
        raise ValueError("a bundle's files have shorter names")
    if parts[0].casefold() == BUNDLE_NAME:
        raise ValueError("bundle.json cannot name itself")
    return name


def _one_place_each(names: Iterable[str]) -> None:
    """Refuse two files that some system would put in one place, and a file where another needs a folder."""
    places: dict[str, bool] = {}
    for name in names:
        parts = name.casefold().split("/")
        for depth in range(1, len(parts) + 1):
            is_file = depth == len(parts)
            known = places.setdefault("/".join(parts[:depth]), is_file)
            if known != is_file:
                raise ValueError(f"two files want the place '{name}'")
    if sum(places.values()) != len(list(names)):
        raise ValueError("two files want one place")


FileName = Annotated[str, AfterValidator(safe_file_name)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Preprocessing(_Strict):
    """How a decoded picture (BGR uint8, any size) becomes the model's input (BGR uint8, `height` x `width`).

    Attributes:
        resize: "letterbox" keeps the aspect ratio and pads with `pad_value`, centred; "stretch" fills the input.
        interpolation: "linear" or "area" (area when shrinking, linear when growing).
        stride: None: the input is always `height` x `width`. Otherwise padding is kept small: its sides are multiples
            of this with at least half of one to spare, `height` and `width` at most, as in Ultralytics' `val`. That
            saves a fifth to a third of the work for photographs. Only for "letterbox", and for a network that takes
            any size.
    """

    width: int = Field(gt=0, le=8192)
    height: int = Field(gt=0, le=8192)
    resize: Literal["letterbox", "stretch"]
    interpolation: Literal["linear", "area"] = "linear"
    pad_value: int = Field(default=114, ge=0, le=255)
    stride: int | None = Field(default=None, gt=0, le=1024)

    @property
    def whole(self) -> Preprocessing:
        """The same, but that the input is always `height` x `width`: for inputs that must be alike."""
        return self if self.stride is None else self.model_copy(update={"stride": None})


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
        crop_margin: With how much around each box its pictures had been cut out of larger ones, see
            `core.crop.crop_place`; None where they had not, or nobody knows.
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
    crop_margin: float | None = Field(default=None, ge=0, le=2)


ExportFormat = Literal["onnx", "openvino", "tensorrt", "tflite", "coreml", "torchscript", "savedmodel"]
Precision = Literal["fp32", "fp16", "int8"]
Origin = Literal["trained", "imported", "exported"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Export(_Strict):
    """What a bundle that was made from another one says about that.

    Attributes:
        format: Of its model files.
        precision: Of its numbers.
        source: Name of the bundle that it was made from. Follows that bundle when it gets another name in the same
            workspace.
        source_sha256: Of that bundle's `bundle.json` as it was then, which holds the hashes of all its files; another
            name or other thresholds change it.
        machine: Which machine it is bound to, None for a format that runs on any.
        calibrated_on: The pictures that showed an int8 model which numbers come; None where none were needed.
        difference: Worst differences from the source that were seen on the golden samples, by what was compared.
        loss: Metric -> this model's minus the source's, both measured on `split`; empty when nothing was measured.
        measured_on: The dataset that `loss` speaks of.
        split: Of which of its pictures.
    """

    format: ExportFormat
    precision: Precision
    source: str
    source_sha256: Sha256
    machine: str | None = None
    calibrated_on: DatasetRef | None = None
    difference: dict[str, float] = Field(default_factory=dict)
    loss: dict[str, float] = Field(default_factory=dict)
    measured_on: DatasetRef | None = None
    split: str | None = None


class BundleRecord(_Strict):
    """The content of `bundle.json`.

    Attributes:
        origin: "trained" here, "imported" from a file of another program, or "exported" from another bundle, and then
            `exported` says the rest.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
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
    origin: Origin = "trained"
    exported: Export | None = None
    files: dict[FileName, Sha256] = Field(
        default_factory=dict, max_length=_MOST_FILES, description="sha256 of each file, by its path in the folder"
    )

    @model_validator(mode="after")
    def _one_threshold_a_class(self) -> Self:
        if self.thresholds is not None and len(self.thresholds) != len(self.names):
            raise ValueError(f"there are {len(self.thresholds)} thresholds for {len(self.names)} classes")
        return self

    @model_validator(mode="after")
    def _one_place_a_file(self) -> Self:
        _one_place_each(self.files)
        return self

    @model_validator(mode="after")
    def _exported_says_from_what(self) -> Self:
        if (self.origin == "exported") != (self.exported is not None):
            raise ValueError("'exported' is there for a model of that origin, and for no other")
        return self

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The 95% interval of one of the metrics, 0..1; None where none is known."""
        low, high = self.metrics.get(f"{metric}_low"), self.metrics.get(f"{metric}_high")
        return None if low is None or high is None else (low, high)
