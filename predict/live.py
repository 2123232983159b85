"""`cv live` as a library call: newest frames through the loop, onto a window, into a recording, as records."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.progress import say, warn
from .address import Address, open_capture
from .camera import Camera, State
from .draw import draw, draw_note
from .loop import predict_frames
from .model import Predictor
from .recorder import VideoRecorder
from .results import Prediction
from .stages import Stage
from .summary import Summary
from .video import frames_per_second
from .window import Window

_RECORDING_FRAMES_PER_SECOND = 25.0
_RECENT_FRAMES = 30
_KEPT_LATENCIES = 100_000


@dataclass(frozen=True)
class LiveConfig:
    """Options of `run_live`.

    Attributes:
        confidence: As in `predict_frames`.
        window: Show a window; only where `window.window_problem` found nothing.
        record: Write what is shown into this video file.
        seconds: End after so long, counted from the first frame; None runs until the source ends or the person does.
        on_record: Called with the record of each frame shown.
        stages: As in `predict_frames`.
    """

    confidence: float | None = None
    window: bool = True
    record: Path | None = None
    seconds: float | None = None
    on_record: Callable[[dict[str, Any]], None] | None = None
    stages: Sequence[Stage] = ()


@dataclass
class LiveResult:
    """What was seen, filled in as it goes.

    Attributes:
        summary: Counts and times.
        latencies: Milliseconds from a frame's arrival until it was shown, one per frame (the last 100,000).
        read, dropped: Frames that came in, and those overtaken by a newer one before the model was free.
        reconnections: How often the source was lost and came back.
    """

    summary: Summary
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))
    read: int = 0
    dropped: int = 0
    reconnections: int = 0

    def latency(self, percent: float) -> float:
        """A percentile of the latency in milliseconds, 0 when nothing was shown."""
        return float(np.percentile(np.array(self.latencies), percent)) if self.latencies else 0.0


class LiveView:
    """One run of `cv live`. `result` is filled even when the run ends with an error or Ctrl-C."""

    def __init__(self, address: Address, model: Predictor, config: LiveConfig) -> None:
        self.result = LiveResult(Summary(model.names))
        self._model, self._config = model, config
        self._camera = Camera(address, self._wait)
        self._window = Window(f"Lensmith: {model.name}") if config.window else None
        self._recorder = VideoRecorder(config.record, _recording_rate(address)) if config.record else None
        self._shown_at: deque[float] = deque(maxlen=_RECENT_FRAMES)
        self._first: float | None = None
        self._told: State = "opening"
        self._last_drawn: np.ndarray | None = None

    def run(self) -> LiveResult:
        """Show frames until the source ends, the time is up, or the person quits.

        Raises:
            NotFoundError, DataError, LensmithError: the source cannot be opened, or the recording cannot be written.
            KeyboardInterrupt: the person pressed Ctrl-C; the recording is finished first.
        """
        with ExitStack() as stack:
            if self._window:
                stack.callback(self._window.close)
            if self._recorder:
                stack.callback(self._recorder.close)
            stack.callback(self._count)
            stack.callback(self._camera.close)
            predictions = predict_frames(
                self._camera, self._model, confidence=self._config.confidence, live=True, stages=self._config.stages
            )
            stack.callback(predictions.close)
            for prediction in predictions:
                if not self._show(prediction):
                    break
        return self.result

    def _show(self, prediction: Prediction) -> bool:
        """Draw, show, record and count one frame; False ends the run."""
        if self._camera.state == "playing" and self._told == "reconnecting":
            say(f"{self._camera.label} is back.")
        self._told = "playing"
        drawn = draw(prediction, self._model.names)
        draw_note(drawn, self._status())
        going_on = self._window.show(drawn) if self._window else True
        now = time.perf_counter()
        self.result.latencies.append(1000 * (now - self._camera.captured))
        self._shown_at.append(now)
        self._first = self._first or now
        self._last_drawn = drawn
        if self._recorder:
            self._recorder.write_at(drawn, prediction.frame.seconds)
        if self._config.on_record:
            self._config.on_record(prediction.as_record(self._model.names))
        self.result.summary.add(prediction)
        return going_on and not self._time_is_up()

    def _wait(self) -> bool:
        """Called between frames: keeps the window alive and tells when the source is lost."""
        if self._camera.state == "reconnecting" and self._told != "reconnecting":
            self._told = "reconnecting"
            warn(f"{self._camera.label} is gone; trying to reach it again.")
            if self._window and self._last_drawn is not None:
                lost = self._last_drawn // 2
                draw_note(lost, "no picture: reconnecting ...")
                if not self._window.show(lost):
                    return False
        if self._window and not self._window.listen():
            return False
        return not self._time_is_up()

    def _time_is_up(self) -> bool:
        limit = self._config.seconds
        return limit is not None and self._first is not None and time.perf_counter() - self._first >= limit

    def _status(self) -> str:
        if len(self._shown_at) < 2:
            return "starting"
        rate = (len(self._shown_at) - 1) / (self._shown_at[-1] - self._shown_at[0])
        recent = list(self.result.latencies)[-_RECENT_FRAMES:]
        return f"{rate:.1f} fps   {np.median(recent):.0f} ms"

    def _count(self) -> None:
        self.result.read = self._camera.read
        self.result.dropped = self._camera.dropped
        self.result.reconnections = self._camera.reconnections


def _recording_rate(address: Address) -> float:
    """A file's own; for what is live a constant one, which `VideoRecorder.write_at` fills by the clock."""
    if not isinstance(address.target, Path):
        return _RECORDING_FRAMES_PER_SECOND
    capture = open_capture(address)
    try:
        return frames_per_second(capture)
    finally:
        capture.release()
