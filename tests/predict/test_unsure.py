"""Which frames a model is unsure of."""

from __future__ import annotations

import itertools
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import UsageError
from lensmith.core.images import read_image, write_image
from lensmith.predict.loop import predict_frames
from lensmith.predict.model import open_model
from lensmith.predict.recorder import VideoRecorder
from lensmith.predict.sources import open_source
from lensmith.predict.tiles import as_used
from lensmith.predict.track import Tracker
from lensmith.predict.unsure import UnsureConfig, UnsureFrames, find_unsure
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
    with tempfile.TemporaryDirectory() as folder:
        frames = find_unsure(source, open_model(bundle), Path(folder), UnsureConfig(**config))
    return [(Path(frame.source).name, round(frame.doubt, 1)) for frame in frames]


def test_pictures_with_a_doubtful_box_come_first(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    folder = shots(tmp_path / "shots", 1.0, 0.3, 0.5, 0.1, 0.4, 0.0)
    source = open_source(folder)
    assert _found(source, bundle) == [("shot2.png", 1.0), ("shot4.png", 0.8), ("shot1.png", 0.6)]
    assert _found(source, bundle, limit=1) == [("shot2.png", 1.0)]
    assert _found(source, bundle, lowest=0.35, highest=0.45) == [("shot4.png", 0.8)]
    (best, *_) = find_unsure(source, open_model(bundle), tmp_path)
    assert len(best.result) == 4  # type: ignore[arg-type]  # the block covers four cells of the detector
    assert best.picture == folder / "shot2.png"


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("confidence", [None, 0.05, 0.7])
def test_what_is_shown_does_not_decide_what_is_doubtful(tiled: bool, confidence: float | None, tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    bundle.record = bundle.record.model_copy(update={"thresholds": (0.9, 0.9, 0.45)})
    model = as_used(open_model(bundle), tiled)
    source = open_source(shots(tmp_path / "shots", 1.0, 0.3, 0.5, 0.1, 0.4, 0.0))
    wanted = [
        (Path(one.source).name, one.doubt, len(one.result.class_id)) for one in find_unsure(source, model, tmp_path)
    ]
    assert [name for name, _, _ in wanted] == ["shot2.png", "shot4.png", "shot1.png"]

    chooser = UnsureFrames(UnsureConfig(), model, source, tmp_path)
    seen = list(predict_frames(source, model, confidence=confidence, stages=[chooser]))
    kept = [(Path(one.source).name, one.doubt, len(one.result.class_id)) for one in chooser.chosen()]
    assert kept == wanted
    alone = predict_frames(source, model, confidence=confidence)
    for one, other in zip(seen, alone, strict=True):
        assert one.as_record(model.names) == other.as_record(model.names)


def test_tracking_behind_the_choice_gets_what_it_asks_for(tmp_path: Path) -> None:
    pytest.importorskip("trackers")
    bundle = make_detector(tmp_path / "cells")
    model, source = open_model(bundle), open_source(shots(tmp_path / "shots", 0.9, 0.2, 0.5))
    told = []
    for before in ([], [UnsureFrames(UnsureConfig(), model, source, tmp_path)]):
        stages = [*before, Tracker(bundle.record)]
        done = predict_frames(source, model, confidence=0.4, stages=stages)
        told.append([one.as_record(model.names) for one in done])
    assert told[0] == told[1]
    assert any(found["confidence"] < 0.4 for record in told[1] for found in record["detections"])


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
    home = tmp_path / "frames"
    home.mkdir()
    frames = find_unsure(source, open_model(bundle), home)
    assert len(frames) in {3, 4}
    times = sorted(frame.seconds for frame in frames)
    assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(times))
    assert {frame.picture.name for frame in frames} == {f"work-piece-{frame.index:06d}.jpg" for frame in frames}
    assert sorted(home.iterdir()) == sorted(frame.picture for frame in frames)  # what was overtaken is gone
    assert read_image(frames[0].picture).shape == (128, 128, 3)


def test_pictures_of_a_zip_become_files_to_upload(tmp_path: Path) -> None:
    bundle = make_detector(tmp_path / "cells")
    shots(tmp_path / "shots", 1.0, 0.3, 0.5, 0.4)
    with zipfile.ZipFile(tmp_path / "shots.zip", "w") as packed:
        for picture in (tmp_path / "shots").iterdir():
            packed.write(picture, picture.name)
    (home := tmp_path / "frames").mkdir()
    frames = find_unsure(open_source(tmp_path / "shots.zip"), open_model(bundle), home, UnsureConfig(limit=2))
    assert [Path(frame.source).name for frame in frames] == ["shot2.png", "shot3.png"]
    assert sorted(home.iterdir()) == sorted(frame.picture for frame in frames)
    assert read_image(frames[0].picture).shape == (128, 128, 3)


@pytest.mark.parametrize("bounds", [(0.6, 0.25), (0.5, 0.5), (-0.1, 0.5), (0.5, 1.5)])
def test_what_is_no_range(tmp_path: Path, bounds: tuple[float, float]) -> None:
    bundle = make_detector(tmp_path / "cells")
    with pytest.raises(UsageError, match="no range"):
        find_unsure(open_source(shots(tmp_path / "shots", 0.5)), open_model(bundle), tmp_path, UnsureConfig(*bounds))
