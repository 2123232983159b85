"""Where predictions go: files in several formats, drawn copies. What is written stays valid on a full disk."""

from .base import Call, Sink
from .behind import Behind
from .coco import CocoResults
from .drawn import DrawnPictures, DrawnVideo
from .pictures import FileNames, PictureFolder
from .records import CsvFile, JsonLines, RecordFile
from .yolo import YoloLabels

__all__ = [
    "Behind", "Call", "CocoResults", "CsvFile", "DrawnPictures", "DrawnVideo", "FileNames", "JsonLines",
    "PictureFolder", "RecordFile", "Sink", "YoloLabels",
]  # fmt: skip
