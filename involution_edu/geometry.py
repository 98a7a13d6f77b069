"""The size rules of involution: padding, output sizes, and the pixel under each tap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from .arguments import ArgumentError, IntOrPair, Pair, WrongTypeError, as_int, as_pair, quoted
from .arrays import Array

Padding = int | tuple[int, int] | str

Slices = tuple[slice, slice]  # of rows and columns

MAX_ELEMENTS = 1 << 48  # of x with its padding; so that sizes in bytes cannot overflow


def resolve_padding(padding: object, window: Pair, dilation: Pair) -> Pair:
    """Return the rows and columns of zeros added on *each* side of the image, in pixels.

    ``"same"`` is d(K-1)/2, which gives H_out = ceil(H / s) and needs an odd window; ``"valid"``
    is 0.

    Examples
    --------
    >>> resolve_padding("same", window=(7, 3), dilation=(1, 2))
    (3, 2)
    """
    if not isinstance(padding, str):
        return as_pair("padding", padding, minimum=0)
    if padding == "valid":
        return 0, 0
    if padding != "same":
        need = '"same", "valid", an int or a pair of ints'
        raise ArgumentError("padding", f"is {quoted(padding)}", need)
    k_h, k_w = window
    if k_h % 2 == 0 or k_w % 2 == 0:
        need = "odd sizes for it: pass the padding as an int or a pair for an even window"
        raise ArgumentError("padding", f'is "same" with a window of {k_h} x {k_w}', need)
    d_h, d_w = dilation
    return d_h * (k_h - 1) // 2, d_w * (k_w - 1) // 2


@dataclass(frozen=True, slots=True)
class Geometry:
    """The sizes of one involution; immutable, checked when made.

    For output pixel (i, j), tap (u, v) of the window, stride s, dilation d and padding p, the
    input pixel is h = i*s + u*d - p, w = j*s + v*d - p, zero outside the image.
    Channel c belongs to group g = c // C_g: the groups are contiguous.

    Parameters
    ----------
    N, C, H, W : int
        Batch, channels, rows and columns of ``x``. N may be 0, the others may not.
    G : int
        Channel groups; must divide C.
    window, stride, dilation, padding : (int, int)
        Rows and columns, in pixels.

    Raises
    ------
    TypeError, ValueError
        If a size is no int or impossible; the message names it.

    Examples
    --------
    >>> geom = Geometry(N=1, C=4, H=7, W=10, G=2, window=(3, 3), stride=(2, 2),
    ...                 dilation=(1, 1), padding=(1, 1))
    >>> geom.y_shape
    (1, 4, 4, 5)
    >>> geom.kernel_shape
    (1, 2, 3, 3, 4, 5)
    """

    N: int
    C: int
    H: int
    W: int
    G: int
    window: Pair
    stride: Pair
    dilation: Pair
    padding: Pair

    def __post_init__(self) -> None:
        for name in ("N", "C", "H", "W", "G"):
            as_int(name, getattr(self, name), minimum=0)
        for name, minimum in (("window", 1), ("stride", 1), ("dilation", 1), ("padding", 0)):
            as_pair(name, pair := getattr(self, name), minimum)
            if not isinstance(pair, tuple):
                raise WrongTypeError(name, f"is {pair!r}", "a pair of ints (rows, columns)")
        if min(self.C, self.H, self.W) < 1:
            need = "at least one channel, one row and one column"
            raise ArgumentError("x", f"has shape {self.x_shape}", need)
        if self.G < 1 or self.C % self.G:
            need = f"a divisor of the C = {self.C} channels of x"
            raise ArgumentError("kernel", f"has G = {self.G} groups", need)
        elements = self.N * self.C * self.padded_size[0] * self.padded_size[1]
        if elements > MAX_ELEMENTS:
            need = f"less, for x would have {elements} numbers with it, more than {MAX_ELEMENTS}"
            raise ArgumentError("padding", f"is {self.padding}", need)
        if min(self.H_out, self.W_out) < 1:
            (h, w), (e_h, e_w) = self.padded_size, self.extent
            need = f"at most the {h} x {w} of the padded image (x is {self.H} x {self.W}, padding {self.padding}, dilation {self.dilation})"
            raise ArgumentError("kernel", f"has a window that spans {e_h} x {e_w} pixels", need)

    @property
    def C_g(self) -> int:
        """Channels per group."""
        return self.C // self.G

    @property
    def extent(self) -> Pair:
        """Rows and columns that the dilated window spans: d(K-1) + 1."""
        (k_h, k_w), (d_h, d_w) = self.window, self.dilation
        return d_h * (k_h - 1) + 1, d_w * (k_w - 1) + 1

    @property
    def padded_size(self) -> Pair:
        """Rows and columns of the image with its padding: H + 2p, W + 2p."""
        p_h, p_w = self.padding
        return self.H + 2 * p_h, self.W + 2 * p_w

    @property
    def H_out(self) -> int:
        """Rows of the output: (H + 2p - d(K-1) - 1) // s + 1."""
        return (self.padded_size[0] - self.extent[0]) // self.stride[0] + 1

    @property
    def W_out(self) -> int:
        """Columns of the output, by the same rule as the rows."""
        return (self.padded_size[1] - self.extent[1]) // self.stride[1] + 1

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        """Shape of ``x`` and ``dx``: (N, C, H, W)."""
        return self.N, self.C, self.H, self.W

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        """Shape of ``y`` and ``dy``: (N, C, H_out, W_out)."""
        return self.N, self.C, self.H_out, self.W_out

    @property
    def kernel_shape(self) -> tuple[int, int, int, int, int, int]:
        """Shape of ``kernel`` and ``dkernel``: (N, G, K_h, K_w, H_out, W_out)."""
        return self.N, self.G, *self.window, self.H_out, self.W_out

    def taps(self) -> Iterator[Pair]:
        """Yield every (u, v) of the window, row by row."""
        return product(range(self.window[0]), range(self.window[1]))

    def pixels_under(self, u: int, v: int) -> Slices:
        """Return the rows and columns of the padded image under tap (u, v), one per output."""
        (s_h, s_w), (d_h, d_w) = self.stride, self.dilation
        return (
            slice(u * d_h, u * d_h + s_h * (self.H_out - 1) + 1, s_h),
            slice(v * d_w, v * d_w + s_w * (self.W_out - 1) + 1, s_w),
        )

    def overlaps(self) -> Iterator[tuple[Slices, Slices]]:
        """Yield for every tap the outputs and pixels of `overlaps`."""
        size, out_size = (self.H, self.W), (self.H_out, self.W_out)
        return overlaps(size, out_size, self.window, self.stride, self.padding, self.dilation)

    def pad(self, x: Array) -> Array:
        """Return ``x`` (N, C, H, W) with its padding of zeros; ``x`` itself if there is no padding."""
        p_h, p_w = self.padding
        if p_h == p_w == 0:
            return x
        padded = np.zeros((self.N, self.C, *self.padded_size), x.dtype)
        self.crop(padded)[...] = x
        return padded

    def crop(self, padded: Array) -> Array:
        """Return the image inside a padded one, a view: the inverse and the adjoint of `pad`."""
        p_h, p_w = self.padding
        return padded[:, :, p_h : p_h + self.H, p_w : p_w + self.W]

    def by_group(self, a: Array) -> Array:
        """Split the channels of ``a`` (N, C, ...) into (N, G, C_g, ...), a view."""
        return a.reshape(self.N, self.G, self.C_g, *a.shape[2:])


_checked = lru_cache(maxsize=1024, typed=True)(Geometry)  # the same sizes are checked once


def overlaps(
    size: Pair,
    out_size: Pair,
    window: Pair,
    stride: Pair,
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
) -> Iterator[tuple[Slices, Slices]]:
    """Yield, for every tap, the outputs whose tap is inside the image, and the pixels there.

    With them, windows that reach over the edge need no padded copy of the image or its gradient.
    """
    rows, columns = (
        [overlap(pixels, outputs, tap * d - p, s) for tap in range(k)]
        for pixels, outputs, k, s, p, d in zip(
            size, out_size, window, stride, padding, dilation, strict=True
        )
    )
    for (i, h), (j, w) in product(rows, columns):
        yield (i, j), (h, w)


def overlap(pixels: int, outputs: int, shift: int, stride: int) -> Slices:
    """Return, along one axis, the outputs i for which the pixel i*stride + shift exists, and those pixels."""
    first = max(0, -(shift // stride))
    last = max(first, min(outputs, -((shift - pixels) // stride)))
    start = first * stride + shift
    return slice(first, last), slice(start, start + (last - first) * stride, stride)


def make_geometry(
    x_shape: tuple[int, int, int, int],
    groups: int,
    window: IntOrPair,
    stride: IntOrPair = 1,
    dilation: IntOrPair = 1,
    padding: Padding = "same",
) -> Geometry:
    """Return a `Geometry` from ints, pairs and "same" or "valid", as `involution` takes them."""
    w, d = as_pair("window", window), as_pair("dilation", dilation)
    p = resolve_padding(padding, w, d)
    return _checked(*x_shape, groups, w, as_pair("stride", stride), d, p)
