"""The compiled functions of rung 3.

Planes of ``x`` are independent in the forward pass and in dx, groups are in dkernel: those are
the parallel loops, so no two cores ever write to the same place. The innermost loop walks along
a row, where neighbouring numbers let the compiler use vector instructions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit, prange

from ..geometry import Array, Pair

F = TypeVar("F", bound=Callable[..., None])


def _compiled(function: F) -> F:
    # Fused multiply-adds and a free order of summation, but NaN and Inf keep their meaning.
    decorate = njit(cache=True, parallel=True, fastmath={"contract", "reassoc", "nsz"})
    return cast(F, decorate(function))


@_compiled
def forward(x: Array, kernel: Array, y: Array, stride: Pair, dilation: Pair) -> None:
    """Add involution(x, kernel) to ``y``; ``x`` is padded."""
    N, G, K_h, K_w, H_out, W_out = kernel.shape
    C = y.shape[1]
    for plane in prange(N * C):
        n, c = plane // C, plane % C
        g = c // (C // G)
        for i in range(H_out):
            for u in range(K_h):
                for v in range(K_w):
                    for j in range(W_out):
                        h = i * stride[0] + u * dilation[0]
                        w = j * stride[1] + v * dilation[1]
                        y[n, c, i, j] += kernel[n, g, u, v, i, j] * x[n, c, h, w]


@_compiled
def backward_input(dy: Array, kernel: Array, dx: Array, stride: Pair, dilation: Pair) -> None:
    """Add the gradient of ``x`` to ``dx``, which is padded."""
    N, G, K_h, K_w, H_out, W_out = kernel.shape
    C = dy.shape[1]
    for plane in prange(N * C):
        n, c = plane // C, plane % C
        g = c // (C // G)
        for i in range(H_out):
            for u in range(K_h):
                for v in range(K_w):
                    for j in range(W_out):
                        h = i * stride[0] + u * dilation[0]
                        w = j * stride[1] + v * dilation[1]
                        dx[n, c, h, w] += kernel[n, g, u, v, i, j] * dy[n, c, i, j]


@_compiled
def backward_kernel(dy: Array, x: Array, dkernel: Array, stride: Pair, dilation: Pair) -> None:
    """Add the gradient of the kernel to ``dkernel``; ``x`` is padded."""
    N, G, K_h, K_w, H_out, W_out = dkernel.shape
    C_g = dy.shape[1] // G
    for group in prange(N * G):
        n, g = group // G, group % G
        for r in range(C_g):
            c = g * C_g + r
            for i in range(H_out):
                for u in range(K_h):
                    for v in range(K_w):
                        for j in range(W_out):
                            h = i * stride[0] + u * dilation[0]
                            w = j * stride[1] + v * dilation[1]
                            dkernel[n, g, u, v, i, j] += dy[n, c, i, j] * x[n, c, h, w]
