"""What lies in a dataset's folder that should not, and what its data.yaml says that it should not say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ...core.errors import DataError
from ...core.words import many
from ..formats.data_yaml import YAML_NAMES, read_yaml
from ..formats.unread import NOT_READ, files_with
from ..model import Dataset
from .finding import Finding
from .kinds import finding

_CACHES = frozenset({".cache", ".dill", ".joblib", ".pickle", ".pkl", ".pt", ".pth"})
_PROGRAMS = frozenset({".bat", ".cmd", ".com", ".dll", ".exe", ".js", ".ps1", ".py", ".pyc", ".sh", ".so", ".vbs"})


def layout_findings(dataset: Dataset) -> Iterator[Finding]:
    """Findings of the kinds yaml-..., cache-file, picture-not-read, and what else the reader remarked."""
    for remark in dataset.remarks:
        yield finding(remark.kind, remark.what, remark.files, max(len(remark.files), 1))
    if dataset.task == "detect":
        yield from _downloads(dataset.root)
    files = list(files_with(dataset.root, _CACHES | _PROGRAMS | NOT_READ))
    unread = [path for path in files if path.suffix.lower() in NOT_READ]
    odd = [path for path in files if path.suffix.lower() not in NOT_READ]
    if unread:
        endings = ", ".join(sorted({path.suffix.lower() for path in unread}))
        what = f"{many(len(unread), 'picture')} in formats that are not read: {endings}."
        yield finding("picture-not-read", what, unread)
    if odd:
        what = f"{many(len(odd), 'cache or program file')} in the folder; none is opened."
        yield finding("cache-file", what, odd)


def _downloads(root: Path) -> Iterator[Finding]:
    for name in YAML_NAMES:
        path = root / name
        if not path.is_file() or path.is_symlink():
            continue
        try:
            content = read_yaml(path)
        except DataError:  # not the one that the reader took, or the reader has said so
            continue
        if content.get("download"):
            yield finding("yaml-download", f"{name} has a `download:` line.", [path])
