"""`cv split-dataset`: other train, valid and test splits, or folds, as a new dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .options import DatasetArgument, JsonOption, SeedOption, WorkspaceOption, print_json

if TYPE_CHECKING:
    from ..datasets.split import SplitReport


def split_dataset_command(
    name: DatasetArgument,
    ratios: Annotated[
        str | None,
        typer.Option(
            "--ratios", help="Shares of train/valid/test, or of train/valid: 80/20 has no test. Default: 70/20/10."
        ),
    ] = None,
    folds: Annotated[
        int,
        typer.Option("--folds", min=0, help="Make this many datasets instead, each validating on another part."),
    ] = 0,
    seed: SeedOption = 0,
    new_name: Annotated[
        str | None, typer.Option("--name", help="Name of the new dataset. Default: NAME-split; folds: NAME-fold1, ...")
    ] = None,
    workspace: WorkspaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Split a dataset anew: alike pictures stay together, and every split gets its share of every class.

    Example: cv split-dataset chess-v2 --ratios 70/20/10
    """
    from ..core.errors import UsageError
    from ..core.workspace import Workspace
    from ..datasets.split import DEFAULT_RATIOS, SplitConfig, parse_ratios, split_dataset

    if ratios and folds:
        raise UsageError("--ratios and --folds exclude each other.", next_step="leave one of them out")
    config = SplitConfig(parse_ratios(ratios) if ratios else DEFAULT_RATIOS, folds, seed, new_name)
    report = split_dataset(name, Workspace.find(workspace), config)
    if as_json:
        print_json(_as_data(report))
    else:
        _tell(report)


def _as_data(report: SplitReport) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "datasets": [
            {"name": folder.name, "folder": str(folder), "fingerprint": record.fingerprint, **asdict(after)}
            for folder, record, after in zip(report.folders, report.records, report.after, strict=True)
        ],
        "names": report.names,
        "before": asdict(report.before),
        "groups_kept_together": report.groups,
        "pictures_in_groups": report.grouped,
        "leaks_before": report.leaks_before,
        "leaks_after": report.leaks_after,
        "next": f"cv check-dataset {report.folders[0].name}",
    }


def _tell(report: SplitReport) -> None:
    from ..core.progress import say, warn
    from ..core.words import many
    from .tables import print_balance

    said = f"{many(report.grouped, 'picture')} in {many(report.groups, 'group')} show the same thing and stay together."
    say(said if report.groups else "No two pictures show the same thing.")
    if report.leaks_before:
        say(f"Pairs of such pictures in two splits: {report.leaks_before} before, {report.leaks_after} now.")
    for folder, after in zip(report.folders, report.after, strict=True):
        say(f"\n{folder}")
        print_balance(report.names, report.before, after)
    for remark in report.records[0].remarks:
        say(f"note: {remark}")
    if report.leaks_after:
        warn("the test split that was kept shows pictures of train and valid again; cv fix-dataset repairs that")
    say(f"Next: cv check-dataset {report.folders[0].name}")
