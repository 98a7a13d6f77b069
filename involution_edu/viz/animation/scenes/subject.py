"""Subject of the scenes: a photo, the patch of it whose numbers are shown, and layers for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ....arguments import ArgumentError, IntOrPair, Pair
from ....arrays import Array
from ....images import Photo, load_photo, photo_to_x
from ....nn import Involution2d
from ...recording import record
from ...trace import Trace

SIDE = 72  # longest side of the photo, in pixels
SEED = 202  # default seed of the weights: their kernels differ much, and learn well
PATCH = (6, 7)  # rows and columns of the patch


@dataclass(frozen=True, eq=False)
class Subject:
    """A photo and the seed of the random weights."""

    photo: Photo  # (H, W, 3), uint8
    seed: int = SEED

    @classmethod
    def of(cls, image: str | Path | None, seed: int = SEED, side: int = SIDE) -> Subject:
        """Return the subject of an image file; None is the portrait that ships with matplotlib."""
        photo, _ = load_photo(None if image is None else Path(image), side)
        if (photo == photo[0, 0]).all():
            need = "two or more, because batch norm needs a variance"
            raise ArgumentError("image", "has one colour everywhere", need)
        return cls(photo, seed)

    @cached_property
    def x(self) -> Array:
        """The photo as the input of a layer, (1, 3, H, W)."""
        return photo_to_x(self.photo)

    @cached_property
    def corner(self) -> Pair:
        """First row and column of the patch: the patch of greatest entropy in the middle half."""
        H, W = self.photo.shape[:2]
        h, w = self.patch_size
        rows, columns = (range(n // 4, max(n // 4 + 1, 3 * n // 4)) for n in (H - h, W - w))
        grey = self.photo.mean(axis=2)

        def variety(at: Pair) -> tuple[float, float]:
            part = grey[at[0] : at[0] + h, at[1] : at[1] + w]
            share = np.bincount(part.astype(int).ravel() // 16, minlength=16) / part.size
            return -float((share * np.log(share + 1e-9)).sum()), float(part.std())

        return max(((i, j) for i in rows for j in columns), key=variety)

    @property
    def patch_size(self) -> Pair:
        """Rows and columns of the patch: `PATCH`, or the whole of a smaller photo."""
        H, W = self.photo.shape[:2]
        return min(PATCH[0], H), min(PATCH[1], W)

    @cached_property
    def patch(self) -> Array:
        """The part of ``x`` whose numbers are shown, (1, 3, rows, columns)."""
        (i, j), (h, w) = self.corner, self.patch_size
        return np.ascontiguousarray(self.x[:, :, i : i + h, j : j + w])

    def layer(self, window: IntOrPair = 3, stride: int = 1, dilation: int = 1) -> Involution2d:
        """Return a layer for three colours, one group, with the batch statistics of the photo."""
        layer = Involution2d(
            3, window, groups=1, reduction=1, stride=stride, dilation=dilation, rng=self.seed
        )
        return with_statistics_of(layer, self.x)

    def trace(self, window: IntOrPair = 3, stride: int = 1, dilation: int = 1) -> Trace:
        """Return the trace of such a layer on the patch."""
        return record(self.layer(window, stride, dilation), self.patch)


def with_statistics_of(layer: Involution2d, x: Array) -> Involution2d:
    """Return ``layer`` in evaluation mode, batch norm's mean and variance fixed to those of ``x``."""
    conv = layer.conv1.children()["conv"](x)
    state = layer.state_dict()
    state["conv1.bn.running_mean"] = conv.mean(axis=(0, 2, 3))
    state["conv1.bn.running_var"] = conv.var(axis=(0, 2, 3))
    layer.load_state_dict(state)
    return layer.eval()
