"""The ReLU activation."""

from __future__ import annotations

from ..arrays import Array, array_module
from .arguments import as_input
from .module import Module


class ReLU(Module):
    """max(x, 0), with gradient 0 at x = 0.

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import nn
    >>> relu = nn.ReLU()
    >>> relu(np.array([[-2.0, 0.0, 3.0]]))
    array([[0., 0., 3.]])
    >>> relu.backward(np.array([[5.0, 5.0, 5.0]]))  # dy passes where x was positive
    array([[0., 0., 5.]])
    """

    def forward(self, x: Array) -> Array:
        """Return y, of the shape of ``x``."""
        x = as_input(x)
        y: Array = array_module(x).maximum(x, 0)
        self.save(y, y)
        return y

    def active_masks(self) -> list[Array]:
        """Return a mask of the numbers that were positive in the last pass.

        Numerical gradient checks compare it before and after a step: between the two there is a
        kink if it changes, and the difference is no gradient.
        """
        return [] if self._saved is None else [self._saved[2][0] > 0]

    def backward(self, dy: Array) -> Array:
        """Return ``dy`` where ``x`` was positive, else 0."""
        dy, y = self.saved(dy)
        dx: Array = array_module(dy).where(y > 0, dy, 0)  # dy * (y > 0) is NaN for 0 * Inf
        return dx
