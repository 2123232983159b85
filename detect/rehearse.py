"""The whole way of a training on eight pictures, before the long run: whatever would end it after hours ends it now.

Nothing is pretended: the training is `train_yolo` with the long run's options, killed as by a power cut after its first
checkpoint, resumed, made a bundle, and `cv predict` looks at pictures with that, each in a process of its own. It lives
in a folder of the cache, of which nothing stays.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.child import python_command
from ..core.device import resolve_device
from ..core.errors import LensmithError
from ..core.extras import need_extra
from ..core.files import scratch_folder
from ..core.isolation import cache_folder
from ..core.manifest import MANIFEST_NAME, RunManifest
from ..core.progress import say, warn
from ..core.workspace import Workspace
from ..datasets.model import Dataset
from .checkpoints import LAST, newest_checkpoint
from .config import YoloConfig
from .history import read_history
from .job import TRAINED, WEIGHTS_PATH
from .rehearse_child import DATASET
from .rehearse_parts import Estimate, Measured, choose_pictures, estimate_of, write_pictures
from .rehearse_process import Child
from .train import COMMAND, resolved
from .view import VIEW_NAME

STAGES = ("check", "prepare", "train", "save", "resume", "export", "validate", "predict")
_EPOCHS = 4  # one before the kill, three after
_BATCH = 3
_CPU_SIDE = 320  # pixels; a large model at 640 would take minutes on a CPU
_BUNDLE = "rehearsed"


@dataclass(frozen=True)
class Stage:
    """One stage of a rehearsal.

    Attributes:
        name: One of `STAGES`.
        seconds: How long it took, the start of its process included.
        problem: Why it failed, in plain words; None when it did not.
    """

    name: str
    seconds: float
    problem: str | None = None


@dataclass(frozen=True)
class Rehearsal:
    """What a rehearsal showed.

    Attributes:
        stages: Those that were reached, in order; the last one failed, or all went well.
        estimate: What the long run will take, roughly; None after a failure.
    """

    stages: tuple[Stage, ...]
    estimate: Estimate | None = None

    @property
    def ok(self) -> bool:
        """Whether every stage went well."""
        return all(stage.problem is None for stage in self.stages)


class _FailedError(Exception):
    """A stage failed; what there is to say stands in it."""


def rehearse(dataset: Dataset, workspace: Workspace, config: YoloConfig) -> Rehearsal:
    """Go through every stage of a training on eight of its pictures; the workspace stays as it is.

    The options are those of the long run, but for four epochs, a small batch, and on a CPU pictures of at most 320
    pixels.

    Args:
        dataset: What will be trained on; its files are only read.
        workspace: Where pretrained weights are looked for.
        config: The long run's options.

    Raises:
        MissingExtraError: the detect part is not installed.
        KeyboardInterrupt: the person stopped it.
    """
    need_extra("detect", "Training a detector")
    with scratch_folder(cache_folder("rehearsal") / "run") as folder:
        rehearsing = _Rehearsing(dataset, workspace, config, folder)
        try:
            rehearsing.go()
        except _FailedError:
            return Rehearsal(tuple(rehearsing.stages))
        measured = rehearsing.measured()
    estimate = estimate_of(dataset, config, measured, rehearsing.imgsz)
    free = shutil.disk_usage(workspace.root).free
    if free < estimate.most_bytes:
        warn(
            f"the long run may need {estimate.most_bytes >> 20} MB of disk space, and the disk has {free >> 20} MB left"
        )
    return Rehearsal(tuple(rehearsing.stages), estimate)


class _Rehearsing:
    """A rehearsal on its way.

    Args:
        dataset, workspace, config: See `rehearse`.
        folder: An empty folder for all of it.

    Attributes:
        stages: Those that are over.
        imgsz: Side of the long run's pictures in pixels, once it is known.
    """

    def __init__(self, dataset: Dataset, workspace: Workspace, config: YoloConfig, folder: Path) -> None:
        self.stages: list[Stage] = []
        self._dataset, self._workspace, self._config, self._folder = dataset, workspace, config, folder
        self._place = Workspace(folder / "work")
        self._child: Child | None = None
        self._small = config
        self.imgsz = 0

    def go(self) -> None:
        """All stages, in order."""
        say("rehearsing every stage on 8 pictures:")
        with self._stage("check"):
            self._small = self._smaller()
            write_pictures(self._dataset, choose_pictures(self._dataset), self._place, DATASET)
        try:
            self._train_and_kill()
            self._resume_to_the_end()
            with self._stage("predict"):
                self._predict()
        finally:
            if self._child is not None:
                self._child.kill()

    def measured(self) -> Measured:
        """What the finished rehearsal tells about the long run."""
        told = json.loads((self._folder / "told.json").read_text(encoding="utf-8"))
        return Measured(
            step_seconds=sorted(told["steps"])[len(told["steps"]) // 2] if told["steps"] else 0.0,
            batch=int(self._small.batch),
            imgsz=int(self._small.imgsz),
            checkpoint_bytes=(self._run / WEIGHTS_PATH / LAST).stat().st_size,
            bundle_bytes=sum(path.stat().st_size for path in self._bundle.iterdir()),
        )

    @property
    def _bundle(self) -> Path:
        return self._place.weights / _BUNDLE

    @property
    def _run(self) -> Path:
        return next(self._place.runs.glob(f"{COMMAND}-*/{MANIFEST_NAME}")).parent

    def _smaller(self) -> YoloConfig:
        """The long run's options, resolved as it will resolve them, for a run on eight pictures."""
        config = self._config
        if config.batch == "auto":
            config = config.model_copy(update={"batch": _BATCH})  # what the long run tries out is not of use here
        options = resolved(self._dataset, self._workspace, config, COMMAND).options
        start, side = options["start_from"], int(options["imgsz"])
        self.imgsz = side
        changes: dict[str, Any] = {
            "model": options["model"], "size": None, "weights": Path(start) if start else None, "epochs": _EPOCHS,
            "imgsz": min(side, _CPU_SIDE) if resolve_device(config.device) == "cpu" else side,
            "batch": min(int(options["batch"]), _BATCH), "time": None, "name": _BUNDLE, "force": True, "patience": 100,
            "unfreeze_after": 2 if config.unfreeze_after else None,
            "settings": config.settings | {"close_mosaic": min(int(config.settings.get("close_mosaic", 10)), 1)},
        }  # fmt: skip
        return config.model_copy(update=changes)

    def _train_and_kill(self) -> None:
        child, runs = self._start(None), self._place.runs
        with self._stage("prepare"):
            child.wait_for(lambda: any(runs.glob(f"*/{VIEW_NAME}/view.json")))
        with self._stage("train"):
            child.wait_for(lambda: any(runs.glob(f"*/{WEIGHTS_PATH}/{LAST}")))
        with self._stage("save"):
            child.kill()
            checkpoint = newest_checkpoint(self._run / WEIGHTS_PATH)
            if checkpoint is None:
                raise LensmithError("After a kill there was no whole checkpoint.")

    def _resume_to_the_end(self) -> None:
        run = self._run
        child = self._start(run)
        with self._stage("resume"):
            child.wait_for(lambda: bool(RunManifest.load(run).result.get(TRAINED)))
            epochs = [row.epoch for row in read_history(run)]
            if epochs != list(range(1, _EPOCHS + 1)):
                raise LensmithError(f"After the resume there are the epochs {epochs} instead of 1 to {_EPOCHS}.")
        with self._stage("export"):
            child.wait_for(lambda: (run / "export" / "bundle").exists() or self._bundle.exists())
        with self._stage("validate"):
            child.end()

    def _predict(self) -> None:
        pictures = self._place.datasets / DATASET / "valid" / "images"
        self._open(
            "lensmith.cli", "predict", str(pictures), "--weights", self._bundle.name, "--save",
            "--device", self._config.device.split(",")[0], "--workspace", str(self._place.root),
        ).end()  # fmt: skip
        if not any(path.stat().st_size for path in self._place.runs.glob("predict-*/*.jsonl")):
            raise LensmithError("cv predict wrote no predictions.")

    def _start(self, run: Path | None) -> Child:
        order = {"workspace": str(self._place.root), "config": self._small.model_dump(mode="json"),
                 "run": str(run) if run else None, "told": str(self._folder / "told.json")}  # fmt: skip
        path = self._folder / "order.json"
        path.write_text(json.dumps(order), encoding="utf-8")
        return self._open("lensmith.detect.rehearse_child", str(path))

    def _open(self, module: str, *arguments: str) -> Child:
        self._child = Child(python_command("-m", module, *arguments), self._folder / "said.txt")
        return self._child

    @contextmanager
    def _stage(self, name: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        except LensmithError as error:
            seconds = time.monotonic() - started
            self.stages.append(Stage(name, round(seconds, 2), str(error)))
            say(f"  {name:9}{seconds:6.1f} s  failed")
            raise _FailedError from None
        seconds = time.monotonic() - started
        self.stages.append(Stage(name, round(seconds, 2)))
        say(f"  {name:9}{seconds:6.1f} s  ok")
