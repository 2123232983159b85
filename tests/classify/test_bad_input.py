"""What a person may hand to `cv finetune` by mistake, or what may go wrong on the way: each is told of."""

import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lensmith.classify import job, stages
from lensmith.classify.config import FinetuneConfig
from lensmith.classify.finetune import ClassifierRun, finetune, resume_finetune
from lensmith.core.errors import DataError, LensmithError
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset, make_picture, run_cv

TINY = FinetuneConfig(
    backbone="cnn", weights="none", imgsz=32, units=4, batch=4, epochs_frozen=2, epochs_tune=0, views=2, device="cpu"
)
OPTIONS = ("--backbone", "vgg16", "--weights", "none", "--imgsz", 32, "--units", 4, "--batch", 4, "--views", 2)


def train(workspace: Workspace, config: FinetuneConfig = TINY, name: str = "pets") -> ClassifierRun:
    return finetune(open_dataset(name, workspace), workspace, config)


def when_said(monkeypatch: pytest.MonkeyPatch, words: str, action: Callable[[], None]) -> None:
    """Do something once the training has said something."""
    done = []
    for room in (stages, job):
        real = room.say

        def say(text: str, real: Callable[[str], None] = real) -> None:
            real(text)
            if words in text and not done:
                done.append(True)
                action()

        monkeypatch.setattr(room, "say", say)


FIRST_EPOCH, PREPARED = "val accuracy", "frozen stage: "


def train_until(
    words: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, config: FinetuneConfig = TINY
) -> Path:
    """The folder of a run that Ctrl-C ends."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        when_said(patch, words, interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(workspace, config)
    return max(workspace.runs.iterdir(), key=lambda run: run.stat().st_mtime_ns)


def refused(workspace: Workspace, config: FinetuneConfig = TINY, name: str = "pets") -> str:
    """The message; nothing was left behind."""
    with pytest.raises(LensmithError) as caught:
        train(workspace, config, name)
    assert not list(workspace.root.glob("weights/*"))
    assert caught.value.next_step
    return str(caught.value)


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


# --- the dataset -----------------------------------------------------------------------------------------------------


def test_one_class_only(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "pets", names=("cat",))
    done = run_cv("finetune", "pets", *OPTIONS, cwd=workspace.root)
    assert done.returncode == 5
    assert "two or more" in done.stderr
    assert done.stderr.count("error:") == 1
    assert not workspace.runs.exists()


def test_an_empty_train_split(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "pets")
    for folder in (root / "train").iterdir():
        shutil.rmtree(folder)
        folder.mkdir()
    assert "train" in refused(workspace)


def test_a_class_that_only_valid_has(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "pets")
    (root / "valid" / "dog").rename(root / "valid" / "bird")
    said = refused(workspace)
    assert "bird" in said
    assert "training picture" in said


# --- the dataset while training runs ---------------------------------------------------------------------------------


@pytest.mark.keras
def test_pictures_that_go_while_training_runs_are_named_and_it_goes_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", {"train": 5, "valid": 3, "test": 3})
    spoilt = [root / "train/cat/train-0-001.png", root / "valid/cat/valid-0-001.png", root / "test/dog/test-1-001.png"]

    def harm() -> None:
        for path in spoilt:
            spoil(path)
        (root / "train/dog/train-1-002.png").unlink()

    when_said(monkeypatch, FIRST_EPOCH, harm)
    done = train(workspace, replace(TINY, epochs_tune=2, unfreeze="block4"))
    said = capfd.readouterr().err
    assert {row["stage"] for row in json.loads((done.run / "history.json").read_text())} == {"frozen", "tuned"}
    assert "test-1-001.png" in said, said
    assert "valid-0-001.png" in said
    for split in ("valid", "test"):  # each once, however often they are looked at
        assert said.count(f"1 {split} picture could not be used and did not count") == 1
    valid, test = json.loads((done.run / "evaluation.json").read_text())["splits"]
    assert (valid["pictures"], len(valid["skipped"])) == (5, 1)
    assert (test["pictures"], len(test["skipped"])) == (5, 1)


@pytest.mark.keras
@pytest.mark.parametrize("change", ["picture", "label", "more"])
def test_a_dataset_that_changed_since_the_interruption_is_not_gone_on_with(
    change: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", {"train": 3, "valid": 2})
    run = train_until(FIRST_EPOCH, workspace, monkeypatch)
    picture = root / "train/cat/train-0-001.png"
    if change == "picture":
        make_picture(picture, seed=99)
    elif change == "label":
        picture.rename(root / "train/dog/other.png")
    else:
        make_picture(root / "train/dog/more.png", seed=98)
    with pytest.raises(DataError) as caught:
        resume_finetune(run, workspace)
    assert "changed" in str(caught.value)
    assert "pets" in str(caught.value)
    assert not workspace.weights.exists()


@pytest.mark.keras
def test_a_class_with_one_picture_trains_and_is_named(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    make_folder_dataset(workspace.datasets / "pets", {"train": 4})
    for number in range(1, 4):
        (workspace.datasets / f"pets/train/dog/train-1-{number:03}.png").unlink()
    train_until(FIRST_EPOCH, workspace, monkeypatch)
    assert "there is one training picture of: dog; that is next to nothing to learn from" in capfd.readouterr().err


@pytest.mark.keras
def test_a_loss_that_is_no_number_stops_and_says_why(workspace: Workspace, capfd: pytest.CaptureFixture[str]) -> None:
    make_folder_dataset(workspace.datasets / "pets", {"train": 4, "valid": 2})
    config = replace(TINY, optimizer="sgd", epochs_frozen=0, epochs_tune=40, lr_tune=9.9, unfreeze="all", warmup=0.0)
    try:
        done = train(workspace, config)
    except LensmithError as error:
        told = str(error)
    else:
        told = capfd.readouterr().err
        assert done.bundle.record.classifier is not None
        assert np.isfinite(done.bundle.golden()[1]).all()
    assert "no longer a number" in told
    assert "--lr-tune" in told


# --- what is kept on disk --------------------------------------------------------------------------------------------


def kept(said: str) -> set[str]:
    """Whose activations came from the cache: "training", "validation"."""
    return set(re.findall(r"features of \d+ (\w+) pictures: kept from before", said))


@pytest.mark.keras
@pytest.mark.parametrize("change", ["nothing", "pictures", "labels", "augmentation", "weights", "size"])
def test_activations_of_anything_else_are_never_used(
    change: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", {"train": 3, "valid": 2})
    train_until(PREPARED, workspace, monkeypatch)
    capfd.readouterr()
    config = TINY
    one, other = root / "train/cat/train-0-000.png", root / "train/dog/train-1-000.png"
    if change == "pictures":  # their names, sizes and times stay
        size = max(path.stat().st_size for path in (one, other))
        contents = [path.read_bytes().ljust(size, b"\0") for path in (other, one)]
        for path, content in zip((one, other), contents, strict=True):
            times = path.stat()
            path.write_bytes(content)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    elif change == "labels":
        (root / "train/cat").rename(root / "train/x")
        (root / "train/dog").rename(root / "train/cat")
        (root / "train/x").rename(root / "train/dog")
    else:
        changes = {
            "nothing": {}, "augmentation": {"augment": "heavy"}, "weights": {"seed": 5},
            "size": {"imgsz": 40},
        }  # fmt: skip
        config = replace(TINY, **changes[change])
    train_until(PREPARED, workspace, monkeypatch, config)
    expected = {"nothing": {"training", "validation"}, "augmentation": {"validation"}}  # which is never augmented
    assert kept(capfd.readouterr().err) == expected.get(change, set())


@pytest.mark.keras
def test_a_cache_that_is_a_file_is_told_of_by_name(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder_dataset(workspace.datasets / "pets", {"train": 3, "valid": 2})
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("CV_CACHE", str(tmp_path / "cache"))
    said = refused(workspace)
    assert "CV_CACHE" in said
    assert str(tmp_path / "cache") in said


# --- options ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        pytest.param(("--imgsz", 20), 2, ("32", "--imgsz"), id="smaller than the smallest"),
        pytest.param(("--backbone", "vgg61"), 2, ("vgg16", "--backbone"), id="no such backbone"),
        pytest.param(("--target", "precision=95"), 2, ("--target",), id="a target above 1"),
        pytest.param(("--lr-frozen", "quick"), 2, ("--lr-frozen",), id="a rate that is a word"),
    ],
)
def test_options_are_refused_before_anything_is_done(
    options: tuple[object, ...], code: int, said: tuple[str, ...], workspace: Workspace
) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    done = run_cv("finetune", "pets", *OPTIONS, *options, cwd=workspace.root)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for part in said:
        assert part in done.stderr
    assert not workspace.runs.exists()
    assert not workspace.weights.exists()


@pytest.mark.keras
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"weights": Path("nowhere.h5")}, ("nowhere.h5", "--weights"), id="no such weights file"),
        pytest.param({"unfreeze": "block9"}, ("block5", "--unfreeze"), id="no such block"),
        pytest.param({"unfreeze": "9"}, ("1 to 5",), id="not so many blocks"),
    ],
)
def test_what_a_backbone_does_not_have_is_refused(
    changes: dict[str, object], said: tuple[str, ...], workspace: Workspace
) -> None:
    make_folder_dataset(workspace.datasets / "pets")
    told = refused(workspace, replace(TINY, backbone="vgg16", **changes))  # pyright: ignore[reportArgumentType]
    for part in said:
        assert part in told
    assert not workspace.runs.exists()
