"""How good the models of `detect_real` are, all by one evaluator, and whether a difference is more than noise."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lensmith.core.manifest import DatasetRef
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.fingerprint import fingerprint
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect.compared import measure
from lensmith.detect.evaluate import Evaluation, evaluate_detector
from lensmith.detect.finish import Trained, make_bundle
from lensmith.detect.precision import draws_for
from lensmith.detect.view import build_view
from lensmith.report.paired import Difference, compare_samples
from lensmith.weights.bundle import Bundle, open_bundle

_MEASURE = ("", "mAP50-95")


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        who: "peer" or "ours".
        about: The dataset: "chess".
        data: "raw", as it came, or "fixed".
        work: Where everything is.
        seed: Of all random numbers.
    """

    who: str
    about: str
    data: str
    work: Path
    seed: int = 0

    @property
    def name(self) -> str:
        return f"{self.who}-{self.about}-{self.data}" + (f"-seed{self.seed}" if self.seed else "")

    @property
    def dataset(self) -> str:
        return self.about if self.data == "raw" else f"{self.about}-fixed"

    @property
    def best(self) -> Path:
        """The peer's best checkpoint."""
        return self.work / "peer" / "runs" / self.name / "weights" / "best.pt"

    @property
    def done(self) -> Path:
        """Stands there when the peer has come to its end."""
        return self.best.parent / "done"

    @property
    def finished(self) -> bool:
        return self.done.exists() if self.who == "peer" else (self.work / "ws" / "weights" / self.name).exists()

    def bundle(self, workspace: Workspace) -> Bundle:
        """The model; the peer's best checkpoint is made into a bundle as ours is."""
        if not (workspace.weights / self.name).exists():
            dataset = open_dataset(self.dataset, workspace)
            run = self.work / "peer" / "bundling" / self.name
            view = build_view(dataset, run / "data", 0)
            reference = DatasetRef(name=dataset.name, fingerprint=fingerprint(dataset), path=str(dataset.root))
            imgsz = _imgsz(self.best.parent.parent / "args.yaml")
            trained = Trained(run, self.best, "yolov8n", imgsz, view, 0, reference, self.name, "cpu")
            return make_bundle(trained, dataset, workspace).bundle
        return open_bundle(self.name, workspace)


def _imgsz(path: Path) -> int:
    return int(next(line.split(":")[1] for line in path.read_text().splitlines() if line.startswith("imgsz:")))


def print_table(trials: list[Trial], workspace: Workspace) -> None:
    """One row per model, then what the differences on the clean pictures are worth."""
    if not trials:
        return
    about = trials[0].about
    raw, fixed = open_dataset(about, workspace), open_dataset(f"{about}-fixed", workspace)
    clean = _clean_names(raw, fixed)
    given, repaired = _count(raw), _count(fixed)
    print(f"\n{about}: mAP50-95 (mAP50) on test pictures; {given} as given, {len(clean)} clean, {repaired} fixed")
    print("| trained by | on | seed | as given | clean | fixed |\n|---|---|---|---|---|---|")
    on_clean: dict[Trial, Evaluation] = {}
    for trial in trials:
        bundle = trial.bundle(workspace)
        as_given = evaluate_detector(bundle, raw, "test", device="cpu")
        on_fixed = evaluate_detector(bundle, fixed, "test", device="cpu")
        cleaned = on_fixed.without(frozenset(image for image in on_fixed.images if image.name not in clean))
        if cleaned is not None:
            on_clean[trial] = cleaned
        cells = [as_given, cleaned, on_fixed if trial.data == "fixed" else None]
        print(f"| {trial.who} | {trial.data} | {trial.seed} | {' | '.join(map(_cell, cells))} |", flush=True)
    for first, second in itertools.combinations(on_clean, 2):
        told = _difference(on_clean[first], on_clean[second])
        print(f"on clean pictures, {second.name} beside {first.name}: {told.points()} points, {told.verdict}")


def _clean_names(raw: Dataset, fixed: Dataset) -> frozenset[str]:
    """Test pictures in both, that no other split of either gives away."""
    leaked = frozenset(path.name for dataset in (raw, fixed) for path in check_dataset(dataset).leaked)
    both = [frozenset(item.image.name for item in dataset.items("test")) for dataset in (raw, fixed)]
    return (both[0] & both[1]) - leaked


def _count(dataset: Dataset) -> int:
    return sum(1 for _ in dataset.items("test"))


def _cell(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return ""
    scores = evaluation.scores
    return f"{scores.map50_95} ({scores.map50.value:.3f})" if scores.map50 else "no box"


def _difference(first: Evaluation, second: Evaluation) -> Difference:
    draws = min(draws_for(len(one.matches.class_id)) for one in (first, second))
    samples = [measure(one, np.arange(len(one)), draws)[_MEASURE] for one in (first, second)]
    return compare_samples(_MEASURE, samples[0], samples[1])
