"""Names that are safe and unique, and still tell which pictures belong together."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lensmith.core.files import safe_name
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.frames import _sequences
from lensmith.datasets.check.run import CheckConfig, check_dataset
from lensmith.datasets.formats.picture import Names
from lensmith.datasets.formats.stems import safe_stem
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from lensmith.datasets.read import open_dataset
from tests.helpers import make_picture, make_yolo_dataset

FILM = "the-whole-match-of-last-saturday-in-high-definition-" * 3


def _siblings(given_: str | Path, workspace: Workspace) -> set[tuple[str, str]]:
    report = check_dataset(open_dataset(given_, workspace), CheckConfig(workers=1, remember=False))
    return {(twin.first.split, twin.second.split) for twin in report.twins if twin.kind == "sibling"}


def test_siblings_with_long_names_are_seen_after_an_import(workspace: Workspace, tmp_path: Path) -> None:
    root = make_yolo_dataset(tmp_path / "set", {"train": 1, "valid": 1, "test": 1})
    for seed, split in enumerate(("train", "valid")):
        name = f"{FILM}mp4-0001_jpg.rf.{str(seed) * 32}"
        make_picture(root / f"{split}/images/{name}.png", seed=90 + seed)
        (root / f"{split}/labels/{name}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    other = f"{FILM}mp4-0002_jpg.rf.{'2' * 32}"
    make_picture(root / f"test/images/{other}.png", seed=92)
    (root / f"test/labels/{other}.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert _siblings(root, workspace) == {("train", "valid")}
    import_dataset(root, workspace, ImportConfig(name="in"))
    assert _siblings("in", workspace) == {("train", "valid")}


def test_long_frames_stay_one_sequence() -> None:
    names = [safe_stem(f"{FILM}{number}") + ".jpg" for number in range(95, 106)]
    assert len(set(names)) == 11
    (sequence,) = _sequences(names)
    assert sequence.tolist() == list(range(11))


_long = st.text("aZ-ä漢😀_.0", min_size=30, max_size=120)


@given(_long, _long, st.text("0123456789abcdef", min_size=1, max_size=60))
def test_a_stem_fits_every_disk_and_keeps_its_source(one: str, other: str, made: str) -> None:
    first, again, second = (safe_stem(f"s{name}x.rf.{tail}") for name, tail in ((one, "1"), (one, made), (other, made)))
    assert max(len(stem.encode()) for stem in (first, again, second)) <= 210
    assert [safe_stem(stem) for stem in (first, again, second)] == [first, again, second]
    source = [stem.partition(".rf.")[0] for stem in (first, again, second)]
    assert source[0] == source[1]
    assert (source[1] == source[2]) == (safe_name(f"s{one}x") == safe_name(f"s{other}x"))


@pytest.mark.parametrize("wished", ["image.jpg", f"{FILM}.jpg"])
def test_a_hundred_thousand_equal_names_take_a_hundred_thousand_looks(wished: str) -> None:
    class Counted(set):
        looks = 0

        def __contains__(self, name: object) -> bool:
            Counted.looks += 1
            return super().__contains__(name)

    names = Names()
    names._taken = Counted()
    made = {names.file(wished) for _ in range(100_000)}
    assert len(made) == 100_000
    assert Counted.looks < 200_000


def test_a_number_that_somebody_has_is_passed_over() -> None:
    names = Names()
    given_ = [names.file(name) for name in ("a-2.jpg", "A.jpg", "a.JPG", "a.jpg", "a-2.jpg")]
    assert given_ == ["a-2.jpg", "A.jpg", "a-3.jpg", "a-4.jpg", "a-2-2.jpg"]
