"""A model of another program becomes a bundle: what the three kinds of files have in common.

look into the file without opening it   refuses by name what a model does not need
convert it in a child with limits       `detect.imported`, `classify.imported`, `onnx_import`
write the bundle, prove it, name it     `place_import`
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..core.errors import DataError, UsageError
from ..core.files import scratch_folder, whole_folder
from ..core.progress import say
from ..core.words import some
from ..core.workspace import Workspace
from ..weights.bundle import Bundle, BundleRecord, read_bundle, write_bundle
from ..weights.protobuf import plain
from ..weights.shelf import bundle_lock, free_bundle_name
from .proof import prove_arrival

Task = Literal["detect", "classify"]
Scale = Literal["0-255", "0-1", "-1-1", "imagenet"]
Answers = Literal["probabilities", "logits", "one", "one-logit"]
SCALES: tuple[Scale, ...] = ("0-255", "0-1", "-1-1", "imagenet")
GOLDEN_SAMPLES = 4
MOST_CLASSES = 10_000
_LARGEST = 4096
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImportConfig:
    """What a person says about a file of another program. What the file says itself need not be said.

    Attributes:
        name: What the bundle is to be called; the file's name where it is None.
        task: "detect" or "classify".
        classes: The class names in the model's order.
        imgsz: Sides of the input in pixels; None takes the file's own, or for a detector that takes any size 640.
        scale: What the model takes for a picture's 0..255: "0-255" the same, "0-1", "-1-1", or "imagenet", which is
            0-1 minus ImageNet's mean, divided by its deviation.
        channels: The order of colours that the model takes.
    """

    name: str | None = None
    task: Task | None = None
    classes: tuple[str, ...] | None = None
    imgsz: int | None = None
    scale: Scale | None = None
    channels: Literal["rgb", "bgr"] = "rgb"

    def __post_init__(self) -> None:
        if self.imgsz is not None and not 16 <= self.imgsz <= _LARGEST:
            raise UsageError(f"An input of {self.imgsz} pixels is too small or too large.", where="--imgsz",
                             next_step=f"give 16 to {_LARGEST}")  # fmt: skip
        if self.scale is not None and self.scale not in SCALES:
            raise UsageError(f"There is no scale '{self.scale}'.", where="--scale",
                             next_step=f"use {', '.join(SCALES)}")  # fmt: skip
        if self.classes is not None and len(set(self.classes)) != len(self.classes):
            raise UsageError("Two classes have one name.", where="--classes", next_step="give each its own name")


@dataclass(frozen=True)
class Imported:
    """What came of it.

    Attributes:
        bundle: In its place.
        facts: What was found in the file, for people.
        proven: Engines that gave the golden samples in a fresh process.
    """

    bundle: Bundle
    facts: dict[str, Any] = field(default_factory=dict)
    proven: tuple[str, ...] = ()


def fixed_pictures(width: int, height: int) -> np.ndarray:
    """The pictures that become an imported model's golden samples; the same on every machine.

    Returns:
        uint8 BGR `(4, height, width, 3)`: colours that run into each other, filled rectangles on grey, a disc on a
        chequered ground, and smooth noise.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    across, down = x / max(width - 1, 1), y / max(height - 1, 1)
    ramp = np.stack([across, down, 1 - across], axis=-1) * 255
    blocks = np.full((height, width, 3), 128.0)
    for left, top, right, bottom, colour in ((0.1, 0.1, 0.4, 0.5, (0, 0, 255)), (0.5, 0.3, 0.9, 0.9, (255, 0, 0)),
                                             (0.2, 0.6, 0.45, 0.95, (0, 255, 0))):  # fmt: skip
        blocks[(across >= left) & (across < right) & (down >= top) & (down < bottom)] = colour
    squares = ((x * 8 // width + y * 8 // height) % 2 * 160 + 40)[..., None].repeat(3, axis=-1)
    squares[(across - 0.5) ** 2 + (down - 0.5) ** 2 < 0.09] = (40, 160, 250)
    waves = np.stack([np.sin(across * a + down * b) for a, b in ((9, 4), (5, 13), (17, 8))], axis=-1) * 100 + 128
    return np.stack([ramp, blocks, squares, waves]).round().clip(0, 255).astype(np.uint8)


def scale_and_shift(scale: Scale) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What pictures of 0..255 are multiplied by, and what is added then, for the channels RGB."""
    match scale:
        case "0-255":
            return (1.0,) * 3, ()
        case "0-1":
            return (1 / 255,) * 3, ()
        case "-1-1":
            return (1 / 127.5,) * 3, (-1.0,) * 3
        case "imagenet":
            pairs = list(zip(_IMAGENET_MEAN, _IMAGENET_DEVIATION, strict=True))
            return tuple(1 / 255 / deviation for _, deviation in pairs), tuple(-mean / dev for mean, dev in pairs)


def tidy_names(names: list[Any]) -> tuple[str, ...]:
    """Class names out of a file: without control characters, each with something in it, and no two alike."""
    if not 0 < len(names) <= MOST_CLASSES:
        raise DataError(f"The file names {len(names)} classes.", next_step="say which they are with --classes")
    tidy: list[str] = []
    for number, name in enumerate(names):
        shown = plain(str(name)).strip()[:200] or f"class {number}"
        tidy.append(shown if shown not in tidy else f"{shown} ({number})")
    return tuple(tidy)


def kind_of_answers(outputs: np.ndarray, classes: int) -> Answers:
    """What a classifier answers with, by its answers to the fixed pictures.

    Raises:
        DataError: with nothing that can be made into probabilities of classes that exclude each other.
    """
    if outputs.ndim != 2 or outputs.shape[1] not in ({1, 2} if classes == 2 else {classes}):
        raise DataError(f"The model answers with {list(outputs.shape[1:])} numbers for {classes} classes.",
                        next_step="look at --classes")  # fmt: skip
    if not np.isfinite(outputs).all():
        raise DataError("The model answers with what is no number.")
    within = bool((outputs >= 0).all() and (outputs <= 1).all())
    if outputs.shape[1] == 1 and classes == 2:
        return "one" if within else "one-logit"
    if within and np.allclose(outputs.sum(axis=1), 1, atol=1e-3):
        return "probabilities"
    if within:
        raise DataError("The model's answers lie between 0 and 1 and do not add up to 1: its classes do not exclude "
                        "each other, and such a classifier cannot be used here.")  # fmt: skip
    return "logits"


def to_probabilities(outputs: np.ndarray, kind: Answers) -> np.ndarray:
    """Answers of a kind as probabilities, float32 `(n, classes)`; the same as `add_probabilities` puts into a file."""
    if kind == "probabilities":
        return outputs
    if kind == "logits":
        power = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return (power / power.sum(axis=1, keepdims=True)).astype(np.float32)
    second = outputs if kind == "one" else 1 / (1 + np.exp(-outputs))
    return np.concatenate([1 - second, second], axis=1).astype(np.float32)


def tell_facts(path: Path, facts: dict[str, Any]) -> None:
    """Show what is in a file before it is opened."""
    say(f"{path.name}:")
    for name, value in facts.items():
        say(f"  {name}: {some([str(one) for one in value], 8) if isinstance(value, (list, tuple)) else value}")


def place_import(
    path: Path,
    config: ImportConfig,
    workspace: Workspace,
    facts: dict[str, Any],
    make: Callable[[Path], tuple[BundleRecord, Callable[[Path], None], tuple[np.ndarray, np.ndarray]]],
) -> Imported:
    """Write the bundle beside its place, try it out in a fresh process, and only then give it its name.

    Args:
        path: The foreign file.
        config: See there.
        workspace: Where the bundle goes.
        facts: What was found in the file.
        make: Gets an empty folder to work in; gives what `write_bundle` takes.

    Raises:
        UsageError: the name is taken.
        DataError: the file cannot be used.
    """
    name = free_bundle_name(config.name, path.stem, workspace)
    tell_facts(path, facts)
    target = workspace.weights / name
    with scratch_folder(workspace.weights / f"{name}-import") as scratch:
        work = scratch / "work"
        work.mkdir()
        record, fill, golden = make(work)
        staged = write_bundle(scratch / name, record.model_copy(update={"name": name}), fill, golden=golden)
        say("trying it out in a fresh process ...")
        proven = prove_arrival(staged.folder)
        with bundle_lock(workspace, name), whole_folder(target) as folder:
            for one in sorted(staged.folder.iterdir()):
                one.rename(folder / one.name)
    return Imported(read_bundle(target), facts, proven)
