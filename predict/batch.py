"""`cv predict` as a library call: a whole source through the loop, into files."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from ..core.errors import UsageError
from ..core.manifest import RunManifest
from ..core.progress import progress
from ..core.workspace import Workspace
from .cascade import is_detector
from .loop import predict_frames
from .model import Predictor
from .recorder import VideoRecorder
from .sinks import Behind, Call, CocoResults, CsvFile, DrawnPictures, DrawnVideo, JsonLines, Sink, YoloLabels
from .sinks.drawn import Drawn
from .sources import Source, StreamSource
from .stages import Stage
from .summary import Summary
from .tiles import Tiled
from .video import DEFAULT_FRAMES_PER_SECOND

RECORDS_NAME = "predictions.jsonl"
TABLE_NAME = "predictions.csv"
VIDEO_NAME = "drawn.mp4"

Format = Literal["jsonl", "csv", "yolo", "coco"]
FORMATS: tuple[Format, ...] = get_args(Format)
_OF_DETECTORS = ("yolo", "coco")


@dataclass(frozen=True)
class PredictConfig:
    """Options of `predict_source`.

    Attributes:
        confidence: As in `predict_frames`.
        save: Write drawn copies and `predictions.jsonl` into a new run folder.
        formats: Write the results in these formats too, into the same folder: `predictions.jsonl`, `predictions.csv`,
            `labels/*.txt`, or `coco_results.json` with `coco_images.json`.
        stages: As in `predict_frames`.
        sinks: Further ones that the frames go to, in order; they are closed at the end.
        on_record: Called with each frame's record, in order, from a thread of its own, once its files are written.
    """

    confidence: float | None = None
    save: bool = False
    formats: Sequence[Format] = ()
    stages: Sequence[Stage] = ()
    sinks: Sequence[Sink] = ()
    on_record: Callable[[dict[str, Any]], None] | None = None

    @property
    def writes(self) -> bool:
        """Whether there is a run folder."""
        return self.save or bool(self.formats)


@dataclass
class PredictRun:
    """How it went; filled in as it goes, so that it tells of a run that was interrupted too.

    Attributes:
        summary: Counts, times, and what was skipped.
        run: The run folder, None when nothing was saved.
    """

    summary: Summary
    run: Path | None = None


def predict_source(
    source: Source, model: Predictor, workspace: Workspace, config: PredictConfig, done: PredictRun | None = None
) -> PredictRun:
    """Predict on every frame of a source.

    Args:
        source: From `open_source`.
        model: From `open_model`, or from `open_models` for several classifiers as one.
        workspace: Where the run's folder is made.
        config: The options.
        done: What to fill in; a new one otherwise.

    Raises:
        UsageError: a format that is for detectors, with a classifier.
        DataError: a video holds no frame, or the model does not fit its record.
        LensmithError: the disk is full; what was written stays and is valid.
        KeyboardInterrupt: Ctrl-C; what was predicted is written first.
    """
    check_formats(config.formats, model.name, finds_boxes=is_detector(model))
    done = done or PredictRun(Summary(model.names))
    summary = done.summary
    with ExitStack() as stack:
        stack.callback(summary.finish, source)
        if config.writes:
            done.run = stack.enter_context(_run_folder(source, model, workspace, config, summary))
        behind = _open_sinks(stack, done.run, source, model, config)
        step = stack.enter_context(progress(f"predicting on {source.name}", source.total))
        predictions = predict_frames(
            source, model, confidence=config.confidence, live=isinstance(source, StreamSource), stages=config.stages,
            waited=summary.waited,
        )  # fmt: skip
        stack.callback(predictions.close)
        for prediction in predictions:
            if behind is not None:
                began = time.perf_counter()
                behind.write(prediction, prediction.as_record(model.names))
                summary.waited.output += time.perf_counter() - began
            summary.add(prediction)
            step(1)
    return done


def check_formats(formats: Sequence[str], model: str, *, finds_boxes: bool) -> None:
    """Whether the results of a model of this name can be written so, which is known before it is opened.

    Raises:
        UsageError: no such format, or one of boxes for a classifier.
    """
    for one in formats:
        if one not in FORMATS:
            raise UsageError(f"'{one}' is no format of results.", where="--format",
                             next_step="use " + ", ".join(FORMATS))  # fmt: skip
        if one in _OF_DETECTORS and not finds_boxes:
            raise UsageError(
                f"'{one}' holds boxes, and '{model}' is a classifier.",
                where="--format",
                next_step="use --format csv or --format jsonl",
            )


def _open_sinks(
    stack: ExitStack, run: Path | None, source: Source, model: Predictor, config: PredictConfig
) -> Behind | None:
    """What the frames go to, closed with the stack; None where nobody wants them."""
    drawn = _open_drawn(run, source, model) if run and config.save else None
    wanted: list[Format] = [one for one in FORMATS if one in config.formats or (config.save and one == "jsonl")]
    sinks = [_open_format(one, run, source, model) for one in wanted] if run else []
    sinks.extend(config.sinks)
    if config.on_record:
        sinks.append(Call(config.on_record))
    if not sinks and drawn is None:
        return None
    behind = Behind(sinks, drawn)
    stack.callback(behind.close)
    return behind


def _open_drawn(run: Path, source: Source, model: Predictor) -> Drawn:
    live = isinstance(source, StreamSource)
    rate = DEFAULT_FRAMES_PER_SECOND if live else source.frames_per_second
    if rate is None:
        return DrawnPictures(run, model.names)
    return DrawnVideo(VideoRecorder(run / VIDEO_NAME, rate), model.names, by_the_clock=live)


def _open_format(wanted: Format, run: Path, source: Source, model: Predictor) -> Sink:
    match wanted:
        case "jsonl":
            return JsonLines(run / RECORDS_NAME)
        case "csv":
            return CsvFile(run / TABLE_NAME, objects=is_detector(model))
        case "yolo":
            is_video = isinstance(source, StreamSource) or source.frames_per_second is not None
            return YoloLabels(run, model.names, numbered=is_video)
        case "coco":
            return CocoResults(run, model.names)


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
            "formats": list(config.formats),
            "stages": [stage.name for stage in config.stages],
        },
        seed=0,
        device=model.device,
        dataset=model.dataset,
    )
    with manifest.during(run):
        try:
            yield run
        finally:
            summary.finish(source)
            manifest.result = summary.as_result()
            manifest.timings = {"total": round(summary.seconds, 3)}
