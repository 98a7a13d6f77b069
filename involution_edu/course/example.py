"""The hand-sized example that notebooks 03, 04, 05 and 07 share."""

from typing import NamedTuple

import numpy as np

from ..arrays import Array


class HandSized(NamedTuple):
    """An image and a generator of whole numbers: 2 channels, one group, K = 3.

    Attributes
    ----------
    x : ndarray, shape (1, 2, 4, 5)
        The channels differ at every pixel, so that ReLU never meets 0.
    reduce : ndarray, shape (2, 2)
    span : ndarray, shape (9, 2)
    bias : ndarray, shape (9,)
        Of span.

    Examples
    --------
    >>> [array.shape for array in hand_sized()]
    [(1, 2, 4, 5), (2, 2), (9, 2), (9,)]
    """

    x: Array
    reduce: Array
    span: Array
    bias: Array


def hand_sized() -> HandSized:
    """Return the example, in float64.

    Where channel 0 is larger, the kernel looks left and right; where channel 1 is, up and down.

    Examples
    --------
    >>> example = hand_sized()
    >>> np.maximum(example.reduce @ example.x[0, :, 1, 2], 0)
    array([2., 0.])
    """
    first = [[1, 3, 0, 2, 1], [2, 0, 3, 1, 0], [0, 1, 4, 2, 3], [1, 2, 0, 3, 1]]
    second = [[2, 1, 1, 0, 3], [0, 1, 1, 3, 1], [2, 0, 1, 1, 2], [0, 3, 2, 1, 2]]
    left_right, up_down, centre = (
        [0, 0, 0, 1, 0, 2, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, -1, 0],
        np.eye(9)[4],
    )
    return HandSized(
        np.array([[first, second]], float),
        np.array([[1.0, -1.0], [-1.0, 1.0]]),
        np.array([left_right, up_down], float).T,
        centre,
    )
