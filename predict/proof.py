"""A bundle is opened in a fresh process, by every engine it has files for, and must repeat its golden samples.

Training reports success only after that, and what comes from elsewhere is used only after that: the process has limits
on memory and time, so that a hostile model ends it and nothing else.

`python -m lensmith.predict.proof` is that process. No training framework is loaded unless the native engine is asked
for: torch and TensorFlow take six seconds to load, ONNX Runtime and OpenVINO less than one.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.limited import Limits, answer_with, ask, in_child
from ..core.progress import warn
from ..weights.bundle import Bundle, read_bundle
from ..weights.known import WRITTEN, marks_of, note_marks
from ..weights.onnx_files import check_onnx
from ..weights.openvino_files import check_openvino
from ..weights.trust import check_checkpoint
from .engines.openvino import import_openvino

_PORTABLE = ("onnxruntime", "openvino")
_NATIVE = {"ultralytics": "model.pt", "keras": "model.keras"}
_SECONDS = 300.0
_UNSURE = 0.5
_MEMORY = 256 << 20
_MEMORY_PER_PIXEL = 600  # of the input: what the layers of a large detector hold at once, for one picture
_MOST_PIXELS = 4 << 20
_MEMORY_PER_BYTE = 6  # of the model's files: read, converted and laid out anew


def prove_bundle(folder: Path, *, native: bool = False) -> tuple[str, ...]:
    """Open a bundle in a fresh process and repeat its golden samples with every engine that is installed.

    Args:
        folder: The bundle's.
        native: Also with the library that it was trained with, in another process of its own, if that is installed. A
            bundle without a portable model is tried out with that library in any case.

    Returns:
        The engines that gave what they must; none where the bundle has files for no engine that is here.

    Raises:
        DataError: a file is damaged or asks for what a model does not need; an engine gives something else, and how far
            off; or the process died, took too much memory, or did not end.
    """
    bundle = read_bundle(folder)
    check_files(bundle)
    engines = _portable_engines(bundle)
    proven = _try(bundle, engines) if engines else ()
    for engine, name in _NATIVE.items():
        if (native or not engines) and bundle.file(name) is not None and find_spec(engine) is not None:
            proven += _try(bundle, (engine,))
    return proven


def prove_arrival(folder: Path) -> tuple[str, ...]:
    """`prove_bundle` for what comes from elsewhere; that nothing here could try it out is told."""
    from .engines.choose import engines_for

    proven = prove_bundle(folder)
    if not proven:
        able = engines_for(read_bundle(folder))
        why = f"nothing that runs it ({' or '.join(able)}) is installed here" if able else "it is for other programs"
        warn(f"not tried out: {why}")
    return proven


def prove_stranger(bundle: Bundle, engine: str) -> None:
    """Let an engine try out a bundle that was neither made nor tried out by it on this machine; others cost nothing.

    Raises:
        DataError: as `prove_bundle`.
    """
    if in_child() or find_spec(engine) is None or marks_of(bundle.folder) & {WRITTEN, engine}:
        return
    check_files(bundle)
    _try(bundle, (engine,))


def check_files(bundle: Bundle) -> None:
    """Look into each model file of a bundle without opening it with any library.

    Raises:
        DataError: one of them is damaged or asks for what a model does not need; or it is a program for a GPU that was
            not made on this machine, which nobody can look into.
    """
    for name in bundle.record.files:
        path = bundle.folder / name
        if name.endswith(".onnx"):
            check_onnx(path)
        elif name.endswith(".xml"):
            check_openvino(path)
        elif name.endswith(".pt"):
            check_checkpoint(path)
        elif name.endswith(".engine") and WRITTEN not in marks_of(bundle.folder):
            raise DataError(
                "A TensorRT engine is a program for a GPU, and only one that was made on this machine is run: get the "
                "model that it was made from, and export that here.",
                where=path, next_step="cv export NAME --to tensorrt, with the model that it was made from",
            )  # fmt: skip


def _portable_engines(bundle: Bundle) -> tuple[str, ...]:
    from .engines.choose import engines_for

    return tuple(name for name in engines_for(bundle) if name in _PORTABLE and find_spec(name) is not None)


def _allowed_memory(bundle: Bundle) -> int:
    """Bytes: far more than any sound model of this size was seen to take, and little for one that is not sound."""
    size = bundle.record.preprocessing
    files = sum((bundle.folder / name).stat().st_size for name in bundle.record.files)
    return _MEMORY + min(size.width * size.height, _MOST_PIXELS) * _MEMORY_PER_PIXEL + files * _MEMORY_PER_BYTE


def _try(bundle: Bundle, engines: tuple[str, ...]) -> tuple[str, ...]:
    question = {"folder": str(bundle.folder), "engines": engines}
    limits = Limits(None if set(engines) & set(_NATIVE) else _allowed_memory(bundle), _SECONDS)
    ask("lensmith.predict.proof", question, limits, doing="Opening this model for a trial", where=bundle.folder)
    note_marks(bundle.folder, engines)
    return engines


def _load_libraries(question: dict[str, Any]) -> None:
    for name in question["engines"]:
        if name == "openvino":
            import_openvino()
        elif name == "onnxruntime":
            import_module(name)


def _repeat(question: dict[str, Any]) -> list[str]:
    from .decode import decode_scores, read_rows
    from .engines.choose import open_engine
    from .engines.golden import compare

    bundle = read_bundle(Path(question["folder"]))
    for name in question["engines"]:
        engine = open_engine(bundle, engine=name, device="cpu")
        inputs, expected = bundle.golden()
        # Again, for `open_engine` remembers what it has compared before.
        outputs = np.concatenate([engine.infer(inputs[i : i + 1]) for i in range(len(inputs))])
        if (problem := compare(outputs, expected, bundle.record, engine.precision)) is not None:
            raise DataError(f"In a fresh process {name} does not repeat the golden samples: {problem}.",
                            where=bundle.folder, next_step="make the model again")  # fmt: skip
        for raw in outputs:  # raises where the answers do not fit the record's classes
            if bundle.record.task == "classify":
                decode_scores(raw, bundle.record)
            else:
                read_rows(raw, bundle.record, _UNSURE)
    return question["engines"]


if __name__ == "__main__":
    answer_with(_load_libraries, _repeat)
