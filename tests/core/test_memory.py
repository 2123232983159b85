"""How much memory there is, by the machine and by a container's limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from lensmith.core import memory


def test_what_is_free_is_part_of_what_there_is() -> None:
    assert 0 < memory.available_memory() <= memory.total_memory()
    assert 1 << 20 < memory.peak_memory() < memory.total_memory()


def test_a_limit_of_a_container_counts_and_file_cache_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = tmp_path / "jobs" / "mine"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    (group.parent / "memory.max").write_text("400000000\n")
    (group.parent / "memory.current").write_text("300000000\n")
    (group.parent / "memory.stat").write_text("anon 100000000\ninactive_file 150000000\n")
    own = tmp_path / "cgroup"
    own.write_text("0::/jobs/mine\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_OWN_GROUPS", own)
    assert memory.total_memory() == 400_000_000
    assert memory.available_memory() == 250_000_000
