"""Memory while a detector trains: what a resume knows of it, and what several processes take together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.errors import LensmithError
from lensmith.core.isolation import isolate_ultralytics
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from lensmith.detect.config import YoloConfig
from lensmith.detect.job import learn
from lensmith.detect.tracking import tracked
from lensmith.detect.view import VIEW_NAME, build_view, read_view
from tests.helpers import make_yolo_dataset

pytestmark = pytest.mark.torch


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with its view and its record."""
    monkeypatch.setenv("CV_CACHE", str(tmp_path / "cache"))
    isolate_ultralytics()
    folder = tmp_path / "run"
    folder.mkdir()
    dataset = open_dataset(make_yolo_dataset(tmp_path / "datasets" / "small"), Workspace(tmp_path))
    build_view(dataset, folder / VIEW_NAME, seed=0)
    config = YoloConfig(model="yolov8n", imgsz=64, batch=4, epochs=1, device="cpu")
    options = config.model_dump(mode="json") | {"start_from": None}
    RunManifest(command="train-yolo", options=options, seed=0, device="cpu").save(folder)
    return folder


def test_a_resume_begins_with_the_batch_that_the_library_had_found_to_fit(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lensmith.detect.trainer import SafeTrainer

    preprocess, sizes = SafeTrainer.preprocess_batch, []

    def demanding(trainer: Any, batch: dict[str, Any]) -> dict[str, Any]:
        sizes.append(len(batch["img"]))
        if sizes == [4]:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 MiB")  # the library halves the batch itself
        if sizes == [4, 2, 2]:
            raise KeyboardInterrupt
        return preprocess(trainer, batch)

    monkeypatch.setattr(SafeTrainer, "preprocess_batch", demanding)
    for interrupted in (True, False):
        manifest = RunManifest.load(run)
        with tracked(run, manifest) as tracking:
            try:
                learn(run, manifest, read_view(run / VIEW_NAME), tracking)
            except KeyboardInterrupt:
                assert interrupted
        assert RunManifest.load(run).result["batch"] == 2
    assert sizes[:4] == [4, 2, 2, 2]
    assert "too small for 4 pictures a step: going on with 2" in capsys.readouterr().err


@pytest.mark.parametrize(("times", "bytes_kept"), [(1, 4 * 64 * 64 * 3), (2, 0)])
def test_each_of_several_processes_keeps_pictures_of_its_own(
    run: Path, times: int, bytes_kept: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lensmith.detect.arguments import training_arguments
    from lensmith.detect.kept import keep_pictures
    from lensmith.detect.trainer import SafeTrainer

    trainer: Any = SafeTrainer(overrides=training_arguments(run, RunManifest.load(run)) | {"cache": False})
    trainer.setup_model()
    dataset = trainer.build_dataset(trainer.data["train"], batch=4)
    monkeypatch.setattr("lensmith.detect.kept.available_memory", lambda: 150_000)  # half of it is one and a half times
    assert keep_pictures(dataset, trainer.args, shared=True, times=times) == bytes_kept
    assert ("are read anew" in capsys.readouterr().err) == (times == 2)


def test_pictures_that_do_not_fit_together_go_through_the_model_in_halves() -> None:
    import torch

    from lensmith.predict.engines.ultralytics import TorchDetector

    sizes = []

    def model(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        if len(batch) > room:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return batch.mean(dim=(2, 3)) * 255

    detector = object.__new__(TorchDetector)
    detector.device, detector.half, detector.model = "cpu", False, model
    pictures = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    room = 2
    assert detector.infer(pictures)[:, 0].round().tolist() == [0, 1, 2, 3, 4]
    assert sizes == [5, 2, 3, 1, 2]
    room = 0
    with pytest.raises(LensmithError, match="memory is full"):
        detector.infer(pictures)


def test_a_batch_that_ultralytics_could_not_measure_is_not_taken_for_measured() -> None:
    isolate_ultralytics()
    from lensmith.detect.network import build_network
    from lensmith.detect.probe_child import _autobatch

    order = {"device": "cpu", "imgsz": 64, "most_boxes": 2, "pictures": 8}  # it measures on GPUs alone
    with pytest.raises(SystemExit, match="intended for GPU devices"):
        _autobatch(build_network("yolov8n", 2), order)
