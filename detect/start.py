"""What a training starts from: which detector, and which weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import DataError, UsageError
from ..core.isolation import isolate_ultralytics
from ..core.progress import say
from ..core.workspace import Workspace
from ..weights.pretrained import Pretrained, find_pretrained, pretrained_from_path
from ..weights.trust import check_checkpoint
from .config import YoloConfig
from .models import DEFAULT_MODEL, asset_name, check_model_name, model_of_checkpoint


@dataclass(frozen=True)
class Start:
    """A detector's name, and the weights it starts from, None for random ones."""

    model: str
    weights: Pretrained | None

    def as_options(self) -> dict[str, str | None]:
        """For the run's record."""
        if self.weights is None:
            return {"start_from": None, "start_sha256": None, "start_origin": None}
        return {
            "start_from": str(self.weights.path),
            "start_sha256": self.weights.sha256,
            "start_origin": self.weights.origin,
        }


def choose_start(config: YoloConfig, workspace: Workspace) -> Start:
    """Resolve model and weights, and look into the weights before anything is loaded.

    Raises:
        UsageError: no such detector, or choices that do not go together.
        NotFoundError: the weights file is not there.
        DataError: the weights are damaged, hostile, or of another detector.
        LensmithError: the official weights cannot be fetched.
    """
    model = check_model_name(config.model) if config.model else None
    config.check(model or (None if config.weights else DEFAULT_MODEL))
    if config.from_scratch:
        return Start(model or DEFAULT_MODEL, None)
    if config.weights is None:
        model = model or DEFAULT_MODEL
        weights = find_pretrained(asset_name(model), workspace)
    else:
        weights = pretrained_from_path(config.weights)
    check_checkpoint(weights.path)
    found = _model_in(weights.path)
    if model and model != found:
        raise UsageError(
            f"These weights are of {found}, not of {model}.",
            where=weights.path,
            next_step=f"leave --model out, or use --model {found}",
        )
    config.check(found)
    say(f"starting from {weights.path}")
    return Start(found, weights)


def _model_in(path: Path) -> str:
    """Which detector a checkpoint holds."""
    isolate_ultralytics()
    from ultralytics.nn.tasks import load_checkpoint

    try:
        model: Any = load_checkpoint(path)[0]
    except Exception as error:  # noqa: BLE001 - a file can be wrong in many ways, and none of them is our fault
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise DataError(f"These weights cannot be loaded: {first}", where=path) from None
    found = model_of_checkpoint(getattr(model, "yaml", {}))
    if found is None:
        raise DataError(
            "These weights are of a model that is not among the detectors of the installed Ultralytics.",
            where=path,
            next_step="`cv train-yolo --help` says which there are",
        )
    return found
