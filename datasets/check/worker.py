"""A process of its own that looks at pictures: paths come in on stdin, looks go out on stdout.

Its own, rather than one of `multiprocessing`: it never runs the caller's script a second time, it knows which pictures
a worker had when it died, and it ends by itself when the process that started it is gone.
"""

from __future__ import annotations

import marshal
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Any

from .cache import LookCache
from .look import look_at

READY = "ready"


def send(pipe: IO[bytes], value: Any) -> None:
    """Write one value of plain Python types."""
    data = marshal.dumps(value)
    pipe.write(len(data).to_bytes(4) + data)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Any:
    """Read one value.

    Raises:
        EOFError: the other side is gone.
    """
    head = pipe.read(4)
    if len(head) < 4:
        raise EOFError
    data = pipe.read(int.from_bytes(head))
    return marshal.loads(data)  # noqa: S302 - from our own process; raises EOFError when it is cut short


def main() -> None:
    """Answer each list of paths with a list of looks, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; who started us ends us
    import cv2

    cv2.setNumThreads(1)
    questions, answers = sys.stdin.buffer, os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a decoder prints is no answer
    cache = LookCache(Path(sys.argv[1])) if len(sys.argv) > 1 else LookCache(None)
    waiting: queue.SimpleQueue[list[str] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(questions, waiting), daemon=True).start()
    try:
        send(answers, READY)
        while (paths := waiting.get()) is not None:
            send(answers, [tuple(look_at(path, cache.by_content)) for path in paths])
    except BrokenPipeError:
        return


def _listen(questions: IO[bytes], waiting: queue.SimpleQueue[list[str] | None]) -> None:
    """Take in questions while an answer waits to be read: else a full pipe each way would hold both sides for ever."""
    try:
        while True:
            waiting.put(receive(questions))
    except EOFError:
        waiting.put(None)
