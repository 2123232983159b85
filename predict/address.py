"""What `cv live` may look at: a camera by number, a stream by address, a video file. And how each is opened."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2

from ..core.errors import DataError, LensmithError, NotFoundError, UsageError
from ..core.redact import MASK, redact
from .video import CONTAINERS, ffmpeg_options, open_video

OPEN_TIMEOUT_SECONDS = 5.0
READ_TIMEOUT_SECONDS = 5.0
SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https")

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_LOGIN = re.compile(r"(?<=://)[^/\s?#]+@")  # up to the last @: a password may hold one
_QUERY = re.compile(r"\?.*$")
# A stream may not send FFmpeg to files of this machine, nor through a playlist to other addresses.
_STREAM_OPTIONS = (
    "protocol_whitelist;rtsp,rtsps,rtp,srtp,rtmp,rtmps,http,https,httpproxy,tls,tcp,udp,crypto"
    f"|format_whitelist;rtsp,rtp,sdp,{CONTAINERS}"
)
_OTHER_WAYS = "show a stream or a video instead: cv live --source rtsp://... or --source FILE"


@dataclass(frozen=True)
class Address:
    """Something that gives frames over time.

    Attributes:
        kind: "camera", "stream" or "file".
        target: The camera's number, the address with its login, or the path.
        label: How it is called on screen and in records: without login and keys.
    """

    kind: Literal["camera", "stream", "file"]
    target: int | str | Path
    label: str


def parse_address(given: str) -> Address:
    """Read `--camera` or `--source`.

    Raises:
        UsageError: an address of a kind that is not allowed.
        NotFoundError: neither a number nor an address, and no such file.
    """
    text = given.strip()
    if text.isdigit():
        return Address("camera", int(text), f"camera {int(text)}")
    if match := _SCHEME.match(text):
        if match[1].lower() not in SCHEMES:
            raise UsageError(
                f"Addresses that begin with {match[1]}:// cannot be shown.",
                where="--source",
                next_step="use " + ", ".join(f"{scheme}://" for scheme in SCHEMES) + ", a camera number, or a file",
            )
        return Address("stream", text, hide_login(text))
    path = Path(text).expanduser()
    if not path.is_file():
        raise NotFoundError(
            f"There is no video '{redact(text)}'.",
            where=path.absolute(),
            next_step="give a camera number, an address such as rtsp://..., or a video file",
        )
    return Address("file", path, str(path))


def is_address(text: str) -> bool:
    """Whether this begins as an address does; `C://x` is a path of Windows."""
    match = _SCHEME.match(text)
    return match is not None and len(match[1]) > 1


def hide_login(address: str) -> str:
    """An address that may be shown and written down: no login, and nothing after a question mark."""
    return redact(_QUERY.sub(f"?{MASK}", _LOGIN.sub(f"{MASK}@", address)))


def open_capture(address: Address) -> cv2.VideoCapture:
    """Open it, within the time-outs.

    Raises:
        NotFoundError: no such camera, or nothing answers at the address; with the cameras that are here.
        DataError: the file is no video.
        LensmithError: the camera is there but cannot be used.
    """
    if isinstance(address.target, int):
        return _open_camera(address.target)
    if isinstance(address.target, Path):
        return open_video(address.target)
    limits = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(1000 * OPEN_TIMEOUT_SECONDS),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(1000 * READ_TIMEOUT_SECONDS),
        cv2.CAP_PROP_N_THREADS, 1,  # with n of them FFmpeg gives a frame only when n - 1 more have come
    ]  # fmt: skip
    transport = "rtsp_transport;tcp|" if address.target.lower().startswith("rtsp") else ""
    with ffmpeg_options(transport + _STREAM_OPTIONS):
        capture = cv2.VideoCapture(address.target, cv2.CAP_FFMPEG, limits)
    if not capture.isOpened():
        raise NotFoundError(
            "Nothing that can be shown answers at this address.",
            where=address.label,
            next_step="check the address, the login and the network; playlists (.m3u8) are not followed",
        )
    return capture


def cameras_here() -> dict[int, str]:
    """Number and name of the cameras that the system lists; empty where it does not tell (other than Linux)."""
    found = {}
    for device in Path("/dev").glob("video*"):
        number = device.name.removeprefix("video")
        if number.isdigit():
            name = Path("/sys/class/video4linux") / device.name / "name"
            found[int(number)] = name.read_text().strip() if name.is_file() else "camera"
    return dict(sorted(found.items()))


def find_camera(given: str) -> Address:
    """The camera that a person means by its number, or by a part of its name in capitals or small letters.

    Raises:
        NotFoundError: none is called so; with those that are here.
        UsageError: several are.
    """
    text = given.strip()
    if text.isdigit():
        return Address("camera", int(text), f"camera {int(text)}")
    here = cameras_here()
    found = {number: name for number, name in here.items() if text and text.casefold() in name.casefold()}
    if not found:
        raise _no_camera(f"'{given}'", here)
    if len(set(found.values())) > 1:  # one camera may have several numbers: the first gives pictures
        raise UsageError(
            f"'{given}' may mean several cameras: {_listed(found)}.",
            where="--camera",
            next_step="give more of the name, or the number",
        )
    number, name = next(iter(found.items()))
    return Address("camera", number, f"camera {number} ({name})")


def check_camera(number: int) -> None:
    """Fail early, with what is there, when the system knows that there is no such camera.

    Raises:
        NotFoundError: there is none of that number.
    """
    if sys.platform.startswith("linux") and number not in (here := cameras_here()):
        raise _no_camera(str(number), here)


def _open_camera(number: int) -> cv2.VideoCapture:
    check_camera(number)
    backend = cv2.CAP_V4L2 if sys.platform.startswith("linux") else cv2.CAP_ANY
    capture = cv2.VideoCapture(number, backend)
    if capture.isOpened():
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        return capture
    here = cameras_here()
    if number in here:
        raise LensmithError(
            f"Camera {number} ({here[number]}) is there, but it cannot be opened.",
            where=f"/dev/video{number}",
            next_step="close other programs that use it, and check that you may read it; or try another number",
        )
    raise _no_camera(str(number), here)


def _listed(cameras: dict[int, str]) -> str:
    return ", ".join(f"{number} ({name})" for number, name in cameras.items())


def _no_camera(which: str, here: dict[int, str]) -> NotFoundError:
    if here:
        found = f"cameras found: {_listed(here)}; choose one with --camera"
    elif sys.platform.startswith("linux"):
        found = "no camera was found on this machine"
    else:
        found = "check that it is plugged in, and that the system's privacy settings let this terminal use it"
    return NotFoundError(f"There is no camera {which}.", where="--camera", next_step=f"{found}; or {_OTHER_WAYS}")


def check_address(address: Address) -> None:
    """What can be found out without opening: a missing camera, an empty file.

    Raises:
        NotFoundError, DataError: see `open_capture`.
    """
    if isinstance(address.target, int):
        check_camera(address.target)
    elif isinstance(address.target, Path) and address.target.stat().st_size == 0:
        raise DataError("The video file is empty.", where=address.target)
