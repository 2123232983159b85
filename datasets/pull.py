"""Bring a version of a Roboflow project into the workspace, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..core.errors import DataError, DiskFullError, LensmithError, UsageError, is_disk_full
from ..core.files import restore_retired, sha256_of, slug, whole_folder
from ..core.words import some
from ..core.workspace import Workspace
from ..core.zips import Limits
from .archive import extract_dataset
from .fingerprint import fingerprint
from .formats.data_yaml import write_data_yaml
from .formats.layout import Layout
from .formats.yolo import picture_folders
from .licence import stated_licence
from .lock import dataset_lock
from .model import SPLITS, Dataset, Split
from .read import open_layout
from .record import DatasetRecord, RoboflowOrigin, read_record, verify
from .roboflow.download import DownloadConfig, discard, fetch_zip
from .roboflow.key import need_key
from .roboflow.reference import Reference, parse_reference
from .roboflow.version import FoundVersion, find_version
from .write import dataset_path, ensure_writable


@dataclass(frozen=True)
class PullConfig:
    """How to pull.

    Attributes:
        api_key: The key; None takes `ROBOFLOW_API_KEY`, else the one that `roboflow login` saved.
        name: Name of the dataset's folder; None makes `PROJECT-vVERSION`.
        force: Fetch again and replace what an earlier pull brought.
        timeout_seconds: How long Roboflow may take to get the export ready.
    """

    api_key: str | None = None
    name: str | None = None
    force: bool = False
    timeout_seconds: float = 600.0
    download: DownloadConfig = field(default_factory=DownloadConfig)
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True)
class Pulled:
    """What a pull ended with; `fetched` is False when the dataset was there already and every file is as it came."""

    folder: Path
    record: DatasetRecord
    fetched: bool


def pull_roboflow(given: str, workspace: Workspace, config: PullConfig | None = None) -> Pulled:
    """Pull a dataset: `datasets/<name>/` holds all of it in the end, or what was there before.

    Args:
        given: `WORKSPACE/PROJECT`, `WORKSPACE/PROJECT/VERSION`, or the address of the dataset's page.
        workspace: Where the dataset goes.
        config: Options; the defaults otherwise.

    Raises:
        UsageError: `given` is no reference, or the name is that of another dataset.
        AuthError, NotFoundError, LensmithError: see `roboflow.find_version` and `download.fetch_zip`.
        DataError: the archive or the dataset in it is not what it should be, or files of an earlier pull were changed.
    """
    config = config or PullConfig()
    wanted = parse_reference(given)
    ensure_writable(workspace)
    if not config.force and wanted.version is not None:
        target = _target(workspace, wanted, config)
        with dataset_lock(workspace, target.name):
            if done := _already_there(target, wanted):  # asks nobody, so it works without a network and without a key
                return done
    version = find_version(wanted, need_key(config.api_key, wanted.workspace), config.timeout_seconds)
    target = _target(workspace, version.reference, config)
    with dataset_lock(workspace, target.name):
        if config.force:
            _check_replaceable(target, version.reference)
        elif done := _already_there(target, version.reference):
            return done
        return _fetch(version, target, workspace, config)


def _target(workspace: Workspace, reference: Reference, config: PullConfig) -> Path:
    name = config.name if config.name is not None else f"{slug(reference.project)}-v{reference.version}"
    return dataset_path(workspace, name)


def _downloads(workspace: Workspace) -> Path:
    return workspace.datasets / ".downloads"


def _already_there(target: Path, wanted: Reference) -> Pulled | None:
    """The dataset when it stands there unchanged; None when nothing does."""
    restore_retired(target)
    if not target.exists():
        return None
    record = read_record(target)
    if record is None or _reference_of(record) != _lower(wanted):
        what = "a dataset of your own" if record is None else f"made from {record.origin}"
        raise UsageError(
            f"There is a dataset called '{target.name}' already, and it is {what}.",
            where=target,
            next_step="give this one another name with --name NAME",
        )
    if changed := verify(target, record):
        raise DataError(
            f"This dataset is no longer as it was pulled; missing or changed: {some(changed)}.",
            where=target,
            next_step="keep your changes under another name (rename the folder), or fetch it anew with --force",
        )
    return Pulled(target, record, fetched=False)


def _reference_of(record: DatasetRecord) -> Reference | None:
    """The version on Roboflow that a dataset was pulled from; None when it came from elsewhere."""
    origin = record.origin
    if not isinstance(origin, RoboflowOrigin):
        return None
    return _lower(Reference(origin.workspace, origin.project, origin.version))


def _lower(reference: Reference) -> Reference:
    return Reference(reference.workspace.lower(), reference.project.lower(), reference.version)


def _check_replaceable(target: Path, wanted: Reference) -> None:
    restore_retired(target)
    if not target.exists():
        return
    record = read_record(target)
    there = _reference_of(record) if record else None
    if there is None or (there.workspace, there.project) != (_lower(wanted).workspace, _lower(wanted).project):
        what = f"was pulled from {there}" if there else "was not pulled but made by you"
        raise UsageError(
            f"'{target.name}' {what}; --force does not replace it.",
            where=target,
            next_step="give this one another name with --name NAME",
        )


def _fetch(version: FoundVersion, target: Path, workspace: Workspace, config: PullConfig) -> Pulled:
    home = _downloads(workspace)
    format_, link = version.wait_for_export()
    name = slug(f"{str(version.reference).replace('/', '-')}-{format_}")
    if config.force:
        discard(home, name)
    archive = fetch_zip(link, home, name, config.download)
    try:
        with whole_folder(target, replace=config.force) as folder:
            record = _unpack(archive, folder, target, version, format_, config)
    except DataError:
        discard(home, name)  # the next call must not stumble over the same bytes
        raise
    except OSError as error:
        if is_disk_full(error):
            raise DiskFullError(workspace.datasets) from None
        raise
    discard(home, name)
    return Pulled(target, record, fetched=True)


def _unpack(
    archive: Path, folder: Path, target: Path, version: FoundVersion, format_: str, config: PullConfig
) -> DatasetRecord:
    folder = folder.resolve()
    extracted = extract_dataset(archive, folder, config.limits)
    licence = stated_licence(folder)
    files = dict(extracted.files)
    try:
        dataset = open_layout(Layout(folder, "yolo" if version.task == "detect" else "folder"))
    except LensmithError as error:
        # The folder that the message would name is gone by the time it is read.
        raise DataError(
            f"The export cannot be used. {error.what}", where=version.url, next_step="mend the version on Roboflow"
        ) from None
    if dataset.format == "yolo":
        places: dict[Split, list[str]] = {
            split: [home.relative_to(folder).as_posix() for home in homes]
            for split, homes in picture_folders(folder).items()
            if homes
        }
        write_data_yaml(folder, target, places, dataset.names)
        files["data.yaml"] = sha256_of(folder / "data.yaml")
    left_out = ", ".join(f"{count} {suffix}" for suffix, count in sorted(extracted.left_out.items()))
    remarks = [version.remark, f"Left out of the archive as not needed: {left_out}." if left_out else None]
    record = DatasetRecord(
        origin=RoboflowOrigin(
            workspace=version.reference.workspace,
            project=version.reference.project,
            version=version.reference.version or 0,
            url=version.url,
            export_format=format_,
            archive_sha256=sha256_of(archive),
        ),
        licence=licence,
        task=version.task,
        names=dataset.names,
        counts=_counts(dataset),
        fingerprint=fingerprint(dataset, {folder / name: digest for name, digest in extracted.files.items()}),
        files=files,
        remarks=tuple(remark for remark in remarks if remark),
    )
    record.save(folder)
    return record


def _counts(dataset: Dataset) -> dict[str, int]:
    return {split: dataset.count(split) for split in SPLITS}
