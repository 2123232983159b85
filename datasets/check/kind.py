"""What is said of every finding of a kind."""

from __future__ import annotations

from dataclasses import dataclass

from .finding import Severity

REGROUP = "shares the pictures out anew, so that those which belong together lie in one split"


@dataclass(frozen=True)
class Kind:
    """One kind of finding.

    Attributes:
        title: What was found, as a heading.
        severity: As a rule; single findings may be more or less severe and say so.
        why: Why it hurts.
        fix: What `cv fix-dataset` does about it; empty where only a person can help.
    """

    title: str
    severity: Severity
    why: str
    fix: str = ""
