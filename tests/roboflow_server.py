"""A local server that speaks Roboflow's protocol, so that the real client can be tried without an account.

By hand: python -m tests.roboflow_by_hand --zip-of FOLDER --port 8765
"""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.roboflow_uploads import Uploads

KEY = "aGoodKey1234567890"
SIGNATURE = "s1gnatureOfTheLink0123456789"


@dataclass
class Faults:
    """What goes wrong. Counters go down with each use, so that a later request succeeds.

    Attributes:
        generating: How many times the version is still being generated; -1 is always.
        preparing: How many times the export answers 202; -1 is always.
        troubles: How many requests to the API end with 500; -1 is all.
        silent_api: The API takes the request and never answers.
        garbage: The API answers 200 with HTML.
        link_status: Status of the zip's address, with an HTML body unless 200.
        link_troubles: How many requests for the zip end with 503.
        html: The zip's address answers 200 with a page, declared as `html_type`.
        cut_after: The connection is cut after so many bytes of the body, `cuts` times (-1: always).
        ranges: Whether Range requests are served.
        etag: Whether the zip has an ETag.
        declared: A Content-Length other than the real one.
        hold_after: After so many bytes the server waits for `release`, so that a test can act in the middle.
    """

    generating: int = 0
    preparing: int = 0
    troubles: int = 0
    silent_api: bool = False
    garbage: bool = False
    link_status: int = 200
    link_troubles: int = 0
    html: bool = False
    html_type: str = "text/html"
    cut_after: int | None = None
    cuts: int = -1
    ranges: bool = True
    etag: bool = True
    declared: int | None = None
    hold_after: int | None = None


@dataclass
class Project:
    """What the server has: one project with some versions, all with the same export."""

    archive: bytes
    workspace: str = "acme"
    name: str = "parts"
    kind: str = "object-detection"
    multilabel: bool = False
    versions: tuple[int, ...] = (1, 2)
    formats: tuple[str, ...] = ("yolov11", "yolov8", "folder")
    exports: tuple[str, ...] = ()
    images: int = 8
    created: float = 1.7e9


@dataclass
class RoboflowServer:
    """A running server; `requests` lists method and path, with the Range header of zip requests."""

    project: Project
    faults: Faults = field(default_factory=Faults)
    requests: list[str] = field(default_factory=list)
    uploads: Uploads = field(default_factory=Uploads)
    release: threading.Event = field(default_factory=threading.Event)
    holding: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def env(self) -> dict[str, str]:
        """The environment under which `cv` speaks to this server."""
        return {"API_URL": self.url, "APP_URL": self.url, "UNIVERSE_URL": self.url, "ROBOFLOW_API_KEY": KEY}

    def zips(self) -> list[str]:
        """The requests for the zip."""
        return [line for line in self.requests if " /export.zip" in line]

    def take(self, name: str) -> bool:
        """Whether a counted fault happens now."""
        left = getattr(self.faults, name)
        if left > 0:
            setattr(self.faults, name, left - 1)
        return left != 0


@contextmanager
def serve(project: Project, faults: Faults | None = None, port: int = 0) -> Iterator[RoboflowServer]:
    """Run the server on the loopback address while the block runs."""
    state = RoboflowServer(project, faults or Faults())
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", port), handler)
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        state.release.set()
        state.uploads.release.set()
        server.shutdown()
        server.server_close()


def zip_folder(folder: Path, suffixes: frozenset[str] | None = None) -> bytes:
    """A folder's files as a zip, as Roboflow packs them: at the top, deflated."""
    import io

    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and (suffixes is None or path.suffix in suffixes):
                archive.write(path, path.relative_to(folder).as_posix())
    return data.getvalue()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """Clients that are killed in the middle are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    state: RoboflowServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer(self._take if self.path.startswith("/dataset/") else self._sign_in)

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/export.zip":
            self._send_zip()
        else:
            self._answer(self._look_up)

    def _answer(self, make) -> None:
        address = urlsplit(self.path)
        self.state.requests.append(f"{self.command} {address.path}")
        if self.state.faults.silent_api:
            self.state.release.wait(60)
            self.close_connection = True
            return
        if self.state.faults.garbage:
            self._send(200, b"<html>maintenance</html>", "text/html")
            return
        if self.state.take("troubles"):
            self._send_json(500, {"error": "internal"})
            return
        if parse_qs(address.query).get("api_key") != [KEY]:
            self._send_json(401, {"error": {"message": "This API key does not exist", "status": 401}})
            return
        if (answer := make(address.path.strip("/").split("/"))) is None:
            self.close_connection = True  # cut before a word of the answer
            return
        self._send_json(*answer)

    def _sign_in(self, parts: list[str]) -> tuple[int, dict]:
        return 200, {"workspace": self.state.project.workspace}

    def _take(self, parts: list[str]) -> tuple[int, dict] | None:
        if parts[1] != self.state.project.name:
            return 404, {"error": {"message": "Project not found", "status": 404}}
        query = urlsplit(self.path).query
        if parts[2] == "upload":
            return self.state.uploads.take_picture(query, self.headers["Content-Type"], self.body)
        return self.state.uploads.take_annotation(parts[3], query, self.body)

    def _look_up(self, parts: list[str]) -> tuple[int, dict]:
        project = self.state.project
        if parts[0] != project.workspace:
            return 404, {"error": {"message": "Workspace not found", "status": 404}}
        if len(parts) == 1:
            projects = [{"id": f"{project.workspace}/{project.name}", "name": project.name, "type": project.kind}]
            about = {"name": "Acme", "url": project.workspace, "members": 1, "projects": projects}
            return 200, {"workspace": about}
        if parts[1] != project.name:
            return 404, {"error": {"message": "Project not found", "status": 404}}
        if len(parts) == 2:
            return 200, self._project()
        if not parts[2].isdigit() or int(parts[2]) not in project.versions:
            return 404, {"error": {"message": "Version not found", "status": 404}}
        if len(parts) == 3:
            generating = self.state.take("generating")
            about = {"generating": generating, "progress": 0.5, "images": 0 if generating else project.images}
            return 200, {"version": about}
        return self._export(parts[3])

    def _project(self) -> dict:
        project = self.state.project
        about = {
            "id": f"{project.workspace}/{project.name}", "type": project.kind, "name": project.name,
            "created": project.created, "updated": 1.7e9, "images": project.images, "unannotated": 0,
            "annotation": "parts",
            "public": False, "splits": {"train": 4}, "colors": {}, "classes": {}, "multilabel": project.multilabel,
        }  # fmt: skip
        versions = [
            {
                "id": f"{project.workspace}/{project.name}/{number}", "name": f"v{number}", "created": 1.7e9,
                "images": project.images, "splits": {}, "preprocessing": {}, "augmentation": {},
                "exports": list(project.exports),
            }
            for number in project.versions
        ]  # fmt: skip
        return {"workspace": {}, "project": about, "versions": versions}

    def _export(self, name: str) -> tuple[int, dict]:
        project = self.state.project
        if name not in project.formats:
            return 400, {"error": {"message": f"Unknown format {name}; on offer: {', '.join(project.formats)}"}}
        if self.state.take("preparing"):
            return 202, {"progress": 0.4}
        link = f"{self.state.url}/export.zip?X-Goog-Signature={SIGNATURE}&key={SIGNATURE}2"
        return 200, {"export": {"format": name, "link": link, "size": len(project.archive)}}

    def _send_zip(self) -> None:
        faults, data = self.state.faults, self.state.project.archive
        asked = self.headers.get("Range")
        self.state.requests.append(f"GET /export.zip {asked or ''}".strip())
        if self.state.take("link_troubles"):
            self._send(503, b"busy", "text/plain")
            return
        if faults.link_status != 200 or faults.html:
            self._send(faults.link_status, b"<html>Sign in</html>", faults.html_type)
            return
        mark = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
        start = 0
        if asked and faults.ranges and self.headers.get("If-Range", mark) == mark:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if faults.etag:
            self.send_header("ETag", mark)
        declared = len(data) - start if faults.declared is None else faults.declared
        self.send_header("Content-Length", str(declared))
        self.send_header("Content-Type", "application/zip")
        self.end_headers()
        self._send_body(data[start:])

    def _send_body(self, body: bytes) -> None:
        faults = self.state.faults
        try:
            if (hold := faults.hold_after) is not None:
                self.wfile.write(body[:hold])
                self.wfile.flush()
                self.state.holding.set()
                self.state.release.wait(60)
                body = body[hold:]
            if faults.cut_after is not None and self.state.take("cuts"):
                self.wfile.write(body[: faults.cut_after])
                self.close_connection = True
                return
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client went away, which is what some tests are about
        if faults.declared is not None:
            self.close_connection = True

    def _send_json(self, status: int, value: dict) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
