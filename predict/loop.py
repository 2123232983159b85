"""The one predict loop: pictures, folders, videos and cameras all go through it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from .model import Predictor
from .results import Frame, Prediction
from .stages import Stage


@dataclass(frozen=True, slots=True)
class _Ready:
    frame: Frame
    prepared: Any
    milliseconds: dict[str, float]


def predict_frames(
    frames: Iterable[Frame],
    model: Predictor,
    *,
    confidence: float | Callable[[], float | None] | None = None,
    live: bool = False,
    stages: Sequence[Stage] = (),
) -> Generator[Prediction, None, None]:
    """Run the model over frames, in their order.

    A thread reads and prepares the next frames while the engine works; it is never more than two batches ahead, so
    memory stays flat however long the source is. Closing the generator stops it.

    Args:
        frames: What to look at. An error in it surfaces here, after the results of the frames before it.
        model: From `open_model`, or from `open_models` for several classifiers as one.
        confidence: Detections above it are kept; a classifier below it says "unknown". 0..1; None takes the bundle's,
            which may have one for each class. A function is asked before each batch: keys change it while it runs.
        live: Take one frame at a time, and the next one only when it is asked for, so that no frame waits.
        stages: What is done with the results, in this order.

    Yields:
        A prediction per frame. `milliseconds` has "read", "prepare", "model", "results", and each stage's name.

    Raises:
        DataError: the model's output does not fit its record.
    """
    batches = _one_by_one(frames, model) if live else _batches(frames, model)
    try:
        for batch in batches:
            yield from _run(batch, model, confidence() if callable(confidence) else confidence, stages)
    finally:
        batches.close()


def _one_by_one(frames: Iterable[Frame], model: Predictor) -> Generator[list[_Ready], None, None]:
    source = iter(frames)
    while (ready := _prepare_next(source, model)) is not None:
        yield [ready]


def _batches(frames: Iterable[Frame], model: Predictor) -> Generator[list[_Ready], None, None]:
    source, size = iter(frames), model.batch
    ahead: deque[Future[_Ready | None]] = deque()
    batch: list[_Ready] = []
    # One worker keeps the order and is the only thread that ever touches the source.
    with ThreadPoolExecutor(1, thread_name_prefix="frames") as worker:
        try:
            while True:
                while len(ahead) < 2 * size:
                    ahead.append(worker.submit(_prepare_next, source, model))
                try:
                    ready = ahead.popleft().result()
                except BaseException:
                    if batch:
                        yield batch
                    raise
                if ready is not None:
                    batch.append(ready)
                if batch and (ready is None or len(batch) == size):
                    yield batch
                    batch = []
                if ready is None:
                    return
        finally:
            worker.shutdown(cancel_futures=True)


def _prepare_next(source: Iterator[Frame], model: Predictor) -> _Ready | None:
    started = time.perf_counter()
    frame = next(source, None)
    if frame is None:
        return None
    read = time.perf_counter()
    prepared = model.prepare(frame.bgr)
    done = time.perf_counter()
    return _Ready(frame, prepared, {"read": 1000 * (read - started), "prepare": 1000 * (done - read)})


def _run(
    batch: list[_Ready], model: Predictor, confidence: float | None, stages: Sequence[Stage]
) -> Iterator[Prediction]:
    started = time.perf_counter()
    answers = model.infer([ready.prepared for ready in batch])
    share = 1000 * (time.perf_counter() - started) / len(batch)
    done: list[Prediction] = []
    for ready, raw in zip(batch, answers, strict=True):
        begun = time.perf_counter()
        result = model.decode(raw, ready.prepared, confidence)
        results = 1000 * (time.perf_counter() - begun)
        done.append(Prediction(ready.frame, result, {**ready.milliseconds, "model": share, "results": results}))
    for stage in stages:
        begun = time.perf_counter()
        changed = stage.apply(done)
        took = 1000 * (time.perf_counter() - begun) / len(done)
        done = [
            Prediction(one.frame, result, {**one.milliseconds, stage.name: took})
            for one, result in zip(done, changed, strict=True)
        ]
    yield from done
