"""Augmentation: specs and presets, refusals that name the line, boxes that go along, random numbers that come again."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import DataError, NotFoundError, UsageError
from lensmith.datasets.augment import Augmentation, check_spec, import_albumentations, sample_seed
from lensmith.datasets.augment_spec import PRESETS, AugmentSpec, Transform, from_record, preset_text, read_spec
from lensmith.datasets.model import Boxes


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)


def one_box(*cxcywh: float, class_id: int = 3) -> Boxes:
    return Boxes(np.array([cxcywh], np.float32), np.array([class_id]))


def spec_of(*transforms: Transform, **options: float) -> AugmentSpec:
    return AugmentSpec("mine", transforms, **options)


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_holds_and_keeps_pictures_pictures(name: str, picture: np.ndarray) -> None:
    spec = read_spec(name)
    check_spec(spec)
    before = picture.copy()
    bgr, boxes = Augmentation(spec)(picture, 1, one_box(0.5, 0.5, 0.5, 0.5))
    assert (bgr.dtype, bgr.ndim, bgr.shape[2]) == (np.uint8, 3, 3)
    assert (boxes.cxcywh.dtype, boxes.class_id.tolist()) == (np.float32, [3])
    assert np.array_equal(picture, before)
    assert name != "none" or np.array_equal(bgr, picture)


@pytest.mark.parametrize("name", PRESETS)
def test_a_spec_survives_its_file_and_its_record(name: str, tmp_path: Path) -> None:
    spec = read_spec(name)
    assert from_record(spec.as_record()) == spec
    assert read_spec(write(tmp_path, spec.as_yaml())).sha256 == spec.sha256
    assert read_spec(write(tmp_path, preset_text(name))).sha256 == spec.sha256


def test_a_record_that_was_changed_is_refused() -> None:
    record = read_spec("light").as_record()
    record["min_visibility"] = 0.5
    with pytest.raises(UsageError, match="was changed"):
        from_record(record)


def test_groups_hold_other_transforms(tmp_path: Path, picture: np.ndarray) -> None:
    text = "OneOf:\n      p: 1\n      transforms:\n        - InvertImg: {p: 1}\n        - ToGray: {p: 1e0}\n"
    spec = read_spec(write(tmp_path, f"transforms:\n  - {text}"))
    check_spec(spec)
    results = {Augmentation(spec)(picture, seed)[0].tobytes() for seed in range(20)}
    assert len(results) == 2
    assert from_record(spec.as_record()) == spec


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("- HorizontalFlop", "HorizontalFlip", id="unknown transform"),
        pytest.param("- HorizontalFlip: {prob: 1}", "takes no argument 'prob'", id="unknown argument"),
        pytest.param("- Affine: {rotat: 1}", "did you mean rotate", id="argument misspelt"),
        pytest.param("- HorizontalFlip: {p: 7}", "less than or equal to 1", id="value out of range"),
        pytest.param("- GaussianBlur: {blur_limit: wide}", "blur_limit", id="value of the wrong kind"),
        pytest.param("- Lambda", "runs code", id="code"),
        pytest.param("- Compose", "no transform", id="not a transform"),
        pytest.param("- ReplayCompose", "no transform", id="not a transform either"),
        pytest.param("- DualTransform", "no transform", id="a base class"),
        pytest.param("- TextImage: {font_path: /etc/passwd}", "other files", id="reads a file"),
        pytest.param("- FDA: {reference_images: [a.png]}", "other files", id="reads pictures"),
        pytest.param("- Normalize", "8-bit", id="no picture comes out"),
        pytest.param("- CoarseDropout3D", "volumes", id="volumes"),
        pytest.param("- RandomCrop: {height: 9999, width: 9}", "cannot be done", id="larger than the picture"),
        pytest.param("- OneOf: {transforms: [Blur, Blurr]}", "'Blurr'", id="inside a group"),
        pytest.param("- OneOf: {p: 1}", "transforms", id="empty group"),
        pytest.param("- Affine: {rotate: 1, rotate: 2}", "twice", id="an argument twice"),
        pytest.param("- Affine: {rotate: {a: 1}}", "a list of these", id="a mapping as value"),
        pytest.param("- Affine: !!python/name:os.system ''", "written as", id="python in YAML"),
        pytest.param("- HorizontalFlip: {p: 1}\n  VerticalFlip: {p: 1}", "one name", id="two in one entry"),
    ],
)
def test_mistakes_are_errors_that_name_the_line(text: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path, f"# a comment\ntransforms:\n{text}\n")
    with pytest.raises(UsageError) as caught:
        check_spec(read_spec(path))
    assert said in str(caught.value)
    assert f"{path}, line 3" in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("", "key 'transforms:'", id="empty"),
        pytest.param("transform: []", "no key 'transform'", id="unknown key"),
        pytest.param("transforms: [", "not YAML", id="not YAML"),
        pytest.param("transforms: &a [*a]", "& and *", id="anchors"),
        pytest.param("[" * 20_000, "too deeply", id="nested deeply"),
        pytest.param("transforms: []\nmin_visibility: 2", "between 0 and 1", id="share out of range"),
        pytest.param("transforms: []\nmin_visibility: yes", "between 0 and 1", id="share of the wrong kind"),
        pytest.param("#" * 70_000, "too large", id="too large"),
        pytest.param("transforms: []\n---\ntransforms: []", "not YAML", id="two documents"),
    ],
)
def test_files_that_are_no_spec(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_spec(write(tmp_path, text))
    assert said in str(caught.value)


def test_names_that_lead_nowhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean heavy"):
        read_spec("hevy")
    with pytest.raises(NotFoundError):
        read_spec(tmp_path / "missing.yaml")


def test_whatever_is_not_refused_gives_a_picture_and_its_boxes(picture: np.ndarray) -> None:
    """Over all transforms of the installed Albumentations that need no argument."""
    albumentations = import_albumentations()
    done = 0
    for name, kind in sorted(vars(albumentations).items()):
        if not (inspect.isclass(kind) and issubclass(kind, albumentations.BasicTransform)):
            continue
        try:
            augmentation = Augmentation(spec_of(Transform(name)))
        except UsageError:
            continue
        try:
            bgr, boxes = augmentation(picture, 0, one_box(0.5, 0.5, 0.4, 0.4))
        except DataError:
            assert name == "Crop"  # of 1024 pixels
            continue
        done += 1
        assert bgr.dtype == np.uint8, name
        assert len(boxes) <= 1, name
    assert done > 80


def test_colours_are_those_the_transform_means() -> None:
    blue = np.zeros((8, 8, 3), np.uint8)
    blue[..., 0] = 200
    shift = Transform("RGBShift", {"r_shift_limit": [50, 50], "g_shift_limit": 0, "b_shift_limit": 0, "p": 1})
    bgr, _ = Augmentation(spec_of(shift))(blue, 0)
    assert bgr[0, 0].tolist() == [200, 0, 50]


def test_the_same_seed_gives_the_same_picture_in_any_augmentation(picture: np.ndarray) -> None:
    def draw(seed: int) -> bytes:
        return Augmentation(read_spec("heavy"))(picture, seed)[0].tobytes()

    assert draw(sample_seed(1, 2, 3)) == draw(sample_seed(1, 2, 3))
    assert len({draw(sample_seed(1, epoch, index)) for epoch in range(3) for index in range(3)}) == 9


def test_changes_that_are_as_likely_happen_on_their_own(picture: np.ndarray) -> None:
    both = Augmentation(spec_of(Transform("HorizontalFlip", {"p": 0.5}), Transform("VerticalFlip", {"p": 0.5})))
    outcomes = [both(picture, sample_seed(0, 0, index))[0] for index in range(400)]
    for expected in (picture, picture[:, ::-1], picture[::-1], picture[::-1, ::-1]):
        assert 60 < sum(np.array_equal(outcome, expected) for outcome in outcomes) < 140


@pytest.mark.parametrize("over", [1e-7, 3e-6, 0.1], ids=str)
def test_a_box_past_the_edge_is_clipped_and_keeps_its_class(over: float, picture: np.ndarray) -> None:
    flip = Augmentation(spec_of(Transform("HorizontalFlip", {"p": 1.0})))
    _, boxes = flip(picture, 0, one_box(0.9 + over, 0.5, 0.2, 0.5))
    assert boxes.cxcywh[0] == pytest.approx([0.1 - over / 2, 0.5, 0.2 - over, 0.5], abs=1e-5)
    assert boxes.class_id.tolist() == [3]


@pytest.mark.parametrize("cxcywh", [(1.2, 0.5, 0.2, 0.5), (0.5, 0.5, 0.0, 0.5)], ids=["wholly outside", "no area"])
def test_a_box_with_nothing_in_the_picture_is_dropped(cxcywh: tuple[float, ...], picture: np.ndarray) -> None:
    flip = Augmentation(spec_of(Transform("HorizontalFlip", {"p": 1.0})))
    boxes = Boxes(np.array([cxcywh, (0.5, 0.5, 0.2, 0.2)], np.float32), np.array([3, 5]))
    assert flip(picture, 0, boxes)[1].class_id.tolist() == [5]


@pytest.mark.parametrize(("share", "kept"), [(0.2, 0), (0.3, 1)])
def test_a_box_that_is_mostly_cut_away_is_dropped(share: float, kept: int, picture: np.ndarray) -> None:
    """The left half of the picture is kept; of the box, `share` lies in it."""
    crop = Augmentation(spec_of(Transform("Crop", {"x_min": 0, "y_min": 0, "x_max": 80, "y_max": 120, "p": 1.0})))
    width = 0.4
    bgr, boxes = crop(picture, 0, one_box(0.5 + width * (0.5 - share), 0.5, width, 0.5))
    assert bgr.shape[:2] == (120, 80)
    assert len(boxes) == kept
    if kept:
        assert boxes.cxcywh[0, 2] == pytest.approx(2 * share * width, abs=0.02)


def test_albumentations_leaves_torch_alone() -> None:
    code = (
        "import sys; from lensmith.datasets.augment import check_spec;"
        "from lensmith.datasets.augment_spec import read_spec; check_spec(read_spec('heavy'));"
        "print('albumentations' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == ["True", "False"]
    assert done.stderr == ""


def test_a_key_that_is_misspelt_is_named_with_the_right_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("min_visibilty: 0.3\ntransforms:\n  - HorizontalFlip\n")
    with pytest.raises(UsageError, match="no key 'min_visibilty'; did you mean min_visibility"):
        read_spec(path)


@pytest.mark.parametrize("side", [2000, 500])  # larger than any picture; larger than this one
def test_a_piece_larger_than_the_picture_says_what_to_heed(tmp_path: Path, side: int) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"transforms:\n  - RandomCrop: {{width: {side}, height: {side}}}\n")
    spec = read_spec(path)
    with pytest.raises((DataError, UsageError)) as caught:
        check_spec(spec)
        Augmentation(spec)(np.zeros((400, 640, 3), np.uint8), 0)
    told = str(caught.value)
    assert f"a piece of {side} x {side}" in told
    assert "--imgsz" in told
    assert "cv preview" not in told  # which may be what has just failed


def test_an_argument_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("transforms:\n  - RandomCrop: {width: 300}\n")
    with pytest.raises(UsageError, match="height is missing"):
        check_spec(read_spec(path))
