"""What is known of pictures stays known on their way: labels that are spoilt do not come to mean "nothing here"."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from lensmith.core.errors import DataError
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import check_dataset
from lensmith.datasets.export_dataset import ExportConfig, export_dataset
from lensmith.datasets.fix import fix_dataset
from lensmith.datasets.formats.labels import read_labels
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from lensmith.datasets.model import Boxes, Dataset, Format, Item, LabelProblem, spoilt
from lensmith.datasets.read import open_dataset
from lensmith.datasets.split import SplitConfig, split_dataset
from lensmith.detect.view import build_view
from tests.helpers import make_picture, make_yolo_dataset

PIXELS = "0 100 120 50 60\n1 30 40 20 20\n"


def _spoilt_set(root: Path) -> Path:
    """Train: one picture whose rows are pixels, one that shows nothing, the others with a box."""
    make_yolo_dataset(root, {"train": 8, "valid": 4})
    (root / "train/labels/train-000.txt").write_text(PIXELS)
    (root / "train/labels/train-001.txt").write_text("")
    return root


def _known(dataset: Dataset) -> dict[str, int | None]:
    """How many boxes each training picture has, None where nobody knows."""
    labels = {item.image.stem: dataset.label(item)[0] for item in dataset.items()}
    return {stem: None if boxes is None else len(boxes) for stem, boxes in labels.items()}


def test_the_rule() -> None:
    file = Path("a.txt")
    lost = LabelProblem(file, 1, "left out: it holds NaN or infinity", "nan")
    mended = LabelProblem(file, 0, "mended: the file is UTF-16; YOLO labels are plain text", "encoding")
    one = Boxes(np.zeros((1, 4), np.float32), np.zeros(1, np.int64))
    assert [spoilt(Boxes.empty(), problems) for problems in ([], [mended], [lost], [mended, lost])] == [0, 0, 1, 1]
    assert not spoilt(one, [lost])


def test_an_import_brings_the_picture_without_a_label_and_says_so(workspace: Workspace, tmp_path: Path) -> None:
    done = import_dataset(_spoilt_set(tmp_path / "set"), workspace)
    assert not (done.folder / "train/labels/train-000.txt").exists()
    assert (done.folder / "train/labels/train-001.txt").read_text() == ""
    known = _known(open_dataset("set", workspace))
    assert (known["train-000"], known["train-001"], known["train-002"]) == (None, 0, 1)
    assert any("1 picture came without labels" in remark for remark in done.record.remarks)


def test_a_dataset_of_nothing_but_spoilt_labels_is_not_imported(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set")
    for label in root.rglob("labels/*.txt"):
        label.write_text(PIXELS)
    with pytest.raises(DataError, match="No label row of this dataset can be used; 16 rows left out: a number"):
        import_dataset(root, workspace)
    assert not (workspace.datasets / "set").exists()


@pytest.mark.parametrize("format_", ["yolo", "coco", "voc"])
def test_an_export_does_not_make_an_empty_label_of_them(workspace: Workspace, tmp_path: Path, format_: Format) -> None:
    done = export_dataset(_spoilt_set(tmp_path / "set"), format_, workspace, ExportConfig(to=tmp_path / "out"))
    known = _known(open_dataset(tmp_path / "out", workspace))
    assert (known["train-000"], known["train-001"], known["train-002"]) == (None, 0, 1)
    assert [loss for loss in done.losses if "1 picture without labels" in loss]


def test_a_training_leaves_them_out(workspace: Workspace, tmp_path: Path) -> None:
    root = _spoilt_set(tmp_path / "set")
    view = build_view(open_dataset(root, workspace), tmp_path / "view", seed=0)
    assert view.counts == {"train": 7, "valid": 4}
    ((skipped, reason),) = view.skipped
    assert Path(skipped).stem == "train-000"
    assert "nobody knows" in reason


def _voc_with_odd_encoding(root: Path) -> Path:
    """Half of the pictures show nothing, and say so in a file that is not UTF-8."""
    for split, first in (("train", 0), ("valid", 50)):
        for number in range(8):
            picture = make_picture(root / split / f"{split}{number}.png", 320, 240, first + number)
            box = "<bndbox><xmin>10</xmin><ymin>10</ymin><xmax>90</xmax><ymax>90</ymax></bndbox>"
            shown = f"<object><name>cat</name>{box}</object>" if number < 4 else ""
            size = "<size><width>320</width><height>240</height></size>"
            text = f"<annotation><folder>Käse</folder>{size}{shown}</annotation>"
            picture.with_suffix(".xml").write_bytes(text.encode("latin-1"))
    return root


def test_a_note_about_the_encoding_spoils_nothing(workspace: Workspace, tmp_path: Path) -> None:
    root = _voc_with_odd_encoding(tmp_path / "set")
    dataset = open_dataset(root, workspace)
    assert sorted(_known(dataset).values(), key=str) == [0] * 8 + [1] * 8
    found = {finding.kind: finding.count for finding in check_dataset(dataset).findings}
    assert found["picture-without-objects"] == 8
    fixed = fix_dataset(root, workspace)
    assert sum(fixed.after.pictures.values()) == 16
    split_dataset(root, workspace, SplitConfig(ratios=(50, 50), name="halves"))
    for name in (fixed.name, "halves"):
        assert sum(count == 0 for count in _known(open_dataset(name, workspace)).values()) == 8


def _crowds(root: Path) -> Path:
    """Pictures 0 to 2 have a box, 3 and 4 nothing but a crowd, 5 neither."""
    images, annotations = [], []
    for number in range(6):
        make_picture(root / f"train/p{number}.png", 320, 240, number)
        images.append({"id": number, "file_name": f"p{number}.png", "width": 320, "height": 240})
        crowd = int(number > 2)
        annotation = {"id": number, "image_id": number, "category_id": 1, "bbox": [9, 9, 99, 99], "iscrowd": crowd}
        annotations += [annotation] if number < 5 else []
    content = {"images": images, "categories": [{"id": 1, "name": "person"}], "annotations": annotations}
    (root / "train/_annotations.coco.json").write_text(json.dumps(content))
    return root


def test_a_picture_of_which_only_a_crowd_is_labelled_is_unlabelled(workspace: Workspace, tmp_path: Path) -> None:
    root = _crowds(tmp_path / "set")
    dataset = open_dataset(root, workspace)
    assert list(_known(dataset).values()) == [1, 1, 1, None, None, 0]
    done = import_dataset(root, workspace, ImportConfig(split="50/50"))
    known = _known(open_dataset("set", workspace))
    assert [known[f"p{number}"] for number in range(6)] == [1, 1, 1, None, None, 0]
    assert any("2 label rows left out: the outline of a crowd" in remark for remark in done.record.remarks)
    found = {finding.kind: finding.count for finding in check_dataset(dataset).findings}
    assert (found["label-crowd"], found["picture-without-objects"]) == (2, 1)


def test_what_was_written_is_counted_and_the_true_reason_is_told(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set", {"train": 2, "valid": 1})
    done, bilevel = cv2.imencode(".png", np.zeros((10_000, 20_000), np.uint8), [cv2.IMWRITE_PNG_BILEVEL, 1])
    assert done
    (root / "train/images/big.png").write_bytes(bilevel.tobytes())
    (root / "train/labels/big.txt").write_text("0 .5 .5 .3 .3\n")
    (root / "train/images/torn.png").write_bytes(b"no picture")
    exported = export_dataset(root, "coco", workspace, ExportConfig(to=tmp_path / "out"))
    assert exported.counts == {"train": 3, "valid": 1, "test": 0}
    assert len(list((tmp_path / "out/train").glob("*.png"))) == 3
    assert "1 picture left out, it is too large to be opened: big.png." in exported.losses


def test_the_folder_may_change_while_it_is_imported(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that comes while others are being looked at shifts no other into a wrong split."""
    from lensmith.datasets import stratify

    root = make_yolo_dataset(tmp_path / "set", {"train": 10})
    honest = stratify.share_out
    planned: dict[str, int] = {}

    def late(items: list[Item], *args: object, **options: object) -> np.ndarray:
        parts = honest(items, *args, **options)  # type: ignore[arg-type]
        planned.update({item.image.stem: int(part) for item, part in zip(items, parts, strict=True)})
        make_picture(root / "train/images/a-new.png", seed=999)
        return parts

    monkeypatch.setattr(stratify, "share_out", late)
    done = import_dataset(root, workspace)
    splits = {"train": 0, "valid": 1, "test": 2}
    written = {item.image.stem: splits[item.split] for item in open_dataset(done.folder, workspace).items()}
    assert written == planned


def test_mended_rows_alone_leave_an_empty_label(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\n".encode("utf-16"))
    boxes, problems = read_labels(path, 1)
    assert problems
    assert not spoilt(boxes, problems)
