"""Models in formats for other programs, run to be checked and measured. `cv predict` and `cv live` do not use this.

Each is loaded by the library that it was made for, in a process of its own, since torch and TensorFlow must not meet:
`python -m lensmith.predict.engines.foreign FORMAT PATH` takes pictures on its standard input and gives answers back.
"""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, Literal, Self, TypeVar

import numpy as np

from ...core.child import python_command
from ...core.device import usable_cores
from ...core.errors import LensmithError
from .base import Precision, one_by_one

Kind = Literal["torchscript", "tflite", "savedmodel", "coreml"]
Tag = TypeVar("Tag")
_HEADER = struct.Struct("<Qd")  # bytes of the answer that follows, and the seconds that the model took for it
_LINES_TOLD = 2


class ForeignEngine:
    """See `Engine`. Takes one picture at a time; must be closed, or used as a context.

    Args:
        kind: The format.
        path: The file or folder.

    Raises (when it runs):
        LensmithError: the library could not load or run it.
    """

    device = "cpu"
    precision: Precision = "f32"
    batch = 1

    def __init__(self, kind: Kind, path: Path) -> None:
        self.name = kind
        self._seconds = 0.0
        self._path = path
        self._said = TemporaryFile()  # noqa: SIM115 - closed with the process
        surroundings = {**os.environ, "PYTHONUTF8": "1", "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._process = subprocess.Popen(
            python_command("-m", __name__, kind, str(path)),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, env=surroundings,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the other process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe and not pipe.closed:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # what was not sent is of no use any more
        self._said.close()

    def clock(self) -> float:
        """How many seconds the model took in all, without what the pipe between the processes costs."""
        return self._seconds

    def infer(self, pictures: np.ndarray) -> np.ndarray:
        """See `Engine.infer`."""
        return np.concatenate([self._one(pictures[number : number + 1]) for number in range(len(pictures))])

    def stream(self, batches: Iterable[tuple[Tag, np.ndarray]]) -> Iterator[tuple[Tag, np.ndarray]]:
        """See `Engine.stream`."""
        return one_by_one(self.infer, batches)

    def _one(self, picture: np.ndarray) -> np.ndarray:
        sink, source = self._process.stdin, self._process.stdout
        if sink is None or source is None:
            raise LensmithError("The other process has no pipes.")
        try:
            _send(sink, picture)
            answer, seconds = _receive(source)
        except (EOFError, BrokenPipeError):
            raise self._failure() from None
        self._seconds += seconds
        return answer

    def _failure(self) -> LensmithError:
        self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode(errors="replace").strip().splitlines()[-_LINES_TOLD:]
        reason = " ".join(lines) or f"it ended with code {self._process.returncode} and without a word"
        return LensmithError(f"The {self.name} model cannot be run: {reason}", where=self._path)


def _send(pipe: IO[bytes], array: np.ndarray, seconds: float = 0.0) -> None:
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    pipe.write(_HEADER.pack(content.tell(), seconds))
    pipe.write(content.getbuffer())
    pipe.flush()


def _receive(pipe: IO[bytes]) -> tuple[np.ndarray, float]:
    """One array and its seconds.

    Raises:
        EOFError: the other side is gone.
    """
    header = pipe.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise EOFError
    size, seconds = _HEADER.unpack(header)
    content = pipe.read(size)
    if len(content) < size:
        raise EOFError
    return np.load(io.BytesIO(content), allow_pickle=False), seconds


def _load_torchscript(path: Path) -> Callable[[np.ndarray], Any]:
    import torch

    model = torch.jit.load(str(path), map_location="cpu")

    def run(picture: np.ndarray) -> Any:
        with torch.inference_mode():
            return model(torch.from_numpy(picture)).float().numpy()

    return run


def _load_tflite(path: Path) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(str(path), num_threads=usable_cores())
    interpreter.allocate_tensors()
    given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(picture: np.ndarray) -> Any:
        interpreter.set_tensor(given["index"], picture)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])

    return run


def _load_savedmodel(path: Path) -> Callable[[np.ndarray], Any]:
    import tensorflow as tf

    model: Any = tf.saved_model.load(str(path))
    function = model.signatures["serving_default"]

    def run(picture: np.ndarray) -> Any:
        return next(iter(function(pictures=tf.constant(picture)).values())).numpy()

    return run


def _load_coreml(path: Path) -> Callable[[np.ndarray], Any]:
    import coremltools  # pyright: ignore[reportMissingImports] - installed on macOS alone
    from PIL import Image

    model = coremltools.models.MLModel(str(path))

    def run(picture: np.ndarray) -> Any:
        rgb = np.ascontiguousarray(picture[0, ..., ::-1])
        return next(iter(model.predict({"pictures": Image.fromarray(rgb)}).values()))

    return run


_LOADERS: dict[str, Callable[[Path], Callable[[np.ndarray], Any]]] = {
    "torchscript": _load_torchscript,
    "tflite": _load_tflite,
    "savedmodel": _load_savedmodel,
    "coreml": _load_coreml,
}


def main(kind: str, path: Path) -> None:
    """Answer until standard input ends, as it does when the other process is gone."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # libraries print
    run = _LOADERS[kind](path)
    while True:
        try:
            picture, _ = _receive(sys.stdin.buffer)
        except EOFError:
            break
        start = time.perf_counter()
        answer = np.asarray(run(picture), np.float32)
        _send(answers, answer, time.perf_counter() - start)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
    os._exit(0)  # TensorFlow's threads may abort in Python's own end
