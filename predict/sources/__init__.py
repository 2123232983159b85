"""Where frames come from: pictures, folders, patterns, lists, zips, videos, cameras, streams, standard input."""

from .base import Job, Jobs, PicturesBase, Source
from .choose import open_source
from .pictures import PictureSource, natural_key
from .streams import StreamSource
from .texts import StdinSource
from .zips import ZipSource

__all__ = [
    "Job", "Jobs", "PictureSource", "PicturesBase", "Source", "StdinSource", "StreamSource", "ZipSource", "natural_key",
    "open_source",
]  # fmt: skip
