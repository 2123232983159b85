"""`cv predict` as a library call: a whole source through the loop, into files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.manifest import RunManifest
from ..core.progress import progress
from ..core.workspace import Workspace
from .draw import draw
from .loop import predict_frames
from .model import Predictor
from .recorder import VideoRecorder
from .results import Prediction
from .sinks import PictureFolder, RecordFile
from .sources import Source
from .summary import Summary
from .tiles import Tiled

RECORDS_NAME = "predictions.jsonl"


@dataclass(frozen=True)
class PredictConfig:
    """Options of `predict_source`.

    Attributes:
        confidence: As in `predict_frames`.
        save: Write drawn copies and `predictions.jsonl` into a new run folder.
        on_record: Called with each frame's record.
    """

    confidence: float | None = None
    save: bool = False
    on_record: Callable[[dict[str, Any]], None] | None = None


@dataclass(frozen=True)
class PredictRun:
    """How it went.

    Attributes:
        summary: Counts, times, and what was skipped.
        run: The run folder, None when nothing was saved.
    """

    summary: Summary
    run: Path | None


def predict_source(source: Source, model: Predictor, workspace: Workspace, config: PredictConfig) -> PredictRun:
    """Predict on every frame of a source.

    Args:
        source: From `open_source`.
        model: From `open_model`, or from `open_models` for several classifiers as one.
        workspace: Where the run's folder is made.
        config: The options.

    Raises:
        DataError: a video holds no frame, or the model does not fit its record.
        LensmithError: the disk is full; what was written stays and is complete.
    """
    summary = Summary(model.names)
    with ExitStack() as stack:
        run = stack.enter_context(_run_folder(source, model, workspace, config, summary)) if config.save else None
        sink = stack.enter_context(_Saved.open(run, source)) if run else None
        step = stack.enter_context(progress(f"predicting on {source.name}", source.total))
        predictions = predict_frames(source, model, confidence=config.confidence)
        stack.callback(predictions.close)
        for prediction in predictions:
            record = prediction.as_record(model.names)
            if sink:
                sink.write(prediction, record, model.names)
            if config.on_record:
                config.on_record(record)
            summary.add(prediction)
            step(1)
        summary.skipped = tuple(source.skipped)
    return PredictRun(summary, run)


@contextmanager
def _run_folder(
    source: Source, model: Predictor, workspace: Workspace, config: PredictConfig, summary: Summary
) -> Iterator[Path]:
    run = workspace.new_run("predict", source.name)
    manifest = RunManifest(
        command="predict",
        options={
            "source": source.name,
            "weights": model.name,
            "confidence": config.confidence,
            "engine": model.engine_name,
            "tiles": model.tiles.model_dump() if isinstance(model, Tiled) else None,
        },
        seed=0,
        device=model.device,
        dataset=model.dataset,
    )
    with manifest.during(run):
        try:
            yield run
        finally:
            manifest.result = summary.as_result()
            manifest.timings = {"total": round(summary.seconds, 3)}


class _Saved:
    """Records and drawn copies of one run: a video for a video, pictures for pictures."""

    def __init__(self, records: RecordFile, pictures: PictureFolder, video: VideoRecorder | None) -> None:
        self._records = records
        self._pictures = pictures
        self._video = video

    @classmethod
    @contextmanager
    def open(cls, run: Path, source: Source) -> Iterator[_Saved]:
        rate = source.frames_per_second
        video = VideoRecorder(run / "drawn.mp4", rate) if rate else None
        with RecordFile(run / RECORDS_NAME) as records:
            try:
                yield cls(records, PictureFolder(run), video)
            finally:
                if video:
                    video.close()

    def write(self, prediction: Prediction, record: dict[str, Any], names: tuple[str, ...]) -> None:
        """Write the drawn copy, then the record, which names it."""
        drawn = draw(prediction, names)
        if self._video:
            self._video.write(drawn)
            record["drawn"] = self._video.path.name
        else:
            record["drawn"] = self._pictures.write(drawn, prediction.frame.source).name
        self._records.write(record)
