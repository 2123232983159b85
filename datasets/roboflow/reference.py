"""What a person calls a Roboflow dataset: `workspace/project/version`, or the address of its page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ...core.errors import UsageError

_HOSTS = re.compile(r"(^|\.)roboflow\.(com|eu|one)$", re.IGNORECASE)
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_BETWEEN = {"dataset", "model", "browse", "images", "overview", "health", "deploy", "train", "fork"}
_HOW = "give WORKSPACE/PROJECT, WORKSPACE/PROJECT/VERSION, or the address of the dataset's page"


@dataclass(frozen=True)
class Reference:
    """One Roboflow project, and one of its versions when the person said which."""

    workspace: str
    project: str
    version: int | None = None

    def __str__(self) -> str:
        return "/".join(str(part) for part in (self.workspace, self.project, self.version) if part is not None)


def parse_reference(text: str) -> Reference:
    """Read `ws/project`, `ws/project/3`, or the address of a Universe or app page.

    Raises:
        UsageError: it is none of these.
    """
    given = text.strip()
    path = given
    if "://" in given or _HOSTS.search(given.split("/", 1)[0]):
        address = urlsplit(given if "://" in given else f"https://{given}")
        if not _HOSTS.search(address.hostname or ""):
            raise UsageError("This is not an address of Roboflow.", where=given, next_step=_HOW)
        path = address.path
    parts = [unquote(part) for part in path.split("/") if part]
    kept = [part for number, part in enumerate(parts) if number < 2 or part.lower() not in _BETWEEN]
    if len(kept) < 2 or not all(_SLUG.fullmatch(part) for part in kept[:2]):
        raise UsageError("This does not name a Roboflow dataset.", where=given, next_step=_HOW)
    version = None
    if len(kept) > 2:
        number = re.fullmatch(r"v?([0-9]{1,9})", kept[2])
        if number is None:
            raise UsageError(f"The version must be a number, and '{kept[2]}' is none.", where=given, next_step=_HOW)
        version = int(number[1])
    return Reference(kept[0], kept[1], version)
