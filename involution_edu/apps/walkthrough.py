"""Computation of one output pixel of a layer, number by number, as text of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from math import floor, log10
from typing import Any

from numpy.typing import NDArray

from ..arguments import Pair
from ..images import MEAN, STD, Photo
from ..viz import Trace


def walkthrough(trace: Trace, photo: Photo, pixel: Pair) -> str:
    """Return the steps from a pixel of ``photo`` to its output, every number read from ``trace``."""
    i, j = pixel
    blocks = _reduce_lines(trace, photo, i, j), _span_lines(trace, i, j), _apply_lines(trace, i, j)
    return "\n".join(chain(*blocks))


def _reduce_lines(trace: Trace, photo: Photo, i: int, j: int) -> Iterator[str]:
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


def _span_lines(trace: Trace, i: int, j: int) -> Iterator[str]:
    kernel, reduced = trace.kernels[0, 0, i, j], trace.reduced[0, :, i, j]
    weights, bias = trace.span_weight, trace.span_bias
    yield f"3. Span: another 1x1 convolution, to K*K = {len(weights)} numbers. It has {weights.size}"
    yield "   weights, too many to print. Those of the first number | weights * reduced:"
    yield f"   {_row(weights[0])} |{_row(weights[0] * reduced)}"
    yield f"   Their sum, with the bias of {bias[0]:z.3f}, is {kernel[0, 0]:z.3f}."
    yield f"   Reshaped to {len(kernel)} rows, they are this pixel's kernel:"
    for kernel_row in kernel:
        yield f"   {_row(kernel_row)}"


def _apply_lines(trace: Trace, i: int, j: int) -> Iterator[str]:
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


def _row(values: NDArray[Any], digits: int = 3, width: int = 8) -> str:
    return "".join(f"{value:z{width}.{digits}f}" for value in values.tolist())
