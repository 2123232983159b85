"""Mistakes by kind and what they cost, and thresholds."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith.detect.curves import CONFIDENCES, smoothed
from lensmith.detect.errors import KINDS, cost_of_errors, count_errors, sort_errors
from lensmith.detect.thresholds import choose_thresholds, shortfalls
from lensmith.report.target import parse_target
from tests.detect.test_metrics import BOX, FAR, evaluation_of

SHIFTED = [22.0, 10.0, 42.0, 30.0]  # overlaps BOX by a quarter
CORNER = [10.0, 10.0, 14.0, 14.0]  # by a twenty-fifth


@pytest.mark.parametrize(
    ("found", "true", "kinds"),
    [
        pytest.param([(BOX, 0, 0.9)], [(BOX, 0)], [], id="right"),
        pytest.param([], [(BOX, 0)], ["missed"], id="missed"),
        pytest.param([(BOX, 0, 0.1)], [(BOX, 0)], ["missed"], id="not sure enough to be shown"),
        pytest.param([(FAR, 0, 0.9)], [], ["ghost"], id="nothing in the picture"),
        pytest.param([(CORNER, 0, 0.9)], [(BOX, 0)], ["missed", "ghost"], id="hardly touches"),
        pytest.param([(BOX, 1, 0.9)], [(BOX, 0)], ["wrong class"], id="another class: not missed too"),
        pytest.param([(SHIFTED, 0, 0.9)], [(BOX, 0)], ["poor box"], id="badly placed: not missed too"),
        pytest.param([(SHIFTED, 1, 0.9)], [(BOX, 0)], ["missed", "ghost"], id="neither place nor class"),
        pytest.param([(BOX, 0, 0.9), (BOX, 0, 0.8)], [(BOX, 0)], ["double"], id="twice"),
        pytest.param([(BOX, 0, 0.9), (BOX, 1, 0.8)], [(BOX, 0)], ["wrong class"], id="right and wrong"),
    ],
)
def test_kinds(found: list, true: list, kinds: list[str]) -> None:
    assert [one.kind for one in sort_errors(evaluation_of((found, true)))] == kinds


def test_a_mistake_says_what_it_is_about() -> None:
    evaluation = evaluation_of(([], []), ([(FAR, 1, 0.1), (SHIFTED, 0, 0.9)], [(FAR, 1), (BOX, 0)]))
    missed, poor = sort_errors(evaluation)
    picture = evaluation.pictures[1]
    assert (missed.picture, missed.found, missed.true) == (1, None, 0)
    assert (poor.found, poor.true, poor.confidence) == (1, 1, pytest.approx(0.9))
    assert poor.overlap == pytest.approx(0.25)
    found, true = poor.found_xyxy(picture), poor.true_xyxy(picture)
    assert found is not None and found.tolist() == SHIFTED
    assert true is not None and true.tolist() == BOX
    counts = count_errors(evaluation, [missed, poor])
    assert (counts["missed"], counts["poor box"], counts["ghost"]) == ([0, 1], [1, 0], [0, 0])


@pytest.mark.parametrize(
    ("found", "kind"),
    [
        pytest.param([], "missed", id="missed"),
        pytest.param([(BOX, 0, 0.8), (FAR, 0, 0.95)], "ghost", id="ghost"),
        pytest.param([(BOX, 1, 0.9)], "wrong class", id="wrong class"),
        pytest.param([(SHIFTED, 0, 0.9)], "poor box", id="poor box"),
        pytest.param([(BOX, 0, 0.93), (BOX, 0, 0.92)], "double", id="double"),
    ],
)
def test_a_kind_costs_what_putting_it_right_gains(found: list, kind: str) -> None:
    """Four pictures are right, and one has the mistake: put right, the detector is perfect, and no other kind helps."""
    right = ([(BOX, 0, 0.9), (FAR, 1, 0.9)], [(BOX, 0), (FAR, 1)])
    evaluation = evaluation_of(*[right] * 4, (found, [(BOX, 0)]))
    costs = cost_of_errors(evaluation, sort_errors(evaluation))
    gap = 0.995 - evaluation.scores.as_metrics()["mAP50"]
    assert gap > 0.001
    assert costs[kind] == pytest.approx(gap, abs=1e-6)
    assert {one for one in KINDS if costs[one] > 1e-9} == {kind}


def test_a_perfect_detector_costs_nothing() -> None:
    evaluation = evaluation_of(([(BOX, 0, 0.9)], [(BOX, 0)]))
    assert cost_of_errors(evaluation, sort_errors(evaluation)) == dict.fromkeys(KINDS, 0.0)


def _levels(count: int, right_from: float, kind: int = 0) -> list[tuple[list, list]]:
    """Pictures with a detection each, evenly spread over the confidences: right from a level on, else a ghost."""
    levels = (np.arange(count) + 0.5) / count
    return [([(BOX, kind, float(p))], [(BOX, kind)] if p > right_from else [(FAR, kind)]) for p in levels]


def test_a_class_with_many_boxes_has_its_own_threshold_and_one_with_few_leans_on_the_common_one() -> None:
    many = evaluation_of(*_levels(400, 0.7))
    best, boxes = float(np.linspace(0, 1, 1000)[many.curves.best]), len(many.matches.true_class)
    common = (boxes * best + 20 * 0.25) / (boxes + 20)
    own, other = choose_thresholds(many)
    assert own == pytest.approx(best, abs=0.02)
    assert other == pytest.approx(common, abs=0.001), "nothing is known of it"
    large = [picture for kind in (0, 2, 3) for picture in _levels(200, 0.7, kind)]
    both = evaluation_of(*large, *_levels(8, 0.2, kind=1), names=("a", "b", "c", "d"))
    boxes = len(both.matches.true_class)
    common = (boxes * float(CONFIDENCES[both.curves.best]) + 20 * 0.25) / (boxes + 20)
    alone = float(CONFIDENCES[smoothed(both.curves.f1[1]).argmax()])
    assert alone < common - 0.05
    assert choose_thresholds(both)[1] == pytest.approx((8 * alone + 20 * common) / 28, abs=0.001)


def test_where_few_boxes_tell_the_threshold_stays_near_the_usual_one() -> None:
    few = evaluation_of(*[([(BOX, 0, 0.9 + n / 1000)], [(BOX, 0)]) for n in range(5)], ([(FAR, 0, 0.85)], []))
    best = float(CONFIDENCES[few.curves.best])
    assert best > 0.8
    assert 0.25 < choose_thresholds(few)[0] < 0.5


def test_the_best_f1_is_found() -> None:
    evaluation = evaluation_of(*_levels(300, 0.5), names=("a",))
    (chosen,) = choose_thresholds(evaluation)
    f1 = [evaluation.with_thresholds([t]).scores.classes[0].f1 for t in (chosen, chosen - 0.2, chosen + 0.2)]
    assert f1[0] is not None and f1[0] > max(f1[1:])


@pytest.mark.parametrize("wanted", ["precision=0.8", "precision=0.95", "recall=0.1", "recall=0.3"])
def test_a_target_is_reached_and_not_overdone(wanted: str) -> None:
    evaluation = evaluation_of(*_levels(200, 0.6), names=("a",))
    target = parse_target(wanted)
    (chosen,) = choose_thresholds(evaluation, target)
    limited = evaluation.with_thresholds([chosen])
    reached = getattr(limited.scores.classes[0], target.metric)
    assert reached.value >= target.value
    step = -0.02 if target.metric == "precision" else 0.02
    past = getattr(evaluation.with_thresholds([chosen + step]).scores.classes[0], target.metric)
    assert past.value < max(reached.value, target.value)
    assert not shortfalls(limited, target)


def test_what_cannot_be_reached_is_said() -> None:
    evaluation = evaluation_of(*_levels(100, 0.9), ([(BOX, 1, 0.9)], [(FAR, 1)]), names=("a", "b", "c"))
    target = parse_target("recall=0.9")
    limited = evaluation.with_thresholds(choose_thresholds(evaluation, target))
    said = " ".join(shortfalls(limited, target))
    assert "'a' cannot reach recall=0.9" in said
    assert "no detection, of c: the threshold is a guess" in said
    precise = parse_target("precision=0.9")
    limited = evaluation.with_thresholds(choose_thresholds(evaluation, precise))
    assert limited.thresholds[1] == 1
    assert any("Every 'b'" in one for one in shortfalls(limited, precise))


def test_a_model_that_has_learned_nothing_gets_the_default() -> None:
    assert choose_thresholds(evaluation_of(([(FAR, 0, 0.9)], [(BOX, 0)]))) == (0.25, 0.25)
