"""The last step of a training: a process of its own rebuilds the model from the bundle and must get the same answers.

`python -m lensmith.classify.proof` is that process. The portable model has its own proof, see `predict.proof`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.limited import Limits, answer_with, ask
from ..predict.engines.golden import PROBABILITY_TOLERANCE
from ..predict.engines.keras import KerasEngine
from ..weights.bundle import read_bundle

TOLERANCE = 1e-4
_TIMEOUT_SECONDS = 600


def prove(folder: Path, device: str = "cpu") -> float:
    """Rebuild the model of a bundle in a fresh process, from its record and weights alone, and compare its answers.

    Args:
        folder: The bundle's.
        device: As in `core.device.parse_device`; the one that the golden samples were computed on.

    Returns:
        The largest difference of a probability over the golden samples.

    Raises:
        LensmithError: the model could not be rebuilt, or answers something else.
    """
    question = {"folder": str(folder), "device": device}
    limits = Limits(seconds=_TIMEOUT_SECONDS)
    return ask("lensmith.classify.proof", question, limits, doing="Rebuilding the finished model", where=folder)


def difference(folder: Path, device: str) -> float:
    """The largest difference between a bundle's golden outputs and those of the model rebuilt in this process.

    Raises:
        DataError: it is larger than `TOLERANCE`, or on a GPU than engines may differ by, or the bundle cannot be opened
            or rebuilt.
    """
    bundle = read_bundle(folder)
    inputs, expected = bundle.golden()
    engine = KerasEngine(bundle, device)
    found = float(np.abs(engine.infer(inputs) - expected).max())
    # A GPU multiplies with fewer bits and another algorithm in another process.
    if not found <= (TOLERANCE if engine.device == "cpu" else PROBABILITY_TOLERANCE):  # also where it is no number
        raise DataError(f"The rebuilt model's answers differ from the trained model's by {found:.2g}.", where=folder)
    return found


def _import_later(_question: dict[str, Any]) -> None:
    """Which backend Keras runs on depends on the device, so the engine imports it."""


def _answer(question: dict[str, Any]) -> float:
    return difference(Path(question["folder"]), question["device"])


if __name__ == "__main__":
    answer_with(_import_later, _answer)
