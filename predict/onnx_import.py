"""An `.onnx` file of another program becomes a bundle that takes pictures as they are.

The file is looked into by `weights.onnx_files` first. Libraries open it in a child with limits only: there the picture
input is put in front of it, ONNX Runtime gives the golden samples, and the answers tell of which kind they are. The
trial of the finished bundle then repeats them with OpenVINO too, where that is installed.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import DataError, UsageError
from ..core.extras import need_extra
from ..core.limited import Limits, answer_with, ask
from ..core.workspace import Workspace
from ..weights.bundle import PORTABLE_NAME, BundleRecord, DetectorRecord, Output, Preprocessing, copy_model
from ..weights.onnx_files import OnnxFacts, Tensor, check_onnx
from ..weights.onnx_names import names_of, side_of, task_of
from ..weights.portable import INPUT_NAME, add_picture_input, add_probabilities
from ..weights.protobuf import Damaged
from .imported import (
    ImportConfig,
    Imported,
    fixed_pictures,
    kind_of_answers,
    place_import,
    scale_and_shift,
    tidy_names,
    to_probabilities,
)

USUAL_SIZE = {"detect": 640, "classify": 224}
_SECONDS = 300.0
_MEMORY = 384 << 20
_MEMORY_PER_BYTE = 12  # parsed, written with the picture input, read by the runtime
_MEMORY_PER_PIXEL = 600
_ULTRALYTICS = "Ultralytics"


class _Plan(NamedTuple):
    """How the file is to be used.

    Attributes:
        takes_pictures: The input is uint8 `(n, h, w, 3)` already.
        layout: Of a float input.
    """

    task: str
    names: tuple[str, ...]
    width: int
    height: int
    takes_pictures: bool
    layout: str
    scale: str


def import_onnx(path: Path, workspace: Workspace, config: ImportConfig) -> Imported:
    """Make a bundle of an ONNX file.

    Args:
        path: The file. It has one input: pictures as uint8 `(n, h, w, 3)` BGR under the name "pictures", which are used
            as they are, or float32 `(n, 3, h, w)` or `(n, h, w, 3)`. Its first output is used: for a classifier
            `(n, classes)`, for a detector what `DetectorRecord.output` says.
        workspace: Where the bundle goes.
        config: What the file does not say. A file of Ultralytics says all of it.

    Raises:
        NotFoundError: there is no such file.
        UsageError: something has to be said that the file does not say, or the name is taken.
        DataError: the file is refused, and for what; or it gives something that no detector or classifier gives.
        MissingExtraError: ONNX Runtime is not installed, or for other inputs than pictures onnx.
    """
    facts = check_onnx(path)
    try:
        plan = _plan(path, facts, config)
    except Damaged as error:
        raise DataError(f"This ONNX file cannot be used: {error}.", where=path,
                        next_step="say it yourself: --task, --classes, --imgsz, --scale") from None  # fmt: skip
    need_extra("run", "Importing an ONNX file")
    if not plan.takes_pictures or plan.task == "classify":
        need_extra("detect" if plan.task == "detect" else "classify", "Importing an ONNX file of this kind")

    def make(work: Path) -> tuple[BundleRecord, Callable[[Path], None], tuple[np.ndarray, np.ndarray]]:
        return convert(path, work, plan, config)

    return place_import(path, config, workspace, told(facts), make)


def told(facts: OnnxFacts) -> dict[str, Any]:
    """What is in the file, for people."""
    return {
        "made by": facts.producer or "nobody knows", "parameters": f"{facts.parameters:,}",
        "inputs": [f"{one.name} {one.dtype} {list(one.shape)}" for one in facts.inputs],
        "outputs": [f"{one.name} {one.dtype} {list(one.shape)}" for one in facts.outputs],
        "operations": [f"{count} {name}" for name, count in facts.operations.most_common()],
        "opset": facts.opset,
    }  # fmt: skip


def _plan(path: Path, facts: OnnxFacts, config: ImportConfig) -> _Plan:
    said = facts.metadata
    task = config.task or task_of(said)
    if task not in USUAL_SIZE:
        raise UsageError(
            "The file does not say whether it is a detector or a classifier." if task is None else
            f"This model's task is '{task}', and only detectors and classifiers can be used.",
            where=path, next_step="say it: --task detect or --task classify",
        )  # fmt: skip
    if len(facts.inputs) != 1 or not facts.outputs:
        raise Damaged(f"it has {len(facts.inputs)} inputs and {len(facts.outputs)} outputs, not one picture in")
    names = config.classes or (tidy_names(list(names_of(said["names"]))) if "names" in said else None)
    if names is None:
        raise UsageError("The file does not say what its classes are called.", where=path,
                         next_step="give --classes a,b,c or a text file with one name a line")  # fmt: skip
    takes_pictures, layout, height, width = _input(facts.inputs[0])
    side = config.imgsz or side_of(said) or USUAL_SIZE[task]
    if config.imgsz and ((height or side) != side or (width or side) != side):
        raise UsageError(f"The model takes pictures of {width} x {height} pixels only.", where="--imgsz",
                         next_step="leave out --imgsz")  # fmt: skip
    scale = config.scale or ("0-1" if said.get("description", "").startswith(_ULTRALYTICS) else None)
    if scale is None and not takes_pictures:
        raise UsageError("The file does not say which numbers it takes for a pixel.", where=path,
                         next_step="say it: --scale 0-255, 0-1, -1-1 or imagenet")  # fmt: skip
    return _Plan(task, names, width or side, height or side, takes_pictures, layout, scale or "0-255")


def _input(tensor: Tensor) -> tuple[bool, str, int | None, int | None]:
    """Whether it takes pictures as they are; its layout; height and width where they are fixed."""
    shape = tensor.shape
    if len(shape) != 4 or 3 not in {shape[1], shape[3]}:
        raise Damaged(f"its input '{tensor.name}' has the shape {list(shape)}, which is no picture of three colours")
    layout = "nhwc" if shape[3] == 3 else "nchw"
    sides = shape[1:3] if layout == "nhwc" else shape[2:4]
    height, width = (side if isinstance(side, int) and side > 0 else None for side in sides)
    if tensor.dtype == "uint8" and layout == "nhwc" and tensor.name == INPUT_NAME:
        return True, layout, height, width
    if tensor.dtype != "float32":
        raise Damaged(f"its input is {tensor.dtype}, and float32 is needed")
    return False, layout, height, width


def convert(
    path: Path, work: Path, plan: _Plan, config: ImportConfig
) -> tuple[BundleRecord, Callable[[Path], None], tuple[np.ndarray, np.ndarray]]:
    """The record, what puts the model into a folder, and golden samples; done in a child with limits."""
    size = path.stat().st_size
    memory = _MEMORY + size * _MEMORY_PER_BYTE + min(plan.width * plan.height, 4 << 20) * _MEMORY_PER_PIXEL
    question = {"source": str(path.resolve()), "work": str(work), "channels": config.channels, **plan._asdict()}
    answer = ask("lensmith.predict.onnx_import", question, Limits(memory, _SECONDS),
                 doing="Reading this ONNX file", where=path)  # fmt: skip
    is_detector = plan.task == "detect"
    record = BundleRecord(
        name="imported", task="detect" if is_detector else "classify", names=plan.names, origin="imported",
        preprocessing=Preprocessing(
            width=plan.width, height=plan.height, resize="letterbox" if is_detector else "stretch",
            interpolation="linear" if is_detector else "area",
        ),
        detector=DetectorRecord(family="imported", output=answer["output"]) if is_detector else None,
        confidence=0.25 if is_detector else 0.0,
    )  # fmt: skip
    outputs = np.load(work / "outputs.npy", allow_pickle=False)
    return (
        record,
        lambda folder: copy_model(work / PORTABLE_NAME, folder, PORTABLE_NAME),
        (fixed_pictures(plan.width, plan.height), outputs),
    )


def _import_runtime(question: dict[str, Any]) -> None:
    import onnxruntime  # noqa: F401 - before memory is limited

    if not question["takes_pictures"]:
        import onnx  # noqa: F401


def _convert(question: dict[str, Any]) -> dict[str, Any]:
    source, work = Path(question["source"]), Path(question["work"])
    target = work / PORTABLE_NAME
    pictures = fixed_pictures(question["width"], question["height"])
    try:
        if question["takes_pictures"]:
            target.write_bytes(source.read_bytes())
        else:
            scale, shift = scale_and_shift(question["scale"])
            if question["channels"] == "bgr":
                scale, shift = scale[::-1], shift[::-1]
            add_picture_input(source, target, layout=question["layout"], scale=scale, shift=shift,
                              channels=question["channels"])  # fmt: skip
        outputs = _run(target, pictures)
        if question["task"] == "detect":
            kind = kind_of_boxes(outputs, len(question["names"]), max(question["width"], question["height"]))
        else:
            kind = kind_of_answers(outputs, len(question["names"]))
            outputs = to_probabilities(outputs, kind)
            if kind != "probabilities":
                add_probabilities(target, kind)
    except (DataError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever the libraries find wrong with a file
        first = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise DataError(f"This ONNX file cannot be used: {first}", where=source) from None
    np.save(work / "outputs.npy", outputs, allow_pickle=False)
    return {"output": kind}


def _run(path: Path, pictures: np.ndarray) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    fixed = session.get_inputs()[0].shape[0]
    if isinstance(fixed, int) and fixed != 1:
        raise DataError(f"This model takes {fixed} pictures at a time, and one is needed.", where=path,
                        next_step="export it with a batch of 1, or of any size")  # fmt: skip
    name = session.get_outputs()[0].name
    answers = [np.asarray(session.run([name], {INPUT_NAME: pictures[i : i + 1]})[0]) for i in range(len(pictures))]
    return np.concatenate(answers).astype(np.float32)


def kind_of_boxes(outputs: np.ndarray, classes: int, side: int) -> Output:
    """How a detector's answers are to be read, see `DetectorRecord.output`.

    Raises:
        DataError: in none of the ways that are known.
    """
    shape = outputs.shape
    if len(shape) == 3 and shape[1] == 4 + classes and np.isfinite(outputs).all():
        return "raw"
    if len(shape) == 3 and shape[2] == 6 and np.isfinite(outputs).all():
        boxes = outputs[..., :4]
        return "queries" if side > 4 and np.abs(boxes).max() <= 2 else "final"
    raise DataError(
        f"The model answers with {list(shape)}, and for {classes} classes it should be (n, {4 + classes}, anchors) or "
        "(n, boxes, 6).",
        next_step="look at --classes; models of YOLOv5 and YOLOv7 with a number for 'there is something' are not read",
    )


if __name__ == "__main__":
    answer_with(_import_runtime, _convert)
