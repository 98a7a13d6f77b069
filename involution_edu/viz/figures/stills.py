"""``kernels.png``: the kernels of many pixels, each drawn where it works."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from ...arguments import Pair
from ...images import Photo
from ..animation.canvas import Canvas, Point, font
from ..palette import ACCENT, INK, MUTED, PAPER, diverging, limit_of
from ..trace import Trace

WIDTH = 1500
PANEL = 650  # most rows and columns of the sheet for one panel
LEFT, MIDDLE, TOP = 90, 810, 160
GAP = 2  # pixels of the photo left between two kernels
LETTERS = "abcdef"  # names of the pixels whose kernels are seen close up
CELL = 32  # of a kernel seen close up
LARGE = 32  # rows and columns of the sheet for a pixel that has room for its letter
SLIM = 150  # a photo of fewer rows or columns of the sheet would be hidden by letters
MARGIN = 26  # for letters beside a slim photo


def kernel_map(trace: Trace, photo: Photo, limit: float) -> tuple[Photo, list[Pair]]:
    """Return the pale photo with kernels painted on it, and the pixels whose kernels they are.

    One cell of a kernel covers one pixel, so each kernel hides just the window that it is
    multiplied with.
    """
    (H, W), (K_h, K_w) = photo.shape[:2], trace.geom.window
    panel = np.rint(115 + 0.55 * photo).astype(np.uint8)
    pixels = [(i, j) for i in _middles(H, K_h) for j in _middles(W, K_w)]
    for i, j in pixels:
        colours = diverging(trace.kernels[0, 0, i, j], limit)
        for u, v in trace.geom.taps():
            h, w = i + u - K_h // 2, j + v - K_w // 2
            if 0 <= h < H and 0 <= w < W:
                panel[h, w] = colours[u, v]
    return panel, pixels


def draw_kernels(trace: Trace, photo: Photo, close_ups: list[Pair]) -> Canvas:
    """Return the sheet: the photo, its kernels, and up to six of them close up with numbers."""
    (H, W), (K_h, K_w) = photo.shape[:2], trace.geom.window
    scale = max(1, PANEL // max(H, W))
    above = H * scale < SLIM  # the letters
    top = TOP + MARGIN * above
    bottom = top + H * scale + 60
    sheet = Canvas(WIDTH, bottom + 96 + CELL * K_h + 90)
    limit = limit_of(trace.kernel)
    panel, pixels = kernel_map(trace, photo, limit)
    sheet.text((LEFT, 26), "Every pixel makes its own kernel", 34, bold=True)
    sheet.text(
        (LEFT, 76),
        f"Right: {len(pixels)} of the {H * W} kernels, each {K_h} × {K_w}, drawn over the window "
        "it is multiplied with. Like colours make like kernels: a pixel's kernel depends on that "
        "pixel alone.",
        16,
        colour=MUTED,
    )
    for x, title, picture in (
        (LEFT, f"The photo, {H} × {W} pixels", photo),
        (MIDDLE, "Its kernels", panel),
    ):
        sheet.text((x, TOP - 30), title, 18, bold=True)
        sheet.photo((x, top), picture, scale)
        ticks(sheet, (x, top), (H, W), scale, 14)
        sheet.text((x - 48, top - 24), "row", 14, colour=MUTED)
        sheet.text((x + W * scale, top + H * scale + 28), "column", 14, colour=MUTED, anchor="ra")
    for i, j in pixels:
        above, left = max(0, i - K_h // 2), max(0, j - K_w // 2)
        h, w = min(H, i + K_h // 2 + 1) - above, min(W, j + K_w // 2 + 1) - left
        x, y = MIDDLE + left * scale, top + above * scale
        for line, fill in ((2, PAPER), (1, INK)):
            box = (x - line, y - line, x + w * scale + line - 1, y + h * scale + line - 1)
            sheet.pen.rectangle(box, outline=fill, width=line)
    tags = tag_places(close_ups, (H, W), scale)
    for (i, j), (x, y) in zip(close_ups, tags, strict=True):
        nearest = (  # point of the pixel to its letter
            min(max(x, j * scale), (j + 1) * scale),
            min(max(y, i * scale), (i + 1) * scale),
        )
        ends = LEFT + x, top + y, LEFT + nearest[0], top + nearest[1]
        sheet.pen.line(ends, fill=ACCENT)
    for letter, (i, j), (x, y) in zip(LETTERS, close_ups, tags, strict=False):
        sheet.outline((LEFT, top), (H, W), scale, (i, j))
        tag(sheet, (LEFT + x, top + y), letter)
    sheet.text((LEFT, bottom), "Some of them close up", 18, bold=True)
    sheet.text(
        (MIDDLE, bottom + 2),
        "Ordinary colours keep themselves; black and white take from their neighbours.",
        16,
        colour=MUTED,
    )
    x, y = LEFT, bottom + 40
    for letter, (i, j) in zip(LETTERS, close_ups, strict=False):
        tag(sheet, (x + 12, y + 16), letter)
        sheet.photo((x + 34, y + 4), photo[i : i + 1, j : j + 1], 24)
        sheet.text((x + 68, y + 7), f"row {i}, column {j}", 14)
        sheet.cells((x, y + 44), trace.kernels[0, 0, i, j], (CELL + 6, CELL), limit, digits=2)
        x += (WIDTH - LEFT - 40) // len(LETTERS)
    sheet.colour_bar((LEFT, bottom + 110 + CELL * K_h), (520, 16), limit, 14)
    sheet.text(
        (LEFT + 570, bottom + 108 + CELL * K_h),
        "Blue subtracts a pixel of the window, orange adds it, white leaves it out.",
        14,
        colour=MUTED,
    )
    return sheet


def tag(canvas: Canvas, middle: Point, letter: str) -> None:
    """Write a letter on a disc."""
    x, y = middle
    canvas.pen.ellipse((x - 11, y - 11, x + 11, y + 11), fill=ACCENT, outline=PAPER)
    canvas.text(middle, letter, 14, bold=True, colour=PAPER, anchor="mm")


def ticks(canvas: Canvas, corner: Point, size: Pair, scale: int, text_size: int = 12) -> None:
    """Write numbers at some rows and columns of a photo."""
    x, y = corner
    rows, columns = size
    widest = font(text_size).getlength(f"{columns - 1}")
    for row in range(0, rows, tick_step(rows, scale, text_size + 2)):
        middle = y + row * scale + scale // 2
        canvas.pen.line((x - 6, middle, x - 2, middle), fill=MUTED)
        canvas.text((x - 9, middle), f"{row}", text_size, colour=MUTED, anchor="rm")
    for column in range(0, columns, tick_step(columns, scale, widest + 6)):
        middle = x + column * scale + scale // 2
        bottom = y + rows * scale
        canvas.pen.line((middle, bottom + 1, middle, bottom + 5), fill=MUTED)
        canvas.text((middle, bottom + 8), f"{column}", text_size, colour=MUTED, anchor="ma")


def tick_step(pixels: int, scale: int, room: float) -> int:
    """Return how many of ``pixels`` to go from number to number: at most 9, ``room`` apart.

    Examples
    --------
    >>> tick_step(72, scale=9, room=16), tick_step(8, scale=9, room=16), tick_step(3, 9, room=16)
    (10, 2, 2)
    """
    return next(s for s in (1, 2, 5, 10, 20, 50, 100) if pixels <= 9 * s and room <= scale * s)


def tag_places(pixels: list[Pair], size: Pair, scale: int) -> list[Point]:
    """Return where the letter of each pixel goes, (x, y) from the corner of the photo.

    It goes inside a pixel that is drawn large, beside a slim photo, and else above the pixel or,
    at the top of the photo, below it.

    Examples
    --------
    >>> tag_places([(0, 1)], (2, 3), scale=216)
    [(232, 16)]
    >>> tag_places([(4, 2), (7, 3)], (9, 72), scale=9)  # above, with room for both
    [(22, -16), (46, -16)]
    """
    H, W = size
    corners = [(j * scale, i * scale) for i, j in pixels]
    if scale >= LARGE:
        return [(x + LARGE // 2, y + LARGE // 2) for x, y in corners]
    middles = [(x + scale // 2, y + scale // 2) for x, y in corners]
    if H * scale < SLIM:
        return [(x, -16) for x in _spread([x for x, _ in middles])]
    if W * scale < SLIM:
        return [(W * scale + 18, y) for y in _spread([y for _, y in middles])]
    return [
        (x, y - 16 if y >= 30 else y + scale + 16)
        for (x, _), (_, y) in zip(middles, corners, strict=True)
    ]


def save_kernels(trace: Trace, photo: Photo, close_ups: list[Pair], path: Path) -> None:
    """Save the sheet of `draw_kernels` as a PNG file."""
    draw_kernels(trace, photo, close_ups).image.save(path, format="PNG")


def _middles(pixels: int, k: int) -> list[int]:
    """Return the middles of windows of ``k`` pixels with gaps between them, along a side."""
    step = k + GAP
    count = max(1, (pixels + GAP) // step)
    start = (pixels - (count * step - GAP)) // 2 + k // 2
    return [start + n * step for n in range(count)]


def _spread(places: list[int]) -> list[int]:
    """Return ``places``, those too close to the one before moved on."""
    order = sorted(range(len(places)), key=places.__getitem__)
    spread = list(places)
    for before, at in pairwise(order):
        spread[at] = max(spread[at], spread[before] + MARGIN - 2)
    return spread
