"""Python loads this at start when its folder is on PYTHONPATH: it notes what hostile data should never bring about.

CV_SUITE_LOG     file to which a line is added per forbidden event, by this process and by those that it starts
CV_SUITE_ROOT    the only folder in which anything may be written; what lies under `given` in it may only be read
"""

from __future__ import annotations

import os
import sys

_RUNS = {"os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile", "pty.spawn", "ctypes.dlopen"}
_TALKS = {
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request", "ftplib.connect",
    "http.client.connect", "smtplib.connect",
}  # fmt: skip
_CHANGES = {
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.chmod", "os.chown", "os.truncate",
    "os.utime", "shutil.rmtree", "shutil.move", "shutil.copyfile",
}  # fmt: skip
_ASKED_BY_LIBRARIES = {"uname", "fc-list"}  # while TensorFlow and matplotlib are imported
_FROM_FOLDERS = {"os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.chown", "os.utime", "shutil.rmtree"}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DANGEROUS = {"os", "posix", "nt", "subprocess", "shutil", "runpy", "importlib", "webbrowser", "socket"}


def _watch() -> None:
    log = os.open(os.environ["CV_SUITE_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    root = os.path.realpath(os.environ["CV_SUITE_ROOT"])
    given = os.sep + "given" + os.sep
    busy = False

    def place(path: object, folder: object = -1) -> str:
        """Where a path leads, `folder` being the open folder that it starts from; empty for what is no path."""
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if not isinstance(path, (str, os.PathLike)):
            return ""
        base = f"/proc/self/fd/{folder}" if isinstance(folder, int) and folder >= 0 else os.curdir
        return os.path.abspath(os.path.join(os.path.realpath(base), path))  # noqa: PTH100, PTH118 - links stay links

    def may_write(path: object, folder: object = -1) -> bool:
        where = place(path, folder)
        if not where or where.startswith(("/dev/", "/proc/self/")) or "__pycache__" in where:
            return True
        return where.startswith(root + os.sep) and given not in where.removeprefix(root)

    def is_forbidden(event: str, args: tuple) -> bool:
        if event in _RUNS:
            return event != "ctypes.dlopen" or place(args[0]).startswith(root)
        if event == "subprocess.Popen":
            if args[0] in _ASKED_BY_LIBRARIES:
                return False
            return os.path.realpath(str(args[0])) != os.path.realpath(sys.executable)
        if event in _TALKS:
            return True
        if event == "open" and isinstance(args[2], int):
            return bool(args[2] & _WRITING) and not may_write(args[0])
        if event in _CHANGES:
            if event in {"os.symlink", "os.link", "shutil.copyfile"}:  # the first path is only what it points to
                return not may_write(args[1], args[-1])
            return not may_write(args[0], args[-1] if event in _FROM_FOLDERS else -1)
        if event == "pickle.find_class":
            return str(args[0]).partition(".")[0] in _DANGEROUS
        if event == "import":
            return bool(args[1]) and place(args[1]).startswith(root)
        if event == "exec":
            return str(getattr(args[0], "co_filename", "")).startswith(root)
        return False

    def hook(event: str, args: tuple) -> None:
        nonlocal busy
        if busy:
            return
        busy = True
        try:
            if is_forbidden(event, args):
                os.write(log, f"{event} {args!r}\n".encode(errors="replace")[:2000])
        finally:
            busy = False

    sys.addaudithook(hook)


if "CV_SUITE_LOG" in os.environ:
    _watch()
