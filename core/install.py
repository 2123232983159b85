"""Commands that install something into this very Python, to be shown to the person."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from importlib import metadata
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit


def pip_command(rest: str, *, uv_rest: str | None = None) -> str:
    """`pip install REST` for this Python: pip's where pip is there, else uv's.

    Args:
        rest: What comes after `install`.
        uv_rest: The same for uv, where that differs.
    """
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    if find_spec("pip"):
        return f"{python} -m pip install {rest}"
    return f"uv pip install --python {python} {uv_rest or rest}"


def extra_command(extras: Iterable[str]) -> str:
    """The command that adds optional parts to this installation, from where it came: the index, or a folder."""
    wanted = ",".join(extras)
    folder = _source_folder()
    if folder is None:
        return pip_command(f'"lensmith[{wanted}]"')
    return pip_command(f'-e "{folder}[{wanted}]"')


def _source_folder() -> str | None:
    """The folder that Lensmith was installed from, None when it came from a package index (PEP 610)."""
    try:
        text = metadata.distribution("lensmith").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    record = json.loads(text) if text else {}
    if "dir_info" not in record:
        return None
    return unquote(urlsplit(record["url"]).path)
