"""The formulas, against their own derivation."""

from __future__ import annotations

import numpy as np
import pytest

from lensmith.classify.explain.cam import activation_maps, grad_cam_pp_weights, grad_cam_weights


def _network(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ReLU layer and a linear one over a feature map (2, 3, 4), flat: piecewise linear, as the paper assumes."""
    return rng.normal(0, 0.4, (6, 24)), rng.normal(0, 0.2, 6), rng.normal(0, 0.5, 6)


def _score(features: np.ndarray, network: tuple[np.ndarray, np.ndarray, np.ndarray]) -> float:
    first, bias, second = network
    return float(second @ np.maximum(first @ features.ravel() + bias, 0))


def _derivatives(features: np.ndarray, network: tuple[np.ndarray, ...], step: float = 2e-3) -> np.ndarray:
    """First, second and third derivative of exp(score) with respect to each number, `(3, ...)`, by differences."""
    found = np.zeros((3, *features.shape))
    for place in np.ndindex(*features.shape):
        values = []
        for steps in (-2, -1, 0, 1, 2):
            moved = features.copy()
            moved[place] += steps * step
            values.append(np.exp(_score(moved, network)))
        a, b, c, d, e = values
        found[(0, *place)] = (d - b) / (2 * step)
        found[(1, *place)] = (d - 2 * c + b) / step**2
        found[(2, *place)] = (e - 2 * d + 2 * b - a) / (2 * step**3)
    return found


def test_grad_cam_pp_is_the_papers_equation_with_real_derivatives() -> None:
    rng = np.random.default_rng(7)
    network, features = _network(rng), rng.uniform(0.1, 1, (2, 3, 4))
    first, second, third = _derivatives(features, network)
    alpha = second / (2 * second + features.sum(axis=(0, 1)) * third)  # equation 19
    expected = (alpha * np.maximum(first, 0)).sum(axis=(0, 1))  # equation 10
    exp_score = np.exp(_score(features, network))
    gradients = first / exp_score
    found = grad_cam_pp_weights(features[None], gradients[None])[0]
    assert (gradients > 0).any() and (gradients < 0).any()
    np.testing.assert_allclose(found, expected / exp_score, rtol=2e-3, atol=1e-4)


def test_grad_cam_is_the_mean_gradient_and_keeps_what_speaks_for_the_class() -> None:
    rng = np.random.default_rng(1)
    features, gradients = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(2, 3, 5, 4))
    weights = grad_cam_weights(features, gradients)
    expected = [[gradients[n, :, :, c].sum() / 15 for c in range(4)] for n in range(2)]
    np.testing.assert_allclose(weights, expected)
    maps = activation_maps(features, gradients, "gradcam")
    by_hand = sum(expected[1][c] * features[1, 2, 4, c] for c in range(4))
    np.testing.assert_allclose(maps[1, 2, 4], max(by_hand, 0), rtol=1e-6)
    assert (maps.dtype, maps.shape, (maps >= 0).all()) == (np.float32, (2, 3, 5), True)


@pytest.mark.parametrize("method", ["gradcam", "gradcam++"])
def test_where_nothing_speaks_for_the_class_the_map_is_empty(method) -> None:
    features = np.ones((1, 2, 2, 3), np.float32)
    assert not activation_maps(features, -features, method).any()
    assert not activation_maps(features, np.zeros_like(features), method).any()
    assert np.isfinite(activation_maps(-features, 2 * features, method)).all()


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        grad_cam_weights(np.zeros((1, 2, 2, 3)), np.zeros((1, 2, 2, 4)))
