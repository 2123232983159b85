"""Going on: from what a kill or a bad disk left, in another place, after the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from lensmith.core.errors import DataError, NotFoundError, UsageError
from lensmith.core.lock import sole_use
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.detect.checkpoints import (
    EXTENDED,
    Checkpoint,
    best_checkpoint,
    extended_after,
    mend_results,
    newest_checkpoint,
)
from lensmith.detect.history import RESULTS_PATH, read_history
from lensmith.detect.job import TRAINED, WEIGHTS_PATH, _kept_bundle, _why_over
from lensmith.detect.metrics import FIGURES
from lensmith.detect.train import extend_yolo, resume_yolo
from lensmith.weights.bundle import open_bundle
from tests.detect.conftest import Story
from tests.detect.odd import hashes

pytestmark = pytest.mark.torch

_HEADER = "epoch,time,train/box_loss"


def _cut(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def _zeros(data: bytes) -> bytes:
    return bytes(len(data))


def _flip(data: bytes) -> bytes:
    """One bit of a weight: the file still loads, as another model."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


@pytest.fixture
def weights(trained: Story, tmp_path: Path) -> Path:
    """last.pt and the one before, as they lie in a run that was killed."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("last.pt", "last-before.pt", "best.pt", "best-before.pt"):
        shutil.copyfile(trained.run / WEIGHTS_PATH / f"{name[:4]}.pt", folder / name)
    return folder


@pytest.mark.parametrize("spoil", [_cut, _zeros, _flip])
@pytest.mark.parametrize(("name", "find"), [("last", newest_checkpoint), ("best", best_checkpoint)])
def test_a_spoilt_checkpoint_gives_way_to_the_one_before_and_this_is_said(
    weights: Path, spoil: Callable[[bytes], bytes], name: str, find: Callable[[Path], Checkpoint | None],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    path = weights / f"{name}.pt"
    path.write_bytes(spoil(path.read_bytes()))
    found = find(weights)
    assert found is not None
    assert found.path == weights / f"{name}-before.pt"
    assert f"{name}-before.pt, from epoch {found.epoch}, takes its place" in capsys.readouterr().err


def test_where_all_checkpoints_are_spoilt_nothing_begins_anew_and_nothing_is_deleted(weights: Path) -> None:
    for name in ("last.pt", "last-before.pt"):
        (weights / name).write_bytes(_flip((weights / name).read_bytes()))
    before = hashes(weights)
    with pytest.raises(DataError, match="no checkpoint to go on from") as raised:
        newest_checkpoint(weights)
    assert raised.value.next_step is not None
    assert "nothing was deleted" in raised.value.next_step
    assert hashes(weights) == before


def test_a_model_without_its_optimizer_never_starts_another_training(trained: Story, tmp_path: Path) -> None:
    """Ultralytics would train on coco8 then."""
    shutil.copyfile(open_bundle("odd-one", trained.workspace).folder / "model.pt", tmp_path / "last.pt")
    with pytest.raises(DataError, match="holds no optimizer state"):
        newest_checkpoint(tmp_path)


def test_no_checkpoint_at_all_is_a_beginning(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["1,5,0.5", "2,9,0.25"], ["1,5,0.5", "2,9,0.25"]),
        (["1,5,0.50", "2,9,0.25", "3,14,0.2"], ["1,5,0.50", "2,9,0.25"]),  # will be done again
        (["1,5,0.5", "2,9,0.7", "2,4,0.25"], ["1,5,0.5", "2,4,0.25"]),  # was done again
        (["1,5,0.5", "2,9"], ["1,5,0.5", "2,9,0.25"]),  # cut off
        (["1,5,0.5"], ["1,5,0.5", "2,9,0.25"]),  # lost
        (["1,5,nan", "2,9,0.25"], ["1,5,nan", "2,9,0.25"]),
        (None, ["1,5,0.5", "2,9,0.25"]),
    ],
)
def test_results_have_one_row_for_each_epoch_of_the_checkpoint(
    tmp_path: Path, rows: list[str] | None, expected: list[str]
) -> None:
    table = tmp_path / "results.csv"
    if rows is not None:
        table.write_text("\n".join([_HEADER, *rows]) + "\n")
    columns = {"epoch": [1, 2], "time": [5.0, 9.0], "train/box_loss": [0.5, 0.25]}
    mend_results(table, Checkpoint(tmp_path / "last.pt", 2, 2, columns))
    assert table.read_text().splitlines() == [_HEADER, *expected]


def test_half_a_row_at_the_end_is_no_row(tmp_path: Path) -> None:
    table = tmp_path / "results.csv"
    table.write_text(f"{_HEADER}\n1,5,0.5\n2,9,0.2")
    mend_results(
        table, Checkpoint(tmp_path / "last.pt", 2, 2, {"epoch": [1, 2], "time": [5, 9], "train/box_loss": [0.5, 0.25]})
    )
    assert table.read_text().splitlines() == [_HEADER, "1,5,0.5", "2,9,0.25"]


def test_the_seconds_of_all_sessions_count(tmp_path: Path) -> None:
    assert Checkpoint(tmp_path, 4, 1, {"time": [5, 9, 3, 7]}).seconds == 16


@pytest.mark.parametrize(
    ("epoch", "best", "extended", "why"),
    [
        (10, 9, 0, "all 10 epochs are done"),
        (8, 3, 0, "5 epochs without a better one"),
        (7, 3, 0, None),
        (8, 3, 6, None),  # an extension gives it a new chance
        (6, 5, 0, "time is used up"),
    ],
)
def test_what_is_over_does_not_go_on(tmp_path: Path, epoch: int, best: int, extended: int, why: str | None) -> None:
    seconds = 100.0 if why and "time" in why else 1.0
    checkpoint = Checkpoint(tmp_path, epoch, best, {"time": [seconds]})
    said = _why_over(checkpoint, {"epochs": 10, "patience": 5, "time": 60.0}, extended)
    assert (said is None) if why is None else (said is not None and why in said)


def test_two_commands_never_work_on_one_run(trained: Story) -> None:
    with sole_use(trained.run), pytest.raises(UsageError, match="Another process is at work"):
        resume_yolo(trained.run, trained.workspace)


def test_a_finished_run_says_how_to_train_on(trained: Story) -> None:
    with pytest.raises(UsageError, match="finished") as raised:
        resume_yolo(trained.run, trained.workspace)
    assert raised.value.next_step is not None
    assert f"cv resume {trained.run.name} --extend" in raised.value.next_step


@pytest.fixture
def moved(trained: Story, tmp_path: Path) -> tuple[Workspace, Path]:
    """The workspace of the story in another place; of the old one nothing is known."""
    root = shutil.copytree(trained.workspace.root, tmp_path / "elsewhere")
    run = root / "runs" / trained.run.name
    manifest = RunManifest.load(run)
    assert manifest.dataset is not None
    manifest.dataset = manifest.dataset.model_copy(update={"path": "/where/it/was/odd"})
    manifest.save(run)
    return Workspace(root), run


def test_a_moved_run_is_extended_and_keeps_the_model_from_before(moved: tuple[Workspace, Path]) -> None:
    workspace, run = moved
    before = hashes(workspace.weights / "odd-one")
    best = best_checkpoint(run / WEIGHTS_PATH)
    rows = (run / RESULTS_PATH).read_text().splitlines()
    done = extend_yolo(run, workspace, 1)
    assert torch.initial_seed() == 2 * 1_000_003  # not the random changes of the first epochs again
    assert [row.epoch for row in read_history(run)] == [1, 2, 3]
    assert (run / RESULTS_PATH).read_text().splitlines()[:3] == rows
    manifest = RunManifest.load(run)
    assert manifest.status == "done"
    assert extended_after(manifest) == 2
    assert manifest.options["epochs"] == 3
    now = best_checkpoint(run / WEIGHTS_PATH)
    assert best is not None
    assert now is not None
    assert done.bundle.name == ("odd-one-2" if now.epoch == 3 else "odd-one")
    assert hashes(workspace.weights / "odd-one") == before
    last = newest_checkpoint(run / WEIGHTS_PATH)
    assert last is not None
    assert last.epoch == 3
    assert not (run / "data").exists()


def test_an_extension_without_a_better_epoch_tells_the_four_figures(moved: tuple[Workspace, Path]) -> None:
    workspace, run = moved
    manifest = RunManifest.load(run)
    manifest.result[EXTENDED] = [{"after": 2, "name": "odd-one"}]
    best = best_checkpoint(run / WEIGHTS_PATH)
    assert best is not None
    kept = _kept_bundle(run, manifest, best, workspace)
    assert kept is not None
    assert {"mAP50_low", "pictures"} < kept.bundle.record.metrics.keys()
    assert list(kept.metrics) == [name for name in FIGURES if name in kept.bundle.record.metrics]


def test_a_run_that_ended_before_its_model_was_made_makes_it(moved: tuple[Workspace, Path]) -> None:
    workspace, run = moved
    shutil.rmtree(workspace.weights / "odd-one")
    (run / "export").mkdir()
    (run / "export" / "model.pt").write_bytes(b"half")
    manifest = RunManifest.load(run)
    manifest.status = "failed"
    manifest.result["error"] = "The disk is full."
    manifest.result.pop(TRAINED)
    manifest.save(run)
    done = resume_yolo(run, workspace)
    assert done.bundle.folder == workspace.weights / "odd-one"
    assert not (run / "export").exists()
    assert "error" not in RunManifest.load(run).result
    assert [row.epoch for row in read_history(run)] == [1, 2]


def test_a_run_whose_gpu_is_gone_goes_on_elsewhere(moved: tuple[Workspace, Path]) -> None:
    workspace, run = moved
    manifest = RunManifest.load(run)
    manifest.status, manifest.options["device"] = "interrupted", "7"
    manifest.save(run)
    with pytest.raises(UsageError, match="no GPU 7") as raised:
        resume_yolo(run, workspace)
    assert f"cv resume {run.name} --device auto" in str(raised.value)
    assert RunManifest.load(run).status == "interrupted"
    assert resume_yolo(run, workspace, device="cpu").run == run
    manifest = RunManifest.load(run)
    assert (manifest.status, manifest.device, manifest.options["device"]) == ("done", "cpu", "cpu")


def test_an_unfinished_run_cannot_be_extended(moved: tuple[Workspace, Path]) -> None:
    workspace, run = moved
    manifest = RunManifest.load(run)
    manifest.status = "interrupted"
    manifest.save(run)
    with pytest.raises(UsageError, match="not finished"):
        extend_yolo(run, workspace, 1)
    assert EXTENDED not in RunManifest.load(run).result


def test_weights_that_a_run_starts_from_must_be_what_they_were(moved: tuple[Workspace, Path], tmp_path: Path) -> None:
    workspace, run = moved
    for path in (run / WEIGHTS_PATH).iterdir():
        path.unlink()
    start = tmp_path / "start.pt"
    manifest = RunManifest.load(run)
    manifest.status = "interrupted"
    manifest.options |= {"start_from": str(start), "start_sha256": "0" * 64}
    manifest.save(run)
    with pytest.raises(NotFoundError, match="are gone"):
        resume_yolo(run, workspace)
    start.write_bytes(b"another")
    with pytest.raises(DataError, match="were changed"):
        resume_yolo(run, workspace)
