"""Pictures of the demo: kernels over the photo and close up, and the photo before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...arguments import Pair
from ...images import Photo, decibels
from ..palette import ACCENT, PAPER
from ..strokes import lit, strokes
from ..trace import OperatorTrace
from .common import DPI, hex_of, label, new_figure, outline, show_photo

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PHOTO = 900  # longer side of the photo, in pixels of the figure
LETTERS = "abcdef"  # names of the pixels whose kernels are seen close up
LOOK = 30  # rows and columns of the photo that are enlarged


def close_ups(trace: OperatorTrace, photo: Photo, pixels: Sequence[Pair]) -> Figure:
    """Draw strokes over the photo, see `strokes`, and beside it the kernels of up to six pixels.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> trace = record_operator(np.ones((1, 1, 9, 9)), np.ones((1, 1, 3, 3, 9, 9)))
    >>> figure = close_ups(trace, np.zeros((9, 9, 3), np.uint8), [(2, 3)])
    >>> [ax.get_title(loc="left") for ax in figure.axes[:2]]
    ['Every pixel makes its own kernel', 'a  row 2, column 3']
    """
    from matplotlib.patheffects import withStroke

    (H, W), kernels = photo.shape[:2], trace.kernels[0, 0]
    zoom = max(1, PHOTO // max(H, W))
    figure = new_figure(((W * zoom + 480) / DPI, (max(H * zoom, 560) + 110) / DPI))
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.1)
    parts = figure.add_gridspec(3, 3, width_ratios=(W * zoom, 210, 210))
    over = figure.add_subplot(parts[:, 0])
    show_photo(over, strokes(photo, kernels, zoom, max(2, round(30 / zoom))), (H, W))
    K_h, K_w = trace.geom.window
    meaning = (
        f"{H} × {W} pixels, {H * W:,} kernels of {K_h} × {K_w} numbers, some of them drawn:\n"
        "a dot averages all around, a stroke only along an edge"
    )
    label(over, "Every pixel makes its own kernel", meaning, ticks=False, size=20)
    over.xaxis.label.set_fontsize(12)
    mark: dict[str, Any] = {"color": hex_of(ACCENT)}
    halo = [withStroke(linewidth=4, foreground=hex_of(PAPER))]
    for n, (letter, (i, j)) in enumerate(zip(LETTERS, pixels, strict=False)):
        outline(over, (j - K_w / 2, i - K_h / 2), (K_w, K_h), 2, path_effects=halo, **mark)
        side = 1 if j < W / 2 else -1
        at, beside = (j + side * (K_w / 2), i), (10 * side, 0)
        look = {"fontsize": 16, "fontweight": "bold", "ha": "center", "va": "center", **mark}
        over.annotate(letter, at, beside, textcoords="offset points", path_effects=halo, **look)
        cells = figure.add_subplot(parts[n // 2, 1 + n % 2])
        cells.imshow(lit(kernels[i, j]), interpolation="nearest")
        label(cells, f"{letter}  row {i}, column {j}", ticks=False, size=10)
    return figure


def before_after(clean: Photo, photos: Mapping[str, Photo], pixel: Pair) -> Figure:
    """Draw the photo without noise beside others of it, with their PSNR; and all near one pixel.

    Parameters
    ----------
    clean : ndarray, shape (H, W, 3), uint8
    photos : mapping of str to ndarray, shape (H, W, 3), uint8
        By their titles.
    pixel : (int, int)
        Row and column of the middle of the part that is enlarged.

    Examples
    --------
    >>> clean, noisy = np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 3), 51, np.uint8)
    >>> figure = before_after(clean, {"noisy": noisy}, (1, 2))
    >>> [ax.get_title(loc="left") for ax in figure.axes[:2]]
    ['clean', 'noisy, 14.0 dB']
    """
    H, W = clean.shape[:2]
    shown = {"clean": clean}
    shown |= {f"{name}, {decibels(photo, clean):.1f} dB": photo for name, photo in photos.items()}
    look = min(LOOK, H, W)
    top, left = (
        min(max(0, at - look // 2), n - look) for at, n in zip(pixel, (H, W), strict=True)
    )
    tall = min(H / W, 2)  # of the whole photo, over the part
    figure = new_figure((3.3 * len(shown), 3.3 * (1 + tall) + 0.5))
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    grid = figure.subplots(2, len(shown), squeeze=False, height_ratios=(tall, 1))
    for (title, photo), (whole, part) in zip(shown.items(), grid.T, strict=True):
        show_photo(whole, photo, (H, W))
        outline(whole, (left - 0.5, top - 0.5), (look, look), 1.5, color=hex_of(ACCENT))
        part.imshow(photo[top : top + look, left : left + look], interpolation="nearest")
        label(whole, title, ticks=False, size=15)
        label(part, "", ticks=False)
    return figure
