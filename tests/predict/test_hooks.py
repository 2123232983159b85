"""What is done when something is seen: rules, how often, real commands, a real server, real files."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lensmith.core.errors import DiskFullError, LensmithError, NotFoundError, UsageError
from lensmith.core.images import read_image
from lensmith.core.redact import redact
from lensmith.predict.actions import RunCommand, SaveFrames, Webhook
from lensmith.predict.hooks import Hooks, Rule, Sighting, parse_rule, sighting_of
from lensmith.predict.results import Detections, Frame, Prediction, Scores
from lensmith.predict.worker import Worker

_NAMES = ("person", "Dog", "traffic light", "size>5", "9:16")
_PATIENCE_SECONDS = 30


def _seen(*found: tuple[int, float]) -> Prediction:
    """A frame with these classes and confidences."""
    xyxy = np.tile(np.float32([1, 2, 30, 40]), (len(found), 1))
    result = Detections(xyxy, np.array([c for c, _ in found], np.int64), np.array([p for _, p in found], np.float32))
    return Prediction(Frame(np.full((48, 64, 3), 7, np.uint8), "camera 0", 3, 1.5), result)


def _sighting(rule: Rule | None = None) -> Sighting:
    prediction = _seen((0, 0.9))
    return sighting_of(prediction, prediction.as_record(_NAMES), np.zeros((48, 64, 3), np.uint8), rule)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("person", True),
        ("PERSON", True),
        ("person>0.8", True),
        ("person > 80%", True),
        ("person>0.9", False),
        ("person:2", True),
        ("person:3", False),
        ("person:2>0.5", False),
        ("dog", False),
        ("traffic light", True),
        ("traffic light>.2", True),
        ("size>5", True),
        ("size>5>0.5", True),
        ("9:16", False),
        ("9:16:2", False),
    ],
)
def test_rules(text: str, holds: bool) -> None:
    record = _seen((0, 0.85), (0, 0.4), (2, 0.3), (3, 0.6)).as_record(_NAMES)
    assert parse_rule(text, _NAMES).holds(record) is holds


def test_rules_hear_classifiers() -> None:
    alone = Prediction(Frame(np.zeros((4, 4, 3), np.uint8), "x"), Scores(np.float32([0.3, 0.7]), 0.8))
    record = alone.as_record(("cat", "dog"))
    assert parse_rule("unknown", ("cat", "dog", "unknown")).holds(record)
    assert not parse_rule("dog", ("cat", "dog", "unknown")).holds(record)
    behind = {
        "detections": [
            {"class": "piece", "confidence": 0.9, "classifier": {"class": "king", "confidence": 0.6}},
            {"class": "piece", "confidence": 0.9, "classifier": {"class": "king", "confidence": 0.8}},
        ]
    }
    assert parse_rule("king:2>0.5", ("piece", "king")).holds(behind)
    assert not parse_rule("king:2>0.7", ("piece", "king")).holds(behind)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing that can be watched"),
        ("person>2", "nothing that can be watched"),
        ("person:0", "nothing that can be watched"),
        ("persn", "did you mean 'person'"),
        ("traffic lihgt>0.5", "did you mean 'traffic light'"),
        ("xyz", "person, Dog"),
        ("person>high", "did you mean 'person'"),
    ],
)
def test_what_is_no_rule(text: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rule(text, _NAMES)
    assert says in str(caught.value)


class _Noted:
    name, patience_seconds = "noted", 10.0

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.closed = False

    def __call__(self, sighting: Sighting) -> None:
        self.records.append(sighting.record)

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(("rules", "expected"), [([], [0, 3, 6, 9]), ([Rule("person:2", "person", 2)], [4, 7])])
def test_it_acts_at_most_so_often(rules: list[Rule], expected: list[int]) -> None:
    """A second between frames, two persons from the fourth to the eighth, and three seconds between actions."""
    now, action = [0.0], _Noted()
    hooks = Hooks(rules, 3.0, [action], clock=lambda: now[0])
    for second in range(10):
        now[0] = second
        prediction = _seen(*[(0, 0.9)] * (2 if 4 <= second <= 8 else 1))
        hooks.look(prediction, {**prediction.as_record(_NAMES), "index": second}, prediction.frame.bgr)
        _until(lambda: len(action.records) == hooks.sightings)
    hooks.close()
    assert [record["index"] for record in action.records] == expected
    assert hooks.sightings == len(expected)
    assert action.closed
    assert hooks.report() == [{"name": "noted", "done": len(expected), "failed": 0, "missed": 0}]


def test_a_slow_action_holds_nothing_up() -> None:
    free, begun = threading.Event(), threading.Event()

    def act(job: int) -> None:
        begun.set()
        free.wait(_PATIENCE_SECONDS)

    worker = Worker("slow", act, waiting=2)
    assert worker.offer(0)
    assert begun.wait(_PATIENCE_SECONDS)
    assert [worker.offer(n) for n in range(5)] == [True, True, False, False, False]
    free.set()
    worker.close(_PATIENCE_SECONDS)
    assert (worker.done, worker.failed, worker.missed) == (3, 0, 3)


def test_failures_are_counted_and_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    def act(job: int) -> None:
        raise LensmithError(f"no {job}")

    worker = Worker("trying", act, waiting=9)
    for number in range(3):
        worker.offer(number)
    worker.close(_PATIENCE_SECONDS)
    assert (worker.done, worker.failed) == (0, 3)
    said = capsys.readouterr().err
    assert "no 0" in said
    assert "no 1" not in said


def test_a_failure_that_matters_reaches_the_caller() -> None:
    def act(job: int) -> None:
        raise DiskFullError("x")

    worker = Worker("recording", act, fatal=True)
    worker.offer(1)
    with pytest.raises(DiskFullError):
        worker.close(_PATIENCE_SECONDS)


def _program(tmp_path: Path, text: str) -> str:
    path = tmp_path / "pro gram.py"
    path.write_text(f"import json, os, sys, time\n{text}\n")
    return f"'{sys.executable}' '{path}'"


def test_a_command_gets_the_record_and_no_shell(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    text = (
        "env = {k: v for k, v in os.environ.items() if k.startswith('LENSMITH_')}\n"
        "json.dump([sys.argv[1:], json.load(sys.stdin), env], open(sys.argv[1], 'w'))"
    )
    command = RunCommand(f"{_program(tmp_path, text)} '{out}' '$HOME' '; touch x' '*'")
    command(_sighting(Rule("person>0.8", "person", 1, 0.8)))
    arguments, record, env = json.loads(out.read_text())
    assert arguments == [str(out), "$HOME", "; touch x", "*"]
    assert record["rule"] == "person>0.8"
    assert record["detections"][0]["class"] == "person"
    assert env["LENSMITH_CLASS"] == "person"
    assert env["LENSMITH_SOURCE"] == "camera 0"
    assert env["LENSMITH_TIME"] == record["time"]


def test_a_command_that_fails_says_so(tmp_path: Path) -> None:
    with pytest.raises(LensmithError, match="exit code 3"):
        RunCommand(_program(tmp_path, "sys.exit(3)"))(_sighting())


@pytest.mark.skipif(os.name == "nt", reason="groups of processes are Unix'")
def test_a_command_that_takes_too_long_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    text = (
        "import subprocess\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "time.sleep(600)"
    )
    command = RunCommand(_program(tmp_path, text), seconds=3)
    with pytest.raises(LensmithError, match="longer than 3 seconds"):
        command(_sighting())
    _until(lambda: not _alive(int((tmp_path / "pid").read_text())))


def test_a_command_that_still_runs_at_the_end_is_stopped(tmp_path: Path) -> None:
    mark = tmp_path / "started"
    command = RunCommand(_program(tmp_path, f"open({str(mark)!r}, 'w').close()\ntime.sleep(600)"), seconds=600)
    command.patience_seconds = 0.0
    hooks = Hooks([], 5, [command])
    prediction = _seen((0, 0.9))
    hooks.look(prediction, prediction.as_record(_NAMES), prediction.frame.bgr)
    _until(mark.exists)
    process = command._process
    assert process
    hooks.close()
    _until(lambda: process.poll() is not None)


def test_no_command_is_started_once_all_is_over(tmp_path: Path) -> None:
    """A worker that had the frame in its hands already when the end came."""
    mark = tmp_path / "started"
    command = RunCommand(_program(tmp_path, f"open({str(mark)!r}, 'w').close()"))
    command.close()
    with pytest.raises(LensmithError, match="not started"):
        command(_sighting())
    assert not mark.exists()


def _alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


def _until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ("", UsageError, "empty"),
        ("x 'y", UsageError, "quote"),
        ("no-such-program-here --x", NotFoundError, "without a shell"),
    ],
)
def test_what_is_no_command(given: str, error: type[LensmithError], says: str) -> None:
    with pytest.raises(error) as caught:
        RunCommand(given)
    assert says in str(caught.value)


class _Receiver:
    """A real HTTP server that answers with these, one after another, and notes what it gets."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Receiver]:
    monkeypatch.setattr("lensmith.predict.actions._FIRST_PAUSE_SECONDS", 0.01)
    one = _Receiver()
    yield one
    one.close()


def test_a_webhook_gets_the_record(receiver: _Receiver) -> None:
    Webhook(f"http://me:p%40ss@{receiver.host}/hook?key=abc123")(_sighting(Rule("person", "person")))
    path, headers, body = receiver.got[0]
    assert path == "/hook?key=abc123"
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "Basic bWU6cEBzcw=="
    record = json.loads(body)
    assert record["detections"][0]["class"] == "person"
    assert record["rule"] == "person"


def test_a_webhook_is_tried_again_when_the_server_is_in_trouble(receiver: _Receiver) -> None:
    receiver.answers = [(503, {}), (500, {})]
    Webhook(f"http://{receiver.host}/")(_sighting())
    assert len(receiver.got) == 3


@pytest.mark.parametrize(("status", "times"), [(404, 1), (500, 3), (302, 1)])
def test_a_webhook_that_fails_says_why_without_its_key(receiver: _Receiver, status: int, times: int) -> None:
    elsewhere = _Receiver()
    try:
        receiver.answers = [(status, {"Location": f"http://{elsewhere.host}/trap"})] * 5
        with pytest.raises(LensmithError, match=str(status)) as caught:
            Webhook(f"http://me:hidden77@{receiver.host}/h?token=hidden99")(_sighting())
    finally:
        elsewhere.close()
    assert len(receiver.got) == times
    assert elsewhere.got == []  # nowhere but where the person said
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "path", ["/services/T0X/B0Y/hiddenhiddenhidden77", "/api/webhooks/123456/hidden-Token", "/bot123456:hidden-x/send"]
)
def test_the_path_of_a_webhook_is_shown_no_more_than_its_key(path: str, receiver: _Receiver) -> None:
    receiver.answers = [(404, {})]
    with pytest.raises(LensmithError) as caught:
        Webhook(f"http://{receiver.host}{path}")(_sighting())
    assert receiver.got[0][0] == path
    assert f"http://{receiver.host} answers with status 404" in str(caught.value)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("more", ["?person", "?class=person&detections", "person", "?token=confidence"])
def test_plain_words_in_a_webhook_mask_nothing_in_the_results(more: str, receiver: _Receiver) -> None:
    Webhook(f"http://{receiver.host}/hook/{more}")(_sighting())
    text = json.dumps(_sighting().record)
    assert redact(text) == text
    assert json.loads(receiver.got[0][2])["detections"][0]["class"] == "person"


def test_a_long_key_in_a_webhook_is_masked_wherever_it_turns_up(receiver: _Receiver) -> None:
    Webhook(f"http://{receiver.host}/services/hiddenhiddenhidden78?x=y")(_sighting())
    assert redact("it is hiddenhiddenhidden78 here") == "it is *** here"


def test_letters_of_other_languages_in_a_webhook(receiver: _Receiver) -> None:
    Webhook(f"http://{receiver.host}/tür?wo=küche&x=%20")(_sighting())
    assert receiver.got[0][0] == "/t%C3%BCr?wo=k%C3%BCche&x=%20"


def test_nobody_at_the_webhook(receiver: _Receiver) -> None:
    receiver.close()
    with pytest.raises(LensmithError, match="does not answer"):
        Webhook(f"http://{receiver.host}/")(_sighting())


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://x/y", "x.org/hook", "http://", "http://x:99999/", "http://x/\nHost: y"]
)
def test_what_is_no_webhook(address: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        Webhook(address)


def test_saved_frames(tmp_path: Path) -> None:
    save = SaveFrames(tmp_path / "seen ü")
    sighting = _sighting(Rule("person", "person"))
    save(sighting)
    save(sighting)  # at the same time: nothing is written over
    names = sorted(path.name for path in save.folder.iterdir())
    assert len(names) == 6
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(save.folder.glob("*.json"))]
    assert {record["frame"] for record in records} | {record["drawn"] for record in records} == {
        name for name in names if name.endswith(".jpg")
    }
    assert abs(read_image(save.folder / records[0]["frame"]).mean() - 7) < 3
    assert read_image(save.folder / records[0]["drawn"]).mean() < 3
    assert records[0]["rule"] == "person"
    assert save.last in {save.folder / record["frame"] for record in records}


def test_saving_where_nobody_may_write_is_counted_and_the_picture_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    hooks = Hooks([], 5, [SaveFrames(tmp_path / "file" / "deeper")])
    prediction = _seen((0, 0.9))
    hooks.look(prediction, prediction.as_record(_NAMES), prediction.frame.bgr)
    hooks.close()
    assert hooks.report()[0]["failed"] == 1
