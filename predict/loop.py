"""The one predict loop: pictures, folders, videos and cameras all go through it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ..weights.bundle import Bundle, BundleRecord
from .decode import decode_detections, decode_scores
from .engines.base import Engine
from .prepare import Geometry, fit
from .results import Detections, Frame, Prediction, Scores


@dataclass(frozen=True, slots=True)
class _Prepared:
    frame: Frame
    picture: np.ndarray
    geometry: Geometry
    milliseconds: dict[str, float]


def predict_frames(
    frames: Iterable[Frame],
    bundle: Bundle,
    engine: Engine,
    *,
    confidence: float | None = None,
    live: bool = False,
) -> Generator[Prediction, None, None]:
    """Run the model over frames, in their order.

    A thread reads and prepares the next frames while the engine works; it is never more than two batches ahead, so
    memory stays flat however long the source is. Closing the generator stops it.

    Args:
        frames: What to look at. An error in it surfaces here, after the results of the frames before it.
        bundle: The model's bundle.
        engine: From `open_engine`.
        confidence: Detections above it are kept; a classifier below it says "unknown". 0..1; None takes the bundle's.
        live: Take one frame at a time, and the next one only when it is asked for, so that no frame waits.

    Yields:
        A prediction per frame. `milliseconds` has "read", "prepare", "model" and "results".

    Raises:
        DataError: the model's output does not fit its record.
    """
    threshold = bundle.record.confidence if confidence is None else confidence
    batches = _one_by_one(frames, bundle.record) if live else _batches(frames, bundle.record, max(engine.batch, 1))
    try:
        for batch in batches:
            yield from _run(batch, bundle.record, engine, threshold)
    finally:
        batches.close()


def _one_by_one(frames: Iterable[Frame], record: BundleRecord) -> Generator[list[_Prepared], None, None]:
    source = iter(frames)
    while (prepared := _prepare_next(source, record)) is not None:
        yield [prepared]


def _batches(frames: Iterable[Frame], record: BundleRecord, size: int) -> Generator[list[_Prepared], None, None]:
    source = iter(frames)
    ahead: deque[Future[_Prepared | None]] = deque()
    batch: list[_Prepared] = []
    # One worker keeps the order and is the only thread that ever touches the source.
    with ThreadPoolExecutor(1, thread_name_prefix="frames") as worker:
        try:
            while True:
                while len(ahead) < 2 * size:
                    ahead.append(worker.submit(_prepare_next, source, record))
                try:
                    prepared = ahead.popleft().result()
                except BaseException:
                    if batch:
                        yield batch
                    raise
                if prepared is not None:
                    batch.append(prepared)
                if batch and (prepared is None or len(batch) == size):
                    yield batch
                    batch = []
                if prepared is None:
                    return
        finally:
            worker.shutdown(cancel_futures=True)


def _prepare_next(source: Iterator[Frame], record: BundleRecord) -> _Prepared | None:
    started = time.perf_counter()
    frame = next(source, None)
    if frame is None:
        return None
    read = time.perf_counter()
    picture, geometry = fit(frame.bgr, record.preprocessing)
    prepared = time.perf_counter()
    return _Prepared(frame, picture, geometry, {"read": 1000 * (read - started), "prepare": 1000 * (prepared - read)})


def _run(batch: list[_Prepared], record: BundleRecord, engine: Engine, threshold: float) -> Iterator[Prediction]:
    started = time.perf_counter()
    outputs = engine.infer(np.stack([prepared.picture for prepared in batch]))
    model = 1000 * (time.perf_counter() - started) / len(batch)
    for prepared, raw in zip(batch, outputs, strict=True):
        begun = time.perf_counter()
        result: Detections | Scores
        if record.task == "detect":
            result = decode_detections(raw, record, prepared.geometry, threshold)
        else:
            result = decode_scores(raw, record, threshold)
        results = 1000 * (time.perf_counter() - begun)
        yield Prediction(prepared.frame, result, {**prepared.milliseconds, "model": model, "results": results})
