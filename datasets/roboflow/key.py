"""The key to Roboflow, and where it comes from."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import AuthError, DataError
from ...core.isolation import cache_folder
from ...core.redact import register_secret

GET_A_KEY = (
    "copy it from https://app.roboflow.com (Settings, API Keys), then set ROBOFLOW_API_KEY or give --api-key KEY"
)
_KEY = re.compile(r"[A-Za-z0-9_-]{4,200}")


@dataclass(frozen=True)
class FoundKey:
    """A key and where it was found; `source` may be shown, the key may not."""

    key: str
    source: str


def find_key(given: str | None, workspace: str | None = None) -> FoundKey | None:
    """The key given, else `ROBOFLOW_API_KEY`, else the one that `roboflow login` saved; None when there is none.

    Args:
        given: The value of `--api-key`.
        workspace: Of several saved keys, the one of this workspace is taken, else that of the default workspace.

    Raises:
        DataError: the client's own configuration file is damaged.
    """
    for key, source in ((given, "--api-key"), (os.environ.get("ROBOFLOW_API_KEY"), "ROBOFLOW_API_KEY")):
        if key is not None:
            register_secret(key.strip())
            return FoundKey(key.strip(), source)
    path = _config_path()
    if not path.is_file():
        return None
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        by_url = {entry["url"]: str(entry["apiKey"]) for entry in config.get("workspaces", {}).values()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            "Roboflow's configuration file cannot be understood.", where=path, next_step="run `roboflow login` again"
        ) from None
    key = by_url.get(workspace or "") or by_url.get(config.get("RF_WORKSPACE", ""))
    register_secret(key)
    return FoundKey(key, str(path)) if key else None


def _config_path() -> Path:
    if chosen := os.environ.get("ROBOFLOW_CONFIG_DIR"):  # called DIR, but it is the file
        return Path(chosen)
    home = Path(os.environ.get("USERPROFILE" if os.name == "nt" else "HOME") or cache_folder("roboflow"))
    return home / "roboflow/config.json" if os.name == "nt" else home / ".config/roboflow/config.json"


def need_key(given: str | None, workspace: str) -> str:
    """The key to use.

    Raises:
        AuthError: there is none, it is empty, or it cannot be one.
    """
    found = find_key(given, workspace)
    if found is None:
        raise AuthError("There is no Roboflow key.", next_step=GET_A_KEY)
    if not found.key:
        raise AuthError("The Roboflow key is empty.", where=found.source, next_step=GET_A_KEY)
    # Without a lowercase letter the client would not even ask the server, and fail later in an obscure way.
    if not _KEY.fullmatch(found.key) or not any(character.islower() for character in found.key):
        raise AuthError("This is not a Roboflow API key.", where=found.source, next_step=GET_A_KEY)
    return found.key
