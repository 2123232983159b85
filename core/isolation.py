"""Libraries kept to themselves: no telemetry, nothing changed in the person's settings, nothing fetched.

Each function must be called before the library is first imported; each may be called again.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_cache_path

from .errors import LensmithError
from .files import write_atomic


def cache_folder(name: str) -> Path:
    """A folder of our own in the person's cache, `CV_CACHE` when that is set; made if needed."""
    home = os.environ.get("CV_CACHE")
    folder = (Path(home) if home else user_cache_path("lensmith", appauthor=False)) / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LensmithError(
            f"The cache folder cannot be made: {error.strerror}.",
            where=folder,
            next_step="set CV_CACHE to a folder that you may write to",
        ) from None
    return folder


def isolate_ultralytics() -> None:
    """Give Ultralytics a settings file of ours, safe loading, and no network.

    By default it would send usage data, install packages, look up names at import, fetch a font for its plots, and run
    code out of a hostile `.pt`.
    """
    config = cache_folder("ultralytics")
    os.environ["YOLO_CONFIG_DIR"] = str(config)
    os.environ["YOLO_AUTOINSTALL"] = "false"
    os.environ["YOLO_OFFLINE"] = "true"
    os.environ["YOLO_VERBOSE"] = "true" if os.environ.get("CV_DEBUG") else "false"
    os.environ["ULTRALYTICS_SAFE_LOAD"] = "true"
    os.environ.setdefault("MPLBACKEND", "Agg")
    os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))  # it would set 1
    # Threads that spin while they wait make training several times slower as soon as another program wants a core, and
    # threads that sleep at once make it 1.6 times slower when none does; a short spin costs neither.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    folder = config / "Ultralytics"
    folder.mkdir(exist_ok=True)
    # Exactly the keys of the installed version: one more or less, and it writes the file anew with a remark.
    settings = {
        "settings_version": "0.0.8", "datasets_dir": str(folder / "datasets"), "weights_dir": str(folder / "weights"),
        "runs_dir": str(folder / "runs"), "uuid": "", "sync": False, "api_key": "", "openai_api_key": "",
        "clearml": False, "comet": False, "dvc": False, "mlflow": False, "raytune": False, "tensorboard": False,
        "wandb": False, "vscode_msg": False, "openvino_msg": False,
    }  # fmt: skip
    write_atomic(folder / "settings.json", json.dumps(settings, indent=2))
    _lend_font(folder)


def _lend_font(folder: Path) -> None:
    """Put matplotlib's font where Ultralytics looks for the one it would download for its plots."""
    target = folder / "Arial.ttf"
    if target.exists():
        return
    import matplotlib

    source = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    for name in ("Arial.ttf", "Arial.Unicode.ttf"):
        shutil.copyfile(source, folder / name)


def isolate_keras(backend: str) -> None:
    """Choose Keras' backend ("tensorflow" or "torch") and quieten TensorFlow."""
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # advice on tracing means nothing to a person
    os.environ.setdefault("MPLBACKEND", "Agg")
    isolate_albumentations()


def isolate_albumentations() -> None:
    """Albumentations would ask the package index for a newer version of itself at import."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"


def isolate_mlflow() -> None:
    """MLflow would report how it is used."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["DO_NOT_TRACK"] = "true"


def hush_decoders() -> None:
    """Keep OpenCV's and FFmpeg's own remarks off the person's screen; our verdicts on a file take their place."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


@contextmanager
def only_our_words() -> Iterator[None]:
    """While the block runs, only Python code writes to the person's screen.

    libpng and libjpeg write remarks on damaged pictures straight to the process's standard error, with no name of a
    file in them and into the middle of a progress bar; no setting stops them. With CV_DEBUG set nothing is kept back.
    """
    try:
        ours = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # a stream of Python alone, or none
        ours = -1
    if ours != 2 or os.environ.get("CV_DEBUG"):
        yield
        return
    before = sys.stderr
    before.flush()
    screen = os.dup(ours)
    with open(screen, "w", encoding=before.encoding, errors=before.errors, buffering=1) as words:  # noqa: PTH123 - a descriptor
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, ours)
        os.close(nowhere)
        sys.stderr = words
        try:
            yield
        finally:
            sys.stderr = before
            words.flush()
            os.dup2(screen, ours)


@contextmanager
def hidden(package: str) -> Iterator[None]:
    """Let a package that is not loaded yet seem not installed while the block runs.

    For libraries that load a framework merely because it is there.
    """
    if package in sys.modules:
        yield
        return
    # None there is Python's own word for it: an import ends in ModuleNotFoundError, and find_spec finds nothing.
    sys.modules[package] = None  # pyright: ignore[reportArgumentType] - the stubs do not know of it
    try:
        yield
    finally:
        sys.modules.pop(package, None)
