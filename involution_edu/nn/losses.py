"""Loss functions with their gradients, and a step down the loss of a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import ArgumentError, WrongTypeError, as_number, check_shape
from ..arrays import Array, array_module, as_numpy, check_array, check_device
from .module import Module
from .optim import Optimizer, clip_grad_norm

Labels = NDArray[np.integer[Any]]


def softmax(logits: Array, axis: int = -1) -> Array:
    """Return the probabilities exp(logits) / sum(exp(logits)) along an axis."""
    # The largest logit is subtracted before exp, so that it cannot overflow.
    exp: Array = array_module(logits).exp(logits - logits.max(axis=axis, keepdims=True))
    exp /= exp.sum(axis=axis, keepdims=True)
    return exp


class Loss:
    """The common part of the losses: a call returns the loss, ``backward`` its gradient."""

    _gradient: Array | None = None

    def __call__(self, y: Array, target: Any, /) -> float:
        """Return the loss of ``y`` and keep its gradient."""
        raise TypeError(f"{type(self).__name__} has no __call__(); a Loss must define it")

    def backward(self) -> Array:
        """Return the gradient of the last loss, of the shape of the output."""
        if self._gradient is None:
            raise RuntimeError(f"{type(self).__name__}.backward() needs a loss first: call it")
        return self._gradient


class CrossEntropy(Loss):
    """The cross-entropy of softmax(logits) with the labels, the mean over the batch.

    .. code-block:: text

        p[n] = softmax(logits[n])
        t[n, k] = (1 - e) * [k == labels[n]] + e / K          e: label_smoothing, K: classes
        loss = -1/N * sum over n, k of t[n, k] * log p[n, k]
        dlogits = (p - t) / N

    Parameters
    ----------
    label_smoothing : float
        e, the share of the target spread evenly over all classes, 0 to 1.

    References
    ----------
    Szegedy et al., CVPR 2016, arXiv:1512.00567, section 7: label smoothing.

    Examples
    --------
    >>> criterion = CrossEntropy()
    >>> logits = np.log(np.array([[0.25, 0.75]]))
    >>> round(criterion(logits, np.array([1])), 6)  # -log 0.75
    0.287682
    >>> criterion.backward()
    array([[ 0.25, -0.25]])
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = as_number("label_smoothing", label_smoothing, 1)

    def __call__(self, logits: Array, labels: Labels) -> float:
        """Return the loss of logits (N, K) for labels (N,), each a whole number below K."""
        self._gradient = None
        logits = check_array("logits", logits, gpu=True)
        if logits.ndim != 2 or 0 in logits.shape:
            raise ArgumentError("logits", f"has shape {logits.shape}", "(N, K), neither of them 0")
        xp, (count, classes) = array_module(logits), logits.shape
        check_device("labels", labels, logits, "logits")
        if labels.dtype.kind not in "iu":
            raise WrongTypeError("labels", f"has dtype {labels.dtype}", "whole numbers")
        if labels.shape != (count,):
            need = f"({count},), one for each image"
            raise ArgumentError("labels", f"has shape {labels.shape}", need)
        target = xp.full_like(logits, self.label_smoothing / classes)
        inside = labels.astype(np.int64).clip(0, classes - 1)  # all are, as is checked below
        target[xp.arange(count), inside] += 1 - self.label_smoothing
        shifted = logits - logits.max(axis=1, keepdims=True)
        minus_log_p = xp.log(xp.exp(shifted).sum(axis=1, keepdims=True)) - shifted
        minus_log_p[target == 0] = 0  # where p is 0, 0 * infinity would be NaN
        found = labels.min(), labels.max(), (target * minus_log_p).sum() / count
        # In one array: the processor waits for a GPU once.
        lowest, highest, loss = as_numpy(xp.stack([a.astype(np.float64) for a in found])).tolist()
        if lowest < 0 or highest >= classes:
            raise ArgumentError(
                "labels", f"has {lowest:.0f} to {highest:.0f}", f"0 to {classes - 1}"
            )
        self._gradient = (softmax(logits) - target) / count
        return float(loss)


class MeanSquaredError(Loss):
    """The mean of (y - target)^2 over all numbers.

    .. code-block:: text

        loss = 1/M * sum of (y - target)^2,  dy = 2/M * (y - target)        M: size of y

    Examples
    --------
    >>> criterion = MeanSquaredError()
    >>> criterion(np.array([1.0, 4.0]), np.array([1.0, 2.0]))
    2.0
    >>> criterion.backward()
    array([0., 2.])
    """

    def __call__(self, y: Array, target: Array) -> float:
        """Return the loss of ``y``; ``target`` has its shape and dtype."""
        self._gradient = None
        y = check_array("y", y, gpu=True)
        if y.size == 0:
            raise ArgumentError("y", f"has shape {y.shape}", "at least one number")
        target = check_array("target", target, gpu=True, like=y, owner="y")
        check_shape("target", target, y.shape, "the shape of y")
        difference = y - target
        self._gradient = difference * (2 / y.size)
        return float((difference * difference).mean())


def train_step(
    model: Module,
    optimizer: Optimizer,
    criterion: Loss,
    x: Array,
    target: Any,
    *,
    max_norm: float | None = None,
) -> tuple[float, Array]:
    """Take one step down the loss of a batch.

    .. code-block:: text

        y = model(x);  loss = criterion(y, target);  backward;  clip;  step

    Parameters
    ----------
    model : Module
        In training mode. Its gradients are set to zero before the backward pass.
    optimizer : Optimizer
        On the parameters of ``model``.
    criterion : CrossEntropy or MeanSquaredError
        Or another object whose call returns the loss, and whose ``backward()`` its gradient.
    x, target : ndarray
    max_norm : float, optional
        Upper limit on the norm of the gradient, as in `clip_grad_norm`.

    Returns
    -------
    loss : float
    y : ndarray
        The output; both are from before the step.

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import nn
    >>> model, x, target = nn.Linear(1, 1, dtype=float), np.ones((1, 1)), np.full((1, 1), 2.0)
    >>> model.load_state_dict({"weight": np.zeros((1, 1)), "bias": np.zeros(1)})
    >>> optimizer, criterion = nn.SGD(model.parameters(), lr=0.125), nn.MeanSquaredError()
    >>> [train_step(model, optimizer, criterion, x, target)[0] for _ in range(3)]
    [4.0, 1.0, 0.25]
    """
    y = model(x)
    loss = criterion(y, target)
    model.zero_grad()
    model.backward(criterion.backward())
    if max_norm is not None:
        clip_grad_norm(optimizer.parameters, max_norm)
    optimizer.step()
    return loss, y
