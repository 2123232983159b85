"""The same maps from another's code: the `grad-cam` package, over the same network written in plain torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lensmith.classify.explain.cam import activation_maps
from lensmith.classify.explain.gradients import GradientProbe
from lensmith.weights.architecture import build_classifier, import_keras
from lensmith.weights.bundle import ClassifierRecord

pytestmark = pytest.mark.torch
SIZE, CLASSES = 48, 3


@pytest.fixture(scope="module")
def network() -> Any:
    """The small network on Keras' torch backend, with random numbers in every weight."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        import_keras("cpu")
        model = build_classifier(ClassifierRecord(backbone="cnn", units=16, dropout=0.2), SIZE, SIZE, CLASSES)
    rng = np.random.default_rng(5)
    for layer in model.layers:
        weights = layer.get_weights()
        spread = [rng.normal(0, 1.5 / np.sqrt(np.prod(w.shape[:-1]) or 1), w.shape) for w in weights]
        if layer.name.endswith("_bn"):  # factor, offset, mean, variance
            spread = [rng.uniform(0.5, 1.5, w.shape) for w in weights]
        if layer.name == "head_classes":  # large gradients: the peer adds 1e-6 below a line where we add nothing
            spread = [30 * weight for weight in spread]
        layer.set_weights(spread)
    return model


def _plain_torch(model: Any) -> Any:
    """The same network without Keras, up to the logits; takes RGB 0..255 as `(n, 3, h, w)`."""
    import torch
    from torch import nn

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(array, np.float32))

    steps: list[nn.Module] = []
    for number in range(1, 6):
        if number > 1:
            steps.append(nn.MaxPool2d(2, ceil_mode=True))
        (kernel,) = model.get_layer(f"block{number}_conv").get_weights()
        conv = nn.Conv2d(kernel.shape[2], kernel.shape[3], 3, padding=1, bias=False)
        conv.weight.data = tensor(kernel.transpose(3, 2, 0, 1))
        keras_norm = model.get_layer(f"block{number}_bn")
        norm = nn.BatchNorm2d(kernel.shape[3], eps=keras_norm.epsilon)
        values = [tensor(array) for array in keras_norm.get_weights()]
        norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var = values
        steps += [conv, norm, nn.ReLU()]
    head: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for name in ("head_hidden", "head_classes"):
        kernel, bias = model.get_layer(name).get_weights()
        dense = nn.Linear(*kernel.shape)
        dense.weight.data, dense.bias.data = tensor(kernel.T), tensor(bias)
        head += [dense, nn.LeakyReLU(0.1)]
    return nn.Sequential(*steps, *head[:-1]).eval()


@pytest.mark.parametrize(("layer", "step"), [("block5_relu", 18), ("block4_relu", 14)])
@pytest.mark.parametrize("method", ["gradcam", "gradcam++"])
def test_the_maps_are_those_of_the_grad_cam_package(network: Any, method: Any, layer: str, step: int) -> None:
    import torch
    from pytorch_grad_cam import GradCAM, GradCAMPlusPlus
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    rgb = np.random.default_rng(0).uniform(0, 255, (4, SIZE, SIZE, 3)).astype(np.float32)
    found = GradientProbe(network, layer, "cpu").run(rgb, 1)
    ours = activation_maps(found.features, found.gradients, method)

    plain = _plain_torch(network)
    theirs = torch.from_numpy(rgb.transpose(0, 3, 1, 2) / 127.5 - 1)
    with torch.no_grad():
        np.testing.assert_allclose(torch.softmax(plain(theirs), 1).numpy(), found.probability, atol=1e-4)
    peer = {"gradcam": GradCAM, "gradcam++": GradCAMPlusPlus}[method]
    with peer(model=plain, target_layers=[plain[step]]) as cam:
        cam(input_tensor=theirs, targets=[ClassifierOutputTarget(1)] * len(rgb))
        activations, gradients = (part[0].detach().numpy() for part in (
            cam.activations_and_grads.activations, cam.activations_and_grads.gradients))  # fmt: skip
        expected = np.maximum(cam.get_cam_image(theirs, plain[step], [1] * 4, activations, gradients, False), 0)
    np.testing.assert_allclose(found.gradients, gradients.transpose(0, 2, 3, 1), rtol=1e-3, atol=1e-6)
    highest = expected.max(axis=(1, 2), keepdims=True)
    assert (highest > 0).any()
    np.testing.assert_allclose(ours, expected, atol=1e-3 * highest.max())
