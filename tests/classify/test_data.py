"""Training samples: odd pictures among good ones, draws, the held-out part, datasets that cannot train."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lensmith.classify import data
from lensmith.classify.data import Samples, need_every_class, training_items
from lensmith.classify.picture_store import PictureStore
from lensmith.core.errors import DataError
from lensmith.core.images import read_image
from lensmith.core.isolation import cache_folder
from lensmith.core.workspace import Workspace
from lensmith.datasets.augment_spec import read_spec
from lensmith.datasets.model import Item
from lensmith.datasets.read import open_dataset
from lensmith.predict.prepare import fit
from lensmith.weights.bundle import Preprocessing
from tests.helpers import make_folder_dataset, make_picture, make_yolo_dataset

SIZE = Preprocessing(width=32, height=24, resize="stretch", interpolation="area")


def make_odd_pictures(folder: Path) -> None:
    """One of each kind: two that cannot be read, four that must be."""
    rgb = Image.effect_noise((40, 30), 80).convert("RGB")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "corrupt.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"rubbish" * 9)
    rgb.convert("CMYK").save(folder / "cmyk.jpg")
    rgb.convert("L").save(folder / "grey.png")
    Image.fromarray(np.full((30, 40), 40_000, np.uint16)).save(folder / "sixteen bit ü.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb.save(folder / "turned.jpg", exif=exif)


def items_of(folder: Path) -> list[Item]:
    return [Item(path, "train", class_id=0) for path in sorted(folder.iterdir())]


def test_odd_pictures_are_used_or_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_odd_pictures(tmp_path)
    samples = Samples(items_of(tmp_path), SIZE, read_spec("default"))
    assert {skip.item.image.name for skip in samples.skipped} == {"empty.jpg", "corrupt.png"}
    assert [samples.picture(i).shape for i in range(len(samples))] == [(24, 32, 3)] * 4
    said = capfd.readouterr().err
    assert said.count("empty.jpg") == said.count("corrupt.png") == 1
    bright = next(i for i, item in enumerate(samples.items) if item.image.name.startswith("sixteen"))
    assert abs(int(Samples(items_of(tmp_path), SIZE).picture(bright).mean()) - 40_000 // 257) <= 1


def test_draws_differ_between_pictures_and_epochs_and_come_again(tmp_path: Path) -> None:
    for number in range(3):
        make_picture(tmp_path / f"{number}.png", seed=7)

    def draws() -> dict[tuple[int, int], bytes]:
        samples = Samples(items_of(tmp_path), SIZE, read_spec("heavy"), seed=5)
        return {(i, e): samples.picture(i, e).tobytes() for i in range(3) for e in range(2)}

    first = draws()
    assert len(set(first.values())) == 6
    assert draws() == first


def test_a_picture_is_decoded_once_however_many_views_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_picture(tmp_path / "a.png", width=300, height=200)
    decoded: list[Path] = []

    def counted(path: Path) -> np.ndarray:
        decoded.append(path)
        return read_image(path)

    monkeypatch.setattr(data, "read_image", counted)
    spec = read_spec("heavy")
    samples = Samples(items_of(tmp_path), SIZE, spec, seed=3, check=False)
    views = samples.views(0, 3, spec, 3)
    again = samples.views(0, 3, spec, 3)
    assert decoded == [path]
    assert all(np.array_equal(one, other) for one, other in zip(views, again, strict=True))
    assert np.array_equal(views[0], fit(read_image(path), SIZE)[0]), "the first is as it is, and the one resize"
    assert np.array_equal(views[2], samples.picture(0, 2))
    assert len({view.tobytes() for view in views}) == 3


def test_the_scratch_file_gives_back_what_it_got_and_leaves_nothing() -> None:
    store = PictureStore()
    arrays = [np.random.default_rng(n).integers(0, 256, (n + 1, 7, 3), np.uint8) for n in range(50)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store.put, range(50), arrays))
        assert all(np.array_equal(got, kept) for got, kept in zip(pool.map(store.get, range(50)), arrays, strict=True))
    assert store.get("other") is None
    store._room = 0
    store.put("no room", arrays[0])
    assert "no room" not in store
    store.close()
    assert not list(cache_folder("pictures").iterdir())


def test_without_augmentation_the_input_is_the_one_resize(tmp_path: Path) -> None:
    path = make_picture(tmp_path / "a.png", width=200, height=100)
    bgr = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    expected = cv2.resize(bgr, (32, 24), interpolation=cv2.INTER_AREA)
    samples = Samples(items_of(tmp_path), SIZE)
    assert np.array_equal(samples.picture(0), expected)
    rgb, labels = samples.batch(np.array([0]), 0)
    assert np.array_equal(rgb[0], expected[..., ::-1].astype(np.float32))
    assert labels.dtype == np.int64


def test_a_picture_that_vanishes_is_left_out_once_and_a_vanished_batch_is_an_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        make_picture(tmp_path / f"{number}.png")
    samples = Samples(items_of(tmp_path), SIZE, check=False)
    (tmp_path / "0.png").unlink()
    for _ in range(2):
        assert len(samples.batch(np.array([0, 1]), 0)[1]) == 1
    assert samples.lost == {0}
    assert capfd.readouterr().err.replace("\n", " ").count("0.png") == 1
    samples = Samples(items_of(tmp_path), SIZE, check=False)
    (tmp_path / "1.png").unlink()
    with pytest.raises(DataError, match="no longer be read"):
        samples.batch(np.array([0]), 0)


def test_held_out_pictures_are_called_so(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "pets", counts={"train": 5})
    train, valid, what = training_items(open_dataset("pets", workspace), seed=0)
    assert (what, len(train), len(valid)) == ("held-out", 8, 2)


def test_datasets_that_cannot_train_a_classifier(workspace: Workspace) -> None:
    make_folder_dataset(workspace.datasets / "one", names=("cat",))
    with pytest.raises(DataError, match="two or more"):
        training_items(open_dataset("one", workspace), 0)
    make_yolo_dataset(workspace.datasets / "boxes")
    with pytest.raises(DataError, match="detection"):
        training_items(open_dataset("boxes", workspace), 0)


def test_a_class_with_only_broken_pictures_is_named(workspace: Workspace) -> None:
    root = make_folder_dataset(workspace.datasets / "pets")
    for path in (root / "train" / "dog").iterdir():
        path.write_bytes(b"")
    dataset = open_dataset("pets", workspace)
    samples = Samples(list(dataset.items("train")), SIZE)
    with pytest.raises(DataError, match="dog"):
        need_every_class(samples, dataset.names, dataset.root)
