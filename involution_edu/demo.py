"""Involution on a photo: one pixel worked out in text, ``kernels.png`` and ``demo.gif``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    """

    text: str
    trace: Trace
    photo: Photo
    pixel: Pair
    seed: int
    files: tuple[Path, ...]

    def data(self) -> dict[str, Any]:
        """Return the numbers of the walk-through as plain lists, ready for JSON."""
        i, j = self.pixel
        trace = self.trace
        arrays = {
            "byte": self.photo[i, j],
            "x": trace.x[0, :, i, j],
            "reduced": trace.reduced[0, :, i, j],
            "kernel": trace.kernels[0, 0, i, j],
            "window": trace.patches[0, 0, :, i, j],
            "products": trace.products(i, j)[0, 0],
            "y": trace.y[0, :, i, j],
        }
        return {
            "size": list(self.photo.shape[:2]),
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
    there is nothing to save. The weights are random.

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
        If the image cannot be used, or ``pixel`` lies outside of it.
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
    check_writable(*files, force=force)

    photo, notice = load_photo(None if image is None else Path(image), size)
    trace = record(_layer(photo, seed), photo_to_x(photo))
    at = _telling(trace) if asked is None else _inside(asked, photo)
    name = "the sample portrait" if image is None else Path(image).name
    _draw(trace, photo, at, files, force, progress)
    text = "\n".join(
        [
            f"Involution on {name}, {photo.shape[0]} x {photo.shape[1]} pixels (rows x columns).",
            *([notice] if notice else []),
            f"The weights are random (seed {seed}) until trained ones ship: this shows how",
            "involution works, not what it can learn. Batch norm takes the mean and variance of",
            "this photo. There is one group: red, green and blue share the kernel of each pixel.",
            "",
            walkthrough(trace, photo, at),
            "",
            f"Wrote {files[0]} and {files[1]}",
        ]
    )
    return Demo(text, trace, photo, at, seed, files)


def walkthrough(trace: Trace, photo: Photo, pixel: Pair) -> str:
    """Return the way from a pixel of ``photo`` to its output, every number read from ``trace``."""
    return "\n".join(_walkthrough_lines(trace, photo, pixel))


def _walkthrough_lines(trace: Trace, photo: Photo, pixel: Pair) -> Iterator[str]:
    i, j = pixel
    kernel, products = trace.kernels[0, 0, i, j], trace.products(i, j)[0, 0]
    reduced, y = trace.reduced[0, :, i, j], trace.y[0, :, i, j]

    yield f"1. The pixel in row {i}, column {j}. Its features: x = (byte - mean) / std"
    yield "              red   green    blue"
    features = {"byte": photo[i, j], "mean": MEAN, "std": STD, "x": trace.x[0, :, i, j]}
    for name, values in features.items():
        yield f"   {name:6}{_row(values)}"
    yield "2. Reduce: a 1x1 convolution, batch norm and ReLU. They see this pixel alone."
    terms = _sum_of_products(trace.reduce_weight[0], trace.x[0, :, i, j])
    conv = trace.stages["conv"]
    yield f"   The first number is weights * x = {terms} = {conv[0, 0, i, j]:z.3f}"
    yield f"   conv  {_row(conv[0, :, i, j])}"
    yield f"   mean  {_row(conv.mean(axis=(0, 2, 3)))}   over all pixels of the photo"
    yield f"   std   {_row(conv.std(axis=(0, 2, 3)))}"
    yield f"   bn    {_row(trace.stages['bn'][0, :, i, j])}   = (conv - mean) / std"
    yield f"   relu  {_row(reduced)}   the reduced features"
    yield f"3. Span: another 1x1 convolution, to K*K = {kernel.size} numbers. The first of them is"
    total = f"{_sum_of_products(trace.span_weight[0], reduced)} = {kernel[0, 0]:z.3f}"
    yield f"   bias + weights * reduced = {trace.span_bias[0]:z.3f} + {total}"
    yield f"   Written in {len(kernel)} rows, with nothing computed, they are this pixel's kernel:"
    for kernel_row in kernel:
        yield f"   {_row(kernel_row)}"
    yield "4. Its window of x, red, 0 outside the photo | kernel * window, and the sum of each row:"
    for window_row, product_row in zip(trace.patches[0, 0, 0, i, j], products[0], strict=True):
        yield f"   {_row(window_row)}   |{_row(product_row)}   ={product_row.sum():z8.3f}"
    yield f"5. The sum of the {kernel.size} products is the output for red, y[0, 0, {i}, {j}]:"
    yield f"   sum of products {products[0].sum():z8.3f}"
    yield f"   operator says   {y[0]:z8.3f}"
    yield f"   The same kernel gives {y[1]:z.3f} for green and {y[2]:z.3f} for blue."


def _sum_of_products(weights: NDArray[Any], values: NDArray[Any]) -> str:
    pairs = zip(weights.tolist(), values.tolist(), strict=True)
    return " + ".join(f"({w:z.3f})*({value:z.3f})" for w, value in pairs)


def _row(values: NDArray[Any]) -> str:
    return "".join(f"{value:z8.3f}" for value in values.tolist())


def _layer(photo: Photo, seed: int) -> Involution2d:
    if photo.size == photo.shape[2]:
        raise ValueError(
            "image is 1 x 1 pixel; need 2 or more, for batch norm takes their variance"
        )
    return Involution2d(3, KERNEL_SIZE, groups=1, reduction=1, rng=seed)


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
    from .viz.animation import save_animation
    from .viz.stills import save_kernels
    from .viz.trace import varied_pixels

    png, gif = files
    stops = varied_pixels(trace, pixel, 2, 3)
    with written_whole(png, force=force) as png_whole, written_whole(gif, force=force) as gif_whole:
        save_kernels(trace, photo, stops, png_whole)
        save_animation(trace, photo, stops, gif_whole, progress)
