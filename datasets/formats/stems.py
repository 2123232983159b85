"""File names that every system takes, and that still tell what a picture was made of."""

from __future__ import annotations

import hashlib

from ...core.files import safe_name

_MADE_OF = ".rf."  # Roboflow puts what it made of one photograph after this
_MOST = 200  # bytes; with a suffix and a number far from the 255 that file systems take
_MOST_AFTER, _MOST_BEFORE = 50, 150  # around `.rf.`
_HEAD = 60
_STEP = 16


def safe_stem(wished: str) -> str:
    """A name that is safe everywhere; a long one is cut in its middle, so that the ends stay that tell pictures apart.

    What stands before `.rf.` becomes the same for pictures that Roboflow made of one photograph and for no others, and
    names that differ in a frame's number only still do.
    """
    source, mark, after = safe_name(wished).partition(_MADE_OF)
    if not mark:
        return _cut(source, _MOST)
    return _cut(source, _MOST_BEFORE) + mark + _cut(after, _MOST_AFTER)  # whatever comes after, the same before it


def _cut(text: str, most: int) -> str:
    """Put a hash in the place of a part of the text, so that `most` bytes of UTF-8 hold it.

    The part grows in steps: where a frame's number gets one more digit, the same part falls out as before.
    """
    data = text.encode()
    if len(data) <= most:
        return text
    head = min(_HEAD, most // 4)
    steps = -(-(len(data) - most + len("-01234567-")) // _STEP)
    end = head + steps * _STEP
    front = data[:head].decode(errors="ignore").rstrip("-")
    back = data[end:].decode(errors="ignore").lstrip("-")
    cut_out = data[len(front.encode()) : len(data) - len(back.encode())]
    return f"{front}-{hashlib.sha256(cut_out).hexdigest()[:8]}-{back}"
