"""What a person can choose when training a detector."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..core.device import parse_device
from ..core.errors import UsageError
from ..core.words import many
from ..report.target import parse_target
from .freezing import frozen_layers
from .models import grid_of, is_transformer

Balance = Literal["none", "weights", "resample"]
Tiles = Literal["auto", "on", "off"]
BACKBONE: Literal["backbone"] = "backbone"


class YoloConfig(BaseModel):
    """How a detector is trained.

    Example:
        YoloConfig(model="yolo11s", epochs=50, freeze="backbone", unfreeze_after=10, time=1800)

    Attributes:
        model: A detector's name, or "auto" to choose by data and memory; None takes the one in `weights`, else
            "yolo26n".
        size: n, s, m, l, x or "auto", in place of the size in `model`'s name; None leaves the name as it is.
        epochs: How often to go through the training pictures.
        imgsz: Side of the square that pictures are fitted into, in pixels, or "auto".
        batch: Pictures per training step, or "auto"; halved, and said, where memory does not suffice.
        device: As in `core.device.parse_device`.
        freeze: How many of the first layers keep their weights, or "backbone" for all below the model's head.
        unfreeze_after: After so many epochs the frozen layers learn too; None keeps them frozen.
        weights: A `.pt` file to start from; None looks for the official one of `model`.
        from_scratch: Start from random weights.
        seed: Seed of all random numbers.
        name: What the finished bundle is called; None makes one of the dataset's and the model's names.
        patience: Stop after this many epochs without a better one.
        time: Stop after so many seconds of training, those before a resume included; `epochs` is then the most.
        workers: Processes that read pictures for a GPU; on a CPU there are none.
        cache: Keep the decoded pictures in memory where they fit. Ultralytics then draws mosaics from all pictures, and
            without it from those it read last: the random numbers are others, and so are the figures, a little.
        balance: Against classes of unequal size: "weights" in the loss, or "resample" shows pictures of rare classes
            more often, see `detect.balance`.
        tiles: Train on and predict from tiles of the pictures, for small objects; "auto" where a probe says it pays.
        target: What each class's threshold is chosen for on validation pictures, such as "precision=0.95"; None takes
            the best F1.
        augment: A preset, or a YAML file, see `datasets.augment_spec`; None keeps Ultralytics' own random changes.
        settings: Further arguments of Ultralytics by name, see `detect.settings`.
        tensorboard: Write TensorBoard's event files into the run's folder.
        mlflow: Write the run into `runs/mlflow.db`, a local SQLite file.
        force: Train although the dataset has errors, see `datasets.check.gate`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    size: Literal["n", "s", "m", "l", "x", "auto"] | None = None
    epochs: int = Field(default=100, ge=1)
    imgsz: Annotated[int, Field(ge=64, le=8192)] | Literal["auto"] = 640
    batch: Annotated[int, Field(ge=1)] | Literal["auto"] = 16
    device: str = "auto"
    freeze: Annotated[int, Field(ge=0)] | Literal["backbone"] = 0
    unfreeze_after: int | None = Field(default=None, ge=1)
    weights: Path | None = None
    from_scratch: bool = False
    seed: int = Field(default=0, ge=0)
    name: str | None = None
    patience: int = Field(default=100, ge=1)
    time: float | None = Field(default=None, gt=0)
    workers: int = Field(default=4, ge=0)
    cache: bool = True
    balance: Balance = "none"
    tiles: Tiles = "auto"
    target: str | None = None
    augment: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    tensorboard: bool = False
    mlflow: bool = False
    force: bool = False

    def check(self, model: str | None) -> None:
        """Raises UsageError for choices that do not go together or that `model`, where it is known, cannot take."""
        if model is not None:
            self._check_for(model)
        if self.target is not None:
            parse_target(self.target)
        if self.from_scratch and self.weights is not None:
            raise UsageError("--from-scratch and --weights exclude each other.", next_step="leave one of them out")
        if self.from_scratch and self.freeze:
            raise UsageError(
                "--freeze keeps layers as they are, and --from-scratch makes them random: they would learn nothing.",
                next_step="leave one of them out",
            )
        # Its `rect` sorts the pictures that it has read and settles the shapes of their batches before any is repeated.
        if self.balance == "resample" and self.settings.get("rect"):
            raise UsageError(
                "With rect=true Ultralytics settles the shape of each batch before pictures can come more often.",
                where="--balance",
                next_step="leave out --set rect=true, or use --balance weights",
            )
        self._check_unfreezing()

    def _check_for(self, model: str) -> None:
        if self.imgsz != "auto":
            self._check_imgsz(self.imgsz, model)
        frozen_layers(model, self.freeze)
        if self.balance == "weights" and is_transformer(model):
            raise UsageError(
                f"{model} knows no weights of classes.", where="--balance", next_step="use --balance resample"
            )

    def _check_unfreezing(self) -> None:
        devices = parse_device(self.device)
        if self.unfreeze_after is not None and not isinstance(devices, str) and len(devices) > 1:
            raise UsageError(
                "On several GPUs the layers that learn are settled at the start.",
                where="--unfreeze-after",
                next_step="leave it out, or give one GPU: --device 0",
            )
        if self.unfreeze_after is not None and not self.freeze:
            raise UsageError(
                "Nothing is frozen, so nothing can be unfrozen.",
                where="--unfreeze-after",
                next_step="add --freeze backbone",
            )
        if self.unfreeze_after is not None and self.unfreeze_after >= self.epochs:
            raise UsageError(
                f"Training is over after {many(self.epochs, 'epoch')}, before the frozen layers would learn.",
                where="--unfreeze-after",
                next_step=f"give fewer than {self.epochs}, or leave it out to keep them frozen",
            )

    def _check_imgsz(self, imgsz: int, model: str) -> None:
        grid = grid_of(model)
        if imgsz % grid or imgsz < 2 * grid:
            lower = max(imgsz // grid, 2) * grid
            raise UsageError(
                f"{imgsz} pixels do not fit {model}, which needs a multiple of {grid}, at least {2 * grid}.",
                where="--imgsz",
                next_step=f"use {lower} or {lower + grid}",
            )


def checked(config: YoloConfig, chosen: Mapping[str, Any]) -> YoloConfig:
    """A configuration with these choices in place of its own.

    Raises:
        UsageError: what one of them cannot be, by its option's name.
    """
    try:
        return YoloConfig.model_validate(config.model_dump() | dict(chosen))
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][0]).replace("_", "-")
        if first["type"] == "literal_error":
            offered = str(first.get("ctx", {}).get("expected")).replace("'", "").replace(" or ", ", ")
            what = f"There is no {option} '{first['input']}'."
            raise UsageError(what, where=f"--{option}", next_step=f"take one of: {offered}") from None
        raise UsageError(f"{first['msg']}, not {first['input']}.", where=f"--{option}") from None
