"""One step of gradient descent on a batch, the body of every training loop."""

from __future__ import annotations

from typing import Any, Protocol

from ..arrays import Array
from .module import Module
from .optim import Optimizer, clip_grad_norm


class Criterion(Protocol):
    """A loss such as `CrossEntropy`: call it, then its ``backward``."""

    def __call__(self, y: Array, target: Any, /) -> float:
        """Return the loss."""

    def backward(self) -> Array:
        """Return the gradient of the last loss, dy."""


def train_step(
    model: Module,
    optimizer: Optimizer,
    criterion: Criterion,
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
    criterion : callable
        Returns the loss of (y, target), and its gradient from ``backward()``.
    x : ndarray
    target : ndarray
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
