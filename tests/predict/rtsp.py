"""A real RTSP server (GStreamer's) that sends H.264 as a network camera does, stopped and started as a test likes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

_PYTHON = Path("/usr/bin/python3")  # Debian's own has GStreamer's bindings
_PACKAGES = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-{base,good,ugly}"

# Pictures as those of `mjpeg.NetworkCamera`, 64 x 48: the left half tells the number, the right half is white.
_SERVER = """
import sys, gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer

Gst.init(None)
WIDTH, HEIGHT, RATE = 64, 48, int(sys.argv[2])
number = int(sys.argv[3])
LAUNCH = (
    f"( appsrc name=pictures is-live=true format=time caps=video/x-raw,format=GRAY8,width={WIDTH},height={HEIGHT},"
    f"framerate={RATE}/1 ! videoconvert ! video/x-raw,format=I420 ! x264enc tune=zerolatency key-int-max={RATE} "
    "bitrate=2000 speed-preset=ultrafast ! rtph264pay name=pay0 pt=96 )"
)

def send(source):
    global number
    row = bytes([number % 250] * (WIDTH // 2) + [255] * (WIDTH // 2))
    picture = Gst.Buffer.new_wrapped(row * HEIGHT)
    clock, base = source.get_clock(), source.get_base_time()
    if clock is not None:
        picture.pts = picture.dts = max(clock.get_time() - base, 0)
        picture.duration = Gst.SECOND // RATE
        if source.emit("push-buffer", picture) != Gst.FlowReturn.OK:
            return False
        number += 1
    return True

class Factory(GstRtspServer.RTSPMediaFactory):
    def do_configure(self, media):
        source = media.get_element().get_child_by_name("pictures")
        GLib.timeout_add(1000 // RATE, send, source)

server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = Factory()
factory.set_launch(LAUNCH)
factory.set_shared(True)
server.get_mount_points().add_factory("/live", factory)
assert server.attach(None)
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


class RtspCamera:
    """The server. The port stays the same when it is plugged in again."""

    def __init__(self, rate: int = 20) -> None:
        self._rate = rate
        self.port = 0
        self.frozen = False
        self._process: subprocess.Popen[str] | None = None

    @property
    def address(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/live"

    def plug_in(self, first: int = 0) -> RtspCamera:
        """Start it; the first picture has this number."""
        self._process = subprocess.Popen(
            [str(_PYTHON), "-c", _SERVER, str(self.port), str(self._rate), str(first)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            _, trouble = self._process.communicate(timeout=30)
            self._process = None
            raise AssertionError(trouble)
        self.port = int(line)
        return self

    def freeze(self) -> None:
        """Stop sending without closing the connection."""
        assert self._process
        os.kill(self._process.pid, signal.SIGSTOP)
        self.frozen = True

    def unplug(self) -> None:
        """Everything stops at once."""
        self.frozen = False
        if self._process:
            self._process.kill()
            self._process.communicate(timeout=30)
            self._process = None


def need_rtsp_server() -> None:
    """Skip the test where GStreamer's server is not installed; fail it where all tests must run."""
    try:
        subprocess.run(
            [str(_PYTHON), "-c", "import gi; gi.require_version('GstRtspServer', '1.0')\n"
             "from gi.repository import Gst, GstRtspServer; Gst.init(None)\n"
             "assert all(map(Gst.ElementFactory.find, ('x264enc', 'rtph264pay', 'appsrc')))"],
            capture_output=True, check=True, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        text = f"no RTSP server here (Debian: apt install {_PACKAGES})"
        if os.environ.get("CI"):
            pytest.fail(text)
        pytest.skip(text)
