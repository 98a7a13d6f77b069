"""Windows of an image, right ones and wrong ones: what the exercises and their mistakes share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array

Rows = NDArray[Any]  # of integers, or of bools

# Of rows that a window asks for, and the rows there are: the rows to read, and which count.
Edge = Callable[[Rows, int], tuple[Rows, Rows]]
Start = Callable[[int], int]


def zeros(h: Rows, n: int) -> tuple[Rows, Rows]:
    """Read nothing outside the image."""
    return h.clip(0, n - 1), (h >= 0) & (h < n)


def _repeat(h: Rows, n: int) -> tuple[Rows, Rows]:
    return h.clip(0, n - 1), np.ones_like(h, bool)


def _wrap(h: Rows, n: int) -> tuple[Rows, Rows]:
    return h % n, np.ones_like(h, bool)


def _negative(h: Rows, n: int) -> tuple[Rows, Rows]:
    return h % n, (h >= -n) & (h < n)


def _mirror(h: Rows, n: int) -> tuple[Rows, Rows]:
    inside = np.abs(h) % max(2 * n - 2, 1)
    return np.minimum(inside, max(2 * n - 2, 1) - inside) % n, np.ones_like(h, bool)


def _without_last(h: Rows, n: int) -> tuple[Rows, Rows]:
    return h.clip(0, n - 1), (h >= 0) & (h < n - 1)


def centred(K: int) -> int:
    """Return the rows of a window above its centre."""
    return K // 2


def corner(K: int) -> int:
    """Return the rows of a window above the pixel if it starts there."""
    return 0


def windows(x: Array, K: int, edge: Edge = zeros, start: Start = centred) -> Array:
    """Return all windows (..., K, K, H, W) of images (..., H, W)."""
    (h, rows), (w, columns) = (
        edge(np.arange(n) + np.arange(K)[:, None] - start(K), n) for n in x.shape[-2:]
    )
    read: Array = x[..., h[:, None, :, None], w[:, None, :]]
    return np.where(rows[:, None, :, None] & columns[:, None, :], read, 0)


def fold(
    products: Array, edge: Edge = zeros, start: Start = centred, replace: bool = False
) -> Array:
    """Add (N, C, K, K, H, W) to the pixels of the windows, (N, C, H, W); or replace what is there."""
    N, C, K, _, H, W = products.shape
    x = np.zeros((N, C, H, W))
    for u, v in np.ndindex(K, K):
        (h, rows), (w, columns) = (
            edge(np.arange(n) + tap - start(K), n) for n, tap in ((H, u), (W, v))
        )
        to: Any = (slice(None), slice(None), h[rows][:, None], w[columns])
        part = products[:, :, u, v][:, :, rows][..., columns]
        if replace:
            x[to] = part
        else:
            np.add.at(x, to, part)
    return x


def unchanged(array: Array) -> Array:
    """Return an array as it is."""
    return array


def flipped(kernel: Array) -> Array:
    """Turn kernels (..., K, K) or (N, G, K, K, H, W) by half a turn."""
    return kernel[:, :, ::-1, ::-1] if kernel.ndim > 2 else kernel[::-1, ::-1]


def swapped(kernel: Array) -> Array:
    """Exchange u and v."""
    return kernel.swapaxes(2, 3)


def last_inside(products: Array, inside: Array) -> Array:
    """Return the product of the last tap inside the image, (N, C, H, W)."""
    N, C, K, _, H, W = products.shape
    flat, counts = (a.reshape(N, C, K * K, H, W)[:, :, ::-1] for a in (products, inside))
    result: Array = np.take_along_axis(flat, (counts != 0).argmax(2, keepdims=True), 2)[:, :, 0]
    return result


EDGES: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("wrapped", {"edge": _wrap},
     "beyond the edge you read the other side of the image; there are zeros."),
    ("negative index", {"edge": _negative},
     "an index below 0 counts from the end in Python, without an error; outside there are zeros."),
    ("edge repeated", {"edge": _repeat},
     "you read the pixels at the edge again; outside the image there are zeros."),
    ("mirrored edge", {"edge": _mirror},
     "you read a reflection of the image (mode 'reflect'); outside there are zeros."),
    ("last row left out", {"edge": _without_last},
     "the test for the edge leaves out the last row and column: h < H, not h < H - 1."),
)  # fmt: skip
STARTS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("from the corner", {"start": corner},
     "your window starts at the pixel; it must be centred there: h = i + u - p."),
    ("p is 1", {"start": lambda K: 1}, "p is 1 only for K = 3; it is (K - 1) / 2."),
    ("p is K - 1", {"start": lambda K: K - 1},
     "your window ends at the pixel; it must be centred there: h = i + u - p, p = (K - 1) / 2."),
    ("p too large", {"start": lambda K: K // 2 + 1}, "p is (K - 1) / 2, which is K // 2."),
)  # fmt: skip
