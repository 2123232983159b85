"""Open a dataset by name or folder, whatever layout it has."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..core.errors import DataError
from ..core.files import is_text
from ..core.workspace import Workspace, locate
from .formats.coco import open_coco
from .formats.folder import HOW_TO_LAY_OUT, open_folders
from .formats.layout import Layout, recognise
from .formats.voc import open_voc
from .formats.yolo import open_yolo
from .formats.yolo_places import LAYOUT
from .model import Dataset, Format

_WHERE_TRAINING_GOES: dict[Format, str] = {
    "yolo": LAYOUT,
    "coco": "put a COCO file called _annotations.coco.json and its pictures into train",
    "voc": "put pictures and their XML files into train",
    "folder": HOW_TO_LAY_OUT,
}


def open_dataset(given: str | Path, workspace: Workspace, *, to_measure: bool = False) -> Dataset:
    """Open a dataset for reading. Its files are only read, and none outside its folder is.

    Args:
        given: The name of a dataset in the workspace, a folder, or the path of a `data.yaml`.
        workspace: Where names are looked up.
        to_measure: Nothing is to be learned from it, so it need not have training pictures.

    Returns:
        The dataset, its layout recognised: "yolo", "coco" and "voc" have boxes (its task is "detect"), "folder", with
        one folder per class within train/valid/test or without splits, has classes ("classify").

    Raises:
        NotFoundError: there is no such dataset.
        DataError: it has no pictures, no labels, no training pictures or no class names, its paths lead out of it, or
            a file that describes all of it is damaged.
    """
    root = locate(given, workspace.datasets, "dataset")
    if root.is_file():
        if root.suffix.lower() not in {".yaml", ".yml"}:
            is_zip = root.suffix.lower() == ".zip"
            hint = f"cv import-dataset {root}" if is_zip else "give the dataset's folder"
            raise DataError("A dataset is a folder, and this is a file.", where=root, next_step=hint)
        if root.name not in {"data.yaml", "data.yml"}:
            raise DataError(
                "Only a dataset's data.yaml is read.", where=root, next_step="rename it, or give the dataset's folder"
            )
        root = root.parent
    return replace(open_layout(recognise(root), to_measure=to_measure), name=root.name)


def open_layout(layout: Layout, *, to_measure: bool = False) -> Dataset:
    """Open a dataset of which the layout is known; `to_measure` as for `open_dataset`.

    Raises:
        DataError: see `open_dataset`.
    """
    match layout.format:
        case "yolo":
            dataset = open_yolo(layout.root)
        case "coco":
            dataset = open_coco(layout.root, layout.coco)
        case "voc":
            dataset = open_voc(layout.root)
        case "folder":
            dataset = open_folders(layout.root)
    if not to_measure and next(dataset.items("train"), None) is None:
        because = [remark.what for remark in dataset.remarks if remark.kind == "yaml-path"]
        raise DataError(
            " ".join(["The dataset has no training pictures: its 'train' split is empty or missing.", *because]),
            where=layout.root,
            next_step=_WHERE_TRAINING_GOES[layout.format],
        )
    for name in dataset.names:
        if not is_text(name):
            raise DataError(
                f"The class name {name!a} is no text that can be written as UTF-8.",
                where=layout.root,
                next_step="rename the folder of the class, or mend the name in the label file",
            )
    return replace(dataset, remarks=(*layout.remarks, *dataset.remarks))
