"""ReLU."""

from __future__ import annotations

import numpy as np

from ..arrays import check_array
from ..geometry import Array
from .module import Module


class ReLU(Module):
    """max(x, 0), with gradient 0 at x = 0."""

    def forward(self, x: Array) -> Array:
        """Return y, of the shape of ``x``."""
        x = check_array("x", x)
        y = np.maximum(x, 0)
        self.save(y, x > 0)
        return y

    def backward(self, dy: Array) -> Array:
        """Return ``dy`` where ``x`` was positive, else 0."""
        dy, positive = self.saved(dy)
        return np.where(positive, dy, 0)
