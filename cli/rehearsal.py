"""What `cv train-yolo --rehearse` says."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from .options import print_json

if TYPE_CHECKING:
    from ..detect.rehearse import Rehearsal


def tell_rehearsal(done: Rehearsal, as_json: bool) -> int:
    """Say what a rehearsal showed, or print it as JSON; the exit code is 1 when a stage failed."""
    from ..core.duration import duration_words
    from ..core.progress import say

    if as_json:
        print_json({"ok": done.ok, **asdict(done)})
        return 0 if done.ok else 1
    if not done.ok:
        failed = done.stages[-1]
        say(f"The rehearsal failed at the stage '{failed.name}':")
        say(failed.problem or "")
        say("next: put this right and rehearse again; the long run would have failed there too. Nothing was kept.")
        return 1
    total = sum(stage.seconds for stage in done.stages)
    say(f"Every stage went well, in {total:.0f} s. Nothing was kept.")
    if (estimate := done.estimate) is not None:
        whole, epoch = (duration_words(max(one, 1)) for one in (estimate.seconds, estimate.epoch_seconds))
        kept = f"{estimate.run_bytes / 1e6:.0f} MB in runs/ and {estimate.bundle_bytes / 1e6:.0f} MB in weights/"
        say(
            f"The long run will take about {whole} ({epoch} an epoch) and leave {kept};"
            f" while it trains it needs up to {estimate.most_bytes / 1e6:.0f} MB of disk space."
            " That is rough: half or twice as much is possible."
        )
    say("next: run the same command without --rehearse")
    return 0
