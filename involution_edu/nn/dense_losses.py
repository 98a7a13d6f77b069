"""Losses of segmentation and detection: a call returns the loss, ``backward`` its gradient."""

from __future__ import annotations

import numpy as np

from ..arguments import ArgumentError, WrongTypeError, as_int, as_number, check_shape
from ..arrays import Array, check_array
from .losses import CrossEntropy, Labels, Loss


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), without overflow."""
    y: Array = 0.5 * (1 + np.tanh(0.5 * x))
    return y


class PixelCrossEntropy(Loss):
    """`CrossEntropy` of every pixel, the mean over those whose label is not to be ignored.

    Parameters
    ----------
    ignore : int
        Label of pixels that count for nothing; if there are no others, the loss is 0.

    Examples
    --------
    >>> criterion = PixelCrossEntropy()
    >>> logits = np.log(np.array([[0.25, 0.5], [0.75, 0.5]])).reshape(1, 2, 1, 2)
    >>> round(criterion(logits, np.array([[[1, 255]]])), 6)  # -log 0.75
    0.287682
    >>> criterion.backward()[0, :, 0]
    array([[ 0.25,  0.  ],
           [-0.25,  0.  ]])
    """

    def __init__(self, ignore: int = 255) -> None:
        self.ignore = as_int("ignore", ignore, -1)

    def __call__(self, logits: Array, labels: Labels) -> float:
        """Return the loss of logits (N, K, H, W) for whole numbers (N, H, W), K or `ignore`."""
        self._gradient = None
        logits = check_array("logits", logits)
        n, _, h, w = logits.shape
        check_shape("labels", labels, (n, h, w), "(N, H, W) of the logits")
        if labels.dtype.kind not in "iu":
            raise WrongTypeError("labels", f"has dtype {labels.dtype}", "whole numbers")
        gradient, counts, loss = np.zeros_like(logits), labels != self.ignore, 0.0
        if counts.any():
            criterion = CrossEntropy()
            loss = criterion(logits.transpose(0, 2, 3, 1)[counts], labels[counts])
            gradient.transpose(0, 2, 3, 1)[counts] = criterion.backward()
        self._gradient = gradient
        return loss


class BinaryCrossEntropy(Loss):
    """The cross-entropy of sigmoid(logits) with targets from 0 to 1: their sum over a count.

    With ``gamma``, the focal loss: the target is 0 or 1, p the probability given to it, and each
    term has the weight alpha (for target 1) or 1 - alpha.

    .. code-block:: text

        loss = -1/count * sum of weight * (1 - p)^gamma * log p

    Parameters
    ----------
    gamma : float
        0 for the plain cross-entropy, without weights.
    alpha : float

    References
    ----------
    Lin et al., ICCV 2017, arXiv:1708.02002: the focal loss.

    Examples
    --------
    >>> criterion = BinaryCrossEntropy()
    >>> round(criterion(np.zeros((1, 2)), np.array([[0.0, 1.0]])), 6)  # the mean of two log 2
    0.693147
    >>> criterion.backward()
    array([[ 0.25, -0.25]])
    """

    def __init__(self, gamma: float = 0.0, alpha: float = 0.25) -> None:
        self.gamma, self.alpha = as_number("gamma", gamma), as_number("alpha", alpha, 1)

    def __call__(self, logits: Array, target: Array, count: float | None = None) -> float:
        """Return the loss; ``count`` is the number of logits if not given, and at least 1."""
        self._gradient = None
        logits = check_array("logits", logits)
        check_shape("target", target, logits.shape, "the shape of logits")
        count = max(logits.size if count is None else count, 1)
        p = sigmoid(logits)
        # log(1 + exp(logit)) - target * logit, without overflow
        terms = np.logaddexp(0, logits) - target * logits
        gradient = p - target
        if self.gamma:
            wrong = abs(target - p)  # 1 - the probability of the target
            weight = np.where(target > 0, self.alpha, 1 - self.alpha) * wrong**self.gamma
            # d wrong / d logit = +-wrong (1 - wrong), with the sign of the gradient
            gradient = (
                weight * gradient * (1 + self.gamma * (1 - wrong) / wrong.clip(1e-30) * terms)
            )
            terms = weight * terms
        self._gradient = (gradient / count).astype(logits.dtype, copy=False)
        return float(terms.sum() / count)


class SmoothL1(Loss):
    """The sum of absolute differences over a count, quadratic where they are below ``beta``.

    Parameters
    ----------
    beta : float
        0 for the plain L1 loss.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> criterion = SmoothL1(beta=1.0)
    >>> criterion(np.array([0.5, 3.0]), np.zeros(2), 1)  # 0.5 * 0.5^2 + 3 - 0.5
    2.625
    >>> criterion.backward()
    array([0.5, 1. ])
    """

    def __init__(self, beta: float = 0.0) -> None:
        self.beta = as_number("beta", beta)

    def __call__(self, y: Array, target: Array, count: float | None = None) -> float:
        """Return the loss; ``count`` is the number of values if not given, and at least 1."""
        self._gradient = None
        y = check_array("y", y)
        check_shape("target", target, y.shape, "the shape of y")
        if not np.isfinite(target).all():
            raise ArgumentError("target", "has values that are not finite", "finite numbers")
        count, difference = max(y.size if count is None else count, 1), y - target
        size = abs(difference)
        near = size < self.beta
        terms = np.where(near, 0.5 * size**2 / (self.beta or 1), size - 0.5 * self.beta)
        gradient = np.where(near, difference / (self.beta or 1), np.sign(difference))
        self._gradient = (gradient / count).astype(y.dtype, copy=False)
        return float(terms.sum() / count)
