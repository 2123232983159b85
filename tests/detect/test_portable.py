"""A checkpoint becomes its portable form, or says why not, when the machine does not play along."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from lensmith.core.errors import DiskFullError, LensmithError
from lensmith.core.isolation import isolate_ultralytics
from lensmith.detect.portable import export_portable

pytestmark = pytest.mark.torch


class _Failing:
    """Stands in for `ultralytics.YOLO`, whose exporter wraps what went wrong."""

    error: Exception

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def export(self, **_: object) -> str:
        try:
            raise self.error
        except Exception as error:
            raise RuntimeError("Failed to export the model") from error


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), DiskFullError, "disk is full"),
        (RuntimeError("PytorchStreamWriter: No space left on device"), DiskFullError, "disk is full"),
        (MemoryError(), LensmithError, "not enough memory"),
    ],
)
def test_a_full_machine_does_not_end_in_a_bundle_without_its_portable_model(
    error: Exception, kind: type[LensmithError], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(kind, match=says):
        _export(error, tmp_path, monkeypatch)
    assert not (tmp_path / "onnx").exists()


def test_a_model_that_cannot_be_exported_is_one_that_needs_ultralytics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not _export(ValueError("no such operator"), tmp_path, monkeypatch)
    assert "will need Ultralytics to run: Failed to export the model" in capsys.readouterr().err


def _export(error: Exception, folder: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    isolate_ultralytics()
    import ultralytics

    monkeypatch.setattr(ultralytics, "YOLO", type("Failing", (_Failing,), {"error": error}), raising=False)
    (folder / "model.pt").write_bytes(b"weights")
    return export_portable(folder / "model.pt", folder / "model.onnx", 64, 300)
