"""What a stage learns from where nothing is frozen: the pictures themselves, looked at before they are learned from."""

from dataclasses import replace
from pathlib import Path

import pytest

from lensmith.classify.config import FinetuneConfig
from lensmith.classify.finetune import finetune
from lensmith.core.errors import DataError
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.datasets.read import open_dataset
from tests.helpers import make_folder_dataset

pytestmark = pytest.mark.keras
PLAIN = FinetuneConfig(backbone="cnn", imgsz=16, units=4, batch=4, epochs_tune=1, device="cpu", force=True)


def spoil(folder: Path) -> list[Path]:
    """Make broken files of a folder's pictures."""
    pictures = sorted(folder.iterdir())
    for path in pictures:
        path.write_bytes(path.read_bytes()[:40])
    return pictures


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        pytest.param("train/dog", "no usable training picture of: dog", id="a class"),
        pytest.param("valid/*", "No validation picture can be read", id="all that measure it"),
    ],
)
@pytest.mark.parametrize("config", [PLAIN, replace(PLAIN, epochs_frozen=1, cache=False)], ids=["no stage", "no cache"])
def test_broken_pictures_are_found_before_there_is_a_run(
    config: FinetuneConfig, broken: str, said: str, workspace: Workspace
) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", width=20, height=16)
    for folder in root.glob(broken):
        spoil(folder)
    with pytest.raises(DataError, match=said):
        finetune(open_dataset("pets", workspace), workspace, config)
    assert not workspace.runs.exists()


def test_a_picture_that_was_left_out_stands_in_the_run(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "pets", width=20, height=16)
    (root / "train" / "dog" / "broken.png").write_bytes(b"no picture")
    done = finetune(open_dataset("pets", workspace), workspace, PLAIN)
    told = RunManifest.load(done.run).result["features"]["tuned"]
    assert told["pictures"] == 8
    assert [Path(path).name for path, _ in told["skipped"]] == ["broken.png"]
    assert "broken.png" in done.report.read_text()
