"""Commands on datasets, ended at any of their steps on the disk, without room on it, or two at once: what is there is
whole, and the next run succeeds.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import signal
import sys
import tempfile
import traceback
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from lensmith.core.errors import LensmithError, UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.crops import CropsConfig, cut_crops
from lensmith.datasets.export_dataset import ExportConfig, export_dataset
from lensmith.datasets.fix import FixConfig, fix_dataset
from lensmith.datasets.import_dataset import ImportConfig, import_dataset
from lensmith.datasets.read import open_dataset
from lensmith.datasets.record import read_record, verify
from lensmith.datasets.split import SplitConfig, split_dataset
from tests.helpers import make_yolo_dataset
from tests.suites.datasets import _digests

Action = Callable[[Workspace, Path], object]
ACTIONS: dict[str, tuple[Action, tuple[str, ...]]] = {
    "import a folder": (lambda to, given: import_dataset(given / "set", to, ImportConfig(name="new")), ("new",)),
    "import links": (lambda to, given: import_dataset(given / "set", to, ImportConfig("new", link=True)), ("new",)),
    "import a zip": (lambda to, given: import_dataset(given / "set.zip", to, ImportConfig(name="new")), ("new",)),
    "import again": (lambda to, given: import_dataset(given / "set", to, ImportConfig("set", force=True)), ("set",)),
    "fix": (lambda to, _: fix_dataset("set", to, FixConfig(name="new")), ("new",)),
    "split": (lambda to, _: split_dataset("set", to, SplitConfig(name="new")), ("new",)),
    "folds": (lambda to, _: split_dataset("set", to, SplitConfig(folds=3)), ("set-fold1", "set-fold2", "set-fold3")),
    "crops": (lambda to, _: cut_crops("set", to, CropsConfig(name="new")), ("new",)),
    "export": (lambda to, _: export_dataset("set", "coco", to, ExportConfig(to.root / "out")), ()),
    "export a zip": (lambda to, _: export_dataset("set", "yolo", to, ExportConfig(to.root / "out.zip")), ()),
}
POINTS = 20
_WHOLE: dict[str, tuple[Path, dict[str, Any]]] = {}
ROOM = (0, 700, 3000)  # bytes that a file may have on a disk that is full
KILLS = len(ACTIONS) * POINTS
FULL = len(ACTIONS) * len(ROOM)
PAIRS = list(
    itertools.combinations_with_replacement([name for name, (_, made) in ACTIONS.items() if made == ("new",)], 2)
)
COUNT = KILLS + FULL + len(PAIRS)
MEMORY_BYTES = 2 << 30
FILE_BYTES = 256 << 20
_STEPS = {"os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "shutil.rmtree"}
_WRITING = os.O_WRONLY | os.O_RDWR


class Laid(NamedTuple):
    """A case: a command, and a point in it at which it is ended and how, or the room that a file has, or another
    command at the same time.
    """

    name: str
    share: float
    how: signal.Signals | None
    room: int
    given: Path
    work: Path
    other: str = ""


def warm_up() -> None:
    """All that is loaded later would count as memory of a case."""


def prepare(number: int, folder: Path) -> Laid:
    """A folder that somebody gave, and a workspace that has it as a dataset."""
    given = folder / "given"
    make_yolo_dataset(given / "set", {"train": 6, "valid": 3, "test": 3})
    picture = given / "set/train/images/train-000.png"
    (given / "set/train/images/copy.png").write_bytes(picture.read_bytes())
    with zipfile.ZipFile(given / "set.zip", "w") as archive:
        for path in sorted((given / "set").rglob("*")):
            archive.write(path, path.relative_to(given))
    work = folder / "work"
    work.mkdir()
    _in_fork(lambda: import_dataset(given / "set", Workspace(work)) and None)
    if number >= KILLS + FULL:
        first, second = PAIRS[number - KILLS - FULL]
        return Laid(first, 0, None, 0, given, work, other=second)
    if number >= KILLS:
        action, room = divmod(number - KILLS, len(ROOM))
        name, share, how, bytes_ = list(ACTIONS)[action], 0.0, None, ROOM[room]
    else:
        action, point = divmod(number, POINTS)
        name, share, bytes_ = list(ACTIONS)[action], point / (POINTS - 1), 0
        how = (signal.SIGKILL, signal.SIGINT)[point % 2]
    if name not in _WHOLE:
        _WHOLE[name] = _undisturbed(name, given, folder.parent)
    return Laid(name, share, how, bytes_, given, work)


def _undisturbed(name: str, given: Path, root: Path) -> tuple[Path, dict[str, Any]]:
    """The workspace after a command that nobody disturbed, and how that went."""
    folder = Path(tempfile.mkdtemp(dir=root))
    _in_fork(lambda: import_dataset(given / "set", Workspace(folder)) and None)
    return folder, _in_fork(lambda: ACTIONS[name][0](Workspace(folder), given) and None, count_in=folder)


def run(case: Laid, _folder: Path) -> tuple[str, str, list[str]]:
    """One case; see `box.Outcome`."""
    action, _ = ACTIONS[case.name]
    before = _digests(case.given)
    if case.other:
        return _two_at_once(case, before)
    work = Workspace(case.work)
    _, whole = _WHOLE[case.name]
    if "error" in whole:
        return "crash", f"{case.name}: {whole['error']}", []
    if case.how is None:
        label = f"{case.name}, {case.room} bytes of room"
        ended = _in_fork(lambda: action(work, case.given) and None, room=case.room)
        fits = "value" in ended or ended.get("refused") == "DiskFullError"
        broken = [] if fits else [f"it did not say that the disk is full: {ended}"]
    else:
        stop = max(1, round(case.share * whole["steps"]))
        label = f"{case.name}, {case.how.name} at step {stop} of {whole['steps']}"
        ended = _in_fork(lambda: action(work, case.given) and None, count_in=case.work, stop=stop, how=case.how)
        broken = [] if ended.get("died") == case.how.name else [f"it was not ended: {ended}"]
    state = _in_fork(lambda: _state(work, case, tidy=case.how != signal.SIGKILL))
    broken += state.get("value", [str(state)])
    again = _in_fork(lambda: _again(action, work, case))
    wrong, ran = again.get("value", [[str(again)], True])
    broken += wrong
    # What a kill left is swept by the next run that writes there; one that finds it done writes nothing.
    broken += _in_fork(lambda: _state(work, case, tidy=ran)).get("value", ["no state"])
    if _digests(case.given) != before:
        broken.append("what was given has changed")
    return "ok", label, [f"{label}: {line}" for line in broken]


def _two_at_once(case: Laid, before: dict[str, str]) -> tuple[str, str, list[str]]:
    """Two commands that make a dataset of the same name: one does, and no file of the other gets into it."""
    work = Workspace(case.work)
    label = f"{case.name} and {case.other}"
    both = [_start(lambda name=name: ACTIONS[name][0](work, case.given) and None) for name in (case.name, case.other)]
    ends = [_result(*started) for started in both]
    broken = [str(end) for end in ends if "value" not in end and end.get("refused") != "UsageError"]
    if not any("value" in end for end in ends):
        broken.append(f"neither did anything: {ends}")
    broken += _in_fork(lambda: _state(work, case, tidy=True)).get("value", ["no state"])
    if not (work.datasets / "new").is_dir() or _digests(case.given) != before:
        broken.append("nothing was made, or what was given has changed")
    return "ok", label, [f"{label}: {line}" for line in broken]


def _again(action: Action, work: Workspace, case: Laid) -> tuple[list[str], bool]:
    """Run the command again, and compare with the run that nobody ended; whether it did anything."""
    _, names = ACTIONS[case.name]
    ran = True
    try:
        action(work, case.given)
    except UsageError as error:  # it was through already
        if not all((work.datasets / name / "dataset.json").is_file() for name in names):
            return [f"half of it is in the way: {error}"], True
        ran = False
    wrong = []
    whole, _ = _WHOLE[case.name]
    for name in names:
        done, expected = read_record(work.datasets / name), read_record(whole / "datasets" / name)
        if done is None or expected is None or done.fingerprint != expected.fingerprint:
            wrong.append(f"{name} is another dataset than without the kill")
    for path in whole.glob("out*"):
        there = case.work / path.name
        mine, other = ([p.name for p in sorted(root.rglob("*"))] for root in (path, there))
        if not there.exists() or mine != other or (there.is_file() and there.stat().st_size != path.stat().st_size):
            wrong.append(f"{path.name} is another export than without the kill")
    return wrong, ran


def _state(work: Workspace, case: Laid, *, tidy: bool) -> list[str]:
    """What is wrong with the datasets that a person would see."""
    wrong = []
    for folder in sorted(work.datasets.iterdir()):
        if folder.name.startswith("."):
            if tidy and folder.name != ".locks":
                wrong.append(f"left behind: {folder.name}")
            continue
        record = read_record(folder)
        if record is None:
            wrong.append(f"{folder.name} has no record")
        elif changed := verify(folder, record):
            wrong.append(f"{folder.name} is not whole: {changed[:3]}")
        else:
            dataset = open_dataset(folder.name, work)
            if dataset.count() != sum(record.counts.values()):
                wrong.append(f"{folder.name} has {dataset.count()} pictures of {record.counts}")
    if case.name != "import again" and not (work.datasets / "set").exists():
        wrong.append("the dataset that was there is gone")
    if tidy:
        wrong += [f"left behind: {path.name}" for path in work.root.iterdir() if path.name.startswith(".")]
    return wrong


def _in_fork(
    action: Callable[[], Any],
    *,
    count_in: Path | None = None,
    stop: int = 0,
    how: signal.Signals | None = None,
    room: int | None = None,
) -> dict[str, Any]:
    """Run something in a process of its own: its value, its steps on the disk, its error, or how it died."""
    return _result(*_start(action, count_in, stop, how, room))


def _start(
    action: Callable[[], Any],
    count_in: Path | None = None,
    stop: int = 0,
    how: signal.Signals | None = None,
    room: int | None = None,
) -> tuple[int, int]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what is said there would find no room either
        signal.signal(signal.SIGINT, signal.default_int_handler)
        steps = _count_steps(count_in, stop, how or signal.SIGKILL) if count_in else [0]
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
        try:
            told: dict[str, Any] = {"value": action(), "steps": steps[0]}
        except KeyboardInterrupt:
            told = {"died": "SIGINT"}
        except LensmithError as error:
            told = {"refused": type(error).__name__, "error": str(error)}
        except BaseException:
            told = {"error": traceback.format_exc(limit=-5)}
        with os.fdopen(writing, "w") as pipe:
            json.dump(told, pipe)
        os._exit(0)
    os.close(writing)
    return child, reading


def _result(child: int, reading: int) -> dict[str, Any]:
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"died": signal.Signals(os.WTERMSIG(status)).name}
    return json.loads(text)


def _count_steps(root: Path, stop: int, how: signal.Signals) -> list[int]:
    """From now on count what is written below a folder, and end this process at a step."""
    steps = [0]
    prefix = str(root) + os.sep

    def hook(event: str, args: tuple) -> None:
        writes = event == "open" and isinstance(args[2], int) and bool(args[2] & _WRITING)
        counts = writes or event in _STEPS
        if not counts or not isinstance(args[0], (str, os.PathLike)) or not os.fspath(args[0]).startswith(prefix):
            return
        steps[0] += 1
        if steps[0] == stop:
            os.kill(os.getpid(), how)

    sys.addaudithook(hook)
    return steps
