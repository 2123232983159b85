"""`cv demo`: the whole way on handwritten digits, told as a story.

Every step is the real command, run as a person would run it, in a process of its own: training a detector loads torch,
fine-tuning a classifier loads TensorFlow, and the two must not meet. A step whose result is there already is not
done again, so an interrupted demo goes on where it was.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import JsonOption, print_json

if TYPE_CHECKING:
    from ..core.workspace import Workspace

SCENES, CROPS = "digit-scenes", "digits"
DETECTOR, CLASSIFIER = "digit-detector", "digit-classifier"
REPORT_NAME = "report.html"
_PATIENCE_SECONDS = 5


def demo(
    directory: Annotated[
        Path, typer.Argument(help="Folder for the demo; made if needed. The same folder again goes on from there.")
    ] = Path("lensmith-demo"),
    epochs: Annotated[int, typer.Option(min=1, help="Epochs for the detector. Fewer are faster and worse.")] = 14,
    scenes: Annotated[int, typer.Option(min=8, help="Training scenes. Fewer are faster and worse.")] = 400,
    as_json: JsonOption = False,
) -> None:
    """Train, check and use a detector and a classifier on handwritten digits. No key, no network.

    Takes about six minutes on two CPU cores and ends with a report to open in a browser.

    Example: cv demo
    """
    from ..core.extras import need_extra
    from ..core.progress import say

    for extra in ("data", "detect", "classify"):
        need_extra(extra, "The demo")
    started = time.monotonic()
    story = Story(_workspace(directory), scenes=scenes, epochs=epochs)
    for number, (title, tell) in enumerate(story.chapters, start=1):
        say(f"\n{number}/{len(story.chapters)}  {title}")
        tell()
    result = story.result()
    if as_json:
        print_json(result)
    say(f"\nDone in {(time.monotonic() - started) / 60:.1f} minutes.")
    say(f"  detector:   mAP50 {result['detector']['mAP50']:.3f} on scenes of digits that training never saw")
    say(f"  classifier: accuracy {result['classifier']['accuracy']:.3f} on digits that training never saw")
    say(f"  report:     {result['report']}")
    say(f"Next: open the report, or: cv live --weights {DETECTOR} --workspace {shlex.quote(str(directory))}")


def _workspace(directory: Path) -> Workspace:
    from ..core.errors import UsageError
    from ..core.workspace import Workspace

    folder = directory.expanduser()
    if folder.exists() and not folder.is_dir():
        raise UsageError("The demo needs a folder, and this is a file.", where=folder)
    if folder.is_dir() and _holds_other_things(folder):
        raise UsageError(
            "The folder holds other things already.", where=folder, next_step="give the demo a new folder: cv demo NAME"
        )
    (folder / "datasets").mkdir(parents=True, exist_ok=True)
    return Workspace(folder.resolve())


def _holds_other_things(folder: Path) -> bool:
    """Whether there is more in it than a demo makes, finished or not."""
    datasets = folder / "datasets"
    inside = [path.name for path in folder.iterdir()]
    inside += [path.name for path in datasets.iterdir()] if datasets.is_dir() else []
    ours = {"datasets", "runs", "weights", REPORT_NAME, SCENES, CROPS}
    return any(name not in ours and not name.startswith(".") for name in inside)


@dataclass(frozen=True)
class Story:
    """The chapters of the demo, each of which knows whether it has been told."""

    workspace: Workspace
    scenes: int
    epochs: int

    @property
    def chapters(self) -> list[tuple[str, Callable[[], None]]]:
        """Title and action of each chapter in order."""
        return [
            ("Scatter handwritten digits over scenes: a detection dataset, and a classification dataset cut from it",
             self.make_datasets),
            ("Look the datasets over", self.check_datasets),
            ("Train a YOLO detector from scratch", self.train_detector),
            ("Train a small convolutional network from scratch as the classifier", self.train_classifier),
            ("Predict on scenes of digits that training never saw", self.predict),
            ("Write the report", self.write_report),
        ]  # fmt: skip

    def make_datasets(self) -> None:
        """Write both datasets, if they are not there."""
        from ..core.progress import say
        from ..datasets.digits import DigitsConfig, make_digit_datasets

        if self._dataset(SCENES).exists() and self._dataset(CROPS).exists():
            say("  already there")
            return
        for half in (SCENES, CROPS):  # one without the other: the demo was interrupted between the two
            shutil.rmtree(self._dataset(half), ignore_errors=True)
        held_out = max(self.scenes // 5, 4)
        config = DigitsConfig(scenes=(("train", self.scenes), ("valid", held_out // 2 + 2), ("test", held_out)))
        make_digit_datasets(self._dataset(SCENES), self._dataset(CROPS), config)

    def check_datasets(self) -> None:
        """Print what the check finds."""
        from ..core.progress import say
        from ..datasets.check.run import check_dataset
        from ..datasets.read import open_dataset

        for name in (SCENES, CROPS):
            dataset = open_dataset(name, self.workspace)
            counts = ", ".join(f"{split} {dataset.count(split)}" for split in ("train", "valid", "test"))
            findings = check_dataset(dataset).findings
            say(f"  {name}: {counts} pictures, {len(dataset.names)} classes, {len(findings) or 'no'} findings")
            for finding in findings:
                say(f"    {finding.severity}: {finding.what}")

    def train_detector(self) -> None:
        """Train the detector, or go on with a training that was interrupted."""
        if self._has_bundle(DETECTOR):
            return
        if (run := self._interrupted("train-yolo")) is not None:
            self._cv("resume", run.name)
            return
        # Digits must not be mirrored, and the little time there is goes into whole scenes rather than mosaics of them.
        self._cv("train-yolo", SCENES, "--model", "yolo11n", "--from-scratch", "--imgsz", 160, "--batch", 8,
                 "--epochs", self.epochs, "--set", "fliplr=0", "--set", "mosaic=0", "--set", "optimizer=AdamW",
                 "--set", "lr0=0.002", "--name", DETECTOR)  # fmt: skip

    def train_classifier(self) -> None:
        """Train the classifier: the small network that needs no pretrained weights, on the digits as they are."""
        if not self._has_bundle(CLASSIFIER):
            self._cv("finetune", CROPS, "--backbone", "cnn", "--imgsz", 32, "--batch", 32, "--epochs-tune", 4,
                     "--augment", "none", "--name", CLASSIFIER)  # fmt: skip

    def predict(self) -> None:
        """Run the detector over the held-out scenes and keep the drawn pictures."""
        self._cv("predict", f"datasets/{SCENES}/test/images", "--weights", DETECTOR, "--save")

    def write_report(self) -> None:
        """Write the page that shows it all."""
        from .demo_report import DemoNames, write_demo_report

        write_demo_report(self.workspace, DemoNames(SCENES, CROPS, DETECTOR, CLASSIFIER), self._report)

    def result(self) -> dict:
        """The figures the demo ends with."""
        from ..weights.bundle import open_bundle

        return {
            "detector": open_bundle(DETECTOR, self.workspace).record.metrics,
            "classifier": open_bundle(CLASSIFIER, self.workspace).record.metrics,
            "report": str(self._report),
        }

    @property
    def _report(self) -> Path:
        return self.workspace.root / REPORT_NAME

    def _dataset(self, name: str) -> Path:
        return self.workspace.datasets / name

    def _has_bundle(self, name: str) -> bool:
        from ..core.progress import say
        from ..weights.shelf import list_bundles

        there = self.workspace.weights / name in list_bundles(self.workspace)
        if there:
            say("  already there")
        return there

    def _interrupted(self, command: str) -> Path | None:
        """The newest run of a command that did not end and can go on."""
        from ..core.errors import DataError
        from ..core.manifest import RunManifest

        for run in sorted(self.workspace.runs.glob(f"{command}-*"), reverse=True):
            try:
                manifest = RunManifest.load(run)
            except DataError:
                continue
            if manifest.status != "done" and (run / "train" / "weights" / "last.pt").exists():
                return run
        return None

    def _cv(self, *arguments: object) -> None:
        """Show a command as a person would type it, and run it in the demo's folder."""
        from ..core.child import python_command
        from ..core.errors import LensmithError
        from ..core.progress import say

        words = [str(argument) for argument in arguments]
        say(f"  $ cv {shlex.join(words)}")
        command = python_command("-m", "lensmith.cli", *words, "--workspace", str(self.workspace.root))
        with subprocess.Popen(command, cwd=self.workspace.root, stdout=subprocess.DEVNULL) as process:
            try:
                code = process.wait()
            except KeyboardInterrupt:
                _let_end(process)
                raise
        if code == 130:
            raise KeyboardInterrupt
        if code != 0:
            raise LensmithError(
                f"This step of the demo failed (exit code {code}); its message is above.",
                next_step="`cv doctor` looks this machine over; the same `cv demo` goes on from this step",
            )


def _let_end(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C reached the step as well: give it time to tidy up and say how to go on; else ask it to."""
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.terminate()
