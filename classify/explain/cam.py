"""From a feature map and the gradient of a class's score to a map of what speaks for that class.

Grad-CAM: R. R. Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based localization",
2017, equations 1 and 2. Grad-CAM++: A. Chattopadhay et al., "Grad-CAM++: Generalized gradient-based visual explanations
for deep convolutional networks", 2018, equations 10 and 19. The score is the class's logit, before the softmax: a
probability near 1 has hardly any gradient left.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Method = Literal["gradcam", "gradcam++"]


def activation_maps(features: np.ndarray, gradients: np.ndarray, method: Method) -> np.ndarray:
    """What each place of the feature map adds to the class's score, as far as it speaks for the class.

    Args:
        features: float32 `(n, h, w, channels)`, the activations A of a layer.
        gradients: Of the same shape: of each picture's class score with respect to them.
        method: "gradcam" weighs each channel with the mean of its gradient; "gradcam++" weighs places where the
            gradient is positive more, so that several things of the class in one picture all show.

    Returns:
        float32 `(n, h, w)`, 0 or more, not scaled. All zero where nothing at this layer speaks for the class.
    """
    weigh = grad_cam_weights if method == "gradcam" else grad_cam_pp_weights
    weights = weigh(features.astype(np.float64), gradients.astype(np.float64))
    summed = np.einsum("nhwc,nc->nhw", features, weights)
    return np.maximum(summed, 0).astype(np.float32)


def grad_cam_weights(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Grad-CAM's weight of each channel, `(n, channels)`: the mean of its gradient (equation 1)."""
    if features.shape != gradients.shape:
        raise ValueError(f"features {features.shape} and gradients {gradients.shape} differ in shape")
    return gradients.mean(axis=(1, 2))


def grad_cam_pp_weights(features: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    """Grad-CAM++'s weight of each channel, `(n, channels)`, but for a factor that all channels of a picture share.

    The paper takes Y = exp(S) of the score S. Where S is piecewise linear in A (ReLU after the layer), the second and
    third derivatives of Y are exp(S) g^2 and exp(S) g^3 with the gradient g of S, so exp(S) falls out of

        alpha_ij = g_ij^2 / (2 g_ij^2 + sum_ab A_ab g_ij^3)        (equation 19)
        w = sum_ij alpha_ij relu(exp(S) g_ij)                      (equation 10)

    but for the one factor exp(S) of w, which scaling the map would remove again and which is left out: it overflows.
    """
    if features.shape != gradients.shape:
        raise ValueError(f"features {features.shape} and gradients {gradients.shape} differ in shape")
    squared = gradients**2
    below = 2 * squared + features.sum(axis=(1, 2), keepdims=True) * squared * gradients
    # Where the gradient is 0 the place has no say; where only the sum is 0 the paper leaves alpha open.
    alpha = np.divide(squared, below, out=np.zeros_like(squared), where=below != 0)
    return (alpha * np.maximum(gradients, 0)).sum(axis=(1, 2))
