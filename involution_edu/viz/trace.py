"""What an involution layer did to an input, recorded for the pictures and the walk-through."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..backends.windows import windows
from ..cases import TOLERANCE, scaled_error
from ..geometry import Array, Geometry, Pair
from ..nn import BatchNorm2d, Involution2d


@dataclass(frozen=True, eq=False)
class Trace:
    """Every number on the way from ``x`` to ``y``; made by `record`, which checks them.

    Attributes
    ----------
    x : ndarray, shape (N, C, H, W)
        What the operator was given.
    reduce_weight : ndarray, shape (C // r, C)
        The 1x1 convolution from ``x`` to the first of the stages.
    statistics : dict of ndarrays, shape (C // r,)
        "mean" and "std", the fixed numbers that batch norm subtracts and divides by, std being
        sqrt(var + eps); then "scale" and "shift", the learned ones that it multiplies by and
        adds. Empty if the layer has no batch norm.
    stages : dict of ndarrays, shape (N, C // r, H_out, W_out)
        What each module of reduce returned, by its name: "conv", then "bn" and "relu" if the
        layer has them. The last are the reduced features, of which the kernels are made.
    span_weight, span_bias : ndarray, shapes (G*K_h*K_w, C // r) and (G*K_h*K_w,)
        The 1x1 convolution from ``reduced`` to ``kernel``.
    kernel : ndarray, shape (N, G, K_h, K_w, H_out, W_out)
    y : ndarray, shape (N, C, H_out, W_out)
        What the operator returned.
    geom : Geometry
    """

    x: Array
    reduce_weight: Array
    statistics: dict[str, Array]
    stages: dict[str, Array]
    span_weight: Array
    span_bias: Array
    kernel: Array
    y: Array
    geom: Geometry

    @property
    def reduced(self) -> Array:
        """The reduced features (N, C // r, H_out, W_out)."""
        return list(self.stages.values())[-1]

    @property
    def patches(self) -> Array:
        """The window around every output pixel: a view (N, G, C_g, H_out, W_out, K_h, K_w)."""
        return windows(self.x, self.geom)

    @property
    def kernels(self) -> Array:
        """The kernel of every output pixel: a view (N, G, H_out, W_out, K_h, K_w)."""
        return self.kernel.transpose(0, 1, 4, 5, 2, 3)

    def products(self, i: int | slice, j: int | slice) -> Array:
        """Return what output pixel (i, j) adds up: (N, G, C_g, K_h, K_w), one for each place.

        A slice gives the products of many pixels, with an axis more.
        """
        return self.patches[:, :, :, i, j] * self.kernels[:, :, np.newaxis, i, j]


def record(layer: Involution2d, x: Array) -> Trace:
    """Run ``layer`` on ``x`` and return the numbers it went through.

    The products are added up here once more and held against the ``y`` of the operator, so that
    a wrong operator raises instead of drawing a picture that looks right.

    Parameters
    ----------
    layer : Involution2d
        In evaluation mode; in training mode batch norm would use the whole of ``x``, and no
        kernel would be made from its pixel alone.
    x : ndarray, shape (N, C, H, W)

    Raises
    ------
    ValueError
        If the layer is in training mode.
    ArithmeticError
        If the products do not sum to ``y``, or the reduced features do not span the kernels.

    Examples
    --------
    >>> from involution_edu import nn
    >>> layer = nn.Involution2d(2, 3, groups=1, reduction=1, rng=0, dtype=float)
    >>> trace = record(layer.eval(), np.random.default_rng(0).standard_normal((1, 2, 4, 5)))
    >>> products = trace.products(1, 2)[0, 0]  # of pixel (1, 2): (C, K_h, K_w)
    >>> np.allclose(products.sum(axis=(1, 2)), trace.y[0, :, 1, 2])
    True
    """
    if layer.training:
        raise ValueError("layer is in training mode; need evaluation mode: call eval()")
    norm = layer.conv1.children().get("bn")
    statistics = {}
    if isinstance(norm, BatchNorm2d):
        statistics = {
            "mean": norm.running_mean.copy(),
            "std": np.sqrt(norm.running_var + norm.eps),
            "scale": norm.weight.data.copy(),
            "shift": norm.bias.data.copy(),
        }
    features, stages = layer.pool(x), {}
    for name, module in layer.conv1.children().items():
        stages[name] = features = module(features)
    kernel = layer.span(features)
    y = layer(x)
    applied = layer.project(x)
    span = layer.conv2.state_dict()
    trace = Trace(
        x=applied,
        reduce_weight=layer.conv1.state_dict()["conv.weight"].reshape(-1, x.shape[1]),
        statistics=statistics,
        stages=stages,
        span_weight=span["conv.weight"].reshape(-1, features.shape[1]),
        span_bias=span["conv.bias"],
        kernel=kernel,
        y=y,
        geom=Geometry.of(applied, kernel, stride=layer.stride, dilation=layer.dilation),
    )
    _check(trace)
    return trace


def varied_pixels(trace: Trace, first: Pair, rows: int, columns: int) -> list[Pair]:
    """Return ``first`` and a pixel (i, j) of each other of rows x columns blocks of the output.

    Each is the pixel of its block whose kernel is least like the kernels chosen before. The way
    through the blocks goes from left to right and back.
    """
    kernels = trace.kernels[0, 0]  # (H_out, W_out, K_h, K_w)
    chosen = [first]
    nearest = np.square(kernels - kernels[first]).sum(axis=(2, 3))  # squared distance, so far
    for band, (top, bottom) in enumerate(_blocks(trace.geom.H_out, rows)):
        for left, right in _blocks(trace.geom.W_out, columns)[:: -1 if band % 2 else 1]:
            if top <= first[0] < bottom and left <= first[1] < right:
                continue
            block = nearest[top:bottom, left:right]
            r, c = np.unravel_index(block.argmax(), block.shape)
            chosen.append((top + int(r), left + int(c)))
            distance = np.square(kernels - kernels[chosen[-1]]).sum(axis=(2, 3))
            nearest = np.minimum(nearest, distance)
    return chosen


def _blocks(pixels: int, count: int) -> list[Pair]:
    """Return the first pixel and the one behind the last of ``count`` blocks, or of fewer."""
    edges = sorted({pixels * n // count for n in range(count + 1)})
    return list(pairwise(edges))


def _check(trace: Trace) -> None:
    spanned = np.einsum("oc,nchw->nohw", trace.span_weight, trace.reduced)
    spanned += trace.span_bias[:, np.newaxis, np.newaxis]
    # One row of the output at a time: all products at once are K_h*K_w times as large as y.
    sums = [trace.products(i, slice(None)).sum(axis=(-2, -1)) for i in range(trace.geom.H_out)]
    y = np.stack(sums, axis=3).reshape(trace.y.shape)  # (N, G, C_g, H_out, W_out) -> (N, C, ...)
    for name, array, reference in (
        ("kernel", trace.kernel.reshape(spanned.shape), spanned),
        ("y", trace.y, y),
    ):
        error, allowed = scaled_error(array, reference), TOLERANCE[reference.dtype]
        if error > allowed:
            raise ArithmeticError(
                f"{name} is {error:.1e} away from the sum of its recorded products, relative to "
                f"the largest; need at most {allowed:.0e}"
            )
