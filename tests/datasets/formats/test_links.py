"""Links within a dataset count as files; those that lead out are not followed, and nothing is made up instead."""

from __future__ import annotations

from pathlib import Path

from lensmith.core.workspace import Workspace
from lensmith.datasets.import_dataset import import_dataset
from lensmith.datasets.read import open_dataset
from tests.datasets.formats.test_voc import _object, _open, _put, _xml
from tests.helpers import make_picture, make_yolo_dataset


def test_a_picture_that_is_a_link_within_keeps_its_class(workspace: Workspace, tmp_path: Path) -> None:
    root = tmp_path / "set"
    _put(root / "train", "a", _xml(_object("cat")))
    _put(root / "train", "z", _xml(_object("dog")))
    pooled = make_picture(root / "pool/z.png", seed=7)
    (picture,) = [path for path in (root / "train").iterdir() if path.stem == "z" and path.suffix != ".xml"]
    picture.unlink()
    picture.symlink_to(Path("..") / "pool" / pooled.name)
    dataset = _open(root, workspace)
    assert dataset.names == ("cat", "dog")
    assert [dataset.boxes(item)[0].class_id.tolist() for item in dataset.items()] == [[0], [1]]
    assert [dataset.boxes(item)[1] for item in dataset.items()] == [[], []]


def test_pictures_that_links_lead_to_are_not_loose(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    for picture in sorted((root / "train/images").iterdir()):
        pooled = root / "pool" / picture.name
        pooled.parent.mkdir(exist_ok=True)
        picture.rename(pooled)
        picture.symlink_to(pooled)
    make_picture(root / "pool/spare.png", seed=99)
    (remark,) = [remark for remark in open_dataset(root, workspace).remarks if remark.kind == "loose-pictures"]
    assert [path.name for path in remark.files] == ["spare.png"]


def test_a_label_that_leads_out_is_no_empty_label(workspace: Workspace, tmp_path: Path) -> None:
    yolo = make_yolo_dataset(tmp_path / "yolo")
    voc = tmp_path / "voc"
    for stem in ("train-000", "train-001"):
        _put(voc / "train", stem, _xml(_object()))
    for root, label in ((yolo, "train/labels/train-000.txt"), (voc, "train/train-000.xml")):
        outside = tmp_path / f"outside{Path(label).suffix}"
        (root / label).rename(outside)
        (root / label).symlink_to(outside)
        dataset = open_dataset(root, workspace)
        boxes, (problem,) = dataset.label(next(dataset.items("train")))
        assert boxes is None
        assert "leads out of the dataset" in problem.reason
        done = import_dataset(root, workspace)
        (item,) = [item for item in open_dataset(done.folder, workspace).items() if item.image.stem == "train-000"]
        assert item.label is not None
        assert not item.label.exists()
