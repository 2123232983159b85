"""Which frames a model is unsure of."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import UsageError
from lensmith.core.images import read_image, write_image
from lensmith.predict.model import open_model
from lensmith.predict.recorder import VideoRecorder
from lensmith.predict.sources import open_source
from lensmith.predict.unsure import UnsureConfig, find_unsure, picture_files
from lensmith.predict.video import VideoSource

from .make_bundle import make_classifier, make_detector


def block(sureness: float) -> np.ndarray:
    """A picture with one red block of which `make_detector` is so sure."""
    bgr = np.full((128, 128, 3), 128, np.uint8)
    bgr[32:64, 32:64] = (0, 0, round(255 * 0.75 * sureness))
    return bgr


def shots(folder: Path, *surenesses: float) -> Path:
    folder.mkdir()
    for number, sureness in enumerate(surenesses):
        write_image(folder / f"shot{number}.png", block(sureness))
    return folder


def _found(source, bundle, **config) -> list[tuple[str, float]]:
    frames = find_unsure(source, open_model(bundle), UnsureConfig(**config))
    return [(frame.source.name, round(frame.doubt, 1)) for frame in frames]


def test_pictures_with_a_doubtful_box_come_first(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    folder = shots(tmp_path / "shots", 1.0, 0.3, 0.5, 0.1, 0.4, 0.0)
    source = open_source(folder)
    assert _found(source, bundle) == [("shot2.png", 1.0), ("shot4.png", 0.8), ("shot1.png", 0.6)]
    assert _found(source, bundle, limit=1) == [("shot2.png", 1.0)]
    assert _found(source, bundle, lowest=0.35, highest=0.45) == [("shot4.png", 0.8)]
    (best, *_) = find_unsure(source, open_model(bundle))
    assert len(best.result) == 4  # type: ignore[arg-type]  # the block covers four cells of the detector
    assert [path.name for _, path in picture_files(source, [best], tmp_path)] == ["shot2.png"]


def test_a_classifier_is_unsure_where_two_classes_are_near(tmp_path: Path) -> None:
    bundle = make_classifier(tmp_path / "colours")
    folder = tmp_path / "shots"
    folder.mkdir()
    for name, bgr in {"red": (0, 0, 255), "mixed": (120, 0, 125), "grey": (128, 128, 128)}.items():
        write_image(folder / f"{name}.png", np.full((32, 32, 3), bgr, np.uint8))
    found = _found(open_source(folder), bundle, lowest=0.3, highest=0.6)
    assert {name for name, _ in found} == {"grey.png", "mixed.png"}
    assert found[0] == ("grey.png", 1.0)


def test_of_a_video_neighbouring_frames_are_passed_over(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    path = tmp_path / "work piece.mp4"
    recorder = VideoRecorder(path, 10.0)
    for _ in range(35):
        recorder.write(block(0.5))
    recorder.close()
    source = VideoSource(path)
    frames = find_unsure(source, open_model(bundle))
    assert len(frames) in {3, 4}
    times = sorted(frame.seconds for frame in frames)
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(times))
    files = list(picture_files(source, frames, tmp_path))
    assert [chosen.index for chosen, _ in files] == sorted(frame.index for frame in frames)
    assert files[0][1].name == f"work-piece-{files[0][0].index:06d}.jpg"
    assert read_image(files[0][1]).shape == (128, 128, 3)


@pytest.mark.parametrize("bounds", [(0.6, 0.25), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.5)])
def test_what_is_no_range(tmp_path: Path, bounds: tuple[float, float]) -> None:
    bundle = make_detector(tmp_path / "cells")
    with pytest.raises(UsageError, match="no range"):
        find_unsure(open_source(shots(tmp_path / "shots", 0.5)), open_model(bundle), UnsureConfig(*bounds))
