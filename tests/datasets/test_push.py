"""`cv push-dataset` against a local server, with Roboflow's real client."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lensmith.core.errors import AuthError, LensmithError, NotFoundError
from lensmith.core.workspace import Workspace
from lensmith.datasets.formats.labels import read_labels
from lensmith.datasets.push import push_dataset
from lensmith.datasets.read import open_dataset
from lensmith.datasets.roboflow.upload import UploadConfig
from lensmith.datasets.roboflow.workers import PushConfig
from tests.helpers import cv_path, make_folder_dataset, make_yolo_dataset, run_cv
from tests.predict.make_bundle import make_detector
from tests.predict.test_unsure import shots
from tests.roboflow_server import KEY, Faults, Project, RoboflowServer, serve

pytest.importorskip("roboflow")
PATIENT = UploadConfig(connect_seconds=5, read_seconds=5, attempts=4, backoff_seconds=0.01)


def _push(server: RoboflowServer, workspace: Workspace, *args: object) -> subprocess.CompletedProcess[str]:
    done = run_cv("push-dataset", *args, cwd=workspace.root, env=server.env())
    assert KEY not in done.stdout + done.stderr
    for path in workspace.root.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes()
    return done


@pytest.fixture
def speaking(monkeypatch: pytest.MonkeyPatch):
    """Lets the client in this process speak to a server."""

    def speak(server: RoboflowServer) -> None:
        for name, value in server.env().items():
            monkeypatch.setenv(name, value)

    return speak


def _labels_of(workspace: Workspace, tmp_path: Path, annotation: dict):
    path = tmp_path / "arrived.txt"
    path.write_text(annotation["annotationFile"])
    return read_labels(path, len(annotation["labelmap"]))


def test_a_detection_dataset_arrives_whole_and_once(workspace: Workspace, tmp_path: Path) -> None:
    names = ("a&b #1", "dög/x?y=z", "plain")
    root = make_yolo_dataset(workspace.datasets / "parts", names=names)
    (root / "train/labels/train-000.txt").write_text("2 0.12345678 0.3333333 0.1 0.2\n0 0.5 0.5 0.7 0.25\n")
    (root / "train/labels/train-001.txt").write_text("")
    (root / "train/labels/train-002.txt").unlink()
    odd = root / "train/images/a & b=c #%41 ü.png"
    odd.write_bytes((root / "train/images/train-003.png").read_bytes() + b"\0")
    (root / "train/labels/a & b=c #%41 ü.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    with serve(Project(b"")) as server:
        options = ["--tag", "x&y", "--tag", "z", "--batch-name", "line 1 & 2", "--json"]
        done = _push(server, workspace, "parts", "--project", "acme/parts", *options)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["uploaded"], answer["annotated"], answer["already_there"]) == (9, 8, 0)
        arrived = server.uploads.by_name()
        dataset = open_dataset("parts", workspace)
        for item in dataset.items():
            there = arrived[item.image.name]
            assert there.split == item.split
            assert there.data == item.image.read_bytes()
            assert (there.batch, there.tags) == ("line 1 & 2", ["x&y", "z"])
            boxes, _ = dataset.boxes(item)
            if not len(boxes):
                continue
            (annotation,) = there.annotations
            assert annotation["name"] == f"{item.image.stem}.txt"
            assert annotation["jobName"] == "line 1 & 2"
            assert "prediction" not in annotation
            assert list(annotation["labelmap"].values()) == list(names)
            found, problems = _labels_of(workspace, tmp_path, annotation)
            assert problems == []
            np.testing.assert_array_equal(found.cxcywh, boxes.cxcywh)
            np.testing.assert_array_equal(found.class_id, boxes.class_id)
        (nothing,) = arrived["train-001.png"].annotations
        assert nothing["name"] == "annotation.coco.json"
        content = json.loads(nothing["annotationFile"])
        assert (content["images"][0]["width"], content["images"][0]["height"]) == (64, 48)
        assert content["annotations"][0]["image_id"] != content["images"][0]["id"]
        assert arrived["train-002.png"].annotations == [], "a picture without a label file is still to be labelled"

        again = _push(server, workspace, "parts", "--project", "acme/parts", "--json")
        assert json.loads(again.stdout)["already_there"] == 9
        assert set(server.uploads.sent.values()) == {1}
        assert all(len(picture.annotations) <= 1 for picture in arrived.values())


def test_a_classification_dataset_arrives_with_its_classes(workspace: Workspace) -> None:
    names = ("b&w", "tea cup #2", "ü")
    make_folder_dataset(workspace.datasets / "cups", {"train": 2, "valid": 1}, names)
    with serve(Project(b"", kind="classification")) as server:
        done = _push(server, workspace, "cups", "--project", "acme/parts")
        assert done.returncode == 0, done.stderr
        assert "uploaded: 9 pictures" in done.stderr
        assert done.stdout == ""
        dataset = open_dataset("cups", workspace)
        arrived = server.uploads.by_name()
        for item in dataset.items():
            (annotation,) = arrived[item.image.name].annotations
            assert annotation["annotationFile"] == annotation["name"] == dataset.names[item.class_id]  # type: ignore[index]
            assert arrived[item.image.name].split == item.split


def test_a_dry_run_sends_nothing(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "parts")
    with serve(Project(b"")) as server:
        done = _push(server, workspace, "parts", "--project", "acme/parts", "--dry-run", "--json")
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["uploaded"], answer["annotated"]) == (8, 8)
        assert not server.uploads.sent


@pytest.mark.parametrize(
    ("project", "reference", "key", "code", "message"),
    [
        (Project(b""), "acme/other", KEY, 3, "its projects are: parts"),
        (Project(b""), "nobody/parts", KEY, 3, "workspace"),
        (Project(b""), "acme/parts/3", KEY, 2, "not to a version"),
        (Project(b"", kind="classification"), "acme/parts", KEY, 5, "one class a picture"),
        (Project(b"", kind="keypoint-detection"), "acme/parts", KEY, 5, "does not train"),
        (Project(b""), "acme/parts", "aWrongKey1234567", 4, "does not accept this key"),
    ],
)
def test_what_cannot_be_pushed(workspace: Workspace, speaking, project, reference, key, code, message) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "parts"), workspace)
    with serve(project) as server:
        speaking(server)
        with pytest.raises(LensmithError) as caught:
            push_dataset(dataset, reference, workspace, PushConfig(api_key=key))
        assert caught.value.exit_code == code
        assert message in str(caught.value)
        assert not server.uploads.sent


def test_errors_on_the_command_line(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "parts")
    with serve(Project(b"")) as server:
        server.uploads.always = 403
        done = _push(server, workspace, "parts", "--project", "acme/parts")
        assert done.returncode == 4
        assert "may not write to 'acme/parts'" in done.stderr
        missing = _push(server, workspace, "partz", "--project", "acme/parts")
        assert missing.returncode == 3
        assert "did you mean parts?" in missing.stderr


@pytest.mark.parametrize("step", [429, 500, 503, "cut", "lost", "garbage"])
def test_troubles_that_pass(workspace: Workspace, speaking, step: int | str) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "parts"), workspace)
    with serve(Project(b"")) as server:
        speaking(server)
        server.uploads.plan = [step, "fine", step, step, "fine", step]
        done = push_dataset(dataset, "acme/parts", workspace, PushConfig(upload=PATIENT, workers=2))
        assert done.refused == ()
        assert done.uploaded == 8
        assert done.annotated + done.kept == 8
        assert len(server.uploads.pictures) == 8
        assert all(len(picture.annotations) == 1 for picture in server.uploads.pictures.values())


def test_a_silent_server_is_given_up(workspace: Workspace, speaking) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "parts"), workspace)
    with serve(Project(b"")) as server:
        speaking(server)
        server.uploads.hold_after = 2
        impatient = UploadConfig(connect_seconds=1, read_seconds=0.3, attempts=2, backoff_seconds=0.01)
        with pytest.raises(LensmithError, match=r"does not answer.* 2 pictures were sent") as caught:
            push_dataset(dataset, "acme/parts", workspace, PushConfig(upload=impatient, workers=1))
        assert "goes on where it stopped" in str(caught.value)
        server.uploads.hold_after = None
        server.uploads.release.set()
        done = push_dataset(dataset, "acme/parts", workspace, PushConfig(upload=PATIENT))
        assert (done.uploaded + done.already_there, done.refused) == (8, ())


@pytest.mark.parametrize(
    ("status", "error"), [(401, AuthError), (403, AuthError), (404, NotFoundError), (402, LensmithError)]
)
def test_what_concerns_all_pictures_stops_at_once(
    workspace: Workspace, speaking, status: int, error: type[LensmithError]
) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "parts", {"train": 20}), workspace)
    with serve(Project(b"")) as server:
        speaking(server)
        server.uploads.plan = ["fine"] * 4
        server.uploads.always = status
        with pytest.raises(error):
            push_dataset(dataset, "acme/parts", workspace, PushConfig(upload=PATIENT, workers=1))
        assert len(server.uploads.pictures) == 2
        assert sum("upload" in line for line in server.requests) == 3


def test_refused_pictures_are_named_and_the_others_arrive(workspace: Workspace) -> None:
    root = make_yolo_dataset(workspace.datasets / "parts")
    (root / "train/images/broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    with serve(Project(b"")) as server:
        server.uploads.refuse = lambda name: name in {"train-001.png", "train-002.txt"}
        done = _push(server, workspace, "parts", "--project", "acme/parts", "--json")
        assert done.returncode == 1
        answer = json.loads(done.stdout)
        reasons = {Path(refused["picture"]).name: refused["reason"] for refused in answer["refused"]}
        assert set(reasons) == {"broken.jpg", "train-001.png", "train-002.png"}
        assert "cannot read train-001.png" in reasons["train-001.png"]
        assert "labels were not taken" in reasons["train-002.png"]
        assert (answer["uploaded"], answer["annotated"]) == (7, 6)
        assert "train-001.png" in done.stderr

        server.uploads.refuse = lambda _name: False
        again = _push(server, workspace, "parts", "--project", "acme/parts", "--json")
        answer = json.loads(again.stdout)
        assert (answer["uploaded"], answer["annotated"], len(answer["refused"])) == (1, 2, 1)
        assert set(server.uploads.sent.values()) == {1}


def test_labels_that_are_there_stay_unless_told_otherwise(workspace: Workspace, speaking) -> None:
    root = make_yolo_dataset(workspace.datasets / "parts")
    with serve(Project(b"")) as server:
        speaking(server)

        def push(**options) -> tuple[int, int, int, int]:
            config = PushConfig(upload=PATIENT, **options)
            done = push_dataset(open_dataset(root, workspace), "acme/parts", workspace, config)
            assert done.refused == ()
            return done.uploaded, done.already_there, done.annotated, done.kept

        assert push() == (8, 0, 8, 0)
        (root / "train/labels/train-000.txt").write_text("1 0.4 0.4 0.2 0.2\n")
        assert push() == (0, 8, 0, 1), "new labels for a picture that has some"
        assert push() == (0, 8, 0, 0), "which is known from then on"
        assert push(overwrite=True) == (0, 8, 1, 0)
        assert push(overwrite=True) == (0, 8, 0, 0)
        assert push(force=True) == (0, 8, 0, 8)
        del server.uploads.pictures[next(iter(server.uploads.pictures))]  # a person deleted it there
        (root / "train/labels/train-000.txt").write_text("1 0.4 0.4 0.3 0.3\n")
        (root / "train/labels/train-001.txt").write_text("1 0.4 0.4 0.3 0.3\n")
        uploaded, _, _, _ = push(overwrite=True)
        assert uploaded <= 1


def test_a_killed_push_goes_on_where_it_stopped(workspace: Workspace) -> None:
    make_yolo_dataset(workspace.datasets / "parts", {"train": 30})
    with serve(Project(b"")) as server:
        for stop, signals in ((5, signal.SIGKILL), (14, signal.SIGINT), (20, signal.SIGKILL)):
            server.uploads.hold_after = stop
            server.uploads.holding.clear()
            process = subprocess.Popen(
                [cv_path(), "push-dataset", "parts", "--project", "acme/parts", "--workers", "3"],
                cwd=workspace.root, env={**os.environ, **server.env()}, stderr=subprocess.PIPE, text=True,
            )  # fmt: skip
            assert server.uploads.holding.wait(60)
            process.send_signal(signals)
            if signals == signal.SIGKILL:
                process.wait(30)
            server.uploads.release.set()  # after Ctrl-C, what is on its way arrives and is noted
            _, said = process.communicate(timeout=30)
            assert process.returncode == (130 if signals == signal.SIGINT else -signals), said
            server.uploads.release = type(server.uploads.release)()
        server.uploads.hold_after = None
        done = _push(server, workspace, "parts", "--project", "acme/parts", "--json")
        assert done.returncode == 0, done.stderr
        assert len(server.uploads.pictures) == 30
        assert all(len(picture.annotations) == 1 for picture in server.uploads.pictures.values())
        # Only what was on its way in the very moment of a kill may have come twice.
        assert sum(times - 1 for times in server.uploads.sent.values()) <= 3 * 3


def test_pictures_that_changed_their_split_since_are_said_to_stay(workspace: Workspace, speaking) -> None:
    root = make_yolo_dataset(workspace.datasets / "parts", {"train": 3, "valid": 2})
    with serve(Project(b"")) as server:
        speaking(server)
        assert push_dataset(open_dataset("parts", workspace), "acme/parts", workspace, PushConfig()).remarks == ()
        for kind, suffix in (("images", "png"), ("labels", "txt")):
            (root / f"valid/{kind}/valid-000.{suffix}").rename(root / f"train/{kind}/moved.{suffix}")
        again = push_dataset(open_dataset("parts", workspace), "acme/parts", workspace, PushConfig())
    assert (again.uploaded, again.already_there) == (0, 5)
    assert again.remarks[0].startswith("1 of the pictures that were sent before")


def test_copies_within_a_dataset_are_sent_once(workspace: Workspace, speaking) -> None:
    root = make_yolo_dataset(workspace.datasets / "parts")
    (root / "valid/images/copy.png").write_bytes((root / "train/images/train-000.png").read_bytes())
    with serve(Project(b"")) as server:
        speaking(server)
        done = push_dataset(open_dataset(root, workspace), "acme/parts", workspace, PushConfig(upload=PATIENT))
        assert (done.uploaded, done.doubled) == (8, 1)
        assert set(server.uploads.sent.values()) == {1}


def test_a_project_made_anew_gets_everything_again(workspace: Workspace, speaking) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "parts"), workspace)
    for created in (1.7e9, 1.8e9):
        with serve(Project(b"", created=created)) as server:
            speaking(server)
            done = push_dataset(dataset, "acme/parts", workspace, PushConfig(upload=PATIENT))
            assert (done.uploaded, len(server.uploads.pictures)) == (8, 8)


def test_sending_in_parallel(workspace: Workspace, speaking) -> None:
    dataset = open_dataset(make_yolo_dataset(workspace.datasets / "parts"), workspace)
    with serve(Project(b""), Faults()) as server:
        speaking(server)
        server.uploads.together = 3
        done = push_dataset(dataset, "acme/parts", workspace, PushConfig(upload=PATIENT, workers=3))
        assert done.uploaded == 8
        assert server.uploads.most_at_once == 3


def test_what_a_model_is_unsure_of_goes_there_as_predictions(workspace: Workspace, tmp_path: Path) -> None:
    make_detector(workspace.weights / "cells", ("blue", "green", "r&d"))
    folder = shots(workspace.root / "shots ü", 1.0, 0.3, 0.5, 0.1)
    (folder / "bad.jpg").write_bytes(b"no picture")
    with serve(Project(b"")) as server:
        options = ["--project", "acme/parts", "--predictions", "cells", "--json"]
        done = _push(server, workspace, folder.name, *options, "--limit", "1")
        answer = json.loads(done.stdout)
        assert (done.returncode, answer["uploaded"]) == (1, 1), done.stderr
        assert [Path(refused["picture"]).name for refused in answer["refused"]] == ["bad.jpg"]
        (arrived,) = server.uploads.pictures.values()
        assert (arrived.name, arrived.split, arrived.batch) == ("shot2.png", "train", "shots ü by cells")
        (annotation,) = arrived.annotations
        assert annotation["prediction"] == "true"
        boxes, problems = _labels_of(workspace, tmp_path, annotation)
        assert (problems, set(boxes.class_id.tolist())) == ([], {2})
        cells = boxes.xyxy(128, 128)
        np.testing.assert_allclose([*cells[:, :2].min(axis=0), *cells[:, 2:].max(axis=0)], [32, 32, 64, 64], atol=0.01)

        (folder / "bad.jpg").unlink()
        more = _push(server, workspace, folder.name, *options, "--uncertain", "0.2-0.6")
        answer = json.loads(more.stdout)
        assert (answer["uploaded"], answer["already_there"]) == (1, 1)
        wrong = _push(server, workspace, folder.name, *options, "--uncertain", "half")
        assert wrong.returncode == 2
        alone = _push(server, workspace, "shots", "--project", "acme/parts", "--limit", "3")
        assert alone.returncode == 2
        assert "--predictions" in alone.stderr
