"""Involutions small enough to count on paper: operands, options, and every number they give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from involution_edu.arrays import Array


@dataclass(frozen=True)
class ByHand:
    x: Array
    kernel: Array
    dy: Array
    y: Array
    dx: Array
    dkernel: Array
    options: dict[str, Any] = field(default_factory=dict)


def array(numbers: object, *shape: int) -> Array:
    return np.array(numbers, dtype=np.float64).reshape(shape)


def row_kernel(*pixels: tuple[float, ...]) -> Array:
    """Return the kernels of a row of output pixels, each written as the list of its taps."""
    k = array(pixels, len(pixels), -1)  # (W_out, K_w)
    return k.T.reshape(1, 1, 1, k.shape[1], 1, k.shape[0])


BY_HAND = {
    # x = 1 2 3, zero on either side; the kernel of pixel j stands in row j.
    #   y  = 4*0 + 5*1 + 6*2,  7*1 + 8*2 + 9*3,  1*2 + 2*3 + 3*0        = 17, 50, 8
    #   dx: pixel 0 is read by outputs 0 (tap 1) and 1 (tap 0)           = 5*1 + 7*10 = 75
    #       pixel 1 by outputs 0 (2), 1 (1), 2 (0)    = 6*1 + 8*10 + 1*100 = 186
    #       pixel 2 by outputs 1 (2), 2 (1)           = 9*10 + 2*100       = 290
    #   dkernel of output j is dy[j] times what it saw: 0 1 2,  1 2 3,  2 3 0
    "a row, edges": ByHand(
        x=array([1, 2, 3], 1, 1, 1, 3),
        kernel=row_kernel((4, 5, 6), (7, 8, 9), (1, 2, 3)),
        dy=array([1, 10, 100], 1, 1, 1, 3),
        y=array([17, 50, 8], 1, 1, 1, 3),
        dx=array([75, 186, 290], 1, 1, 1, 3),
        dkernel=row_kernel((0, 1, 2), (10, 20, 30), (200, 300, 0)),
    ),
    # Rows are not columns. x = 1 2 / 3 4, one output, whose kernel is 5 6 / 7 8.
    #   y = 5*1 + 6*2 + 7*3 + 8*4 = 70;  dx = 2 * kernel;  dkernel = 2 * x
    "one 2x2 window": ByHand(
        x=array([1, 2, 3, 4], 1, 1, 2, 2),
        kernel=array([5, 6, 7, 8], 1, 1, 2, 2, 1, 1),
        dy=array([2], 1, 1, 1, 1),
        y=array([70], 1, 1, 1, 1),
        dx=array([10, 12, 14, 16], 1, 1, 2, 2),
        dkernel=array([2, 4, 6, 8], 1, 1, 2, 2, 1, 1),
        options={"padding": "valid"},
    ),
    # Four channels in two groups are (0, 1) and (2, 3): the groups are contiguous.
    #   y = 10*1, 10*2, 100*3, 100*4;  dx = 10*5, 10*6, 100*7, 100*8
    #   dkernel = 5*1 + 6*2 = 17 and 7*3 + 8*4 = 53
    "two groups of two channels": ByHand(
        x=array([1, 2, 3, 4], 1, 4, 1, 1),
        kernel=array([10, 100], 1, 2, 1, 1, 1, 1),
        dy=array([5, 6, 7, 8], 1, 4, 1, 1),
        y=array([10, 20, 300, 400], 1, 4, 1, 1),
        dx=array([50, 60, 700, 800], 1, 4, 1, 1),
        dkernel=array([17, 53], 1, 2, 1, 1, 1, 1),
    ),
    # Stride 2: output 0 stands on pixel 0 and sees 0 1 2, output 1 on pixel 2 and sees 2 3 4.
    #   y  = 1*0 + 2*1 + 3*2,  4*2 + 5*3 + 6*4 = 8, 47
    #   dx = 2*1,  3*1 + 4*10,  5*10,  6*10    = 2, 43, 50, 60
    "stride 2": ByHand(
        x=array([1, 2, 3, 4], 1, 1, 1, 4),
        kernel=row_kernel((1, 2, 3), (4, 5, 6)),
        dy=array([1, 10], 1, 1, 1, 2),
        y=array([8, 47], 1, 1, 1, 2),
        dx=array([2, 43, 50, 60], 1, 1, 1, 4),
        dkernel=row_kernel((0, 1, 2), (20, 30, 40)),
        options={"stride": 2},
    ),
    # Dilation 2, no padding: output 0 sees pixels 0 2 4, output 1 sees 1 3 5.
    #   y  = 1*1 + 2*3 + 3*5,  4*2 + 5*4 + 6*6 = 22, 64
    #   dx = 1*1, 4*10, 2*1, 5*10, 3*1, 6*10
    "dilation 2": ByHand(
        x=array([1, 2, 3, 4, 5, 6], 1, 1, 1, 6),
        kernel=row_kernel((1, 2, 3), (4, 5, 6)),
        dy=array([1, 10], 1, 1, 1, 2),
        y=array([22, 64], 1, 1, 1, 2),
        dx=array([1, 40, 2, 50, 3, 60], 1, 1, 1, 6),
        dkernel=row_kernel((1, 3, 5), (20, 40, 60)),
        options={"dilation": 2, "padding": "valid"},
    ),
    # Two images, each with its own kernel: y = 2*3, 5*7;  dx = 2*1, 5*10;  dkernel = 3*1, 7*10
    "two images": ByHand(
        x=array([3, 7], 2, 1, 1, 1),
        kernel=array([2, 5], 2, 1, 1, 1, 1, 1),
        dy=array([1, 10], 2, 1, 1, 1),
        y=array([6, 35], 2, 1, 1, 1),
        dx=array([2, 50], 2, 1, 1, 1),
        dkernel=array([3, 70], 2, 1, 1, 1, 1, 1),
    ),
    # A 3x3 window on the corner of 1 2 / 3 4 (stride 2 leaves one output): it sees
    #   0 0 0 / 0 1 2 / 0 3 4, so y = 5*1 + 6*2 + 8*3 + 9*4 = 77 with the kernel 1 2 3 / 4 5 6 / 7 8 9
    "a corner": ByHand(
        x=array([1, 2, 3, 4], 1, 1, 2, 2),
        kernel=array([1, 2, 3, 4, 5, 6, 7, 8, 9], 1, 1, 3, 3, 1, 1),
        dy=array([10], 1, 1, 1, 1),
        y=array([77], 1, 1, 1, 1),
        dx=array([50, 60, 80, 90], 1, 1, 2, 2),
        dkernel=array([0, 0, 0, 0, 10, 20, 0, 30, 40], 1, 1, 3, 3, 1, 1),
        options={"stride": 2},
    ),
}
