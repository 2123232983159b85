"""What a training does beyond Ultralytics' arguments, each seen in a real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.errors import DataError, DiskFullError
from lensmith.core.isolation import isolate_ultralytics
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.model import Dataset
from lensmith.datasets.read import open_dataset
from lensmith.detect.arguments import training_arguments
from lensmith.detect.config import YoloConfig
from lensmith.detect.history import read_history
from lensmith.detect.job import learn
from lensmith.detect.progress import EpochRow, listening
from lensmith.detect.tracking import tracked
from lensmith.detect.trouble import NotANumberError, TooLittleMemoryError
from lensmith.detect.view import VIEW_NAME, build_view, read_view
from tests.helpers import make_yolo_dataset

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("plan")
    return open_dataset(make_yolo_dataset(root / "datasets" / "small"), Workspace(root))


@pytest.fixture
def run(tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder with its view, as `detect.job` makes it."""
    monkeypatch.setenv("CV_CACHE", str(tmp_path / "cache"))
    isolate_ultralytics()
    folder = tmp_path / "run"
    folder.mkdir()
    build_view(dataset, folder / VIEW_NAME, seed=0)
    return folder


def _trainer(run: Path, *, again: bool = False, **chosen: Any) -> Any:
    """A trainer with the smallest detector at 64 pixels and these options."""
    from lensmith.detect.trainer import SafeTrainer

    config = YoloConfig(model="yolov8n", imgsz=64, batch=2, device="cpu", **chosen)
    options = config.model_dump(mode="json") | {"start_from": None}
    manifest = RunManifest(command="train-yolo", options=options, seed=0, device="cpu")
    manifest.save(run)
    overrides = training_arguments(run, manifest) | {"verbose": False}
    if again:
        last = str(run / "train" / "weights" / "last.pt")
        overrides |= {"resume": last, "model": last, "pretrained": False}
    return SafeTrainer(overrides=overrides)


def _weights(trainer: Any) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in trainer.model.state_dict().items()}


def _changed(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> set[str]:
    """The layers, by number, of which any number changed."""
    return {name.split(".")[1] for name in before if not np.array_equal(before[name], after[name])}


def _at_each_epoch(trainer: Any, look: Callable[[Any], Any]) -> list[Any]:
    """Train, and note what `look` gives at the start of each epoch and at the end."""
    seen: list[Any] = []
    trainer.add_callback("on_train_epoch_start", lambda of: seen.append(look(of)))
    trainer.add_callback("on_train_end", lambda of: seen.append(look(of)))
    trainer.train()
    return seen


def test_the_backbone_learns_after_so_many_epochs_and_not_before(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    start, first, second, end = _at_each_epoch(_trainer(run, epochs=3, freeze="backbone", unfreeze_after=2), _weights)
    backbone = {str(number) for number in range(10)}
    assert not _changed(start, second) & backbone  # its weights and what its BatchNorm layers have seen
    assert _changed(start, first) >= {"12", "22"}
    assert _changed(second, end) >= backbone
    told = capsys.readouterr().err
    assert "the first 10 layers (the backbone) keep their weights for 2 epochs" in told
    assert "from epoch 3 on all layers learn" in told


def test_what_is_frozen_follows_the_epoch_when_a_training_goes_on(run: Path) -> None:
    _trainer(run, epochs=1, freeze="backbone").train()

    def sleeping(trainer: Any) -> bool:
        return not trainer.model.model[0].conv.weight.requires_grad

    trainer = _trainer(run, again=True, epochs=3, freeze="backbone", unfreeze_after=2)
    # A look comes before the epoch's own beginning.
    assert _at_each_epoch(trainer, sleeping) == [True, True, False]
    trainer = _trainer(run, again=True, epochs=4, freeze="backbone", unfreeze_after=2)
    trainer.train()
    assert trainer.start_epoch == 3
    assert not sleeping(trainer)


def test_time_that_is_used_up_ends_a_training_and_counts_when_it_goes_on(run: Path) -> None:
    heard: list[EpochRow] = []
    with listening(heard.append):
        _trainer(run, epochs=500, time=3.0).train()
    assert 1 <= len(heard) < 500
    assert heard[-1].left_seconds == 0
    used = sum(row.seconds for row in read_history(run))
    again = _trainer(run, again=True, epochs=500, time=3000.0)
    assert 0 < again.plan.seconds == 3000 - used < 3000
    assert again.args.time == again.plan.seconds / 3600
    assert again.args.epochs == 500  # not the number that the time was enough for


def test_kept_pictures_are_the_ones_that_would_be_read(run: Path) -> None:
    kept, read = (_trainer(run, epochs=1, cache=cache) for cache in (True, False))
    for trainer in (kept, read):
        trainer._setup_train()
    for loader in ("train_loader", "test_loader"):
        ours, theirs = getattr(kept, loader).dataset, getattr(read, loader).dataset
        assert ours.cache == "ram"
        assert theirs.cache is None
        for _ in range(2):
            for index in range(len(ours)):
                bgr, original, size = ours.load_image(index)
                expected, *sizes = theirs.load_image(index)
                assert np.array_equal(bgr, expected)
                assert [original, size] == sizes
                bgr[:] = 0  # as some of the library's changes do


def test_processes_that_read_share_the_kept_pictures(run: Path) -> None:
    from lensmith.detect.kept import keep_pictures

    trainer = _trainer(run, epochs=1, cache=False)
    trainer._setup_train()
    dataset = trainer.train_loader.dataset
    expected = [dataset.load_image(index)[0] for index in range(len(dataset))]
    assert keep_pictures(dataset, trainer.args, shared=True) == 4 * 64 * 64 * 3
    for path in dataset.im_files:
        Path(path).unlink()
    assert all(np.array_equal(dataset.load_image(i)[0], bgr) for i, bgr in enumerate(expected))


def test_pictures_that_do_not_fit_are_read_anew(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("lensmith.detect.kept.available_memory", lambda: 60_000)
    trainer = _trainer(run, epochs=1)
    trainer._setup_train()
    assert trainer.train_loader.dataset.cache is None
    assert trainer.test_loader.dataset.cache == "ram"  # 2 pictures of 64 x 64 are 24 KB
    assert "training pictures are read anew" in capsys.readouterr().err


def test_rare_pictures_come_again_and_again_also_when_a_training_goes_on(run: Path) -> None:
    labels = sorted((run / VIEW_NAME / "train" / "labels").iterdir())
    for path, classes in zip(labels, ([0], [0], [0], [1]), strict=True):
        path.write_text("".join(f"{of} 0.5 0.5 0.2 0.2\n" for of in classes))
    trainer = _trainer(run, epochs=1, balance="resample")
    trainer.train()
    names = [Path(file).name[:6] for file in trainer.train_loader.dataset.im_files]
    assert set(names) == {f"{n:06d}" for n in range(4)}
    assert [names.count(name) for name in sorted(set(names))] == [1, 1, 1, 2]
    again = _trainer(run, again=True, epochs=2, balance="resample")
    again._setup_train()
    assert again.train_loader.dataset.im_files == trainer.train_loader.dataset.im_files
    assert len(again.train_loader.dataset) == len(names)


def test_weights_of_classes_reach_the_loss_also_when_a_training_goes_on(run: Path) -> None:
    trainer = _trainer(run, epochs=1, balance="weights")
    trainer.train()
    again = _trainer(run, again=True, epochs=2, balance="weights")
    again._setup_train()
    for each in (trainer, again):
        weights = each.model.class_weights.numpy()
        counts = each.get_class_counts()
        assert np.allclose(weights / weights[0], np.sqrt(counts[0] / counts))


def _spoil_loss(trainer: Any, epoch: int) -> None:
    """The loss of the first try of an epoch, from 0, is not a number."""
    import torch

    def spoil(of: Any) -> None:
        if of.epoch == epoch and not of.nan_recovery_attempts:
            of.loss = torch.tensor(float("nan"))

    trainer.add_callback("on_train_epoch_end", spoil)


def test_a_loss_that_is_no_number_from_the_start_ends_with_one_message(run: Path) -> None:
    trainer = _trainer(run, epochs=2)
    _spoil_loss(trainer, epoch=0)
    with pytest.raises(NotANumberError) as failed:
        trainer.train()
    assert "epoch 1" in str(failed.value)
    assert "lower the learning rate" in str(failed.value)
    assert not (run / "train" / "weights" / "last.pt").exists()


def test_going_back_is_tried_and_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = _trainer(run, epochs=2)
    _spoil_loss(trainer, epoch=1)
    trainer.train()
    assert "done again from the checkpoint before (time 1 of 3)" in capsys.readouterr().err
    assert [row.epoch for row in read_history(run)] == [1, 2]


def test_a_picture_that_is_gone_is_named(run: Path) -> None:
    sources = json.loads((run / VIEW_NAME / "view.json").read_text())["sources"]
    trainer = _trainer(run, epochs=2, cache=False)

    def remove(of: Any) -> None:
        if of.epoch == 1:
            for path in (run / VIEW_NAME / "train" / "images").iterdir():
                path.unlink()
            of.train_loader.dataset.ims = [None] * of.train_loader.dataset.ni

    trainer.add_callback("on_train_epoch_start", remove)
    with pytest.raises(DataError) as failed:
        trainer.train()
    assert any(source in str(failed.value) for source in sources.values())
    assert f"cv resume {run.name}" in str(failed.value)
    assert (run / "train" / "weights" / "last.pt").exists()


def test_a_full_disk_leaves_the_checkpoint_before(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = _trainer(run, epochs=2)
    last = run / "train" / "weights" / "last.pt"
    before: list[bytes] = []

    def fill(of: Any) -> None:
        if of.epoch == 1:
            before.append(last.read_bytes())
            _limit_files(monkeypatch)

    trainer.add_callback("on_train_epoch_end", fill)
    with pytest.raises(DiskFullError) as failed:
        trainer.train()
    assert f"cv resume {run.name}" in str(failed.value)
    assert last.read_bytes() == before[0]
    assert sorted(path.name for path in last.parent.iterdir()) == ["best.pt", "last.pt"]


def _limit_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a checkpoint finds room for its first kilobytes only."""
    import errno

    def write(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:4096])
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", write)


def test_too_little_memory_is_one_message(run: Path) -> None:
    trainer = _trainer(run, epochs=1)

    def fail(_of: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried "
                           "to allocate 99 bytes. Error code 12 (Cannot allocate memory)")  # fmt: skip

    trainer.add_callback("on_train_batch_start", fail)
    with pytest.raises(TooLittleMemoryError, match="not enough memory"):
        trainer.train()


def test_a_step_that_does_not_fit_is_tried_with_half_the_pictures(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lensmith.detect.trainer import SafeTrainer

    preprocess, sizes = SafeTrainer.preprocess_batch, []

    def demanding(trainer: Any, batch: dict[str, Any]) -> dict[str, Any]:
        sizes.append(len(batch["img"]))
        if sizes[-1] > 1:
            raise MemoryError
        return preprocess(trainer, batch)

    monkeypatch.setattr(SafeTrainer, "preprocess_batch", demanding)
    manifest = _trainer(run, epochs=1) and RunManifest.load(run)
    with tracked(run, manifest) as tracking:
        learn(run, manifest, read_view(run / VIEW_NAME), tracking)
    assert sizes[:2] == [2, 1]
    assert RunManifest.load(run).result["batch"] == 1
    assert "does not suffice for 2 pictures a step: going on with 1" in capsys.readouterr().err
    assert (run / "train" / "weights" / "best.pt").exists()
