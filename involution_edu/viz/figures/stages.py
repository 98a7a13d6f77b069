"""The kernels of every stage of a network, each summed up to one number for its pixel."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ...arrays import Array
from ...images import Photo
from ...nn import Module
from ..animation.canvas import Canvas
from ..palette import MUTED, diverging, limit_of
from ..recording import involution_names, record
from ..trace import OperatorTrace

PANEL = 224  # rows and columns of the sheet for one map
LEFT, TOP, GAP = 40, 150, 22
GROUPS = 3  # drawn of each stage
NOTES = (
    "Top row: the mean of all groups.",
    "",
    "Below: the groups whose sums",
    "differ most from pixel to pixel.",
    "",
    "Each stage has a scale of its own.",
)


def record_stages(model: Module, x: Array) -> dict[str, OperatorTrace]:
    """Return what the last involution of every stage did, by the stage's name.

    A stage is a module of ``model`` itself, such as "stem" or "layer1".
    """
    last = {name.partition(".")[0]: name for name in involution_names(model)}
    return {stage: record(model, x, layer=name) for stage, name in last.items()}


def kernel_sums(trace: OperatorTrace) -> Array:
    """Return the sum of every kernel of the first image, (G, H_out, W_out).

    It is what the pixel would become in an image that is 1 everywhere.

    References
    ----------
    Li et al., CVPR 2021, arXiv:2103.06255, whose heat maps show these sums.

    Examples
    --------
    >>> from involution_edu.viz import record_operator
    >>> kernel = np.full((1, 1, 3, 3, 2, 2), 0.5)
    >>> kernel_sums(record_operator(np.ones((1, 1, 2, 2)), kernel)).tolist()
    [[[4.5, 4.5], [4.5, 4.5]]]
    """
    sums: Array = trace.kernel[0].sum(axis=(1, 2))
    return sums


def most_varied(sums: Array, count: int) -> list[int]:
    """Return the numbers of the groups whose sums differ most from pixel to pixel.

    Examples
    --------
    >>> most_varied(np.array([[[0, 1]], [[5, 5]], [[0, 3]]]), 2)
    [2, 0]
    """
    spread = sums.std(axis=(1, 2))
    return np.argsort(-spread, kind="stable")[:count].tolist()  # type: ignore[no-any-return]


def draw_stages(traces: Mapping[str, OperatorTrace], photo: Photo) -> Canvas:
    """Return the sheet: a column for each stage, of all groups and of those that vary most.

    Parameters
    ----------
    traces : mapping of str to OperatorTrace
        As `record_stages` returns them.
    photo : ndarray, shape (H, W, 3), uint8
        What the network was shown.

    Returns
    -------
    sheet : Canvas
        Its ``image`` is Pillow's.

    Examples
    --------
    A small RedNet has involutions in three stages, none in its stem:

    >>> from involution_edu import models
    >>> from involution_edu.images import photo_to_x
    >>> photo = np.random.default_rng(0).integers(0, 256, (16, 20, 3), np.uint8)
    >>> traces = record_stages(models.small_rednet(10, 3, rng=0).eval(), photo_to_x(photo))
    >>> sheet = draw_stages(traces, photo)
    >>> list(traces), sheet.image.size
    (['layer1', 'layer2', 'layer3'], (1042, 1290))
    """
    columns = 1 + len(traces)
    width = 2 * LEFT + columns * (PANEL + GAP) - GAP
    row = PANEL + 46
    sheet = Canvas(width, TOP + (1 + GROUPS) * row + 60)
    sheet.text((LEFT, 24), "The kernels of every stage, one number for each pixel", 30, bold=True)
    sheet.text(
        (LEFT, 70),
        "Colour: the sum of the K × K numbers of the kernel that a pixel made for itself, in the "
        "last involution of each stage. Blue is below 0, orange above, white 0.",
        15,
        colour=MUTED,
    )
    sheet.text((LEFT, TOP - 46), "what it was shown", 16, bold=True)
    sheet.text((LEFT, TOP - 24), f"{photo.shape[0]} × {photo.shape[1]} pixels", 13, colour=MUTED)
    sheet.photo((LEFT, TOP), photo, max(1, PANEL // max(photo.shape[:2])))
    for n, line in enumerate(NOTES):
        sheet.text((LEFT, TOP + row + 20 * n), line, 14, colour=MUTED)
    for column, (stage, trace) in enumerate(traces.items(), start=1):
        geom, sums = trace.geom, kernel_sums(trace)
        groups = most_varied(sums, GROUPS)
        maps = {"mean of all groups": sums.mean(axis=0)}
        maps |= {f"group {group} of {geom.G}": sums[group] for group in groups}
        limit = limit_of(np.stack(list(maps.values())))
        scale = max(1, PANEL // max(geom.H_out, geom.W_out))
        x = LEFT + column * (PANEL + GAP)
        sheet.text((x, TOP - 46), stage, 16, bold=True)
        window = f"{geom.window[0]} × {geom.window[1]}"
        size = f"{geom.H_out} × {geom.W_out}"
        sheet.text((x, TOP - 24), f"{window} kernels at {size} pixels", 13, colour=MUTED)
        for n, (title, values) in enumerate(maps.items()):
            y = TOP + n * row
            sheet.photo((x, y), diverging(values, limit), scale)
            sheet.text((x, y + PANEL + 6), title, 13, colour=MUTED)
        sheet.colour_bar((x, TOP + (1 + GROUPS) * row), (PANEL, 14), limit, 12)
    return sheet
