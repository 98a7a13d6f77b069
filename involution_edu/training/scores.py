"""Scores, their units, and baseline scores of classical filters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import Array
from ..images import STD
from ..models.edge import SIGMA
from .data import Data


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
AP50 = Unit("AP50", "%", 100.0, 1)
MEAN_IOU = Unit("mIoU", "%", 100.0, 1)
DECIBEL = Unit("PSNR", "dB", 1.0, 2)


def accuracy(logits: Array, labels: NDArray[Any]) -> float:
    """Return the fraction of rows (N, K) whose largest logit is that of the label."""
    return float((logits.argmax(axis=1) == labels).mean())


def mean_iou(logits: Array, labels: NDArray[Any]) -> float:
    """Return the mean over the classes of intersection / union of the pixels (N, H, W) of each."""
    classes = logits.shape[1]
    pairs = classes * labels + logits.argmax(axis=1)  # of a true and a predicted class
    counts = np.bincount(pairs.ravel(), minlength=classes**2).reshape(classes, classes)
    union = counts.sum(axis=0) + counts.sum(axis=1) - counts.diagonal()
    return float((counts.diagonal()[union > 0] / union[union > 0]).mean())


def psnr(y: Array, clean: Array) -> float:
    """Return -10 log10(mean of ((y - clean) / `WHITE`)^2) in dB, the mean over the pictures."""
    error = (y - clean) / WHITE.reshape(1, 3, 1, 1)
    return float(-10 * np.log10(np.square(error).mean(axis=(1, 2, 3))).mean())


def edge_baselines(data: Data) -> dict[str, float]:
    """Return the PSNR of the noisy photos, unfiltered and after filters tuned on the validation."""
    from scipy.ndimage import gaussian_filter, median_filter
    from skimage.restoration import denoise_nl_means

    def non_local(photo: Array, options: tuple[int, int, float]) -> Array:
        """Filter a photo of 0 to 1; the channels share their weights, as in the network."""
        size, reach, h = options
        return np.asarray(denoise_nl_means(
            photo, size, reach, h * SIGMA / 255, sigma=SIGMA / 255, channel_axis=0
        ))  # fmt: skip

    def after(x: Array, apply: Callable[[Array, Any], Array], size: Any) -> Array:
        white = WHITE.reshape(3, 1, 1)
        return np.stack([apply(photo / white, size) * white for photo in x])

    filters: dict[str, tuple[Callable[[Array, Any], Array], Iterable[Any]]] = {
        "median": (lambda x, size: median_filter(x, (1, size, size)), (3, 5, 7)),
        "Gaussian": (lambda x, s: gaussian_filter(x, (0, s, s)), (0.7, 0.8, 0.9, 1.0, 1.1)),
        "non-local means": (non_local, product((3, 5, 7), (6, 10), (0.4, 0.5, 0.6, 0.7, 0.8))),
    }
    found = {"unfiltered": psnr(data.x_test, data.y_test)}
    assert data.x_val is not None
    assert data.y_val is not None
    for name, (apply, sizes) in filters.items():
        tried = {size: psnr(after(data.x_val, apply, size), data.y_val) for size in sizes}
        best = max(tried, key=lambda size: tried[size])
        found[name] = psnr(after(data.x_test, apply, best), data.y_test)
    return found


def salt_and_pepper_baselines(data: Data) -> dict[str, float]:
    """Return the PSNR of the noisy photos, unfiltered and after a 3 x 3 median filter."""
    from scipy.ndimage import median_filter

    photos = {"unfiltered": data.x_test, "median": median_filter(data.x_test, (1, 1, 3, 3))}
    return {name: psnr(x, data.y_test) for name, x in photos.items()}
