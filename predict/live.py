"""`cv live` as a library call: newest frames through the loop, to a screen, a recording, hooks, and as records."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.progress import say, warn
from .actions import SaveFrames
from .address import Address, open_capture
from .camera import Camera, State
from .draw import draw, draw_note
from .hooks import USUAL_EVERY_SECONDS, Action, Hooks, Rule, Sighting, sighting_of
from .keys import KEYS, Threshold, draw_help
from .live_result import LiveResult
from .loop import predict_frames
from .model import Predictor
from .page import Page
from .recorder import VideoRecorder
from .results import Prediction
from .screen import Show, open_screen
from .stages import Stage
from .summary import Summary
from .video import DEFAULT_FRAMES_PER_SECOND, frames_per_second
from .worker import Worker

_RECORDING_WAITS = 12
_GRACE_SECONDS = 10.0
_NOTICE_SECONDS = 2.0
_PAUSE_LOOK_SECONDS = 0.02


@dataclass(frozen=True)
class LiveConfig:
    """Options of `LiveView`.

    Attributes:
        confidence: As in `predict_frames`.
        usual_confidence: Where the keys + and - begin when `confidence` is None, 0..1.
        show: Where to show it, from `screen.choose_show`: "window", "page" or "none".
        record: Write what is shown into this video file.
        seconds: End after so long, counted from the first frame; None runs until the source ends or the person does.
        on_record: Called with the record of each frame shown.
        stages: As in `predict_frames`.
        rules, every_seconds, actions: As in `hooks.Hooks`.
        save: Where the key "s" saves a frame.
        on_upload: Called for the key "u", in a thread of its own, with what was seen; says what it did. None: nowhere
            to upload to.
    """

    confidence: float | None = None
    usual_confidence: float = 0.25
    show: Show = "window"
    record: Path | None = None
    seconds: float | None = None
    on_record: Callable[[dict[str, Any]], None] | None = None
    stages: Sequence[Stage] = ()
    rules: Sequence[Rule] = ()
    every_seconds: float = USUAL_EVERY_SECONDS
    actions: Sequence[Action] = ()
    save: Path = Path("frames")
    on_upload: Callable[[Prediction], str] | None = None


@dataclass(frozen=True)
class _Seen:
    """What is on the screen: a prediction, its record, and a drawn copy without figures."""

    prediction: Prediction
    record: dict[str, Any]
    drawn: np.ndarray

    def as_sighting(self) -> Sighting:
        return sighting_of(self.prediction, self.record, self.drawn, None)


class LiveView:
    """One run of `cv live`. `result` is filled even when the run ends with an error or Ctrl-C."""

    def __init__(self, address: Address, model: Predictor, config: LiveConfig) -> None:
        self.result = LiveResult(Summary(model.names))
        self._model, self._config = model, config
        self._recorder = VideoRecorder(config.record, _recording_rate(address)) if config.record else None
        self._camera = Camera(address, self._wait)
        self._threshold = Threshold(config.confidence, config.usual_confidence)
        self._screen = open_screen(config.show, f"Lensmith: {model.name}")
        self._save = SaveFrames(config.save)
        self._told: State = "opening"
        self._seen: _Seen | None = None
        self._help = False
        self._notice = ("", 0.0)

    def run(self) -> LiveResult:
        """Show frames until the source ends, the time is up, or the person quits.

        Raises:
            NotFoundError, DataError, LensmithError: the source cannot be opened, or the recording cannot be written.
            KeyboardInterrupt: the person pressed Ctrl-C; the recording is finished first.
        """
        with ExitStack() as stack:
            stack.callback(self._count)
            self._recording: Worker[tuple[np.ndarray, float] | None] | None = None
            if self._recorder:
                stack.callback(self._recorder.close)
                self._recording = Worker("recording", self._record, waiting=_RECORDING_WAITS, fatal=True)
                stack.callback(self._recording.close, _GRACE_SECONDS)
            self._hooks = Hooks(self._config.rules, self._config.every_seconds, self._config.actions)
            stack.callback(self._hooks.close)
            self._saving = Worker("saving the frame", self._save_seen)
            stack.callback(self._saving.close, _GRACE_SECONDS)
            self._uploading = Worker("the upload", self._upload_seen)
            stack.callback(self._uploading.close, _GRACE_SECONDS)
            if self._screen:
                stack.callback(self._screen.close)
            if isinstance(self._screen, Page):
                say(f"watch it in a browser on this machine: {self._screen.address}")
            stack.callback(self._camera.close)
            predictions = predict_frames(
                self._camera, self._model, confidence=lambda: self._threshold.value, live=True,
                stages=self._config.stages,
            )  # fmt: skip
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
        began = time.perf_counter()
        drawn = draw(prediction, self._model.names)
        shown = self._with_figures(drawn)
        if self._screen:
            self._screen.show(shown, self.result.status())
        self.result.add(self._camera.captured)
        prediction.milliseconds["show"] = 1000 * (time.perf_counter() - began)
        record = prediction.as_record(self._model.names)
        self._seen = _Seen(prediction, record, drawn)
        if self._recording:
            self._recording.offer((shown, prediction.frame.seconds))
        if self._config.on_record:
            self._config.on_record(record)
        self._hooks.look(prediction, record, drawn)
        self.result.summary.add(prediction)
        return self._obey() and not self._time_is_up()

    def _wait(self) -> bool:
        """Called between frames: keeps the screen alive and tells when the source is lost."""
        if self._camera.state == "reconnecting" and self._told != "reconnecting":
            self._told = "reconnecting"
            warn(f"{self._camera.label} is gone; trying to reach it again.")
            if self._recording:
                self._recording.offer(None)
            self._show_still("no picture: reconnecting ...")
        return self._obey() and not self._time_is_up()

    def _obey(self) -> bool:
        """Do what the keys say; False ends the run."""
        for key in self._screen.listen() if self._screen else ():
            command = KEYS.get(key)
            if command == "quit":
                return False
            if command == "pause":
                if not self._pause():
                    return False
            elif command == "help":
                self._help = not self._help
            elif command == "save" and self._seen:
                self._say_shortly("saving" if self._saving.offer(self._seen) else "still saving others")
            elif command == "upload" and self._seen:
                self._upload(self._seen)
            elif command in ("surer", "less sure"):
                shown = self._threshold.change(1 if command == "surer" else -1)
                self._say_shortly(f"shown above {shown:.2f}")
        return True

    def _pause(self) -> bool:
        """Stand still until the person goes on; False when they quit instead."""
        began, read, dropped = time.perf_counter(), self._camera.read, self._camera.dropped
        told = None
        try:
            while True:
                if told != (notice := self._notice_now()):  # what a key does is seen in a pause too
                    told = notice
                    self._show_still("paused: space goes on" + (f"; {notice}" if notice else ""))
                for key in self._screen.listen() if self._screen else ():
                    command = KEYS.get(key)
                    if command in ("quit", "pause"):
                        return command == "pause"
                    if command == "save" and self._seen:
                        self._saving.offer(self._seen)
                    if command == "upload" and self._seen:
                        self._upload(self._seen)
                time.sleep(_PAUSE_LOOK_SECONDS)
        finally:
            self._camera.forget()
            self.result.resume(began)
            self.result.read -= self._camera.read - read
            self.result.dropped -= self._camera.dropped - dropped

    def _upload(self, seen: _Seen) -> None:
        if self._config.on_upload is None:
            say("nothing is uploaded: say where to with --upload WORKSPACE/PROJECT, a project on Roboflow")
            self._say_shortly("nowhere to upload to: give --upload")
        else:
            self._say_shortly("uploading" if self._uploading.offer(seen) else "still uploading others")

    def _upload_seen(self, seen: _Seen) -> None:
        if self._config.on_upload:
            say(self._config.on_upload(seen.prediction))
            self._say_shortly("uploaded")

    def _save_seen(self, seen: _Seen) -> None:
        self._save(seen.as_sighting())
        say(f"saved: {self._save.last}")
        self._say_shortly(f"saved {self._save.last.name if self._save.last else ''}")

    def _record(self, job: tuple[np.ndarray, float] | None) -> None:
        if self._recorder and job is None:
            self._recorder.flush()
        elif self._recorder and job is not None:
            self._recorder.write_at(*job)

    def _with_figures(self, drawn: np.ndarray) -> np.ndarray:
        shown = drawn.copy()
        changed = self._threshold.value
        above = f", above {changed:.2f}" if changed != self._config.confidence and changed is not None else ""
        draw_note(shown, self._notice_now() or self.result.status() + above)
        if self._help:
            draw_help(shown)
        return shown

    def _show_still(self, why: str) -> None:
        """The last picture, darker, with a note."""
        if self._screen and self._seen:
            still = self._seen.drawn // 2
            draw_note(still, why)
            self._screen.show(still, why)

    def _say_shortly(self, text: str) -> None:
        self._notice = (text, time.perf_counter() + _NOTICE_SECONDS)

    def _notice_now(self) -> str:
        text, until = self._notice
        return text if time.perf_counter() < until else ""

    def _time_is_up(self) -> bool:
        limit = self._config.seconds
        return limit is not None and self.result.seconds >= limit

    def _count(self) -> None:
        result, camera = self.result, self._camera
        result.read += camera.read
        result.dropped += camera.dropped
        result.reconnections, result.missing = camera.reconnections, camera.missing
        result.sightings, result.actions = self._hooks.sightings, self._hooks.report()
        result.saved, result.uploaded = self._saving.done, self._uploading.done
        if self._recorder and self._recorder.path.exists():
            result.recorded = self._recorder.path.resolve()
        result.unrecorded = self._recording.missed if self._recording else 0


def _recording_rate(address: Address) -> float:
    """A file's own; for what is live a constant one, which `VideoRecorder.write_at` fills by the clock."""
    if not isinstance(address.target, Path):
        return DEFAULT_FRAMES_PER_SECOND
    capture = open_capture(address)
    try:
        return frames_per_second(capture)
    finally:
        capture.release()
