"""What makes two pictures twins, which of them leak, and what belongs together."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lensmith.datasets.check.frames import find_frames
from lensmith.datasets.check.near import describe
from lensmith.datasets.check.twins import find_twins, groups
from lensmith.datasets.model import Item, Split
from tests.datasets.check.test_near import jpeg, photograph


@dataclass(frozen=True)
class Looks:
    sha256: np.ndarray
    descriptors: np.ndarray
    described: np.ndarray


def twins_of(*pictures: tuple[str, Split, np.ndarray | None]) -> tuple[set[tuple[str, str, str]], list[list[str]]]:
    """(first, second, kind) of each twin, and the groups of more than one, by name. None is an unreadable picture."""
    items = [Item(Path("/data") / split / name, split) for name, split, _ in pictures]
    shown = [picture for _, _, picture in pictures]
    blank = bytes(256)
    looks = Looks(
        np.array([np.frombuffer(_digest(picture), np.uint8) for picture in shown]).reshape(-1, 32),
        np.array([np.frombuffer(blank if p is None else describe(p), np.uint8) for p in shown]).reshape(-1, 256),
        np.array([picture is not None for picture in shown], bool),
    )

    def read(index: int) -> np.ndarray:
        picture = shown[index]
        assert picture is not None
        return picture

    twins = find_twins(items, looks, read, {})
    together = [[items[index].image.name for index in group] for group in groups(items, twins) if len(group) > 1]
    return {(twin.first.image.name, twin.second.image.name, twin.kind) for twin in twins}, together


def _digest(picture: np.ndarray | None) -> bytes:
    return bytes(32) if picture is None else hashlib.sha256(picture.tobytes()).digest()


A, B, C = photograph(1), photograph(2), photograph(3)


def test_copies_point_to_the_earliest_split() -> None:
    found, together = twins_of(
        ("t.jpg", "test", A), ("v.jpg", "valid", A), ("a.jpg", "train", A), ("b.jpg", "train", B)
    )
    assert found == {("a.jpg", "t.jpg", "copy"), ("a.jpg", "v.jpg", "copy")}
    assert together == [["t.jpg", "v.jpg", "a.jpg"]]


def test_siblings_are_trusted_by_name_even_when_they_look_different() -> None:
    found, _ = twins_of(
        ("p7_jpg.rf.aa.jpg", "train", A), ("p7_jpg.rf.bb.jpg", "test", B), ("p8_jpg.rf.cc.jpg", "test", C)
    )
    assert found == {("p7_jpg.rf.aa.jpg", "p7_jpg.rf.bb.jpg", "sibling")}


def test_a_name_that_everybody_has_makes_no_siblings() -> None:
    found, _ = twins_of(("image_jpg.rf.aa.jpg", "train", A), ("image_jpg.rf.bb.jpg", "test", B))
    assert found == set()


@pytest.mark.parametrize("name", ["frame_0001_jpg", "image_0001_jpg", "IMG-12_png", "video 3_mp4-12_jpg", "frame7"])
def test_names_that_every_upload_has_are_siblings_only_when_they_look_alike(name: str) -> None:
    turned = np.rot90(A)[10:, :-8]
    found, together = twins_of(
        (f"{name}.rf.aa.jpg", "train", A), (f"{name}.rf.bb.jpg", "train", B), (f"{name}.rf.cc.jpg", "test", turned),
        (f"{name}.rf.dd.jpg", "test", C),
    )  # fmt: skip
    assert found == {(f"{name}.rf.aa.jpg", f"{name}.rf.cc.jpg", "sibling")}
    assert together == [[f"{name}.rf.aa.jpg", f"{name}.rf.cc.jpg"]]


@pytest.mark.parametrize("name", ["10_JPG", "IMG_20240609_201533_072_jpg", "frame_0001-market_jpg", "dsc00012_jpg"])
def test_names_of_one_picture_are_trusted(name: str) -> None:
    found, _ = twins_of((f"{name}.rf.aa.jpg", "train", A), (f"{name}.rf.bb.jpg", "test", B))
    assert found == {(f"{name}.rf.aa.jpg", f"{name}.rf.bb.jpg", "sibling")}


def test_the_first_kind_that_holds_is_told() -> None:
    found, together = twins_of(
        ("x_jpg.rf.aa.jpg", "train", A),
        ("x_jpg.rf.bb.jpg", "train", A),
        ("x_jpg.rf.cc.jpg", "valid", jpeg(A, 50)),
        ("other.jpg", "test", A[:, ::-1]),
    )
    kinds = {(first, second): kind for first, second, kind in found}
    assert kinds["x_jpg.rf.aa.jpg", "x_jpg.rf.bb.jpg"] == "copy"
    assert kinds["x_jpg.rf.aa.jpg", "x_jpg.rf.cc.jpg"] == "sibling"
    assert {kind for (_, second), kind in kinds.items() if second == "other.jpg"} == {"near"}
    assert len(together) == 1


def test_a_copy_of_what_leaks_leaks() -> None:
    edited = jpeg(A, 50)
    found, _ = twins_of(("a.jpg", "train", A), ("e.jpg", "test", edited), ("e2.jpg", "test", edited))
    assert found == {("e.jpg", "e2.jpg", "copy"), ("a.jpg", "e.jpg", "near"), ("a.jpg", "e2.jpg", "near")}


def test_unreadable_pictures_are_nobodys_twins() -> None:
    assert twins_of(("a.jpg", "train", None), ("b.jpg", "test", None)) == (set(), [])


def test_no_pictures() -> None:
    assert twins_of() == (set(), [])


def _video(count: int) -> list[np.ndarray]:
    """A slow pan, a shadow going over it: neighbours look close, and no two show the same."""
    wide, cloud = photograph(9, 200, 256), photograph(10, 180, 200).astype(int)
    shots = [wide[:180, 4 * n : 4 * n + 200].astype(int) for n in range(count)]
    return [
        np.clip(shot * 0.8 + np.roll(cloud, 23 * n, axis=0) * 0.2, 0, 255).astype(np.uint8)
        for n, shot in enumerate(shots)
    ]


def test_neighbouring_frames_across_splits() -> None:
    shots = _video(10)
    splits: list[Split] = ["train"] * 5 + ["test"] * 5
    found, together = twins_of(
        *((f"clip_{n:04d}.jpg", split, shot) for n, (split, shot) in enumerate(zip(splits, shots, strict=True)))
    )
    assert ("clip_0004.jpg", "clip_0005.jpg", "frame") in found
    assert len(together) == 1


@pytest.mark.parametrize("name", ["cat.{}.jpg", "IMG_2024_{}.jpg", "{}.png", "photo-{}_jpg.rf.abc.jpg"])
def test_numbers_alone_make_no_frames(name: str) -> None:
    pictures = [photograph(seed) for seed in range(20)]
    looks = np.array([np.frombuffer(describe(picture), np.uint8) for picture in pictures])
    assert find_frames([name.format(number) for number in range(20)], looks) == []


def test_two_alike_among_many_are_no_video() -> None:
    pictures = [photograph(seed) for seed in range(20)]
    pictures[8] = pictures[7]
    looks = np.array([np.frombuffer(describe(picture), np.uint8) for picture in pictures])
    assert find_frames([f"dog{number}.jpg" for number in range(20)], looks) == []


def test_frames_are_sorted_by_number_not_by_text() -> None:
    looks = np.array([np.frombuffer(describe(picture), np.uint8) for picture in _video(12)])
    order = np.random.default_rng(0).permutation(12)
    names = [f"v{number}.png" for number in order]
    pairs = {(int(order[i]), int(order[j])) for i, j, _ in find_frames(names, looks[order])}
    assert pairs == {(number, number + 1) for number in range(11)}
    assert find_frames(["a.png", "b.png"], looks[:2]) == []
