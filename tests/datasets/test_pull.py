"""`cv pull-dataset` against a local server, with Roboflow's real client."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from lensmith.core.errors import UsageError
from lensmith.core.workspace import Workspace
from lensmith.datasets.formats.data_yaml import read_yaml
from lensmith.datasets.read import open_dataset
from lensmith.datasets.record import read_record, verify
from lensmith.datasets.roboflow.reference import Reference, parse_reference
from tests.helpers import cv_path, make_folder_dataset, make_yolo_dataset, run_cv
from tests.roboflow_server import KEY, SIGNATURE, Faults, Project, RoboflowServer, serve, zip_folder

pytest.importorskip("roboflow")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    root = make_yolo_dataset(tmp_path_factory.mktemp("source"))
    with (root / "data.yaml").open("a") as file:
        file.write("roboflow: {workspace: acme, project: parts, version: 2, license: CC BY 4.0}\n")
    (root / "train/labels.cache").write_bytes(b"x")
    (root / "train/images/noise ü.bmp").write_bytes(random.Random(1).randbytes(400_000))
    return zip_folder(root)


def _pull(server: RoboflowServer, workspace: Workspace, *args: object, env: dict[str, str] | None = None):
    done = run_cv("pull-dataset", *args, cwd=workspace.root, env={**server.env(), **(env or {})})
    for text in (done.stdout, done.stderr):
        assert KEY not in text
        assert SIGNATURE not in text
    for path in workspace.root.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes()
            assert SIGNATURE.encode() not in path.read_bytes()
    return done


def _names(workspace: Workspace) -> list[str]:
    """What stands in datasets/, half-made and hidden things too; the lock files aside."""
    found = [path.name for path in workspace.datasets.iterdir() if path.name not in {".downloads", ".locks"}]
    found += [path.name for path in (workspace.datasets / ".downloads").glob("*")]
    return sorted(found)


def test_a_detection_project(workspace: Workspace, archive: bytes) -> None:
    with serve(Project(archive), Faults(generating=1, preparing=1)) as server:
        done = _pull(server, workspace, "acme/parts")
        assert done.returncode == 0, done.stderr
        assert done.stdout == ""
        for expected in (
            "train 5, valid 2, test 2",
            "cat, dog",
            "CC BY 4.0",
            "Next: cv train-yolo parts-v2",
            "1 .cache",
        ):
            assert expected in done.stderr
        root = workspace.datasets / "parts-v2"
        assert _names(workspace) == ["parts-v2"]
        content = yaml.safe_load((root / "data.yaml").read_text())
        assert content["path"] == str(root)
        assert (content["train"], content["val"], content["test"]) == ("train/images", "valid/images", "test/images")
        record = read_record(root)
        assert record is not None
        assert str(record.origin) == "acme/parts/2 on Roboflow"
        assert record.origin.export_format == "yolov11"
        assert verify(root, record) == []
        assert "data.yaml" in record.files
        assert open_dataset("parts-v2", workspace).remarks == ()

        again = _pull(server, workspace, "acme/parts", "--json")
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["fetched"] is False
        assert len(server.zips()) == 1

        asked = len(server.requests)
        offline = _pull(server, workspace, "acme/parts/2", env={"ROBOFLOW_API_KEY": ""})
        assert offline.returncode == 0, offline.stderr
        assert len(server.requests) == asked, "a version that is there is verified without asking anybody"


def test_a_classification_project_by_the_address_of_its_page(workspace: Workspace, tmp_path: Path) -> None:
    root = make_folder_dataset(tmp_path / "source")
    with serve(Project(zip_folder(root), kind="classification")) as server:
        address = "https://universe.roboflow.com/acme/parts/dataset/1?ref=x"
        done = _pull(server, workspace, address, "--name", "pièces", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["next"] == "cv finetune pièces"
    assert answer["origin"]["version"] == 1
    assert answer["counts"] == {"train": 8, "valid": 4, "test": 4}
    assert open_dataset("pièces", workspace).task == "classify"


def test_changed_files_are_named_and_only_force_replaces_them(workspace: Workspace, archive: bytes) -> None:
    with serve(Project(archive)) as server:
        assert _pull(server, workspace, "acme/parts/2").returncode == 0
        root = workspace.datasets / "parts-v2"
        label = root / "train/labels/train-000.txt"
        label.write_text("0 0.5 0.5 0.1 0.1\n")
        (root / "test/images/test-000.png").unlink()
        (root / "mine.txt").write_text("mine")
        done = _pull(server, workspace, "acme/parts/2")
        assert done.returncode == 5
        assert "test/images/test-000.png" in done.stderr
        assert "train/labels/train-000.txt" in done.stderr
        assert "--force" in done.stderr
        assert label.read_text() == "0 0.5 0.5 0.1 0.1\n"
        assert _pull(server, workspace, "acme/parts/2", "--force").returncode == 0
        assert verify(root, read_record(root)) == []  # type: ignore[arg-type]
        assert _names(workspace) == ["parts-v2"]


def test_a_dataset_of_ones_own_is_never_replaced(workspace: Workspace, archive: bytes) -> None:
    mine = make_yolo_dataset(workspace.datasets / "parts-v2")
    with serve(Project(archive)) as server:
        for arguments in (["acme/parts/2"], ["acme/parts/2", "--force"]):
            done = _pull(server, workspace, *arguments)
            assert done.returncode == 2
            assert "--name" in done.stderr
    assert len(list(mine.rglob("*.png"))) == 8


@pytest.mark.parametrize(
    ("project", "reference", "code", "message"),
    [
        ({}, "acme/parts/7", 3, "its versions are: 1, 2"),
        ({}, "acme/nothing", 3, "its projects are: parts"),
        ({}, "nobody/parts", 3, "your key belongs to the workspace 'acme'"),
        ({"versions": ()}, "acme/parts", 3, "no version yet"),
        ({"kind": "keypoint-detection"}, "acme/parts", 5, "keypoint-detection"),
        ({"kind": "classification", "multilabel": True}, "acme/parts", 5, "multi-label"),
        ({"formats": ("coco", "voc")}, "acme/parts", 5, "on offer: coco, voc"),
        ({}, "https://example.com/acme/parts", 2, "not an address of Roboflow"),
        ({}, "parts", 2, "WORKSPACE/PROJECT"),
    ],
)
def test_what_is_not_there_is_named(workspace: Workspace, archive: bytes, project, reference, code, message) -> None:
    with serve(Project(archive, **project)) as server:
        done = _pull(server, workspace, reference)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_older_formats_do_when_the_newest_is_not_on_offer(workspace: Workspace, archive: bytes) -> None:
    with serve(Project(archive, kind="instance-segmentation", formats=("yolov8",))) as server:
        done = _pull(server, workspace, "acme/parts", "--json")
    assert json.loads(done.stdout)["origin"]["export_format"] == "yolov8"
    assert "boxes around" in json.loads(done.stdout)["remarks"][0]


@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        (["--api-key", "wrongKey123456"], {}, "does not accept this key"),
        (["--api-key", ""], {}, "key is empty"),
        ([], {"ROBOFLOW_API_KEY": " "}, "key is empty"),
        (["--api-key", "ALLCAPS123"], {}, "not a Roboflow API key"),
        (["--api-key", "coco-128-sample"], {}, "demonstration key"),
    ],
)
def test_keys_that_do_not_open(workspace: Workspace, archive: bytes, arguments, env, message: str) -> None:
    with serve(Project(archive)) as server:
        done = _pull(server, workspace, "acme/parts", *arguments, env=env)
    assert done.returncode == 4, done.stderr
    assert message in done.stderr
    assert "API Keys" in done.stderr
    assert "wrongKey123456" not in done.stderr


def test_the_key_that_roboflow_login_saved(workspace: Workspace, archive: bytes, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    with serve(Project(archive)) as server:
        env = {**os.environ, **server.env(), "ROBOFLOW_CONFIG_DIR": str(config)}
        del env["ROBOFLOW_API_KEY"]
        command = [cv_path(), "pull-dataset", "acme/parts"]
        done = subprocess.run(command, env=env, cwd=workspace.root, capture_output=True, text=True, check=False)
        assert done.returncode == 4
        assert "There is no Roboflow key" in done.stderr
        saved = {"workspaces": {"id": {"url": "acme", "apiKey": KEY}}, "RF_WORKSPACE": "acme"}
        config.write_text(json.dumps(saved))
        del env["HOME"]  # the client's import fails without one
        done = subprocess.run(command, env=env, cwd=workspace.root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("faults", "code", "message"),
    [
        (Faults(generating=-1), 1, "took too long"),
        (Faults(preparing=-1), 1, "took too long"),
        (Faults(silent_api=True), 1, "does not answer"),
        (Faults(garbage=True), 1, "does not understand"),
        (Faults(html=True), 5, "not a zip"),
        (Faults(link_status=403), 1, "HTTP 403"),
    ],
)
def test_when_roboflow_fails_nothing_is_left_and_nothing_succeeds(
    workspace: Workspace, archive: bytes, faults: Faults, code: int, message: str
) -> None:
    with serve(Project(archive), faults) as server:
        done = _pull(server, workspace, "acme/parts/2", "--timeout", 3)
        assert done.returncode == code, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
        assert _names(workspace) == []
        server.faults = Faults()
        assert _pull(server, workspace, "acme/parts/2").returncode == 0


def test_a_server_in_trouble_is_asked_again_and_one_that_is_gone_is_named(workspace: Workspace, archive: bytes) -> None:
    with serve(Project(archive), Faults(troubles=1)) as server:
        assert _pull(server, workspace, "acme/parts").returncode == 0
    done = _pull(server, workspace, "acme/parts")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr


def _bad_zips(archive: bytes, tmp_path: Path) -> dict[str, bytes]:
    def made(name: str, data: bytes) -> bytes:
        path = tmp_path / "x.zip"
        path.write_bytes(archive)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr(name, data)
        return path.read_bytes()

    flipped = bytearray(archive)
    flipped[len(archive) // 2] ^= 0xFF
    return {
        "leads out": made("../../canary.txt", b"x"),
        "zip bomb": made("train/labels/bomb.txt", b"0" * (20 << 20)),
        "damaged": bytes(flipped),
        "no training pictures": zip_folder(make_yolo_dataset(tmp_path / "empty", {"test": 1})),
    }


@pytest.mark.parametrize("message", ["leads out", "zip bomb", "damaged", "no training pictures"])
def test_a_bad_archive_leaves_nothing(workspace: Workspace, archive: bytes, tmp_path: Path, message: str) -> None:
    with serve(Project(_bad_zips(archive, tmp_path)[message])) as server:
        done = _pull(server, workspace, "acme/parts/2")
    assert done.returncode == 5, done.stderr
    assert message in done.stderr
    assert _names(workspace) == []
    assert not list(tmp_path.rglob("canary.txt"))


def _start(server: RoboflowServer, workspace: Workspace) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [cv_path(), "pull-dataset", "acme/parts/2"], cwd=workspace.root, env={**os.environ, **server.env()},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, 130)])
def test_ended_while_downloading(workspace: Workspace, archive: bytes, how: int, code: int) -> None:
    with serve(Project(archive), Faults(hold_after=200_000)) as server:
        process = _start(server, workspace)
        assert server.holding.wait(60)
        process.send_signal(how)
        process.communicate(timeout=60)
        assert process.returncode == code
        assert not (workspace.datasets / "parts-v2").exists()
        server.faults.hold_after = None
        server.release.set()
        done = _pull(server, workspace, "acme/parts/2")
        assert done.returncode == 0, done.stderr
        assert _names(workspace) == ["parts-v2"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_killed_while_unpacking(workspace: Workspace, archive: bytes) -> None:
    """A wrapper kills the process with the fourth file it makes in the half-made folder."""
    code = """
import os, signal, sys
left = [4]
def hook(event, arguments):
    if event == "open" and ".partial/" in str(arguments[0]) and "x" in str(arguments[1]):
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(hook)
from lensmith.cli.app import main
sys.argv = ["cv", "pull-dataset", "acme/parts/2"]
main()
"""
    import sys

    with serve(Project(archive)) as server:
        env = {**os.environ, **server.env()}
        killed = subprocess.run(
            [sys.executable, "-c", code], cwd=workspace.root, env=env, capture_output=True, check=False
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert any(name.endswith(".partial") for name in _names(workspace))
        assert not (workspace.datasets / "parts-v2").exists()
        assert _pull(server, workspace, "acme/parts/2").returncode == 0
        assert _names(workspace) == ["parts-v2"]
        assert len(server.zips()) == 1, "the finished download is used again"


@pytest.mark.skipif(os.name == "nt", reason="POSIX limits")
@pytest.mark.parametrize("bytes_", [100_000, 399_000], ids=["while downloading", "while unpacking"])
def test_no_room_keeps_what_was_there(workspace: Workspace, tmp_path: Path, bytes_: int) -> None:
    """A limit on the size of a file gives the same kind of error as a full disk."""
    root = make_yolo_dataset(tmp_path / "source")
    # Packs to a few kilobytes, so that only the unpacked file is too large.
    (root / "train/images/large.bmp").write_bytes(random.Random(1).randbytes(4000) * 100)
    if bytes_ == 100_000:
        (root / "train/images/noise.bmp").write_bytes(random.Random(2).randbytes(200_000))
    with serve(Project(zip_folder(root))) as server:
        assert _pull(server, workspace, "acme/parts/2").returncode == 0
        before = (workspace.datasets / "parts-v2/dataset.json").read_bytes()
        done = subprocess.run(
            [cv_path(), "pull-dataset", "acme/parts/2", "--force"], cwd=workspace.root, text=True, capture_output=True,
            env={**os.environ, **server.env()}, check=False,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_, bytes_)),
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert "disk is full" in done.stderr
        assert (workspace.datasets / "parts-v2/dataset.json").read_bytes() == before
        assert _pull(server, workspace, "acme/parts/2").returncode == 0
        assert not [name for name in _names(workspace) if name.endswith(".retired")]


def test_two_pulls_at_once(workspace: Workspace, archive: bytes) -> None:
    with serve(Project(archive), Faults(hold_after=100_000)) as server:
        first = _start(server, workspace)
        assert server.holding.wait(60)
        second = _start(server, workspace)
        server.faults.hold_after = None
        assert second.stderr is not None
        assert "waiting for another command that writes" in second.stderr.readline()
        server.release.set()
        for process in (first, second):
            process.communicate(timeout=60)
            assert process.returncode == 0
        assert len(server.zips()) == 1
        assert _names(workspace) == ["parts-v2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ws/proj", Reference("ws", "proj")),
        (" ws/proj/12 ", Reference("ws", "proj", 12)),
        ("https://universe.roboflow.com/ws/proj", Reference("ws", "proj")),
        ("https://universe.roboflow.com/ws/proj/dataset/3", Reference("ws", "proj", 3)),
        ("https://universe.roboflow.com/ws/proj/model/3?x=1#y", Reference("ws", "proj", 3)),
        ("https://universe.roboflow.com/ws/proj/browse?queryText=&pageSize=50", Reference("ws", "proj")),
        ("universe.roboflow.com/ws/proj/3", Reference("ws", "proj", 3)),
        ("https://app.roboflow.com/ws/proj/3", Reference("ws", "proj", 3)),
    ],
)
def test_references(text: str, expected: Reference) -> None:
    assert parse_reference(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "a/b/x", "../b", "a/..", "a/b?c", "https://evil.com/a/b", "https://roboflow.com.evil.com/a/b"]
)
def test_what_is_no_reference(text: str) -> None:
    with pytest.raises(UsageError):
        parse_reference(text)


@pytest.mark.parametrize(
    ("name", "kind", "counts"),
    [
        ("detect/rubik-yolo", "object-detection", {"train": 208, "valid": 20, "test": 10}),
        ("classify/flowers", "classification", {"train": 10, "valid": 10, "test": 10}),
    ],
)
def test_real_exports(
    test_data: Path, workspace: Workspace, tmp_path: Path, name: str, kind: str, counts: dict
) -> None:
    source = test_data / name
    if kind == "classification":  # a small cut of it
        for folder in sorted(source.glob("*/*/")):
            target = tmp_path / "cut" / folder.relative_to(source)
            target.mkdir(parents=True)
            for path in sorted(folder.iterdir())[:5]:
                shutil.copy(path, target)
        for path in source.glob("README*"):
            shutil.copy(path, tmp_path / "cut")
        source = tmp_path / "cut"
    with serve(Project(zip_folder(source), kind=kind)) as server:
        done = _pull(server, workspace, "acme/parts", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["counts"] == counts
    assert answer["licence"] == {"object-detection": "MIT", "classification": "Public Domain"}[kind]
    if kind == "object-detection":
        assert read_yaml(Path(answer["folder"]) / "data.yaml")["val"] == "valid/images"
