"""Scores, their units, and baseline scores of classical filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from ..images import STD
from .data import SIGMA, Data


@dataclass(frozen=True, slots=True)
class Unit:
    """Name, unit and number format of a score."""

    name: str
    symbol: str
    factor: float
    digits: int

    def of(self, score: float) -> str:
        """Return ``score`` with its unit."""
        return f"{score * self.factor:.{self.digits}f} {self.symbol}"

    def with_spread(self, scores: Sequence[float]) -> str:
        """Return the mean of ``scores`` and, if several, their standard deviation (n - 1)."""
        mean = self.of(fmean(scores))
        if len(scores) == 1:
            return mean
        deviation = f"± {stdev(scores) * self.factor:.{self.digits}f} {self.symbol}"
        return mean.replace(self.symbol, deviation)


WHITE = 255 / STD  # distance from black to white after `photo_to_x`, by channel
ACCURACY = Unit("accuracy", "%", 100.0, 1)
DECIBEL = Unit("PSNR", "dB", 1.0, 2)


def accuracy(logits: Array, labels: NDArray[Any]) -> float:
    """Return the fraction of rows (N, K) whose largest logit is that of the label."""
    return float((logits.argmax(axis=1) == labels).mean())


def psnr(y: Array, clean: Array, white: Array | float = 1.0) -> float:
    """Return -10 log10(mean of ((y - clean) / white)^2) in dB, the mean over the pictures."""
    error = (y - clean) / np.reshape(white, (1, -1, 1, 1))
    return float(-10 * np.log10(np.square(error).mean(axis=(1, 2, 3))).mean())


def denoise_baselines(data: Data) -> dict[str, float]:
    """Return the PSNR of the noisy photos, unfiltered and after classical filters."""
    from scipy.ndimage import gaussian_filter, median_filter, uniform_filter
    from skimage.restoration import denoise_nl_means

    non_local = partial(denoise_nl_means, patch_size=5, patch_distance=6, sigma=SIGMA)
    # The best of a few sizes on the test photos counts, in favour of the baselines.
    filters: dict[str, tuple[Callable[[Array, Any], Array], tuple[float, ...]]] = {
        "box": (uniform_filter, (3, 5, 7)),
        "median": (median_filter, (3, 5, 7)),
        "Gaussian": (gaussian_filter, (0.7, 0.8, 0.9, 1.0, 1.1)),
        "non-local means": (lambda x, h: non_local(x, h=h * SIGMA), (0.4, 0.5, 0.6, 0.7, 0.8)),
    }
    best = {"unfiltered": psnr(data.x_test, data.y_test)}
    for name, (apply, sizes) in filters.items():
        tried = (np.stack([[apply(x[0], size)] for x in data.x_test]) for size in sizes)
        best[name] = max(psnr(y, data.y_test) for y in tried)
    return best


def salt_and_pepper_baselines(data: Data) -> dict[str, float]:
    """Return the PSNR of the noisy photos, unfiltered and after a 3 x 3 median filter."""
    from scipy.ndimage import median_filter

    photos = {"unfiltered": data.x_test, "median": median_filter(data.x_test, (1, 1, 3, 3))}
    return {name: psnr(x, data.y_test, WHITE) for name, x in photos.items()}
