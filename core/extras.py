"""The optional parts of Lensmith and the one line that installs a missing one."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from .errors import MissingExtraError
from .install import extra_command

Extra = Literal[
    "data", "detect", "classify", "run", "openvino", "track", "store", "export", "mlflow", "tune", "ray"
]  # fmt: skip

_PROOF: dict[Extra, tuple[str, ...]] = {
    "data": ("roboflow", "sklearn", "albumentations"),
    "detect": ("ultralytics", "torch", "onnx"),
    "classify": ("keras", "albumentations", "onnx"),
    "run": ("onnxruntime",),
    "openvino": ("openvino",),
    "track": ("trackers", "supervision"),
    "store": ("fsspec", "s3fs"),
    "export": ("nncf",),
    "mlflow": ("mlflow",),
    "tune": ("optuna",),
    "ray": ("ray",),
}


def has_extra(extra: Extra) -> bool:
    """Whether the libraries of an extra are installed; imports none of them."""
    return all(find_spec(module) is not None for module in _PROOF[extra])


def need_extra(extra: Extra, what: str) -> None:
    """Raise unless the libraries of an extra are installed.

    Args:
        extra: The name in the square brackets of `pip install "lensmith[...]"`.
        what: What the person wanted to do, as the subject of a sentence: "Training a detector".

    Raises:
        MissingExtraError: with the exact install command.
    """
    if not has_extra(extra):
        raise MissingExtraError(
            f"{what} needs the '{extra}' part of Lensmith, which is not installed here.",
            next_step=extra_command([extra]),
        )
