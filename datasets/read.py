"""Open a dataset by name or folder, whatever layout it has."""

from __future__ import annotations

from pathlib import Path

from ..core.errors import DataError
from ..core.workspace import Workspace, locate
from .formats.folder import open_folders
from .formats.yolo import has_yolo_layout, open_yolo
from .model import Dataset

_EXPORT_AS_YOLO = "export the dataset as YOLO (boxes), or as one folder per class"


def open_dataset(given: str | Path, workspace: Workspace) -> Dataset:
    """Open a dataset for reading. Its files are only read, and none outside its folder is.

    Args:
        given: The name of a dataset in the workspace, a folder, or the path of a `data.yaml`.
        workspace: Where names are looked up.

    Returns:
        The dataset. In the YOLO layout ("yolo": a data.yaml, or `images` and `labels` folders) its task is "detect";
        with one folder per class ("folder": within train/valid/test, or without splits, all "train") "classify".

    Raises:
        NotFoundError: there is no such dataset.
        DataError: it has no pictures, no labels, no training pictures or no class names, its paths lead out of it, or
            its layout is none that we read.
    """
    root = locate(given, workspace.datasets, "dataset")
    if root.is_file():
        if root.suffix.lower() not in {".yaml", ".yml"}:
            hint = "unpack it and give the folder" if root.suffix.lower() == ".zip" else "give the dataset's folder"
            raise DataError("A dataset is a folder, and this is a file.", where=root, next_step=hint)
        if root.name not in {"data.yaml", "data.yml"}:
            raise DataError(
                "Only a dataset's data.yaml is read.", where=root, next_step="rename it, or give the dataset's folder"
            )
        root = root.parent
    if has_yolo_layout(root):
        return open_yolo(root)
    if any(root.glob("**/_annotations.coco.json")) or any(root.glob("annotations/*.json")):
        raise DataError("This looks like a COCO dataset, which is not read yet.", where=root, next_step=_EXPORT_AS_YOLO)
    if any(root.glob("*/*.xml")) or any(root.glob("Annotations/*.xml")):
        raise DataError(
            "This looks like a Pascal VOC dataset, which is not read yet.", where=root, next_step=_EXPORT_AS_YOLO
        )
    return open_folders(root)
