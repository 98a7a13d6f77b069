"""Involution on a photo: one pixel worked out in text, ``kernels.png`` and ``demo.gif``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import floor, log10
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import check_writable, written_whole
from .geometry import Pair, as_int, as_pair
from .images import MEAN, STD, Photo, load_photo, photo_to_x
from .nn import Involution2d
from .viz import Trace, record

KERNEL_SIZE = 5  # RedNet has 7; 5 x 5 numbers can still be read, and checked with a pencil
LARGEST = 288  # what fits the animation with one pixel of the sheet for each of the photo


@dataclass(frozen=True, eq=False)
class Demo:
    """What `run` computed, said and wrote.

    Attributes
    ----------
    text : str
        The walk-through of one pixel, for the terminal.
    trace : Trace
        Every number behind it.
    photo : ndarray, shape (H, W, 3), uint8
        What the layer was given, after scaling.
    pixel : (int, int)
        Row and column of the walk-through.
    seed : int
    files : tuple of Path
    notice : str or None
        What was scaled from what to what.
    """

    text: str
    trace: Trace
    photo: Photo
    pixel: Pair
    seed: int
    files: tuple[Path, ...]
    notice: str | None

    def data(self) -> dict[str, Any]:
        """Return the numbers of the walk-through as plain lists, ready for JSON."""
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
        }
        return {
            "size": list(self.photo.shape[:2]),
            "notice": self.notice,
            "pixel": [i, j],
            "seed": self.seed,
            "files": [str(path) for path in self.files],
            **{name: array.tolist() for name, array in arrays.items()},
        }


def show_progress(done: int, total: int) -> None:
    """Rewrite one line on a terminal's standard error; write nothing elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\rdrawing {done}/{total}" + "\n" * (done == total))
        sys.stderr.flush()


def run(
    image: str | Path | None = None,
    *,
    out_dir: str | Path = ".",
    force: bool = False,
    size: int = 72,
    pixel: Pair | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] = show_progress,
) -> Demo:
    """Run an involution layer on a photo; write ``kernels.png`` and ``demo.gif``.

    The layer has C = 3 channels, the colours, and one group, so each pixel's K x K kernel serves
    all three and the output is a colour picture again. The reduction is 1: of three channels
    there is nothing to save. The weights are random; batch norm's mean and variance are those of
    the photo, taken once and then fixed, so that a pixel's kernel depends on that pixel alone.

    Parameters
    ----------
    image : path, optional
        Any image that Pillow reads; if not given, the portrait that ships with matplotlib.
    out_dir : path
        An existing folder.
    force : bool
        Replace the two files if they exist.
    size : int
        Longest side of the photo given to the layer, in pixels: 8 to 288.
    pixel : (int, int), optional
        Row and column to work out, after scaling; if not given, one in the middle of the
        photo with a strong kernel.
    seed : int
        Of the random weights.
    progress : callable
        Called with the steps of the drawing done so far and their number.

    Raises
    ------
    ValueError
        If the image cannot be used or has one colour everywhere, or ``pixel`` lies outside.
    OSError
        If a file cannot be read or written. Both files are written, or none.
    ArithmeticError
        If the operator's output is not the sum of its products.
    """
    size, seed = as_int("size", size, 8), as_int("seed", seed, 0)
    if size > LARGEST:
        raise ValueError(f"size is {size}; need 8 to {LARGEST}")
    asked = None if pixel is None else as_pair("pixel", pixel, 0)
    files = tuple(Path(out_dir) / name for name in ("kernels.png", "demo.gif"))
    check_writable(*files, force=force, choice="another folder with --out")

    photo, notice = load_photo(None if image is None else Path(image), size)
    trace = record(make_layer(photo, seed), photo_to_x(photo))
    at = _telling(trace) if asked is None else _inside(asked, photo)
    name = "the sample portrait" if image is None else _escaped(Path(image).name)
    _draw(trace, photo, at, files, force, progress)
    text = "\n".join(
        [
            f"Involution on {name}, {photo.shape[0]} x {photo.shape[1]} pixels (rows x columns).",
            *([notice] if notice else []),
            f"The weights are random (seed {seed}) until trained ones ship: this shows how",
            "involution works, not what it can learn. Batch norm's mean and std are fixed",
            "numbers, taken from this photo once. There is one group: red, green and blue",
            "share the kernel of each pixel. Numbers are rounded for print: work with what",
            "you see, and the last digit may differ.",
            "",
            walkthrough(trace, photo, at),
            "",
            f"Wrote {_escaped(str(files[0]))} and {_escaped(str(files[1]))}",
        ]
    )
    return Demo(text, trace, photo, at, seed, files, notice)


def make_layer(photo: Photo, seed: int) -> Involution2d:
    """Return the layer of the demo in evaluation mode, with the batch statistics of ``photo``.

    They are the mean and the biased variance of each channel over all pixels of the photo. From
    then on they are fixed numbers, whatever the layer is given.

    Raises
    ------
    ValueError
        If the photo has one colour everywhere.
    """
    if (photo == photo[0, 0]).all():
        raise ValueError(
            "image has one colour everywhere; need two or more, because batch norm needs a variance"
        )
    layer = Involution2d(3, KERNEL_SIZE, groups=1, reduction=1, rng=seed)
    conv = layer.conv1.children()["conv"](photo_to_x(photo))
    state = layer.state_dict()
    state["conv1.bn.running_mean"] = conv.mean(axis=(0, 2, 3))
    state["conv1.bn.running_var"] = conv.var(axis=(0, 2, 3))
    layer.load_state_dict(state)
    return layer.eval()


def walkthrough(trace: Trace, photo: Photo, pixel: Pair) -> str:
    """Return the way from a pixel of ``photo`` to its output, every number read from ``trace``."""
    i, j = pixel
    blocks = _reduce_lines(trace, photo, i, j), _span_lines(trace, i, j), _apply_lines(trace, i, j)
    return "\n".join(chain(*blocks))


def _reduce_lines(trace: Trace, photo: Photo, i: int, j: int) -> Iterator[str]:
    x, conv, std = trace.x[0, :, i, j], trace.stages["conv"][0, :, i, j], trace.statistics["std"]
    # Four digits of the smallest std: what is divided by it must be known that well.
    digits = max(3, 3 - floor(log10(std.min())))
    width = digits + 5

    yield f"1. The pixel in row {i}, column {j}. Its features: x = (byte - mean) / std"
    yield f"         {'red':>{width}}{'green':>{width}}{'blue':>{width}}"
    yield f"   byte  {_row(photo[i, j], 0, width)}"
    yield f"   mean  {_row(MEAN, 3, width)}   of the ImageNet photos"
    yield f"   std   {_row(STD, 3, width)}"
    yield f"   x     {_row(x, digits, width)}"
    yield "2. Reduce: a 1x1 convolution, batch norm and ReLU. They see this pixel alone."
    yield "   Weights, one row for each number of conv | weights * x, and their sum:"
    for weights, value in zip(trace.reduce_weight, conv, strict=True):
        products = _row(weights * x, digits, width - 1)
        total = f"{value:z{width - 1}.{digits}f}"
        yield f"   {_row(weights, digits, width - 1)} |{products} ={total}"
    yield f"   conv  {_row(conv, digits, width)}"
    yield f"   mean  {_row(trace.statistics['mean'], digits, width)}   of conv, over the whole photo"
    yield f"   std   {_row(std, digits, width)}   = sqrt(var + eps), both fixed"
    yield f"   bn    {_row(trace.stages['bn'][0, :, i, j], 3, width)}   = (conv - mean) / std"
    yield f"   relu  {_row(trace.reduced[0, :, i, j], 3, width)}   the reduced features"


def _span_lines(trace: Trace, i: int, j: int) -> Iterator[str]:
    kernel, reduced = trace.kernels[0, 0, i, j], trace.reduced[0, :, i, j]
    weights, bias = trace.span_weight, trace.span_bias
    yield f"3. Span: another 1x1 convolution, to K*K = {len(weights)} numbers. It has {weights.size}"
    yield "   weights, too many to print. Those of the first number | weights * reduced:"
    yield f"   {_row(weights[0])} |{_row(weights[0] * reduced)}"
    yield f"   Their sum, with the bias of {bias[0]:z.3f}, is {kernel[0, 0]:z.3f}."
    yield f"   Written in {len(kernel)} rows, with nothing computed, they are this pixel's kernel:"
    for kernel_row in kernel:
        yield f"   {_row(kernel_row)}"


def _apply_lines(trace: Trace, i: int, j: int) -> Iterator[str]:
    window, products, y = trace.patches[0, 0, 0, i, j], trace.products(i, j)[0, 0, 0], trace.y[0]
    yield "4. Its window of x, red, 0 outside the photo:"
    for window_row in window:
        yield f"   {_row(window_row)}"
    yield "   kernel * window, place by place, and the sum of each row:"
    for product_row in products:
        yield f"   {_row(product_row)}   ={product_row.sum():z8.3f}"
    yield f"5. The sum of the {products.size} products is the output for red, y[0, 0, {i}, {j}]:"
    yield f"   sum of products {products.sum():z8.3f}"
    yield f"   operator says   {y[0, i, j]:z8.3f}"
    yield f"   The same kernel gives {y[1, i, j]:z.3f} for green and {y[2, i, j]:z.3f} for blue."


def _row(values: NDArray[Any], digits: int = 3, width: int = 8) -> str:
    return "".join(f"{value:z{width}.{digits}f}" for value in values.tolist())


def _escaped(name: str) -> str:
    """Return ``name`` with backslash escapes for line breaks and the like."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in name)


def _inside(pixel: Pair, photo: Photo) -> Pair:
    H, W = photo.shape[:2]
    if pixel[0] >= H or pixel[1] >= W:
        raise ValueError(
            f"pixel is {pixel}; need a row of 0 to {H - 1} and a column of 0 to {W - 1}, "
            f"for the photo is given to the layer as {H} x {W}"
        )
    return pixel


def _telling(trace: Trace) -> Pair:
    """Return a pixel of the middle, whose kernel is larger than most there that are not zero."""
    strength = np.square(trace.kernels[0, 0]).sum(axis=(2, 3))
    H, W = strength.shape
    top, left = 3 * H // 8, 3 * W // 8
    middle = strength[top : H - top, left : W - left]
    upper_third = np.count_nonzero(middle) // 3
    i, j = np.unravel_index(middle.argsort(axis=None)[-1 - upper_third], middle.shape)
    return top + int(i), left + int(j)


def _draw(
    trace: Trace,
    photo: Photo,
    pixel: Pair,
    files: tuple[Path, ...],
    force: bool,
    progress: Callable[[int, int], None],
) -> None:
    from .viz.animation import film_of
    from .viz.film import save_film
    from .viz.stills import save_kernels
    from .viz.trace import varied_pixels

    png, gif = files
    stops = varied_pixels(trace, pixel, 2, 3)
    with written_whole(png, force=force) as png_whole:
        save_kernels(trace, photo, stops, png_whole)
        with written_whole(gif, force=force) as gif_whole:
            save_film(film_of(trace, photo, stops), gif_whole, "gif", progress)
