"""The page of `cv live`, as a browser sees it, and as others must not."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from lensmith.core.errors import LensmithError, UsageError
from lensmith.predict.keys import HELP, KEYS, Threshold, draw_help
from lensmith.predict.live_result import LiveResult
from lensmith.predict.page import Page
from lensmith.predict.screen import choose_show, open_screen
from lensmith.predict.summary import Summary


@pytest.fixture
def page() -> Iterator[Page]:
    one = Page("Lensmith: <b>cells</b>")
    yield one
    one.close()


def _ask(
    page: Page, path: str = "", method: str = "GET", body: str = "", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    parts = urlsplit(page.address)
    assert parts.hostname and parts.port
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path if path.startswith("/") else parts.path + path, body or None, named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


def _pictures(page: Page, count: int) -> list[np.ndarray]:
    """The first pictures that a browser gets; a new one is shown whenever one has come."""
    parts = urlsplit(page.address)
    assert parts.hostname and parts.port
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    connection.request("GET", parts.path + "stream")
    answer = connection.getresponse()
    assert answer.getheader("Content-Type", "").startswith("multipart/x-mixed-replace")
    found = []
    for number in range(count):
        page.show(np.full((48, 64, 3), 50 * number, np.uint8), f"picture {number}")
        length = 0
        while (line := answer.readline()) != b"\r\n":
            if line.startswith(b"Content-Length"):
                length = int(line.split(b":")[1])
        found.append(cv2.imdecode(np.frombuffer(answer.read(length), np.uint8), cv2.IMREAD_COLOR))
        answer.readline()
    connection.close()
    return found


def test_the_page_shows_each_new_picture(page: Page) -> None:
    means = [picture.mean() for picture in _pictures(page, 4)]
    np.testing.assert_allclose(means, [0, 50, 100, 150], atol=3)
    assert json.loads(_ask(page, "state")[2]) == {"status": "picture 3", "frames": 4}


def test_nothing_in_the_page_comes_from_elsewhere_or_is_inline(page: Page) -> None:
    status, headers, content = _ask(page)
    text = content.decode()
    assert status == 200
    assert "&lt;b&gt;cells" in text
    assert "<b>" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert "style=" not in text
    assert "onclick" not in text
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "unsafe" not in headers["Content-Security-Policy"]
    for name in ("page.css", "page.js"):
        assert _ask(page, name)[0] == 200


def test_keys_arrive_in_their_order(page: Page) -> None:
    for key in ("s", " ", "+", "q"):
        assert _ask(page, "key", "POST", key, X_Lensmith="key")[0] == 204
    assert page.listen() == ["s", " ", "+", "q"]
    assert page.listen() == []
    assert _ask(page, "key", "POST", "x", X_Lensmith="key")[0] == 400
    assert _ask(page, "key", "POST", "q" * 1000, X_Lensmith="key")[0] == 400
    assert page.listen() == []


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        pytest.param("/", "GET", {}, id="without the token"),
        pytest.param("/x/", "GET", {}, id="another token"),
        pytest.param("", "GET", {"Host": "evil.example"}, id="another name for this machine"),
        pytest.param("stream", "GET", {"Host": "evil.example:80"}, id="the picture under another name"),
        pytest.param("key", "POST", {}, id="a form of another page"),
        pytest.param("key", "POST", {"X_Lensmith": "key", "Origin": "http://evil.example"}, id="another page"),
        pytest.param("key", "POST", {"X_Lensmith": "key", "Host": "evil.example"}, id="a key under another name"),
        pytest.param("../../etc/passwd", "GET", {}, id="a path that climbs"),
        pytest.param("nothing", "GET", {}, id="nothing there"),
    ],
)
def test_who_may_not(path: str, method: str, headers: dict[str, str], page: Page) -> None:
    assert _ask(page, path, method, "q" if method == "POST" else "", **headers)[0] == 404
    assert page.listen() == []


def test_the_same_page_under_its_other_name(page: Page) -> None:
    port = urlsplit(page.address).port
    assert _ask(page, Host=f"localhost:{port}")[0] == 200


def test_the_end_is_told_to_who_watches(page: Page) -> None:
    assert len(_pictures(page, 1)) == 1
    page.close()
    page.close()
    with pytest.raises(OSError):
        _ask(page)


def test_a_browser_that_takes_no_answer_does_not_hold_the_picture(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lensmith.predict.page._MOST_WATCHERS", 0)
    refusing, free = threading.Event(), threading.Event()

    def stuck(handler: object, status: int, kind: str, content: bytes) -> None:
        refusing.set()
        free.wait(30)

    monkeypatch.setattr("lensmith.predict.page._Handler.answer", stuck)
    parts = urlsplit(page.address)
    assert parts.hostname and parts.port
    with socket.create_connection((parts.hostname, parts.port)) as browser:
        browser.sendall(f"GET {parts.path}stream HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n".encode())
        assert refusing.wait(30)
        showing = threading.Thread(target=page.show, args=(np.zeros((8, 8, 3), np.uint8), "on"), daemon=True)
        showing.start()
        showing.join(10)
        shown = not showing.is_alive()
        free.set()
    assert shown


def test_each_key_of_the_help_does_something() -> None:
    names = {"space": " "}
    assert all(names.get(key, key) in KEYS for keys, _ in HELP for key in keys.split())
    picture = np.full((480, 640, 3), 200, np.uint8)
    draw_help(picture)
    assert picture.min() < 60
    draw_help(np.zeros((8, 8, 3), np.uint8))


def test_the_help_fits_into_a_narrow_picture() -> None:
    narrow, wide = np.full((480, 270, 3), 200, np.uint8), np.full((480, 960, 3), 200, np.uint8)
    draw_help(narrow)
    draw_help(wide)
    for picture in (narrow, wide):
        assert (picture[:, -4:] == 200).all()  # no line runs out at the right


class _NotGoneThrough(deque[float]):
    def __iter__(self) -> Iterator[float]:
        raise AssertionError("all latencies of an hour are copied for each frame")


def test_the_figures_cost_the_same_after_an_hour() -> None:
    result = LiveResult(Summary(("a",)), latencies=_NotGoneThrough())
    for _ in range(300):
        result.add(time.perf_counter() - 0.5)
    assert re.fullmatch(r"[\d.]+ fps, p50 5\d\d ms, p95 5\d\d ms", result.status())


def test_the_threshold_begins_at_the_models_own() -> None:
    threshold = Threshold(None, 0.25)
    assert threshold.value is None
    assert threshold.change(1) == pytest.approx(0.30)
    assert threshold.change(-2) == pytest.approx(0.20)
    assert [round(threshold.change(1), 2) for _ in range(20)][-1] == 0.95
    assert [round(threshold.change(-1), 2) for _ in range(30)][-1] == 0.05
    assert Threshold(0.62, 0.25).change(1) == pytest.approx(0.65)


@pytest.mark.parametrize(
    ("wanted", "recording", "problem", "shown"),
    [
        ("auto", False, None, "window"),
        ("auto", True, None, "window"),
        ("auto", False, "no screen", "page"),
        ("auto", True, "no screen", "none"),
        ("page", True, "no screen", "page"),
        ("none", False, None, "none"),
    ],
)
def test_where_it_shows(
    wanted: str, recording: bool, problem: str | None, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lensmith.predict.screen.window_problem", lambda: problem)
    where, why_not = choose_show(wanted, recording=recording)
    assert where == shown
    assert why_not == (problem if wanted == "auto" else None)


def test_where_it_cannot_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lensmith.predict.window.window_problem", lambda: "no screen")
    with pytest.raises(LensmithError, match="no screen"):
        choose_show("window", recording=False)
    with pytest.raises(UsageError, match="no place"):
        choose_show("telly", recording=False)
    assert open_screen("none", "x") is None
