"""Ultralytics' own arguments by name: which are taken, and what is said of the others."""

from __future__ import annotations

import pytest

from lensmith.core.errors import UsageError
from lensmith.detect.settings import _ELSEWHERE, _OFFERED, _OURS, _packaged_names, parse_settings


def test_values_are_read_as_numbers_words_and_truths() -> None:
    read = parse_settings(["fliplr=0", "weight_decay=5e-4", "cos_lr=true", "optimizer=AdamW", "amp=bf16"])
    assert read == {"fliplr": 0, "weight_decay": 5e-4, "cos_lr": True, "optimizer": "AdamW", "amp": "bf16"}


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("epochs=5", "use --epochs"),
        ("epoch=5", "did you mean --epochs"),
        ("mosiac=0", "did you mean mosaic"),
        ("augmentations=x", "use --augment"),
        ("copy_paste=1", "needs outlines"),
        ("fraction=0.5", "without a record"),
        ("fliplr", "KEY=VALUE"),
        ("fliplr=[", "cannot be read"),
        ("lr0=0.001", "--set optimizer=AdamW"),
        ("optimizer=AdamWW", "AdamW, SGD"),
    ],
)
def test_what_cannot_be_set_is_said_with_what_does_it(pair: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_settings([pair])
    assert says in str(refused.value)


def test_a_rate_is_taken_with_its_optimizer() -> None:
    assert parse_settings(["optimizer=SGD", "lr0=0.02"]) == {"optimizer": "SGD", "lr0": 0.02}


def test_every_name_is_one_of_the_installed_library() -> None:
    assert (_OFFERED | _OURS.keys() | _ELSEWHERE.keys()) - {"augmentations"} <= _packaged_names()
    assert not _OFFERED & _OURS.keys()
