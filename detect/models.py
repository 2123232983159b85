"""Which detectors there are: the architectures that the installed Ultralytics ships, by name. Loads no Ultralytics."""

from __future__ import annotations

import difflib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import UsageError

DEFAULT_MODEL = "yolo26n"

_FAMILY_FILE = re.compile(r"yolov?\d+\w?(-(p2|p6|ghost|ghost-p2|ghost-p6|spp|tiny|rtdetr))?|rtdetr-\w+")
_FILE_PER_SIZE = ("yolov10", "rtdetr")
_PRETRAINED = re.compile(
    r"yolov3(-spp|-tiny)?|yolov5[nsmlx](-p6)?|yolov8[nsmlx]|yolov9[tsmce]|yolov10[nsmblx]"
    r"|yolo(11|12|26)[nsmlx]|rtdetr-[lx]"
)
YOLOV7 = "Ultralytics never took YOLOv7 in, and its own checkpoints cannot be read"
_IN_ORDER = "tnsbmclxe"  # sizes from the smallest up, those of YOLOv9 and YOLOv10 among them
YOLOV7_NEAREST = {"yolov7": "yolo11l", "yolov7-tiny": "yolo11s"}
_OTHER_TASKS = {
    "-cls": "classifies whole pictures (use `cv finetune` for that)",
    "-seg": "draws outlines",
    "-pose": "finds body points",
    "-obb": "finds rotated boxes",
    "-sem": "labels every pixel",
    "-depth": "measures depth",
}


@cache
def detector_names() -> dict[str, Path]:
    """Every detector by name, "yolo26n", with the packaged file that describes it."""
    found: dict[str, Path] = {}
    for path in sorted(_folder().rglob("*.yaml")):
        if not _FAMILY_FILE.fullmatch(path.stem):
            continue
        scales = _read(path).get("scales")
        if not scales or path.stem.startswith(_FILE_PER_SIZE):
            found[path.stem] = path
            continue
        for scale in scales:
            found[re.sub(r"^(yolov?\d+)", rf"\g<1>{scale}", path.stem)] = path
    return found


def check_model_name(name: str) -> str:
    """The name as it is spelled, if it is a detector's.

    Raises:
        UsageError: it is not; with the nearest names.
    """
    wanted = name.strip().lower().removesuffix(".yaml").removesuffix(".pt")
    known = detector_names()
    if wanted in known:
        return wanted
    for suffix, what in _OTHER_TASKS.items():
        if suffix in wanted:
            raise UsageError(f"'{name}' is not a detector: it {what}.", where="--model",
                             next_step=f"use {_near(wanted.split(suffix)[0])}")  # fmt: skip
    if wanted.startswith("yolov7"):
        nearest = " and ".join(f"{near} (for {old})" for old, near in YOLOV7_NEAREST.items())
        raise UsageError(f"This cannot be trained here: {YOLOV7}.", where="--model",
                         next_step=f"the nearest are {nearest}")  # fmt: skip
    raise UsageError(f"There is no detector called '{name}'.", where="--model", next_step=f"use {_near(wanted)}")


def asset_name(model: str) -> str:
    """The file name of a detector's official pretrained weights: YOLOv3 and v5 come in a renewed form, "u"."""
    if re.fullmatch(r"yolov5[nslmx]", model) or model in {"yolov3", "yolov3-spp", "yolov3-tiny"}:
        return f"{model}u.pt"
    if match := re.fullmatch(r"yolov5([nslmx])-p6", model):
        return f"yolov5{match[1]}6u.pt"
    return f"{model}.pt"


def has_pretrained(model: str) -> bool:
    """Whether Ultralytics publishes pretrained weights of a detector: not of YOLOv6, nor of most variants."""
    return _PRETRAINED.fullmatch(model) is not None


def load_architecture(model: str) -> dict[str, Any]:
    """The packaged description of a detector, with its size filled in, as Ultralytics' model builder takes it."""
    path = detector_names()[model]
    description = _read(path)
    scales = description.get("scales") or {}
    match = re.match(r"yolov?(?:10|\d+)([a-z])", model)
    only = next(iter(scales)) if len(scales) == 1 else ""
    description["scale"] = match[1] if match and match[1] in scales else only
    description["yaml_file"] = f"{model}.yaml"
    return description


def model_of_checkpoint(description: dict[str, Any]) -> str | None:
    """The name of the detector that a checkpoint's own description is of, None when it is not a packaged one."""
    stem = Path(str(description.get("yaml_file", ""))).stem
    known = detector_names()
    if stem in known:
        return stem
    match = re.fullmatch(r"(yolov?\d+)(.*)", stem)
    scaled = f"{match[1]}{description.get('scale', '')}{match[2]}" if match else ""
    return scaled if scaled in known else None


def is_transformer(model: str) -> bool:
    """Whether it is an RT-DETR, which Ultralytics trains with another trainer and which finds no box twice."""
    return "rtdetr" in model


def grid_of(model: str) -> int:
    """The input's sides must be multiples of this many pixels."""
    return 64 if model.endswith("-p6") else 32


def _near(wanted: str) -> str:
    if family := re.match(r"yolov?(?:10|11|12|26|\d)(?=[a-z])", wanted):
        sizes = [name for name in detector_names() if re.fullmatch(rf"{family[0]}[a-z]", name)]
        if sizes:
            return " or ".join(sorted(sizes, key=lambda name: _IN_ORDER.find(name[-1])))
    near = difflib.get_close_matches(wanted, detector_names(), n=3, cutoff=0.5)
    return " or ".join(near) if near else f"{DEFAULT_MODEL}, yolo11n, yolov8n, or a larger one of each (s, m, l, x)"


def _folder() -> Path:
    spec = find_spec("ultralytics")
    if spec is None or spec.origin is None:
        return Path("/nonexistent")
    return Path(spec.origin).parent / "cfg" / "models"


def _read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))
