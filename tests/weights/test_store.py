"""Models in a folder or store for others: whole or not there, the same on both sides, and no secret in what is said."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lensmith.core.errors import AuthError, DataError, LensmithError, NotFoundError, UsageError
from lensmith.core.redact import redact
from lensmith.core.workspace import Workspace
from lensmith.weights import s3
from lensmith.weights.archive import export_zip
from lensmith.weights.bundle import Bundle, open_bundle
from lensmith.weights.places import FolderPlace, Place, open_place, split_source
from lensmith.weights.shelf import list_bundles
from lensmith.weights.store import pull_bundle, push_bundle
from tests.helpers import run_cv
from tests.predict.make_bundle import make_classifier, make_detector
from tests.weights.cutting_proxy import cut_line
from tests.weights.s3_server import BUCKET, S3Server, serve_s3

_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_ENDPOINT_URL",
              "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_CONFIG_FILE",
              "AWS_SHARED_CREDENTIALS_FILE")  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    """One server for all tests of this file."""
    pytest.importorskip("moto")
    with serve_s3() as running:
        yield running


@pytest.fixture
def store(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The server, empty, with its keys in the environment."""
    for name in _VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
    server.empty()
    return server


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A folder, or a bucket's folder."""
    if request.param == "folder":
        return open_place(str(tmp_path / "for others"))
    request.getfixturevalue("store")
    return open_place(f"s3://{BUCKET}/vision")


@pytest.fixture
def made(tmp_path: Path) -> Bundle:
    """A bundle in somebody else's workspace."""
    return make_classifier(tmp_path / "theirs" / "weights" / "colours")


def _accept(_folder: Path) -> None:
    """For tests of what comes before the proof."""


def test_what_was_pushed_is_what_is_pulled(workspace: Workspace, place: Place, made: Bundle) -> None:
    assert push_bundle(made, place).outcome == "pushed"
    pulled = pull_bundle(place, "colours", None, workspace, _accept)
    for name in ("bundle.json", *made.record.files):
        assert (pulled.folder / name).read_bytes() == (made.folder / name).read_bytes()
    assert not (workspace.weights / ".pulling").exists()
    assert push_bundle(made, place) == type(push_bundle(made, place))(f"{place.address}/colours", "same", 0)
    assert pull_bundle(place, "colours", "farben", workspace, _accept).record.name == "farben"


def test_what_a_cut_pull_left_goes_after_a_week(workspace: Workspace, tmp_path: Path, made: Bundle) -> None:
    old, young = (workspace.weights / ".pulling" / name for name in ("old", "young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "part").write_bytes(b"half a model")
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(old, (week_ago, week_ago))
    place = FolderPlace(tmp_path / "for others")
    push_bundle(made, place)
    pull_bundle(place, "colours", None, workspace, _accept)
    assert [path.name for path in (workspace.weights / ".pulling").iterdir()] == ["young"]


def test_another_model_of_the_name_is_replaced_only_when_asked(
    workspace: Workspace, place: Place, made: Bundle, tmp_path: Path
) -> None:
    push_bundle(made, place)
    other = make_detector(tmp_path / "other" / "colours")
    with pytest.raises(UsageError, match="another model"):
        push_bundle(other, place)
    assert pull_bundle(place, "colours", "one", workspace, _accept).record.task == "classify"
    assert push_bundle(other, place, replace=True).outcome == "replaced"
    assert pull_bundle(place, "colours", "two", workspace, _accept).record.task == "detect"
    if isinstance(place, FolderPlace):  # what counted before is gone
        assert len([path for path in (place.folder / "colours").iterdir() if path.is_dir()]) == 1


def test_what_is_not_there_is_named(workspace: Workspace, place: Place, made: Bundle) -> None:
    push_bundle(made, place)
    with pytest.raises(NotFoundError, match="there are: colours"):
        pull_bundle(place, "colour", None, workspace, _accept)


def test_a_changed_byte_in_the_store_is_refused_and_mended_by_a_push(
    workspace: Workspace, tmp_path: Path, made: Bundle
) -> None:
    place = FolderPlace(tmp_path / "for others")
    push_bundle(made, place)
    model = next(place.folder.glob("colours/*/model.onnx"))
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(bytes(data))
    with pytest.raises(DataError, match="not what its record says"):
        pull_bundle(place, "colours", None, workspace, _accept)
    assert list_bundles(workspace) == []
    push_bundle(made, place, replace=True)
    assert pull_bundle(place, "colours", None, workspace, _accept).name == "colours"


def test_what_is_not_proven_does_not_appear(workspace: Workspace, tmp_path: Path, made: Bundle) -> None:
    place = FolderPlace(tmp_path / "for others")
    push_bundle(made, place)

    def refuse(_folder: Path) -> None:
        raise DataError("something else came out")

    with pytest.raises(DataError, match="something else"):
        pull_bundle(place, "colours", None, workspace, refuse)
    assert list_bundles(workspace) == []


def test_a_plain_bundle_can_be_pulled_and_is_never_written_into(
    workspace: Workspace, made: Bundle, tmp_path: Path
) -> None:
    place = FolderPlace(made.folder.parent)
    before = sorted(made.folder.rglob("*"))
    assert pull_bundle(place, "colours", None, workspace, _accept).record == made.record
    assert push_bundle(made, place).outcome == "same"
    other = make_detector(tmp_path / "other" / "colours")
    with pytest.raises(UsageError, match="was not pushed"):
        push_bundle(other, place, replace=True)
    assert sorted(made.folder.rglob("*")) == before


_CHILD = """
    import os, signal, sys
    from pathlib import Path
    from lensmith.core.workspace import Workspace
    from lensmith.weights.bundle import open_bundle
    from lensmith.weights.places import FolderPlace
    from lensmith.weights.store import pull_bundle, push_bundle
    doing, there, root, theirs = sys.argv[1:]
    place, calls = FolderPlace(Path(there)), []
    real = getattr(FolderPlace, doing)
    def mortal(self, *arguments):
        calls.append(arguments)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(self, *arguments)
    setattr(FolderPlace, doing, mortal)
    if doing == "put":
        push_bundle(open_bundle(theirs, Workspace(Path(root))), place)
    else:
        pull_bundle(place, "colours", None, Workspace(Path(root)), lambda folder: None)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("doing", ["put", "get"])
def test_a_kill_in_the_middle_leaves_no_model_and_the_next_try_goes_on(
    workspace: Workspace, tmp_path: Path, made: Bundle, doing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = FolderPlace(tmp_path / "for others")
    if doing == "get":
        push_bundle(made, place)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_CHILD), doing, place.address, str(workspace.root), str(made.folder)],
        env={**os.environ}, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    assert list_bundles(workspace) == []
    calls: list[object] = []
    real = getattr(FolderPlace, doing)
    monkeypatch.setattr(FolderPlace, doing, lambda self, *a: (calls.append(a), real(self, *a))[1])
    if doing == "put":
        with pytest.raises(NotFoundError):
            pull_bundle(place, "colours", None, workspace, _accept)
        assert push_bundle(made, place).outcome == "pushed"
        assert len(calls) == 4  # two of five files were there, and then the one that makes them count
    pull_bundle(place, "colours", None, workspace, _accept)
    if doing == "get":
        assert len(calls) == 2
    assert not [path for path in workspace.weights.iterdir() if path.name not in {"colours", ".locks"}]


_FULL = """
    import resource, sys
    from lensmith.cli.app import main
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    main()
"""


@pytest.mark.skipif(os.name == "nt", reason="needs a limit on the size of files")
@pytest.mark.parametrize("command", ["pull-weights", "push-weights", "weights export", "weights import"])
def test_a_full_disk_is_named_and_leaves_nothing_half_made(
    workspace: Workspace, made: Bundle, tmp_path: Path, command: str
) -> None:
    full = tmp_path / "full"
    push_bundle(made, FolderPlace(tmp_path / "for others"))
    export_zip(made, tmp_path / "made.zip")
    place = workspace.weights if command in {"pull-weights", "weights import"} else full
    given = {
        "pull-weights": [tmp_path / "for others" / "colours"],
        "push-weights": [made.folder, "--to", full],
        "weights export": [made.folder, "--to", full / "x.zip"],
        "weights import": [tmp_path / "made.zip"],
    }[command]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(_FULL), *command.split(), *map(str, given)],
        cwd=workspace.root, env={**os.environ}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "disk is full" in done.stderr
    assert str(place) in done.stderr
    assert not list(place.rglob("bundle.json"))
    assert not list(tmp_path.rglob("*part*"))


def test_the_commands_push_and_pull(workspace: Workspace, store: S3Server, made: Bundle) -> None:
    done = run_cv("push-weights", made.folder, "--to", f"s3://{BUCKET}/vision", "--json", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["outcome"] == "pushed"
    assert "vision/colours/bundle.json" in store.objects()
    done = run_cv("pull-weights", f"s3://{BUCKET}/vision/colours", cwd=workspace.root)
    assert done.returncode == 0, done.stderr
    assert open_bundle("colours", workspace).record == made.record


@pytest.mark.parametrize(
    ("changes", "bucket", "error", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "AKIAWRONGWRONGWRONG1"}, BUCKET, AuthError, "let you in"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, BUCKET, AuthError, "no credentials"),
        ({}, "no-such-bucket", NotFoundError, "no bucket"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, BUCKET, LensmithError, "does not answer"),
        ({"AWS_ENDPOINT_URL": "http://no-such-host.invalid"}, BUCKET, LensmithError, "does not answer"),
        ({"AWS_ENDPOINT_URL": "file:///etc"}, BUCKET, UsageError, "http"),
    ],
    ids=["key", "none", "bucket", "port", "host", "endpoint"],
)
def test_what_goes_wrong_is_one_message(
    store: S3Server, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], bucket: str,
    error: type[LensmithError], words: str,
) -> None:  # fmt: skip
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(error, match=words) as caught:
        open_place(f"s3://{bucket}/x").read("bundle.json", 100)
    assert type(caught.value) is error
    assert store.secret_key not in str(caught.value)


def test_a_wrong_key_ends_the_command_with_4_and_is_not_shown(
    workspace: Workspace, store: S3Server, made: Bundle
) -> None:
    wrong = {"AWS_SECRET_ACCESS_KEY": "wrong-secret-wrong-secret"}
    done = run_cv("push-weights", made.folder, "--to", f"s3://{BUCKET}/x", cwd=workspace.root, env=wrong)
    assert done.returncode == 4, done.stderr
    assert "let you in" in done.stderr
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    assert not [secret for secret in (store.access_key, store.secret_key, *wrong.values()) if secret in said]


def test_keys_of_the_usual_files_are_used_and_hidden(
    store: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    file.write_text(f"[own]\naws_access_key_id = {store.access_key}\naws_secret_access_key = {store.secret_key}\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_PROFILE", "own")
    assert open_place(f"s3://{BUCKET}").read("nothing", 10) is None
    assert store.secret_key not in redact(f"it was {store.secret_key}")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(AuthError, match="nobody"):
        open_place(f"s3://{BUCKET}")


@pytest.mark.parametrize("after", [0, 1500])
def test_a_line_that_is_cut_brings_no_half_model_and_the_next_try_works(
    workspace: Workspace, store: S3Server, made: Bundle, after: int
) -> None:
    place = open_place(f"s3://{BUCKET}/vision")
    push_bundle(made, place)
    with cut_line(store.address, after) as address, pytest.raises(LensmithError):
        pull_bundle(open_place(f"s3://{BUCKET}/vision", address), "colours", None, workspace, _accept)
    assert list_bundles(workspace) == []
    with cut_line(store.address, after, times=1) as address:
        pulled = pull_bundle(open_place(f"s3://{BUCKET}/vision", address), "colours", None, workspace, _accept)
    assert pulled.record == made.record


def test_a_line_that_is_cut_while_pushing_leaves_no_model_there(
    workspace: Workspace, store: S3Server, made: Bundle
) -> None:
    with cut_line(store.address, 300) as address, pytest.raises(LensmithError):
        push_bundle(made, open_place(f"s3://{BUCKET}/vision", address))
    assert "vision/colours/bundle.json" not in store.objects()
    place = open_place(f"s3://{BUCKET}/vision")
    push_bundle(made, place)
    assert pull_bundle(place, "colours", None, workspace, _accept).record == made.record


def test_a_store_that_never_answers_is_given_up(store: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_place = open_place(f"s3://{BUCKET}", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(LensmithError, match="does not answer"):
            silent_place.read("x", 10)


@pytest.mark.parametrize(
    "target",
    ["http://127.0.0.1:9/x", "ftp://x/y", "gs://b/x", "simplecache::s3://b/x", "s3://", "s3://b", "s3://bucket/../x",
     "s3://key:secret@bucket/x", "s3://bucket/a?versionId=1", "s3:bucket", "file://elsewhere/x", "memory://x"],
)  # fmt: skip
def test_other_addresses_are_refused_before_anybody_is_asked(target: str) -> None:
    with pytest.raises(UsageError):
        open_place(target)


def test_an_address_is_taken_apart(tmp_path: Path) -> None:
    assert split_source("s3://bucket/a/b") == ("s3://bucket/a", "b")
    assert split_source("s3://bucket/b/") == ("s3://bucket", "b")
    assert split_source(f"file://{tmp_path}/a%20b") == (f"file://{tmp_path}", "a b")
    assert split_source(str(tmp_path / "a")) == (str(tmp_path), "a")
    with pytest.raises(UsageError, match="no model"):
        split_source("s3://bucket")
