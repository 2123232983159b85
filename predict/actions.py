"""What may be done with a frame in which something was seen: run a command, call an address, save it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import shlex
import shutil
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from ..core.errors import LensmithError, NotFoundError, UsageError, told_when_full
from ..core.files import write_atomic
from ..core.redact import redact, register_secret
from .hooks import Sighting
from .sinks import PictureFolder

RUN_SECONDS = 30.0
_HOOK_SECONDS = 10.0
_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.5
_ANSWER_BYTES = 64 << 10
_KEY_LETTERS = 16  # words of a path are shorter, or have no digit in them
_SAFE_LETTERS = "/%:@!$&'()*+,;=?~-._"  # of an address: the rest goes out as %xx


class RunCommand:
    """Starts a command for each sighting, without a shell; see `hooks.Action`.

    The record comes as JSON on its standard input, and the main points as variables: LENSMITH_TIME, LENSMITH_SOURCE,
    LENSMITH_INDEX, LENSMITH_SECONDS, LENSMITH_RULE, LENSMITH_CLASS. What it prints goes to our standard error.

    Args:
        command: Program and arguments, split as a shell would (quotes hold words together), nothing else of a shell.
        seconds: It is ended when it takes longer.

    Raises:
        UsageError: there is no program in it, or a quote is left open.
        NotFoundError: there is no such program.
    """

    name = "--run"

    def __init__(self, command: str, seconds: float = RUN_SECONDS) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise UsageError(
                f"The command cannot be read: {error}.", where="--run", next_step="close each quote that is opened"
            ) from None
        if not self._arguments:
            raise UsageError(
                "The command is empty.", where="--run", next_step='give a program: --run "notify-send seen"'
            )
        program = self._arguments[0]
        if shutil.which(program) is None:
            raise NotFoundError(
                f"There is no program '{redact(program)}' that can be started.",
                where="--run",
                next_step="it is started without a shell: for more than one program, give --run \"sh -c '...'\"",
            )
        self._seconds = seconds
        self.patience_seconds = min(seconds, _HOOK_SECONDS)
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._starting = threading.Lock()  # of both

    def __call__(self, sighting: Sighting) -> None:
        """Run it to its end. Raises LensmithError when it fails, takes too long, or comes too late."""
        with self._start(sighting) as process:
            try:
                process.communicate(json.dumps(sighting.record).encode(), timeout=self._seconds)
            except subprocess.TimeoutExpired:
                _end(process)
                raise LensmithError(f"the command took longer than {self._seconds:g} seconds and was ended") from None
            finally:
                code = process.poll()
        if code:
            raise LensmithError(f"the command ended with exit code {code}")

    def _start(self, sighting: Sighting) -> subprocess.Popen[bytes]:
        with self._starting:  # whoever closes finds what was started, or nothing is started after that
            if self._closed:
                raise LensmithError("the command was not started, because all is over")
            self._process = subprocess.Popen(
                self._arguments, stdin=subprocess.PIPE, stdout=2, env=_variables(sighting),
                start_new_session=os.name != "nt",
            )  # fmt: skip
            return self._process

    def close(self) -> None:
        """End the command that still runs, and start no other."""
        with self._starting:
            self._closed = True
            process = self._process
        if process is not None and process.poll() is None:
            _end(process)


def _variables(sighting: Sighting) -> dict[str, str]:
    record = sighting.record
    told = {name.upper(): record.get(name) for name in ("time", "source", "index", "seconds", "rule")}
    told["CLASS"] = sighting.rule.name if sighting.rule else record.get("class")
    own = {f"LENSMITH_{name}": str(value) for name, value in told.items() if value is not None}
    return {**os.environ, **{name: value.replace("\0", "") for name, value in own.items()}}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command with all that it started."""
    with contextlib.suppress(ProcessLookupError):
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)


class Webhook:
    """Posts the record of each sighting as JSON to one address, and to no other; see `hooks.Action`.

    It is tried three times when nobody answers, or the answer is that the server is in trouble.

    Args:
        address: http or https; a login in it is sent as such. Of all of it only the host is ever shown: Slack, Discord
            and others keep the key in the path.

    Raises:
        UsageError: it is no such address.
    """

    name = "--webhook"
    patience_seconds = _HOOK_SECONDS

    def __init__(self, address: str, seconds: float = _HOOK_SECONDS) -> None:
        try:
            parts = urlsplit(address.strip())
            known = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
        except ValueError:
            known, parts = False, urlsplit("")
        if not known or any(ord(letter) <= 32 or ord(letter) == 127 for letter in address.strip()):
            raise UsageError(
                "This is no address that can be called.", where="--webhook", next_step="give http://... or https://..."
            )
        for secret in _keys_in(parts):
            register_secret(secret)
        self._parts, self._seconds = parts, seconds
        self._label = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        self._closed = threading.Event()

    def __call__(self, sighting: Sighting) -> None:
        """Post it. Raises LensmithError when no answer says that it was taken."""
        body = redact(json.dumps(sighting.record)).encode()
        pause, said = _FIRST_PAUSE_SECONDS, ""
        for attempt in range(_TRIES):
            if attempt and self._closed.wait(pause):
                break
            pause *= 2
            try:
                status = self._post(body)
            except (OSError, http.client.HTTPException) as error:
                said = f"does not answer ({redact(str(error)) or type(error).__name__})"
                continue
            if 200 <= status < 300:
                return
            said = f"answers with status {status}"
            if 300 <= status < 400:
                said += ", a redirection, which is not followed; give the address that it leads to"
            if status < 500 and status != 429:
                break
        raise LensmithError(f"{self._label} {said}")

    def close(self) -> None:
        """Try no more."""
        self._closed.set()

    def _post(self, body: bytes) -> int:
        host, port = self._parts.hostname or "", self._parts.port
        kind = http.client.HTTPSConnection if self._parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(host, port, timeout=self._seconds)
        try:
            path = (self._parts.path or "/") + (f"?{self._parts.query}" if self._parts.query else "")
            connection.request("POST", quote(path, safe=_SAFE_LETTERS), body, _headers(self._parts))
            answer = connection.getresponse()
            answer.read(_ANSWER_BYTES)
            return answer.status
        finally:
            connection.close()


def _keys_in(parts: SplitResult) -> list[str]:
    """What in an address is a key: long, and with a digit. A plain word would be masked in our own results."""
    values = [value for _, value in parse_qsl(parts.query)]
    likely = [parts.query, *values, *parts.path.split("/"), parts.password or "", unquote(parts.password or "")]
    return [text for text in likely if len(text) >= _KEY_LETTERS and any(letter.isdigit() for letter in text)]


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": "lensmith"}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    return headers


class SaveFrames:
    """Saves each sighting as three files of one name: the frame, a drawn copy, the record; see `hooks.Action`.

    Args:
        folder: Made when it is needed. Nothing in it is replaced.
    """

    name = "--save"
    patience_seconds = 10.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last: Path | None = None

    def __call__(self, sighting: Sighting) -> None:
        """Save it; the record comes last, so that its file says that all are there.

        Raises:
            DiskFullError, OSError: it cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        pictures = PictureFolder(self.folder)
        stem = self._free_stem(sighting.record)
        frame = pictures.write(sighting.bgr, f"{stem}.jpg")
        drawn = pictures.write(sighting.drawn, f"{stem}-drawn.jpg")
        record = {**sighting.record, "frame": frame.name, "drawn": drawn.name}
        target = self.folder / f"{stem}.json"
        with told_when_full(target):
            write_atomic(target, redact(json.dumps(record, ensure_ascii=False, indent=1)) + "\n")
        self.last = frame

    def close(self) -> None:
        """Nothing is left to stop."""

    def _free_stem(self, record: dict[str, Any]) -> str:
        stem = str(record["time"]).rstrip("Z").replace(":", "-").replace(".", "-")
        name, number = stem, 1
        while any((self.folder / f"{name}{end}").exists() for end in (".jpg", "-drawn.jpg", ".json")):
            number += 1
            name = f"{stem}-{number}"
        return name
