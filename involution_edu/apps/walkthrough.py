"""Computation of one output pixel of a layer, number by number, as text of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from textwrap import fill
from typing import Any

from numpy.typing import NDArray

from ..arguments import ArgumentError, Pair, as_int, as_pair
from ..images import MEAN, STD, Photo, colour_name, load_photo, photo_to_x, x_to_photo
from ..models import pretrained
from ..models.salt_and_pepper import NOISE_SHARE, with_salt_and_pepper
from ..viz import Trace, record
from ..viz.picks import telling_pixel
from .explore import name_of

ABOUT = (
    f"{NOISE_SHARE:.0%} of the pixels were made black or white: salt-and-pepper noise (seed {{seed}}). "
    "The layer was trained on other photos to remove it. It generates a pixel's kernel from the "
    "pixel's own colour: an ordinary colour keeps its value; black or white, possibly noise, takes "
    "that of its neighbours. Red, green and blue share the kernel. Printed numbers are rounded: "
    "the last digit may differ."
)
MAX_SIZE = 288


@dataclass(frozen=True, eq=False)
class Walkthrough:
    """Result of `run`: every number of a layer on a noisy photo, and one pixel explained."""

    name: str
    clean: Photo  # (H, W, 3), scaled
    photo: Photo  # the same with the noise
    notice: str | None  # of the scaling
    seed: int  # of the noise
    trace: Trace
    pixel: Pair  # row and column
    ok = True

    def text(self) -> str:
        """Return the computation of one pixel, step by step."""
        rows, columns = self.photo.shape[:2]
        steps = _reduce_lines, _span_lines, _apply_lines, _byte_lines
        return "\n".join(
            [
                f"Involution on {self.name}, {rows} x {columns} pixels (rows x columns).",
                *([self.notice] if self.notice else []),
                fill(ABOUT.format(seed=self.seed), 80),
                "",
                *(line for step in steps for line in step(self)),
            ]
        )

    def data(self) -> dict[str, Any]:
        """Return the numbers of that pixel as plain lists."""
        i, j = self.pixel
        trace = self.trace
        arrays = {
            "byte": self.photo[i, j],
            "x": trace.x[0, :, i, j],
            "reduce_weight": trace.reduce_weight,
            "conv": trace.stages["conv"][0, :, i, j],
            **trace.statistics,
            "bn": trace.stages["bn"][0, :, i, j],
            "reduced": trace.reduced[0, :, i, j],
            "span_weight": trace.span_weight,
            "span_bias": trace.span_bias,
            "kernel": trace.kernels[0, 0, i, j],
            "window": trace.patches[0, 0, :, i, j],
            "products": trace.products(i, j)[0, 0],
            "y": trace.y[0, :, i, j],
            "y_byte": x_to_photo(trace.y)[i, j],
        }
        return {
            "size": list(self.photo.shape[:2]),
            "notice": self.notice,
            "pixel": [i, j],
            "seed": self.seed,
            **{name: array.tolist() for name, array in arrays.items()},
        }


def run(
    image: str | Path | None = None, *, size: int = 72, pixel: Pair | None = None, seed: int = 0
) -> Walkthrough:
    """Explain one output pixel of ``pretrained("salt-and-pepper")`` on a photo with noise.

    The layer has C = 3 channels, the colours, and one group, so each pixel's K x K kernel serves
    all three and the output is a colour picture again. The reduction is 1: three channels are too
    few to reduce.

    Parameters
    ----------
    image : path, optional
        As `load_photo` reads; if not given, the portrait that ships with matplotlib.
    size : int
        Longest side of the photo given to the layer, in pixels: 8 to 288.
    pixel : (int, int), optional
        Row and column of the pixel to explain, after scaling; if not given, the one near the
        middle that the layer changes most: a noisy pixel, if there is one.
    seed : int
        Of the noise.

    Raises
    ------
    ValueError
        If the image cannot be used, or ``pixel`` is outside.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> print(run(size=20, pixel=(3, 4)).text().splitlines()[-1])  # doctest: +ELLIPSIS
       ...
    """
    size, seed = as_int("size", size, 8, MAX_SIZE), as_int("seed", seed, 0)
    asked = None if pixel is None else as_pair("pixel", pixel, 0)
    path = None if image is None else Path(image)
    clean, notice = load_photo(path, size)
    H, W = clean.shape[:2]
    if asked is not None and (asked[0] >= H or asked[1] >= W):
        need = (
            f"a row of 0 to {H - 1} and a column of 0 to {W - 1}: the layer gets {H} x {W} pixels"
        )
        raise ArgumentError("pixel", f"is {asked}", need)
    photo = with_salt_and_pepper(clean, seed)
    trace = record(pretrained("salt-and-pepper"), photo_to_x(photo))
    at = asked or telling_pixel(trace)
    return Walkthrough(name_of(path), clean, photo, notice, seed, trace, at)


def _reduce_lines(of: Walkthrough) -> Iterator[str]:
    trace, photo, (i, j) = of.trace, of.photo, of.pixel
    x, conv, std = trace.x[0, :, i, j], trace.stages["conv"][0, :, i, j], trace.statistics["std"]
    # Four digits of the smallest std, because others are divided by it.
    digits = max(3, 3 - floor(log10(std.min())))
    width = digits + 5

    yield f"1. The pixel in row {i}, column {j}. Its features: x = (byte - mean) / std"
    yield f"         {'red':>{width}}{'green':>{width}}{'blue':>{width}}"
    yield f"   byte  {_row(photo[i, j], 0, width)}"
    yield f"   mean  {_row(MEAN, 3, width)}   of the ImageNet photos"
    yield f"   std   {_row(STD, 3, width)}"
    yield f"   x     {_row(x, digits, width)}"
    yield "2. Reduce: a 1x1 convolution, batch norm and ReLU. They see only this pixel."
    yield "   Weights, one row for each number of conv | weights * x, and their sum:"
    for weights, value in zip(trace.reduce_weight, conv, strict=True):
        products = _row(weights * x, digits, width - 1)
        total = f"{value:z{width - 1}.{digits}f}"
        yield f"   {_row(weights, digits, width - 1)} |{products} ={total}"
    yield f"   conv  {_row(conv, digits, width)}"
    yield f"   mean  {_row(trace.statistics['mean'], digits, width)}   of conv, in training; then fixed"
    yield f"   std   {_row(std, digits, width)}   = sqrt(var + eps), likewise"
    yield f"   scale {_row(trace.statistics['scale'], digits, width)}   learned"
    yield f"   shift {_row(trace.statistics['shift'], digits, width)}   learned"
    yield f"   bn    {_row(trace.stages['bn'][0, :, i, j], 3, width)}   = (conv - mean) / std * scale + shift"
    yield f"   relu  {_row(trace.reduced[0, :, i, j], 3, width)}   the reduced features"


def _span_lines(of: Walkthrough) -> Iterator[str]:
    trace, (i, j) = of.trace, of.pixel
    kernel, reduced = trace.kernels[0, 0, i, j], trace.reduced[0, :, i, j]
    weights, bias = trace.span_weight, trace.span_bias
    yield f"3. Span: another 1x1 convolution, to K*K = {len(weights)} numbers. It has {weights.size}"
    yield "   weights, too many to print. Those of the first number | weights * reduced:"
    yield f"   {_row(weights[0])} |{_row(weights[0] * reduced)}"
    yield f"   Their sum, with the bias of {bias[0]:z.3f}, is {kernel[0, 0]:z.3f}."
    yield f"   Reshaped to {len(kernel)} rows, they are this pixel's kernel:"
    for kernel_row in kernel:
        yield f"   {_row(kernel_row)}"


def _apply_lines(of: Walkthrough) -> Iterator[str]:
    trace, (i, j) = of.trace, of.pixel
    window, products, y = trace.patches[0, 0, 0, i, j], trace.products(i, j)[0, 0, 0], trace.y[0]
    yield "4. Its window of x, red, 0 outside the photo:"
    for window_row in window:
        yield f"   {_row(window_row)}"
    yield "   kernel * window, tap by tap, and the sum of each row:"
    for product_row in products:
        yield f"   {_row(product_row)}   ={product_row.sum():z8.3f}"
    yield f"5. The sum of the {products.size} products is the output for red, y[0, 0, {i}, {j}]:"
    yield f"   sum of products {products.sum():z8.3f}"
    yield f"   operator says   {y[0, i, j]:z8.3f}"
    yield f"   The same kernel gives {y[1, i, j]:z.3f} for green and {y[2, i, j]:z.3f} for blue."


def _byte_lines(of: Walkthrough) -> Iterator[str]:
    i, j = of.pixel
    yield "6. Back to bytes, y * std + mean, rounded and limited to 0 to 255:"
    yield f"         {'red':>8}{'green':>8}{'blue':>8}"
    for name, photo in (("y", x_to_photo(of.trace.y)), ("noisy", of.photo), ("clean", of.clean)):
        colour = photo[i, j]
        yield f"   {name:6}{_row(colour, 0)}   {colour_name(colour)}"


def _row(values: NDArray[Any], digits: int = 3, width: int = 8) -> str:
    return "".join(f"{value:z{width}.{digits}f}" for value in values.tolist())
