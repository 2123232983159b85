"""A conversion in a process of its own: torch and TensorFlow never meet, and what a library leaves behind goes with it.

`python -m lensmith.weights.export.convert FORMAT PRECISION BUNDLE TARGET [PICTURES.npy]` does the work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...core.child import python_command
from ...core.device import is_memory_full
from ...core.errors import DataError, DiskFullError, LensmithError, is_disk_full
from ..bundle import Bundle, read_bundle
from ..record import ExportFormat, Precision
from .formats import FORMATS

_LINES_TOLD = 2


@dataclass(frozen=True)
class Order:
    """What is to be made.

    Attributes:
        kind: The format.
        precision: Of its numbers.
        bundle: The folder of the source's bundle.
        target: An empty folder for the files.
        pictures: Pictures that show an int8 model which numbers come, a `.npy` file of uint8 BGR `(n, h, w, 3)` at the
            bundle's input size.
    """

    kind: ExportFormat
    precision: Precision
    bundle: Path
    target: Path
    pictures: Path | None = None


def convert(order: Order, said: Path) -> None:
    """Make the files in a child process, and wait for it; it ends with this process, however that ends.

    Args:
        order: What to make.
        said: A file for what the libraries say.

    Raises:
        LensmithError: it could not be made, and why.
        DiskFullError: there was no room for it.
    """
    command = python_command("-m", __name__, order.kind, order.precision, str(order.bundle), str(order.target))
    if order.pictures:
        command.append(str(order.pictures))
    # A GPU is of no use here, and TensorFlow and torch would take one whole.
    hidden = {} if order.kind == "tensorrt" else {"CUDA_VISIBLE_DEVICES": "-1"}
    surroundings = {**os.environ, "PYTHONUTF8": "1", "TF_CPP_MIN_LOG_LEVEL": "3", **hidden}
    with said.open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=surroundings)
        try:
            assert process.stdout is not None  # noqa: S101 - asked for one line above
            answer = process.stdout.read()
            code = process.wait()
        finally:
            process.kill()
            process.wait()
    if code or not (order.target / FORMATS[order.kind].entry).exists():
        raise _failure(order, code, answer, said)


def _failure(order: Order, code: int, answer: bytes, said: Path) -> LensmithError:
    title = FORMATS[order.kind].title
    try:
        told = json.loads(answer.decode(errors="replace").strip().splitlines()[-1])
    except (ValueError, IndexError):
        lines = said.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-_LINES_TOLD:]
        why = " ".join(lines) or "without a word"
        if code < 0:
            why = f"the system ended the conversion (signal {-code}), mostly because memory is short"
        return LensmithError(f"The {title} model could not be made: {why}", where=order.bundle)
    if told.get("disk_full"):
        return DiskFullError(order.target.parent)
    return LensmithError(
        f"The {title} model could not be made: {told['what']}", where=order.bundle, next_step=told.get("next_step")
    )


def _run(order: Order) -> None:
    bundle = read_bundle(order.bundle)
    _road(order.kind)(bundle, order)


def _road(kind: ExportFormat) -> Callable[[Bundle, Order], None]:
    match kind:
        case "onnx":
            from .to_onnx import export
        case "openvino":
            from .to_openvino import export
        case "torchscript":
            from .to_torchscript import export
        case "savedmodel" | "tflite":
            from .to_tensorflow import export
        case "coreml":
            from .to_coreml import export
        case "tensorrt":
            from .to_tensorrt import export
    return export


def need_file(bundle: Bundle, name: str) -> Path:
    """One of the bundle's files.

    Raises:
        DataError: it has none of that name.
    """
    path = bundle.file(name)
    if path is None:
        raise DataError(
            f"'{bundle.name}' has no {name}, which this format is made from.",
            where=bundle.folder,
            next_step="export the model that was trained, or choose another --to",
        )
    return path


def _end_with_parent() -> None:
    """Leave at once when the process that started this one is gone: its end of the pipe closes, even after a kill."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main(arguments: list[str]) -> int:
    """Do one conversion; what went wrong goes to stdout as a line of JSON."""
    _end_with_parent()
    kind, precision, bundle, target, *pictures = arguments
    order = Order(kind, precision, Path(bundle), Path(target), Path(pictures[0]) if pictures else None)  # pyright: ignore[reportArgumentType] - from `convert`
    answer = os.dup(1)
    os.dup2(2, 1)  # some libraries print, from C++ too
    try:
        _run(order)
    except LensmithError as error:
        told = {"what": error.what, "next_step": error.next_step}
    except Exception as error:  # noqa: BLE001 - converters raise whatever they like, and the person is told of it
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        told = {
            "what": f"{type(error).__name__}: {lines[0] if lines else 'no reason given'}"[:500],
            "disk_full": isinstance(error, OSError) and is_disk_full(error),
        }
        if is_memory_full(error):
            told["next_step"] = "end other programs, or use a machine with more memory"
    else:
        return 0
    os.write(answer, json.dumps(told).encode() + b"\n")
    return 1


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    os._exit(code)  # TensorFlow and OpenVINO beside each other may abort in Python's own end
