"""The one predict loop: pictures, folders, videos and cameras all go through it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from .ahead import Ahead, Ready
from .model import Predictor
from .results import Frame, Prediction
from .stages import Stage, asked_of_model

_BATCH_BYTES = 192 << 20  # a batch of very large frames is smaller


@dataclass
class Waited:
    """What the loop's own thread spent its time on, in seconds. Nothing is counted twice, so they add up to the whole.

    Attributes:
        source: Waiting for frames that were not ready yet: reading, decoding and preparing is slower than the rest.
        model: Waiting for the model.
        results: What is done with the model's answers: boxes, classes, the stages.
        output: Waiting until results could be handed on: drawing and writing is slower than the rest.
    """

    source: float = 0.0
    model: float = 0.0
    results: float = 0.0
    output: float = 0.0


def predict_frames(
    frames: Iterable[Frame],
    model: Predictor,
    *,
    confidence: float | Callable[[], float | None] | None = None,
    live: bool = False,
    stages: Sequence[Stage] = (),
    waited: Waited | None = None,
) -> Generator[Prediction, None, None]:
    """Run the model over frames, in their order.

    Threads read, decode and prepare the next frames while the engine works; they are only a little ahead, in number and
    in bytes, so memory stays flat however long the source is and however large its frames are. Closing the generator
    stops them.

    Args:
        frames: What to look at. An error in it surfaces here, after the results of the frames before it. Pictures of a
            source with `jobs` are decoded in several threads.
        model: From `open_model`, or from `open_models` for several classifiers as one.
        confidence: Detections above it are kept; a classifier below it says "unknown". 0..1; None takes the bundle's,
            which may have one for each class. A function is asked before each batch: keys change it while it runs.
        live: Take one frame at a time, and the next one only when it is asked for, so that no frame waits.
        stages: What is done with the results, in this order.
        waited: Filled with where the time goes, but for `output`, which its owner knows.

    Yields:
        A prediction per frame. `milliseconds` has "read", "prepare", "model" (how long the loop waited for it),
        "results", and each stage's name.

    Raises:
        DataError: the model's output does not fit its record.
    """
    waited = waited or Waited()
    batches = _one_by_one(frames, model, waited) if live else _streamed(frames, model, waited)
    try:
        for batch, raw, share in batches:
            began = time.perf_counter()
            wanted = confidence() if callable(confidence) else confidence
            asked = asked_of_model(wanted, stages)
            done = _apply(stages, _decode(batch, raw, model, asked, share))
            waited.results += time.perf_counter() - began
            yield from done
    finally:
        batches.close()


_Answered = tuple[Sequence[Ready], Iterable[Any], float]  # a batch, its raw answers, the model's milliseconds per frame


def _one_by_one(frames: Iterable[Frame], model: Predictor, waited: Waited) -> Generator[_Answered, None, None]:
    source = iter(frames)
    try:
        while True:
            began = time.perf_counter()
            frame = next(source, None)
            if frame is None:
                return
            read = time.perf_counter()
            prepared = model.prepare(frame.bgr)
            ready = time.perf_counter()
            raw = model.infer([prepared])
            took = time.perf_counter() - ready
            waited.source += ready - began
            waited.model += took
            milliseconds = {"read": 1000 * (read - began), "prepare": 1000 * (ready - read)}
            yield [Ready(frame, prepared, milliseconds)], raw, 1000 * took
    finally:  # Ctrl-C comes here mostly, and the traceback would keep a camera open and its numbers unsaid
        _close(source)


def _close(source: Iterator[Any]) -> None:
    """End a generator; other iterators have nothing to close."""
    close = getattr(source, "close", None)
    if close is not None:
        close()


def _streamed(frames: Iterable[Frame], model: Predictor, waited: Waited) -> Generator[_Answered, None, None]:
    ahead = Ahead(frames, model.prepare, 2 * model.batch)
    batches = _Batches(ahead, model.batch)
    answers = model.stream(batches)
    try:
        while True:
            began, before = time.perf_counter(), batches.waited
            answered = next(answers, None)
            took = time.perf_counter() - began
            # An engine that fetches its batches in a thread of its own may wait there while the model works.
            for_source = min(batches.waited - before, took)
            waited.source += for_source
            waited.model += took - for_source
            if answered is None:
                break
            batch, raw = answered
            yield batch, raw, 1000 * (took - for_source) / len(batch)
            for ready in batch:
                ahead.release(ready.frame)
        if batches.error is not None:
            raise batches.error
    finally:
        ahead.close()  # first: a thread of the engine's may be waiting for a batch
        _close(answers)


class _Batches:
    """What a model's `stream` takes. An error of the source ends it and is kept: what is on its way is not lost."""

    def __init__(self, ahead: Ahead, size: int) -> None:
        self.error: BaseException | None = None
        self.waited = 0.0
        self._ahead, self._size = ahead, size
        self._over = False

    def __iter__(self) -> Iterator[tuple[list[Ready], list[Any]]]:
        return self

    def __next__(self) -> tuple[list[Ready], list[Any]]:
        began = time.perf_counter()
        batch: list[Ready] = []
        size = 0
        while not self._over and len(batch) < self._size and size < _BATCH_BYTES:
            try:
                ready = self._ahead.take()
            except Exception as error:  # noqa: BLE001 - raised again after the results of the frames before
                self.error, ready = error, None
            if ready is None:
                self._over = True
            else:
                batch.append(ready)
                size += ready.frame.bgr.nbytes
        self.waited += time.perf_counter() - began
        if not batch:
            raise StopIteration
        return batch, [one.prepared for one in batch]


def _decode(
    batch: Sequence[Ready], answers: Iterable[Any], model: Predictor, confidence: float | None, share: float
) -> list[Prediction]:
    done: list[Prediction] = []
    for ready, raw in zip(batch, answers, strict=True):
        began = time.perf_counter()
        result = model.decode(raw, ready.prepared, confidence)
        results = 1000 * (time.perf_counter() - began)
        done.append(Prediction(ready.frame, result, {**ready.milliseconds, "model": share, "results": results}))
    return done


def _apply(stages: Sequence[Stage], done: list[Prediction]) -> list[Prediction]:
    for stage in stages:
        began = time.perf_counter()
        changed = stage.apply(done)
        took = 1000 * (time.perf_counter() - began) / len(done)
        done = [
            Prediction(one.frame, result, {**one.milliseconds, stage.name: took})
            for one, result in zip(done, changed, strict=True)
        ]
    return done
