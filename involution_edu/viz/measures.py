"""One number for a kernel: its sum, its size, its spread, where it lies and which way it points.

Each takes kernels (..., K_h, K_w), such as `OperatorTrace.kernels`, and gives an array (...).
"""

from __future__ import annotations

import numpy as np

from ..arrays import Array


def total(kernels: Array) -> Array:
    """Return Σ kernel: what the kernel makes of an area that is 1 everywhere.

    1 keeps its brightness, 0 removes it, a negative number turns it over.

    Examples
    --------
    >>> float(total(np.array([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])))
    1.0
    """
    sums: Array = kernels.sum(axis=(-2, -1))
    return sums


def size(kernels: Array) -> Array:
    """Return ``Σ|kernel|``: how strong the kernel is, whatever its signs.

    Examples
    --------
    >>> float(size(np.array([[0.0, -1.0, 0.0], [-1.0, 5.0, -1.0], [0.0, -1.0, 0.0]])))
    9.0
    """
    sums: Array = np.abs(kernels).sum(axis=(-2, -1))
    return sums


def spread(kernels: Array) -> Array:
    """Return the entropy of ``|kernel|``, over its largest possible value log(K_h·K_w).

    0 if a single place counts, or none; 1 if all places count alike.

    Examples
    --------
    >>> one, all_alike = np.zeros((3, 3)), np.ones((3, 3))
    >>> one[0, 2] = -4
    >>> float(spread(one)), round(float(spread(all_alike)), 9)
    (0.0, 1.0)
    """
    places = kernels.shape[-2] * kernels.shape[-1]
    share = _shares(kernels)
    logarithm = np.log(share, out=np.zeros_like(share), where=share > 0)
    largest = np.log(places) or 1.0  # a window of one place has no spread
    entropy: Array = 0 - (share * logarithm).sum(axis=(-2, -1)) / largest  # no -0
    return entropy


def centre(kernels: Array) -> Array:
    """Return the centre of mass of ``|kernel|`` as (..., 2): rows down and columns right of the middle.

    In places of the window; (0, 0) if the kernel is 0.

    Examples
    --------
    >>> left = np.array([[0.0, 0.0, 0.0], [3.0, -1.0, 0.0], [0.0, 0.0, 0.0]])
    >>> centre(left).tolist()
    [0.0, -0.75]
    """
    share = _shares(kernels)
    rows, columns = _places(kernels)
    return np.stack([(share * rows).sum(axis=(-2, -1)), (share * columns).sum(axis=(-2, -1))], -1)


def orientation(kernels: Array) -> tuple[Array, Array]:
    """Return the angle and the strength of the long axis of ``|kernel|`` about its centre of mass.

    Returns
    -------
    angle : ndarray
        Degrees from the horizontal, counted anticlockwise, from -90 to 90.
    strength : ndarray
        0 for a round kernel, 1 for a line.

    Examples
    --------
    >>> angle, strength = orientation(np.eye(3))  # falls from the top left
    >>> round(float(angle)), round(float(strength), 9)
    (-45, 1.0)
    """
    share, middle = _shares(kernels), centre(kernels)
    rows, columns = _places(kernels)
    down, right = rows - middle[..., :1, None], columns - middle[..., 1:, None]
    tall, wide = ((share * d**2).sum(axis=(-2, -1)) for d in (down, right))
    slant = -(share * down * right).sum(axis=(-2, -1))  # rows are counted downwards
    angle: Array = np.degrees(np.arctan2(2 * slant, wide - tall)) / 2
    length, both = np.hypot(wide - tall, 2 * slant), tall + wide
    strength: Array = np.divide(length, both, out=np.zeros_like(both), where=both > 0)
    return angle, strength


def unlikeness(kernels: Array, kernel: Array) -> Array:
    """Return how unlike each of ``kernels`` is to ``kernel``, from 0 to 1.

    It is ‖a - b‖ / (‖a‖ + ‖b‖): 0 for the same kernel, 1 for its opposite, and for a kernel of
    zeros beside any other.

    Examples
    --------
    >>> a = np.arange(9.0).reshape(3, 3)
    >>> unlikeness(np.stack([a, -a, 3 * a]), a).tolist()
    [0.0, 1.0, 0.5]
    """
    distance, lengths = (np.sqrt((b**2).sum(axis=(-2, -1))) for b in (kernels - kernel, kernels))
    both = lengths + np.sqrt((kernel**2).sum())
    result: Array = np.divide(distance, both, out=np.zeros_like(both), where=both > 0)
    return result


def _shares(kernels: Array) -> Array:
    """Return ``|kernel|`` over its sum; 0 where that is 0."""
    sizes = np.abs(kernels).astype(np.float64)
    sums = sizes.sum(axis=(-2, -1), keepdims=True)
    shares: Array = np.divide(sizes, sums, out=np.zeros_like(sizes), where=sums > 0)
    return shares


def _places(kernels: Array) -> tuple[Array, Array]:
    """Return the row and the column of every place of the window, counted from its middle."""
    K_h, K_w = kernels.shape[-2:]
    rows, columns = np.arange(K_h) - (K_h - 1) / 2, np.arange(K_w) - (K_w - 1) / 2
    return rows[:, np.newaxis], columns[np.newaxis]
