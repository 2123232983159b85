"""What is wrong between the splits: one is missing, or pictures of one give those of another away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...core.words import many
from ..model import SPLITS, Dataset, Split
from .finding import Finding, Severity, Twin, TwinKind
from .kinds import finding

_ACROSS: dict[TwinKind, str] = {
    "copy": "byte for byte",
    "sibling": "made from one photograph by Roboflow's augmentation",
    "near": "the same photograph after editing, or nearly the same shot",
    "frame": "neighbouring frames of a video",
}


def split_findings(dataset: Dataset, pictures: Mapping[Split, int], twins: Sequence[Twin]) -> Iterator[Finding]:
    """Findings of the kinds split-missing, ...-across and ...-within, and of one picture in two classes.

    Args:
        dataset: For its remarks.
        pictures: How many pictures train, valid and test have.
        twins: Pictures that show the same.
    """
    if not any(remark.kind == "split-none" for remark in dataset.remarks):
        for split in SPLITS:
            if not pictures[split]:
                severity: Severity = "problem" if split == "train" else "warning" if split == "valid" else "note"
                found = finding("split-missing", f"There is no '{split}' split.", count=1, severity=severity)
                # To measure on is a person's own choice of pictures; without a choice, "valid" is measured on.
                yield replace(found, fix="") if split == "test" else found
    told: set[Path] = set()  # a picture that leaks is told of once, by the strongest reason
    for kind, how in _ACROSS.items():
        across = [twin for twin in twins if twin.kind == kind and twin.across and twin.second.image not in told]
        told.update(twin.second.image for twin in across)
        if across:
            yield _leak(kind, how, across)
    torn = [twin for twin in twins if _in_two_classes(twin)]
    if torn:
        what = f"{many(len(torn), 'picture lies', 'pictures lie')} in two class folders."
        yield finding("label-conflict", what, dict.fromkeys(_files(torn)), len(torn), "problem")
    for kind, how in (("copy", "byte for byte"), ("near", "or nearly the same")):
        within = [twin for twin in twins if twin.kind == kind and not twin.across and not _in_two_classes(twin)]
        if within:
            again = len({twin.second.image for twin in within})
            what = f"{many(again, 'picture is', 'pictures are')} in the same split once more, {how}."
            yield finding(f"{kind}-within", what, _files(within), again)


def _leak(kind: TwinKind, how: str, twins: list[Twin]) -> Finding:
    given_away: dict[str, set[Path]] = {}
    for twin in twins:
        given_away.setdefault(twin.second.split, set()).add(twin.second.image)
    where = " and ".join(f"{len(paths)} of '{split}'" for split, paths in sorted(given_away.items(), reverse=True))
    count = sum(len(paths) for paths in given_away.values())
    what = f"{where} {'has a twin' if count == 1 else 'have twins'} in an earlier split: {how}."
    # A score on "test" that cannot be trusted is worse than a poor choice between epochs.
    severity: Severity | None = "problem" if "test" in given_away else None
    return finding(f"{kind}-across", what, _files(twins), count, severity)


def _in_two_classes(twin: Twin) -> bool:
    return twin.kind == "copy" and twin.first.class_id != twin.second.class_id


def _files(twins: Sequence[Twin]) -> list[Path]:
    return [path for twin in twins for path in (twin.first.image, twin.second.image)]
