"""Traces: every number of one involution, for the pictures and the walk-through."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ..arguments import ArgumentError, Pair
from ..arrays import Array
from ..backends.windows import windows
from ..cases import scaled_error, tolerance
from ..geometry import Geometry
from ..nn.losses import softmax


@dataclass(frozen=True, eq=False, kw_only=True)
class OperatorTrace:
    """One run of the operator, recorded and checked by `involution_edu.viz.record_operator`.

    Attributes
    ----------
    x : ndarray, shape (N, C, H, W)
        Input of the operator.
    kernel : ndarray, shape (N, G, K_h, K_w, H_out, W_out)
    y : ndarray, shape (N, C, H_out, W_out)
        Output of the operator.
    geom : Geometry
    origin : (int, int)
        Row and column of the first output pixel in the output of the whole run; (0, 0) except
        for a `part`.

    Examples
    --------
    >>> from involution_edu import viz
    >>> x = np.arange(12.0).reshape(1, 1, 3, 4)
    >>> trace = viz.record_operator(x, np.full((1, 1, 3, 3, 3, 4), 2.0))
    >>> trace.products(0, 0)[0, 0, 0]  # the window at the corner, its zeros, times the kernel
    array([[ 0.,  0.,  0.],
           [ 0.,  0.,  2.],
           [ 0.,  8., 10.]])
    >>> float(trace.y[0, 0, 0, 0])
    20.0
    """

    x: Array
    kernel: Array
    y: Array
    geom: Geometry
    origin: Pair = (0, 0)

    @property
    def patches(self) -> Array:
        """The window around every output pixel: a view (N, G, C_g, H_out, W_out, K_h, K_w)."""
        return windows(self.x, self.geom)

    @property
    def kernels(self) -> Array:
        """The kernel of every output pixel: a view (N, G, H_out, W_out, K_h, K_w)."""
        return self.kernel.transpose(0, 1, 4, 5, 2, 3)

    def products(self, i: int | slice, j: int | slice) -> Array:
        """Return the products that sum to output pixel (i, j), one per tap: (N, G, C_g, K_h, K_w).

        For a slice, they have one more axis, of the pixels, before K_h.
        """
        return self.patches[:, :, :, i, j] * self.kernels[:, :, np.newaxis, i, j]

    def part(self, rows: slice, columns: slice, groups: slice = slice(None)) -> Self:
        """Return the trace of a rectangle of output pixels and some groups, as a copy.

        Its ``x`` holds the pixels in the windows of those outputs, zeros of the padding included,
        so that it has no padding of its own. Its place in the whole is ``origin``.

        Parameters
        ----------
        rows, columns, groups : slice
            Of the output, without a step.

        Raises
        ------
        ValueError
            If a slice has a step or is empty.

        Examples
        --------
        >>> from involution_edu.viz import record_operator
        >>> x, kernel = np.ones((1, 4, 9, 9)), np.ones((1, 2, 3, 3, 9, 9))
        >>> corner = record_operator(x, kernel).part(slice(0, 1), slice(7, 9), slice(1, 2))
        >>> corner.origin, corner.x.shape, corner.y.tolist()
        ((0, 7), (1, 2, 3, 4), [[[[6.0, 4.0]], [[6.0, 4.0]]]])
        """
        geom = self.geom
        i0, i1 = _bounds("rows", rows, geom.H_out)
        j0, j1 = _bounds("columns", columns, geom.W_out)
        g0, g1 = _bounds("groups", groups, geom.G)
        (s_h, s_w), (e_h, e_w) = geom.stride, geom.extent
        channels = slice(g0 * geom.C_g, g1 * geom.C_g)
        read_rows = slice(i0 * s_h, (i1 - 1) * s_h + e_h)
        read_columns = slice(j0 * s_w, (j1 - 1) * s_w + e_w)
        x = geom.pad(self.x)[:, channels, read_rows, read_columns].copy()
        n, c, h, w = x.shape
        return replace(
            self,
            x=x,
            kernel=self.kernel[:, g0:g1, :, :, i0:i1, j0:j1].copy(),
            y=self.y[:, channels, i0:i1, j0:j1].copy(),
            geom=replace(geom, N=n, C=c, H=h, W=w, G=g1 - g0, padding=(0, 0)),
            origin=(self.origin[0] + i0, self.origin[1] + j0),
        )

    def check(self) -> None:
        """Raise `ArithmeticError` unless the products sum to ``y``."""
        y, size = np.empty_like(self.y), np.empty_like(self.y)
        # One output row at a time: all products together are K_h*K_w times as large as y.
        for i in range(self.geom.H_out):
            products = self.products(i, slice(None))  # (N, G, C_g, W_out, K_h, K_w)
            self.geom.by_group(y)[..., i, :] = products.sum(axis=(-2, -1))
            self.geom.by_group(size)[..., i, :] = np.abs(products).sum(axis=(-2, -1))
        agree("y", self.y, y, self.geom.window[0] * self.geom.window[1], size)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trace(OperatorTrace):
    """Every number of a layer from ``x`` to ``y``, recorded by `involution_edu.viz.record`.

    Attributes
    ----------
    features : ndarray, shape (N, C, H, W)
        Input of reduce, before pooling: ``x`` itself in an `Involution2d` without out_channels;
        what its convolutions have made of a photo in an `EdgeDenoiser`.
    reduce_weight : ndarray, shape (C // r, C)
        The 1x1 convolution from ``features`` to the first of the stages.
    statistics : dict of ndarrays, shape (C // r,)
        Of batch norm: the running "mean" and "std" = sqrt(var + eps), and the learned "scale" and
        "shift". Empty if the layer has no batch norm.
    stages : dict of ndarrays, shape (N, C // r, H_out, W_out)
        Output of each module of reduce, by its name: "conv", then "bn" and "relu" if the layer
        has them. The last are the reduced features.
    span_weight, span_bias : ndarray, shapes (G*K_h*K_w, C // r) and (G*K_h*K_w,)
        The 1x1 convolution from ``reduced`` to ``kernel``.
    softmax : bool
        Whether ``kernel`` is the softmax of that, over the taps, as in an `EdgeDenoiser`.

    Examples
    --------
    >>> from involution_edu import nn, viz
    >>> layer = nn.Involution2d(8, 3, groups=2, reduction=4, rng=0).eval()
    >>> trace = viz.record(layer, np.ones((1, 8, 4, 5), np.float32))
    >>> {name: array.shape for name, array in trace.stages.items()}
    {'conv': (1, 2, 4, 5), 'bn': (1, 2, 4, 5), 'relu': (1, 2, 4, 5)}
    >>> trace.span_weight.shape, trace.kernel.shape  # G*K_h*K_w = 18
    ((18, 2), (1, 2, 3, 3, 4, 5))
    """

    features: Array
    reduce_weight: Array
    statistics: dict[str, Array]
    stages: dict[str, Array]
    span_weight: Array
    span_bias: Array
    softmax: bool = False

    @property
    def reduced(self) -> Array:
        """The reduced features (N, C // r, H_out, W_out)."""
        return list(self.stages.values())[-1]

    def part(self, rows: slice, columns: slice, groups: slice = slice(None)) -> Self:
        """Return the trace of some output pixels and groups alone; see `OperatorTrace.part`."""
        part, (s_h, s_w) = super().part(rows, columns, groups), self.geom.stride
        (i0, i1, _), (j0, j1, _) = rows.indices(self.geom.H_out), columns.indices(self.geom.W_out)
        taps = self.geom.window[0] * self.geom.window[1]
        g0, g1, _ = groups.indices(self.geom.G)
        spanned = slice(g0 * taps, g1 * taps)
        return replace(
            part,
            features=self.features[:, :, i0 * s_h : i1 * s_h, j0 * s_w : j1 * s_w].copy(),
            stages={name: a[:, :, rows, columns].copy() for name, a in self.stages.items()},
            span_weight=self.span_weight[spanned].copy(),
            span_bias=self.span_bias[spanned].copy(),
        )

    def check(self) -> None:
        """Raise `ArithmeticError` unless span gives the kernels and the products sum to ``y``."""
        weight, bias, reduced = self.span_weight, self.span_bias, self.reduced
        spanned, size = (
            np.einsum("oc,nchw->nohw", w, features) + b[:, np.newaxis, np.newaxis]
            for w, features, b in ((weight, reduced, bias), map(np.abs, (weight, reduced, bias)))
        )
        if self.softmax:  # G = 1; a small error of its argument is a relative error of its value
            spanned = softmax(spanned, axis=1)
            size = spanned * (1 + size.max(axis=1, keepdims=True))
            size += np.finfo(size.dtype).tiny  # below it, numbers have fewer digits
        agree("kernel", self.kernel.reshape(spanned.shape), spanned, weight.shape[1] + 1, size)
        super().check()


def _bounds(name: str, part: slice, size: int) -> Pair:
    start, stop, step = part.indices(size)
    if step != 1 or stop <= start:
        raise ArgumentError(name, f"is {part}", f"a slice without a step, not empty within {size}")
    return start, stop


def agree(name: str, array: Array, reference: Array, terms: int, size: Array | None = None) -> None:
    """Raise `ArithmeticError` unless ``array`` is ``reference``, sums of products, up to rounding."""
    error = scaled_error(array, reference, size)
    allowed = tolerance(reference.dtype, terms)
    if error > allowed:
        raise ArithmeticError(
            f"{name} is {error:.1e} away from the sum of its recorded products, relative to "
            f"their size; need at most {allowed:.0e}"
        )
