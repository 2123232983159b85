"""The last step of a training: a process of its own rebuilds the model from the bundle and must get the same answers.

`python -m lensmith.classify.proof FOLDER` ends with 0 where the model in the folder gives its golden samples.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from ..core.errors import DataError, LensmithError
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
    command = [sys.executable, "-m", "lensmith.classify.proof", str(folder), device]
    try:
        done = subprocess.run(
            command, env={**os.environ, "PYTHONUTF8": "1"}, capture_output=True, text=True, encoding="utf-8",
            errors="replace", timeout=_TIMEOUT_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise LensmithError("Rebuilding the model took more than ten minutes.", where=folder) from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        raise LensmithError(
            f"The finished model could not be rebuilt and compared: {said[0]}",
            where=folder,
            next_step="the run's folder keeps its weights; a damaged disk or too little memory may be the cause",
        )
    return float(done.stdout.strip().splitlines()[-1])


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


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{difference(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else 'cpu')!r}\n")
    except LensmithError as problem:
        sys.exit(problem.what)
