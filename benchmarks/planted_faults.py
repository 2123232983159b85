"""Plant every fault that `cv check-dataset` knows at known places of clean data, and see what it finds and makes up.

Prints recall (of the planted places, how many it names) and precision (of the places it names, how many are planted)
for each kind of finding, over datasets in all four layouts; then repairs each dataset and looks again. The pictures are
real photographs where the real data is at hand (`CV_TEST_DATA`), else drawn ones; the boxes are drawn by lot.

    python benchmarks/planted_faults.py [--each 40] [--seed 1] [--only NAME] [--no-repair] [--folder FOLDER]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from planting.cases import cases
from planting.mending import mend
from planting.photos import Photos
from planting.score import Tally, count, tallies
from planting.site import Site

from lensmith.core.errors import LensmithError
from lensmith.core.workspace import Workspace
from lensmith.datasets.check.run import CheckReport, check_dataset
from lensmith.datasets.read import open_dataset


def look(site: Site, score: dict[str, Tally]) -> str:
    """Check one dataset and add to the score; the error's text where it cannot be opened at all."""
    try:
        report = check_dataset(open_dataset(site.root, Workspace(site.root.parent)))
    except LensmithError as error:
        count(score, site, (), ())
        return f"{site.root.name}: {error}"
    count(score, site, report.findings, joined(report))
    return ""


def joined(report: CheckReport) -> list[set[Path]]:
    """The pictures of each group of twins."""
    groups: list[set[Path]] = []
    for twin in report.twins:
        pair = {twin.first.image, twin.second.image}
        touched = [group for group in groups if group & pair]
        groups = [group for group in groups if not group & pair] + [pair.union(*touched)]
    return groups


def print_score(score: dict[str, Tally]) -> None:
    """One line a kind."""
    print(f"{'kind':26} {'planted':>7} {'recall':>7} {'named':>7} {'precision':>9}")
    for kind in sorted(score):
        tally = score[kind]
        if tally.planted or tally.named:
            recall, precision = (
                f"{share:.3f}" if share is not None else "-" for share in (tally.recall, tally.precision)
            )
            print(f"{kind:26} {tally.planted:7d} {recall:>7} {tally.named:7d} {precision:>9}")
    print("\nnear-across by what was done")
    for variant, (found, planted) in score["near-across"].variants.items():
        print(f"  {variant:38} {found / planted:.3f} of {planted}")
    for kind in sorted(score):
        for missed in score[kind].missed:
            print(f"missed  {kind}: {missed}")
        for false in score[kind].false:
            print(f"false   {kind}: {false}")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--each", type=int, default=40, help="photographs for each edit")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--no-repair", dest="repair", action="store_false", help="look only")
    parser.add_argument("--folder", type=Path, help="where the datasets are kept; a temporary folder by default")
    options = parser.parse_args()
    data = Path(os.environ.get("CV_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    video = data / "video" / "household-items-short.mp4"
    with tempfile.TemporaryDirectory() as temporary:
        os.environ.setdefault("CV_CACHE", str(Path(temporary, "cache")))
        folder = options.folder or Path(temporary, "datasets")
        score, errors, wrong, started = tallies(), [], [], time.perf_counter()
        chosen = [case for case in cases(options.each, video if video.is_file() else None) if options.only in case.name]
        for case in chosen:
            print(f"\r{case.name:40}", end="", file=sys.stderr)
            site = case.make(folder, options.seed)
            errors.append(look(site, score))
            if options.repair and not errors[-1]:
                wrong += [f"{case.name}: {said}" for said in mend(site, Workspace(folder / "repaired"))]
        print(file=sys.stderr)
        print_score(score)
        for error in filter(None, errors):
            print(f"error   {error}")
        for said in wrong:
            print(f"repair  {said}")
        kind = "real" if Photos(0).real else "drawn"
        print(f"{len(chosen)} datasets of {kind} photographs, {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
