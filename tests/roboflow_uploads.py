"""What the local Roboflow does with uploads: keeps each picture once, and says what goes wrong when a test wants it."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qs


@dataclass
class Stored:
    """A picture in the project."""

    id: str
    name: str
    split: str
    batch: str
    tags: list[str]
    data: bytes
    annotations: list[dict] = field(default_factory=list)


@dataclass
class Uploads:
    """The pictures of the project, and what goes wrong.

    Attributes:
        pictures: By SHA-256.
        sent: How often each content came.
        plan: What happens to the next requests (upload and annotate alike): a status, "cut" (before anything is kept),
            "lost" (kept, and the connection cut before the answer), "garbage" or "fine".
        always: The same for all requests once the plan is used up.
        refuse: A picture or annotation of which this is true is answered with 400.
        hold_after: After so many pictures the server keeps, requests wait for `release`.
        together: The first requests wait until so many pictures are being sent at once.
    """

    pictures: dict[str, Stored] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    plan: list[int | str] = field(default_factory=list)
    always: int | str = "fine"
    refuse: Callable[[str], bool] = lambda _name: False
    hold_after: int | None = None
    holding: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    together: int = 0
    enough: threading.Event = field(default_factory=threading.Event)
    most_at_once: int = 0
    at_once: int = 0

    def take_picture(self, query: str, content_type: str, body: bytes) -> tuple[int, dict] | None:
        """Keep a picture; the answer, or None for a cut connection."""
        with self.lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            if self.at_once >= self.together:
                self.enough.set()
            holds = self.hold_after is not None and len(self.pictures) >= self.hold_after
        try:
            self.enough.wait(10)
            if holds:
                self.holding.set()
                self.release.wait(60)
            return self._follow_plan(lambda: self._keep(query, content_type, body))
        finally:
            with self.lock:
                self.at_once -= 1

    def take_annotation(self, image_id: str, query: str, body: bytes) -> tuple[int, dict] | None:
        """Keep an annotation; the answer, or None for a cut connection."""
        return self._follow_plan(lambda: self._annotate(image_id, query, json.loads(body)))

    def by_name(self) -> dict[str, Stored]:
        """The pictures by their names."""
        return {picture.name: picture for picture in self.pictures.values()}

    def _follow_plan(self, take: Callable[[], tuple[int, dict]]) -> tuple[int, dict] | None:
        with self.lock:
            step = self.plan.pop(0) if self.plan else self.always
            if isinstance(step, int):
                return step, {"error": {"message": f"planned {step}", "status": step}}
            if step == "cut":
                return None
            answer = take()
            if step == "garbage":
                return 200, {}
            return None if step == "lost" else answer

    def _keep(self, query: str, content_type: str, body: bytes) -> tuple[int, dict]:
        asked = parse_qs(query)
        parts = _parts(content_type, body)
        name, split, data = parts["name"].decode(), parts["split"].decode(), parts["file"]
        if self.refuse(name):
            return 400, {"error": {"message": f"cannot read {name}", "status": 400}}
        digest = hashlib.sha256(data).hexdigest()
        self.sent[digest] = self.sent.get(digest, 0) + 1
        if digest in self.pictures:
            return 200, {"duplicate": True, "id": self.pictures[digest].id}
        identity = f"image{len(self.pictures)}"
        self.pictures[digest] = Stored(identity, name, split, asked["batch"][0], asked.get("tag", []), data)
        return 200, {"success": True, "id": identity}

    def _annotate(self, image_id: str, query: str, content: dict) -> tuple[int, dict]:
        asked = {key: values[0] for key, values in parse_qs(query, keep_blank_values=True).items()}
        picture = next((picture for picture in self.pictures.values() if picture.id == image_id), None)
        if picture is None:
            return 404, {"error": {"message": "Image not found", "status": 404}}
        if self.refuse(asked["name"]):
            return 400, {"error": {"message": f"cannot read {asked['name']}", "status": 400}}
        if picture.annotations and "overwrite" not in asked:
            return 409, {"error": {"message": "Image was already annotated.", "status": 409}}
        picture.annotations.append({**asked, **content})
        return 200, {"success": True}


def _parts(content_type: str, body: bytes) -> dict[str, bytes]:
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    return {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in message.iter_parts()  # type: ignore[attr-defined]
    }
