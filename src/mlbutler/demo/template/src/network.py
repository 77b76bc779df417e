"""A small neural network: one hidden layer (ReLU), softmax, trained by stochastic gradient descent with momentum."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]
Labels = NDArray[np.int64]
Weights = tuple[NDArray[np.float64], ...]
_MOMENTUM = 0.9


def start(pixels: int, hidden: int, labels: int, random: np.random.Generator) -> Weights:
    """Weights and biases of both layers, as He et al. (2015) have them at the start."""
    first = random.normal(0.0, np.sqrt(2 / pixels), (pixels, hidden))
    second = random.normal(0.0, np.sqrt(2 / hidden), (hidden, labels))
    return first, np.zeros(hidden), second, np.zeros(labels)


def probabilities(weights: Weights, x: Pixels) -> NDArray[np.float64]:
    """How probable each label is, one row a picture."""
    return _forward(weights, x)[1]


def losses(of_labels: NDArray[np.float64], y: Labels) -> NDArray[np.float64]:
    """Cross-entropy of each picture."""
    return -np.log(np.maximum(of_labels[np.arange(len(y)), y], 1e-15))


def train_epoch(
    weights: Weights, speed: Weights, x: Pixels, y: Labels, batch: int, rate: float, random: np.random.Generator
) -> None:
    """Go through all pictures once, in a new order; `weights` and their `speed` are changed in place."""
    for rows in np.array_split(random.permutation(len(y)), max(len(y) // batch, 1)):
        for weight, moved, slope in zip(weights, speed, _gradients(weights, x[rows], y[rows]), strict=True):
            moved *= _MOMENTUM
            moved -= rate * slope
            weight += moved


def _forward(weights: Weights, x: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, bias, second, shift = weights
    hidden = np.maximum(x @ first + bias, 0.0)
    scores = hidden @ second + shift
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, raised / raised.sum(axis=1, keepdims=True)


def _gradients(weights: Weights, x: Pixels, y: Labels) -> Weights:
    hidden, output = _forward(weights, x)
    output[np.arange(len(y)), y] -= 1.0
    output /= len(y)
    back = (output @ weights[2].T) * (hidden > 0.0)
    return x.T @ back, back.sum(axis=0), hidden.T @ output, output.sum(axis=0)
