"""Downloads over connections that break; a zip is whole, or there is an error and the next call goes on."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from lensmith.core.errors import DataError, LensmithError
from lensmith.core.redact import redact
from lensmith.datasets.roboflow.download import DownloadConfig, discard, fetch_zip
from tests.roboflow_server import SIGNATURE, Faults, Project, serve

DATA = b"PK\x03\x04" + random.Random(0).randbytes(300_000)
FAST = DownloadConfig(connect_seconds=5, read_seconds=5, attempts=3, backoff_seconds=0.001, chunk_bytes=10_000)


def _link(server) -> str:
    return f"{server.url}/export.zip?X-Goog-Signature={SIGNATURE}"


def _parts(server) -> list[str]:
    return [line.removeprefix("GET /export.zip").strip() for line in server.zips()]


def test_a_cut_connection_is_taken_up_where_it_broke(tmp_path: Path) -> None:
    with serve(Project(DATA), Faults(cut_after=100_000, cuts=2)) as server:
        assert fetch_zip(_link(server), tmp_path, "set", FAST).read_bytes() == DATA
        first, second, third = _parts(server)
        assert first == ""
        assert second.startswith("bytes=")
        assert int(third[6:-1]) > int(second[6:-1]) > 0
        fetch_zip(_link(server), tmp_path, "set", FAST)
        assert len(_parts(server)) == 3, "what is complete is not asked for again"


@pytest.mark.parametrize(
    "faults", [Faults(cut_after=100_000, cuts=1, ranges=False), Faults(cut_after=100_000, cuts=1, etag=False)]
)
def test_without_ranges_or_mark_it_starts_clean(tmp_path: Path, faults: Faults) -> None:
    with serve(Project(DATA), faults) as server:
        assert fetch_zip(_link(server), tmp_path, "set", FAST).read_bytes() == DATA


def test_a_connection_that_always_breaks_is_an_error_and_the_next_call_goes_on(tmp_path: Path) -> None:
    with serve(Project(DATA), Faults(cut_after=40_000)) as server:
        with pytest.raises(LensmithError, match=r"connection was cut .* MB have come so far"):
            fetch_zip(_link(server), tmp_path, "set", FAST)
        have = (tmp_path / "set.zip.partial").stat().st_size
        assert 0 < have < len(DATA)
        server.faults.cut_after = None
        assert fetch_zip(_link(server), tmp_path, "set", FAST).read_bytes() == DATA
        assert _parts(server)[-1] == f"bytes={have}-"
    discard(tmp_path, "set")
    assert list(tmp_path.iterdir()) == []


def test_another_file_on_the_server_is_never_joined_to_the_first(tmp_path: Path) -> None:
    with serve(Project(DATA), Faults(cut_after=40_000)) as server:
        with pytest.raises(LensmithError):
            fetch_zip(_link(server), tmp_path, "set", FAST)
        server.faults.cut_after = None
        server.project.archive = DATA[:4] + bytes(reversed(DATA[4:]))
        assert fetch_zip(_link(server), tmp_path, "set", FAST).read_bytes() == server.project.archive


@pytest.mark.parametrize(
    ("faults", "error", "message"),
    [
        (Faults(link_status=403), LensmithError, "refuses the download .HTTP 403"),
        (Faults(link_status=404), LensmithError, "no longer has the export"),
        (Faults(html=True), DataError, "not a zip"),
        (Faults(html=True, html_type="application/zip"), DataError, "not a zip"),
        (Faults(declared=len(DATA) + 50), LensmithError, "connection was cut"),
        (Faults(link_troubles=-1), LensmithError, "in trouble .HTTP 503"),
    ],
)
def test_what_is_no_zip_is_an_error(tmp_path: Path, faults: Faults, error: type, message: str) -> None:
    with serve(Project(DATA), faults) as server, pytest.raises(error, match=message) as caught:
        fetch_zip(_link(server), tmp_path, "set", FAST)
    assert SIGNATURE not in str(caught.value)


def test_a_server_that_stumbles_is_asked_again(tmp_path: Path) -> None:
    with serve(Project(DATA), Faults(link_troubles=2)) as server:
        assert fetch_zip(_link(server), tmp_path, "set", FAST).read_bytes() == DATA


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with serve(Project(DATA)) as server:
        link = _link(server)
    with pytest.raises(LensmithError, match="could not be made") as caught:
        fetch_zip(link, tmp_path, "set", FAST)
    assert SIGNATURE not in redact(str(caught.value))
    assert SIGNATURE not in redact(f"/export.zip?X={SIGNATURE}")


def test_the_signed_link_is_not_stored(tmp_path: Path) -> None:
    with serve(Project(DATA)) as server:
        fetch_zip(_link(server), tmp_path, "set", FAST)
    assert SIGNATURE not in (tmp_path / "set.zip.json").read_text()
