"""What `cv finetune` says at its end."""

from __future__ import annotations

import pytest

from lensmith.classify.finetune import ClassifierRun
from lensmith.cli.finetune import tell_classifier
from lensmith.core.manifest import RunManifest
from lensmith.core.workspace import Workspace
from lensmith.weights.bundle import Bundle
from tests.predict.make_bundle import make_classifier

METRICS = {"accuracy": 0.7, "accuracy_low": 0.5, "accuracy_high": 0.9, "answered": 0.25, "accuracy_answered": 0.8}


@pytest.mark.parametrize(("target", "held"), [("precision=0.8", True), ("precision=0.9", False), ("recall=0.3", False)])
def test_a_target_that_is_not_held_is_said(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], target: str, held: bool
) -> None:
    run = workspace.new_run("finetune", "tint")
    RunManifest(command="finetune", options={"target": target}, seed=0, device="cpu").save(run)
    made = make_classifier(workspace.weights / "tint")
    bundle = Bundle(made.folder, made.record.model_copy(update={"metrics_split": "test"}))
    tell_classifier(ClassifierRun(run, bundle, METRICS, run / "report.html"), as_json=False)
    said = " ".join(capsys.readouterr().err.split())
    assert "95% interval 0.500 to 0.900" in said
    assert "answers 25% of the test pictures, 80% of those right" in said
    assert (f"warning: {target} is not held on the test pictures" in said) is not held
