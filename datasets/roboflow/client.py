"""A conversation with Roboflow through its own client, in which every question has a deadline.

The client's `download` is not used: it has no time-out, no checks, and prints the signed link. Its questions that wait
without end are asked here, at its addresses and through its HTTP functions.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import queue
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ...core.errors import AuthError, DataError, LensmithError, NotFoundError
from ...core.isolation import cache_folder
from ...core.progress import say
from ...core.redact import redact
from .download import hide_link
from .key import GET_A_KEY
from .reference import Reference

if TYPE_CHECKING:
    from roboflow.core.project import Project
    from roboflow.core.version import Version
    from roboflow.core.workspace import Workspace as RoboflowWorkspace

_ASK_AGAIN_SECONDS = 1.0
_REQUEST_SECONDS = 30.0
_Answer = TypeVar("_Answer")


class Conversation:
    """The client, with a deadline for all that is asked of it."""

    def __init__(self, key: str, deadline: float) -> None:
        self.key = key
        self.deadline = deadline
        with _client_environment(), _silence():
            import roboflow.config
            from roboflow.util import http

            roboflow.config.refresh_region_urls()  # the environment may have changed since the client was imported
        self.http = http
        self.api_url = roboflow.config.API_URL
        self.app_url = roboflow.config.APP_URL
        self.host = urlsplit(self.api_url).hostname or self.api_url

    def sign_in(self, wanted: Reference) -> RoboflowWorkspace:
        """Sign in and open the workspace."""
        import roboflow
        from roboflow.adapters.rfapi import RoboflowError

        try:
            client = self._bounded(lambda: roboflow.Roboflow(api_key=self.key))
        except RuntimeError as error:
            if "validating the api key" in str(
                error
            ):  # what the client says after five answers that were not 200 or 401
                raise self._in_trouble() from None
            raise AuthError("Roboflow does not accept this key.", next_step=GET_A_KEY) from None
        if not hasattr(client, "current_workspace"):
            raise AuthError("This is a demonstration key, which opens no workspace.", next_step=GET_A_KEY)
        try:
            return self._bounded(lambda: client.workspace(wanted.workspace))
        except RoboflowError:
            own = f"your key belongs to the workspace '{client.current_workspace}'"
            raise self._explain(self._status(wanted.workspace), f"workspace '{wanted.workspace}'", own) from None

    def open_project(self, workspace: RoboflowWorkspace, wanted: Reference) -> tuple[Project, list[Version]]:
        """The project, and all its versions."""
        from roboflow.adapters.rfapi import RoboflowError

        try:
            project = self._bounded(lambda: workspace.project(wanted.project))
            return project, self._bounded(project.versions)
        except (RoboflowError, RuntimeError) as error:
            status = getattr(error, "status_code", None) or self._status(f"{workspace.url}/{wanted.project}")
            known = [str(entry.get("id", "")).rsplit("/", 1)[-1] for entry in workspace.project_list or []]
            there = f"its projects are: {', '.join(sorted(known)[:20])}" if known else "it shows no project to this key"
            what = f"project '{wanted.project}' in the workspace '{workspace.url}'"
            raise self._explain(status, what, there) from None

    def wait_until_generated(self, path: str) -> None:
        """Wait until Roboflow has made the version itself."""
        said = False
        while True:
            status, answer = self._ask(path)
            if status != 200:
                raise self._explain(status, f"version {path}", "look at the project on app.roboflow.com")
            version = answer.get("version") or {}
            if not version.get("generating") and version.get("images"):
                return
            if not said:
                say("Roboflow is still generating this version; waiting ...")
                said = True
            self._pause(f"version {path} was not generated")

    def wait_for_link(self, path: str, formats: list[str]) -> tuple[str, str]:
        """The first of the formats that is on offer, and its link."""
        refused = ""
        for name in formats:
            said = False
            while True:
                status, answer = self._ask(f"{path}/{name}")
                link = (answer.get("export") or {}).get("link") if status == 200 else None
                if link:
                    hide_link(link)
                    return name, link
                if status in {401, 403}:
                    raise self._explain(status, f"version {path}", "")
                if status not in {200, 202}:
                    refused = _message_of(answer)
                    break
                if not said:
                    say(f"Roboflow is preparing the export ({name}); waiting ...")
                    said = True
                self._pause(f"the {name} export of {path} did not get ready")
        raise DataError(
            f"Roboflow offers this version in none of the formats that are needed ({', '.join(formats)}).",
            where=path,
            next_step=redact(refused)[:300] or None,
        )

    def _ask(self, path: str) -> tuple[int, dict[str, Any]]:
        """One question with a time-out; servers in trouble are asked again until the deadline."""
        import requests

        trouble = 0
        while True:
            try:
                response = self.http.get(
                    f"{self.api_url}/{path}?api_key={self.key}&nocache=true",
                    timeout=min(_REQUEST_SECONDS, max(self._left(), 0.1)),
                )
            except requests.RequestException:
                raise self._unreachable() from None
            if response.status_code < 500 and response.status_code != 429:
                return response.status_code, _json_of(response.text)
            trouble += 1
            if trouble >= 5 or self._left() <= 0:
                raise self._in_trouble()
            time.sleep(min(0.2 * 2**trouble, 5.0))

    def _status(self, path: str) -> int:
        """The status behind an error that the client passed on without it."""
        return self._ask(path)[0]

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _pause(self, what: str) -> None:
        if self._left() <= _ASK_AGAIN_SECONDS:
            raise LensmithError(
                f"Roboflow took too long: {what} in time.",
                where=self.host,
                next_step="run the same command again later, or give it longer with --timeout SECONDS",
            )
        time.sleep(_ASK_AGAIN_SECONDS)

    def _bounded(self, call: Callable[[], _Answer]) -> _Answer:
        """Run a call of the client, which sets itself no time-out, and give up at the deadline."""
        import requests

        answers: queue.Queue[tuple[_Answer | None, BaseException | None]] = queue.Queue()

        def work() -> None:
            try:
                answers.put((call(), None))
            except BaseException as error:  # noqa: BLE001 - handed to the waiting thread as it is
                answers.put((None, error))

        with _silence():
            threading.Thread(target=work, daemon=True).start()
            try:
                answer, error = answers.get(timeout=max(self._left(), 0.1))
            except queue.Empty:
                raise self._unreachable("does not answer") from None
        if isinstance(error, (requests.JSONDecodeError, KeyError, TypeError, AttributeError)):
            raise self._in_trouble("sent an answer that its own client does not understand") from None
        if isinstance(error, requests.RequestException):
            raise self._unreachable() from None
        if error is not None:
            raise error
        return answer  # type: ignore[return-value]  # without an error there is an answer

    def _explain(self, status: int, what: str, hint: str) -> LensmithError:
        if status in {401, 403}:
            return AuthError(f"This key may not read the {what}.", where=self.host, next_step=hint or GET_A_KEY)
        if status >= 500:
            return self._in_trouble()
        return NotFoundError(f"Roboflow has no {what}.", where=self.host, next_step=hint)

    def _in_trouble(self, how: str = "is in trouble") -> LensmithError:
        return LensmithError(f"Roboflow {how}.", where=self.host, next_step="run the same command again later")

    def _unreachable(self, how: str = "cannot be reached") -> LensmithError:
        hint = "check the network (and HTTPS_PROXY), then run the same command again"
        return LensmithError(f"Roboflow {how}.", where=self.host, next_step=hint)


def _json_of(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"error": text[:300]}


def _message_of(answer: dict[str, Any]) -> str:
    error = answer.get("error", "")
    return str(error.get("message", error)) if isinstance(error, dict) else str(error)


@contextlib.contextmanager
def _client_environment() -> Iterator[None]:
    """Its import crashes without HOME, and replaces the way Python shows warnings."""
    shown = warnings.formatwarning
    if os.name != "nt" and not os.environ.get("HOME"):
        os.environ["HOME"] = str(cache_folder("roboflow"))
    try:
        yield
    finally:
        warnings.formatwarning = shown


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Standard output is for data; the client prints its progress there."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield
