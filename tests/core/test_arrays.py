"""Arrays and what is said about them come back as they were, and a damaged file is told as such."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lensmith.core.arrays import read_arrays, write_arrays
from lensmith.core.errors import DataError


def test_both_come_back(tmp_path: Path) -> None:
    about = {"images": ["ä.png", "half a character \udce9.png"], "count": 2}
    write_arrays(tmp_path / "a.npz", about, {"empty": np.zeros((0, 4), np.float32), "ids": np.arange(3)})
    found, arrays = read_arrays(tmp_path / "a.npz", "")
    assert found == about
    assert arrays.keys() == {"empty", "ids"}
    assert arrays["empty"].shape == (0, 4)
    assert arrays["empty"].dtype == np.float32
    assert arrays["ids"].tolist() == [0, 1, 2]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError):
        read_arrays(path, "")
    write_arrays(path, {}, {"numbers": np.random.default_rng(0).random(1000)})
    whole = path.read_bytes()
    damaged = [whole[:place] + bytes(8) + whole[place + 8 :] for place in range(0, len(whole) - 8, len(whole) // 40)]
    for content in (b"", b"PK", whole[:-40], whole[: len(whole) // 2], *damaged):
        path.write_bytes(content)
        try:
            read_arrays(path, "make it again")
        except DataError as error:
            assert error.next_step == "make it again"
    np.savez(path, about=np.array(["[]"], object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):  # a pickle is never opened
        read_arrays(path, "")
    np.savez(path, about=np.array("[1]"))
    with pytest.raises(DataError, match="does not say"):
        read_arrays(path, "")
