"""How other processes of this Python are started."""

from __future__ import annotations

import sys


def python_command(*arguments: str) -> list[str]:
    """A command for this very Python that takes no module from the folder that the person happens to be in.

    With `-m` and `-c` Python looks for modules in the current folder first: whoever unpacked a stranger's archive and
    ran `cv` in it would run a `cv2.py` or `lensmith/` that lies there. PYTHONPATH still counts.

    Args:
        arguments: "-m" and a module, or "-c" and a program, and what these take.
    """
    return [sys.executable, "-P", *arguments]
