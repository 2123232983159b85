"""Keys never appear in what we print or write."""

from __future__ import annotations

import re

_SECRETS: set[str] = set()
_IN_ADDRESS = re.compile(
    r"""((?:(?<=[?&;\s"'(])|^)(?:api_?key|key|token|sig|signature|password|credential|X-Goog-[A-Za-z]+|X-Amz-[A-Za-z]+)=)"""
    r"""[^&\s"'<>)]+""",
    re.IGNORECASE,
)
_OUR_WORDS = re.compile(r"(?<![?&])\bKEY=VALUE\b(?![\w&])")  # how an argument is written, in help and errors
_LOGIN_IN_ADDRESS = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s?#]+@", re.IGNORECASE)
MASK = "***"


def register_secret(secret: str | None) -> None:
    """From now on `redact` hides this string. Short ones are ignored: they would mask plain words."""
    if secret and len(secret) >= 6:
        _SECRETS.add(secret)


def redact(text: str) -> str:
    """`text` without registered keys, values of key-like address parameters, and logins in addresses."""
    for secret in sorted(_SECRETS, key=len, reverse=True):
        text = text.replace(secret, MASK)
    text = "KEY=VALUE".join(_IN_ADDRESS.sub(rf"\1{MASK}", part) for part in _OUR_WORDS.split(text))
    return _LOGIN_IN_ADDRESS.sub(rf"\1{MASK}@", text)
