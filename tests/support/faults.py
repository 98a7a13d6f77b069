"""Planted faults: mistakes that implementations really make, each of which the checks must find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from involution_edu.arrays import Array
from involution_edu.backends import loops
from involution_edu.geometry import Geometry

Function = Callable[..., Array]


@dataclass(frozen=True)
class Product:
    """The indices of one product of the sum, as `loops.products` yields them."""

    n: int
    c: int
    g: int
    i: int
    j: int
    u: int
    v: int
    h: int
    w: int


def misread(function: Function, wrong: Callable[[Geometry, Product], dict[str, int]]) -> Function:
    """Return a function of `loops` that walks over the products with some indices wrong."""

    def products(geom: Geometry) -> Iterator[tuple[int, ...]]:
        H, W = geom.padded_size
        for right in correct(geom):
            p = replace(Product(*right), **wrong(geom, Product(*right)))
            yield p.n, p.c, p.g, p.i, p.j, p.u, p.v, min(p.h, H - 1), min(p.w, W - 1)

    def run(*arguments: Any) -> Array:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loops, "products", products)
            return function(*arguments)

    correct = loops.products
    return run


# Wrong indices, in the forward pass and both gradients: (the wrong indices, a case that shows it).
# Such an operator is consistent with its own gradients, so only the comparison can see it.
WRONG_INDICES: dict[str, tuple[Callable[[Geometry, Product], dict[str, int]], str]] = {
    "groups interleaved, c % G": (lambda geom, p: {"g": p.c % geom.G}, "plain 3x3"),
    "u and v swapped": (lambda _, p: {"u": p.v, "v": p.u}, "plain 3x3"),
    "kernel turned round, as in a true convolution": (
        lambda geom, p: {"u": geom.window[0] - 1 - p.u, "v": geom.window[1] - 1 - p.v},
        "plain 3x3",
    ),
    "column read at the row": (lambda _, p: {"w": p.h}, "plain 3x3"),
    "row stride used for columns": (
        lambda geom, p: {"w": p.j * geom.stride[0] + p.v * geom.dilation[1]},
        "stride (1, 2)",
    ),
    "stride ignored for columns": (
        lambda geom, p: {"w": p.j + p.v * geom.dilation[1]},
        "stride 2, odd sizes",
    ),
    "dilation applied to rows only": (
        lambda geom, p: {"w": p.j * geom.stride[1] + p.v},
        "dilation 2",
    ),
    "padding below and to the right only": (
        lambda geom, p: {"h": p.h + geom.padding[0], "w": p.w + geom.padding[1]},
        "plain 3x3",
    ),
    "the first image's kernel used for all": (lambda _, p: {"n": 0}, "plain 3x3"),
}


def summed_across_channels(x: Array, kernel: Array, geom: Geometry) -> Array:
    """Give every channel of a group the sum over all of them, as a grouped convolution would."""
    y = geom.by_group(loops.forward(x, kernel, geom))
    return np.broadcast_to(y.sum(axis=2, keepdims=True), y.shape).reshape(geom.y_shape)


def rounded_to_half(x: Array, kernel: Array, geom: Geometry) -> Array:
    return loops.forward(x, kernel, geom).astype(np.float16).astype(x.dtype)


def mean_over_channels(dy: Array, x: Array, geom: Geometry) -> Array:
    return loops.backward_kernel(dy, x, geom) / dy.dtype.type(geom.C_g)
