"""ImageNet's weights come from the cache or the person's mirror, and are what Keras published, or are not used."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, LensmithError, NotFoundError, UsageError
from lensmith.core.isolation import cache_folder
from lensmith.weights.backbones import BACKBONES, Backbone
from lensmith.weights.imagenet import imagenet_weights

CONTENT = bytes(range(256)) * 600
KINDS = {"md5": "vgg16", "sha256": "convnext_tiny"}


@contextmanager
def served(folder: Path) -> Iterator[str]:
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def published(kind: str, content: bytes = CONTENT) -> Backbone:
    """A backbone whose file Keras would have published with this content."""
    backbone = BACKBONES[KINDS[kind]]
    assert backbone.weights is not None
    return replace(backbone, weights=replace(backbone.weights, checksum=hashlib.new(kind, content).hexdigest()))


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    for name in KINDS.values():
        weights = BACKBONES[name].weights
        assert weights is not None
        (folder / weights.name).write_bytes(CONTENT)
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("by_address", [False, True], ids=["folder", "address"])
def test_a_mirror_is_asked_once(kind: str, by_address: bool, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = published(kind)
    with served(mirror) as address:
        monkeypatch.setenv("CV_WEIGHTS_MIRROR", address if by_address else str(mirror))
        cached = imagenet_weights(backbone)
    assert cached.read_bytes() == CONTENT
    assert cached.parent == cache_folder("keras")
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", "http://127.0.0.1:9/")
    assert imagenet_weights(backbone) == cached


@pytest.mark.parametrize("kind", KINDS)
def test_another_file_is_not_used_and_not_kept(kind: str, mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(mirror))
    with pytest.raises(DataError, match="not the file that Keras published"):
        imagenet_weights(published(kind, b"other"))
    assert list(cache_folder("keras").iterdir()) == []


def test_a_spoilt_cache_is_fetched_anew(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(mirror))
    cached = imagenet_weights(published("md5"))
    cached.write_bytes(b"spoilt")
    assert imagenet_weights(published("md5")).read_bytes() == CONTENT


def test_what_cannot_be_had_is_said_with_the_ways_out(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", str(mirror))
    with pytest.raises(NotFoundError, match="has no file") as failed:
        imagenet_weights(BACKBONES["xception"])
    assert "--weights PATH" in str(failed.value)
    monkeypatch.setenv("CV_WEIGHTS_MIRROR", "http://127.0.0.1:9/")
    with pytest.raises(LensmithError, match="no connection") as failed:
        imagenet_weights(BACKBONES["xception"])
    assert "--weights none" in str(failed.value)


def test_our_own_network_has_none() -> None:
    with pytest.raises(UsageError, match="no ImageNet weights of cnn"):
        imagenet_weights(BACKBONES["cnn"])
