"""Scores, their units, and baseline scores of classical filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from ..images import STD
from .data import SIGMA, Data


@dataclass(frozen=True, slots=True)
class Unit:
    """Name, unit and number format of a score.

    Examples
    --------
    >>> ACCURACY.of(0.98765), DECIBEL.with_spread([28, 28.2])
    ('98.8 %', '28.10 ± 0.14 dB')
    """

    name: str
    symbol: str
    factor: float
    digits: int

    def of(self, score: float) -> str:
        """Return ``score`` with its unit."""
        return f"{score * self.factor:.{self.digits}f} {self.symbol}"

    def with_spread(self, scores: Sequence[float]) -> str:
        """Return the mean of ``scores`` and, if several, their standard deviation (n - 1)."""
        if len(scores) == 1:
            return self.of(scores[0])
        mean, deviation = (number * self.factor for number in mean_and_deviation(scores))
        return f"{mean:.{self.digits}f} ± {deviation:.{self.digits}f} {self.symbol}"


WHITE = 255 / STD  # distance from black to white after `photo_to_x`, by channel
ACCURACY = Unit("accuracy", "%", 100.0, 1)
DECIBEL = Unit("PSNR", "dB", 1.0, 2)


def mean_and_deviation(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the standard deviation (n - 1) of ``values``; 0 for a single one."""
    return fmean(values), stdev(values) if len(values) > 1 else 0.0


def accuracy(logits: Array, labels: NDArray[Any]) -> float:
    """Return the fraction of rows (N, K) whose largest logit is that of the label."""
    return float((logits.argmax(axis=1) == labels).mean())


def psnr(y: Array, clean: Array, white: Array | float = 1.0) -> float:
    """Return the peak signal-to-noise ratio in dB, averaged over the pictures.

    .. code-block:: text

        psnr = -10 * log10(mean of ((y - clean) / white)^2)

    ``white`` is the distance from black to white: a number, or one for each channel.

    Examples
    --------
    >>> clean = np.zeros((1, 1, 2, 2))
    >>> psnr(clean + 0.1, clean)
    20.0
    """
    error = (y - clean) / np.reshape(white, (1, -1, 1, 1))
    return float(-10 * np.log10(np.square(error).mean(axis=(1, 2, 3))).mean())


def denoise_baselines(data: Data) -> dict[str, float]:
    """Return the PSNR of the noisy photos, unfiltered and after classical filters.

    Each filter uses the best of a few sizes on these test photos, in favour of the baselines.
    """
    from scipy.ndimage import gaussian_filter, median_filter, uniform_filter
    from skimage.restoration import denoise_nl_means

    def non_local(photo: Array, h: float) -> Array:
        filtered: Array = denoise_nl_means(photo, 5, 6, h * SIGMA, sigma=SIGMA)
        return filtered

    filters: dict[str, tuple[Callable[[Array, Any], Array], tuple[float, ...]]] = {
        "box": (uniform_filter, (3, 5, 7)),
        "median": (median_filter, (3, 5, 7)),
        "Gaussian": (gaussian_filter, (0.7, 0.8, 0.9, 1.0, 1.1)),
        "non-local means": (non_local, (0.4, 0.5, 0.6, 0.7, 0.8)),
    }
    found = {"unfiltered": psnr(data.x_test, data.y_test)}
    for name, (apply, sizes) in filters.items():
        found[name] = max(
            psnr(np.stack([[apply(x[0], size)] for x in data.x_test]), data.y_test)
            for size in sizes
        )
    return found


def salt_and_pepper_baselines(data: Data) -> dict[str, float]:
    """Return the PSNR of the noisy photos, unfiltered and after a 3 x 3 median filter."""
    from scipy.ndimage import median_filter

    median = median_filter(data.x_test, (1, 1, 3, 3))
    return {
        "unfiltered": psnr(data.x_test, data.y_test, WHITE),
        "median": psnr(median, data.y_test, WHITE),
    }
