"""What is tried: ranges and choices, the usual ones and a person's own."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from lensmith.core.errors import DataError, LensmithError, NotFoundError, UsageError
from lensmith.detect.config import YoloConfig
from lensmith.detect.tune_space import check_space, read_space, space_of, suggest, usual_space, with_values

pytestmark = pytest.mark.torch  # Ultralytics itself checks the values
CONFIG = YoloConfig(model="yolov8n", epochs=30)


def test_the_usual_space_leaves_out_what_is_settled_or_would_change_nothing() -> None:
    space, remarks = usual_space(CONFIG)
    check_space(space, CONFIG, "the usual")
    assert {"optimizer", "lr0", "mosaic", "freeze", "hsv_s"} <= space.keys()
    assert remarks == []
    space, remarks = usual_space(
        YoloConfig(epochs=10, from_scratch=True, augment="heavy", settings={"optimizer": "auto"})
    )
    assert space.keys() == {"lrf", "weight_decay"}
    assert any("mosaic" in remark and "so few epochs" in remark for remark in remarks)
    assert any("lr0" in remark for remark in remarks)


def test_values_are_in_their_ranges_and_a_rate_needs_an_optimizer() -> None:
    space, _ = usual_space(CONFIG)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    found = [suggest(space, study.ask(), CONFIG) for _ in range(40)]
    for values in found:
        assert ("lr0" in values) == (values["optimizer"] == "AdamW")
        assert values["mosaic"] in {0, 0.25, 0.5, 0.75, 1}
    assert {values["freeze"] for values in found} == {0, "backbone"}
    # What a run is told is what Optuna thinks it was told.
    assert study.ask().number == 40
    kept = study.get_trials()[3].params
    assert kept.keys() == found[3].keys()


def test_values_go_where_a_training_finds_them() -> None:
    options = {"epochs": 3, "freeze": 0, "imgsz": 640, "settings": {"cos_lr": True, "lrf": 0.5}}
    merged = with_values(options, {"imgsz": 320, "freeze": "backbone", "lrf": 0.1})
    assert merged == {"epochs": 3, "freeze": "backbone", "imgsz": 320, "settings": {"cos_lr": True, "lrf": 0.1}}
    assert options["imgsz"] == 640


def test_an_own_space_is_read_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(
        "optimizer: [AdamW, SGD]\nlr0: {low: 1.0e-4, high: 0.01, log: true}\nimgsz: {low: 320, high: 640, step: 64}\n"
        "freeze: [0, backbone]\nfliplr: [0.0, 0.5]\n"
    )
    space = read_space(path, CONFIG)
    check_space(space, CONFIG, path)
    assert space_of({name: one.as_record() for name, one in space.items()}, CONFIG, path) == space
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sizes = {suggest(space, study.ask(), CONFIG)["imgsz"] for _ in range(40)}
    assert sizes == {320, 384, 448, 512, 576, 640}


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("lr0: {low: 0.1, high: 0.01}\noptimizer: [SGD]", DataError, "'lr0' has no range"),
        ("lr0: {low: 0, high: 0.01, log: true}\noptimizer: [SGD]", DataError, "'lr0' has no range"),
        ("mosaic: 0.5", DataError, "'mosaic' has no range"),
        ("mosaic: {low: 0, high: 1, least: 3}", DataError, "'mosaic' has no range"),
        ("lr0: [0.1, 0.2]", UsageError, "lr0 has no effect"),
        ("mozaic: [0.1, 0.2]", UsageError, "'mozaic' is not an argument"),
        ("optimizer: [AdamW, Bogus]", UsageError, "no optimizer 'Bogus'"),
        ("freeze: [0, banana]", UsageError, "not banana"),
        ("freeze: [0, 500]", UsageError, "none would be left to learn"),
        ("imgsz: [320, 333]", UsageError, "333 pixels do not fit"),
        ("imgsz: {low: 320, high: 640, step: 50}", UsageError, "370 pixels do not fit"),
        ("batch: {low: 1.5, high: 8}", UsageError, "not 1.5"),
        ("lr0: {low: 5, high: 100}\noptimizer: [SGD]", UsageError, "lr0=5.0"),
        ("fliplr: {low: 0.5, high: 3}", UsageError, "fliplr=3.0"),
        ("close_mosaic: {low: 0.5, high: 3}", UsageError, "close_mosaic=0.5"),
        ("cos_lr: [true, maybe]", UsageError, "cos_lr=maybe"),
        ("[1, 2]", DataError, "holds no arguments"),
        ("a: {", DataError, "cannot be read as YAML"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(
    tmp_path: Path, text: str, kind: type[LensmithError], said: str
) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    with pytest.raises(kind, match=said):
        check_space(read_space(path, CONFIG), CONFIG, path)
    with pytest.raises(NotFoundError):
        read_space(tmp_path / "no.yaml", CONFIG)
