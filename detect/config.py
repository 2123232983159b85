"""What a person can choose when training a detector."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ..core.errors import UsageError
from .models import grid_of


class YoloConfig(BaseModel):
    """How a detector is trained.

    Attributes:
        model: A detector's name; None takes the one in `weights`, else "yolo26n".
        epochs: How often to go through the training pictures.
        imgsz: Side of the square that pictures are fitted into, in pixels.
        batch: Pictures per training step.
        device: As in `core.device.parse_device`.
        freeze: How many of the first layers keep their weights.
        weights: A `.pt` file to start from; None looks for the official one of `model`.
        from_scratch: Start from random weights.
        seed: Seed of all random numbers.
        name: What the finished bundle is called; None makes one of the dataset's and the model's names.
        patience: Stop after this many epochs without a better one.
        workers: Processes that read pictures for a GPU; on a CPU there are none.
        augment: A preset, or a YAML file, see `datasets.augment_spec`; None keeps Ultralytics' own random changes.
        settings: Further arguments of Ultralytics by name, see `detect.settings`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    epochs: int = Field(default=100, ge=1)
    imgsz: int = Field(default=640, ge=64, le=8192)
    batch: int = Field(default=16, ge=1)
    device: str = "auto"
    freeze: int = Field(default=0, ge=0)
    weights: Path | None = None
    from_scratch: bool = False
    seed: int = Field(default=0, ge=0)
    name: str | None = None
    patience: int = Field(default=100, ge=1)
    workers: int = Field(default=4, ge=0)
    augment: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)

    def check(self, model: str) -> None:
        """Raises UsageError for choices that do not go together or that `model` cannot take."""
        grid = grid_of(model)
        if self.imgsz % grid or self.imgsz < 2 * grid:
            lower = max(self.imgsz // grid, 2) * grid
            raise UsageError(
                f"{self.imgsz} pixels do not fit {model}, which needs a multiple of {grid}, at least {2 * grid}.",
                where="--imgsz",
                next_step=f"use {lower} or {lower + grid}",
            )
        if self.from_scratch and self.weights is not None:
            raise UsageError("--from-scratch and --weights exclude each other.", next_step="leave one of them out")
        if self.from_scratch and self.freeze:
            raise UsageError(
                "--freeze keeps layers as they are, and --from-scratch makes them random: they would learn nothing.",
                next_step="leave one of them out",
            )
