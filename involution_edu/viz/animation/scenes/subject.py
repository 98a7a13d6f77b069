"""Subject of the scenes: a photo, the patch of it whose numbers are shown, and layers for it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from ....arguments import ArgumentError, Pair
from ....arrays import Array
from ....images import Photo, load_photo, photo_to_x
from ....models import pretrained
from ....models.edge import with_noise
from ....models.salt_and_pepper import with_salt_and_pepper
from ...picks import elongated_pixel, varied_patch
from ...recording import record
from ...trace import Trace

SIDE = 72  # longest side of the photo, in pixels
SEED = 202  # default seed of the noise, and of the weights before training
PATCH = (8, 9)  # rows and columns of the patch


@dataclass(frozen=True, eq=False)
class Subject:
    """A photo and the seed of its noise."""

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
    def noisy(self) -> Photo:
        """The photo with the noise that the trained layer removes."""
        return with_noise(self.photo, self.seed)

    @cached_property
    def trained(self) -> Trace:
        """The trace of a trained layer on the noisy photo."""
        return record(pretrained("edge"), photo_to_x(self.noisy))

    @cached_property
    def corner(self) -> Pair:
        """First row and column of the patch: where the kernels of the trained layer differ most."""
        return varied_patch(self.trained, self.patch_size)

    @cached_property
    def salted(self) -> Array:
        """The patch with salt-and-pepper noise."""
        (i, j), (h, w) = self.corner, self.patch_size
        return photo_to_x(with_salt_and_pepper(self.photo, self.seed)[i : i + h, j : j + w])

    @cached_property
    def part(self) -> Trace:
        """The trace of the trained layer on the patch and on the pixels in its windows."""
        (i, j), (h, w) = self.corner, self.patch_size
        return self.trained.part(slice(i, i + h), slice(j, j + w))

    @cached_property
    def pixel(self) -> Pair:
        """Row and column, in the patch, of the pixel that scenes explain: its kernel is long."""
        return elongated_pixel(self.part)

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
