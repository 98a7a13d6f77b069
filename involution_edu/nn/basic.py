"""Modules in sequence, ReLU and the fully connected layer."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import ArgumentError, Rng, as_generator, as_int
from ..arrays import Array, array_module, as_dtype
from .arguments import as_input
from .module import Module, Parameter


class Sequential(Module):
    """Modules applied one after the other.

    Parameters
    ----------
    *modules, **named : Module
        Named "0", "1", ... or by their keyword; the positional ones come first.

    Examples
    --------
    >>> from involution_edu import nn
    >>> reduce = nn.Sequential(conv=nn.Conv2d(8, 2, bias=False), relu=nn.ReLU())
    >>> list(reduce.named_parameters())
    ['conv.weight']
    """

    def __init__(self, *modules: Module, **named: Module) -> None:
        for name, module in [*((str(i), m) for i, m in enumerate(modules)), *named.items()]:
            setattr(self, name, module)

    def forward(self, x: Array) -> Array:
        """Return the output of the last module."""
        for module in self.children().values():
            x = module(x)
        return x

    def backward(self, dy: Array) -> Array:
        """Return dx, by the backward passes of the modules from last to first."""
        for module in reversed(self.children().values()):
            dy = module.backward(dy)
        return dy


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
        """Return a mask of the numbers that were positive in the last pass: the sides of kinks."""
        return [] if self._saved is None else [self._saved[2][0] > 0]

    def backward(self, dy: Array) -> Array:
        """Return ``dy`` where ``x`` was positive, else 0."""
        dy, y = self.saved(dy)
        dx: Array = array_module(dy).where(y > 0, dy, 0)  # dy * (y > 0) is NaN for 0 * Inf
        return dx


class Linear(Module):
    """Every output is a weighted sum of all inputs.

    .. code-block:: text

        y[n, o] = bias[o] + sum over c of weight[o, c] * x[n, c]

    Parameters
    ----------
    in_features, out_features : int
    bias : bool
        Add a learned number to each output.
    rng : Generator, int or None
        Source of the weights: normal with variance 1 / in_features, so that y has the variance
        of x; the bias starts at zero.
    dtype : float32 or float64

    Raises
    ------
    TypeError, ValueError
        If a size is not an int of at least 1, or ``dtype`` is another.

    Examples
    --------
    >>> import numpy as np
    >>> linear = Linear(2, 1, rng=0, dtype=float)
    >>> linear.weight.data[...] = [[1.0, -2.0]]
    >>> linear(np.array([[5.0, 1.0], [0.0, 3.0]]))
    array([[ 3.],
           [-6.]])
    >>> linear.backward(np.array([[1.0], [10.0]]))
    array([[  1.,  -2.],
           [ 10., -20.]])
    >>> linear.weight.grad  # 1 * (5, 1) + 10 * (0, 3)
    array([[ 5., 31.]])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        bias: bool = True,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        shape = as_int("out_features", out_features), as_int("in_features", in_features)
        dtype = as_dtype(dtype)
        weight = as_generator(rng).normal(0.0, 1 / np.sqrt(in_features), shape)
        self.weight = Parameter(weight.astype(dtype))
        self.bias = Parameter(np.zeros(out_features, dtype)) if bias else None

    def forward(self, x: Array) -> Array:
        """Return y (N, out_features) for ``x`` (N, in_features)."""
        weight = self.weight.data
        x = as_input(x, weight)
        if x.ndim != 2 or x.shape[1] != weight.shape[1]:
            raise ArgumentError("x", f"has shape {x.shape}", f"(N, {weight.shape[1]})")
        y = x @ weight.T
        if self.bias is not None:
            y += self.bias.data
        self.save(y, x)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (N, in_features)."""
        dy, x = self.saved(dy)
        self.weight.grad += dy.T @ x
        if self.bias is not None:
            self.bias.grad += dy.sum(axis=0)
        return dy @ self.weight.data
