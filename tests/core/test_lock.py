"""Locks say what is wrong, and only what is: a folder that cannot be written is no other process."""

import os
from pathlib import Path

import pytest

from lensmith.core.errors import LensmithError, UsageError
from lensmith.core.lock import is_held, is_in_use, mark_in_use, marked, only_one, sole_use


def test_a_run_that_is_held_and_one_that_cannot_be_locked_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sole_use(tmp_path), pytest.raises(UsageError, match="at work"), sole_use(tmp_path):
        pass
    with sole_use(tmp_path):
        pass

    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    with monkeypatch.context() as patch:
        patch.setattr("lensmith.core.lock._try_lock", unsupported)
        for locked in (sole_use(tmp_path), only_one(tmp_path / "x.lock", "another command")):
            with pytest.raises(LensmithError, match="not supported") as error, locked:
                pass
            assert not isinstance(error.value, UsageError)
    with pytest.raises(LensmithError, match="cannot be locked"), sole_use(tmp_path / "gone"):
        pass


def test_an_open_file_that_was_marked_is_in_use_until_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "data"
    assert not is_in_use(path)
    path.write_bytes(b"x")
    descriptors = [os.open(path, os.O_RDONLY) for _ in range(2)]
    assert not is_in_use(path) or os.name == "nt"
    for descriptor in descriptors:
        mark_in_use(descriptor)
    for descriptor in descriptors:
        assert is_in_use(path)
        os.close(descriptor)
    assert not is_in_use(path)


@pytest.mark.skipif(os.name == "nt", reason="there nothing is locked to look")
def test_who_only_looks_whether_a_run_is_in_use_keeps_nobody_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    path = tmp_path / ".lock"
    path.touch()
    for begin in (lambda: sole_use(tmp_path), lambda: marked(tmp_path)):
        looks = path.open("r+b")
        fcntl.flock(looks, fcntl.LOCK_EX)
        monkeypatch.setattr("lensmith.core.lock.time.sleep", lambda _, looks=looks: looks.close())
        with begin():
            assert is_held(tmp_path)
