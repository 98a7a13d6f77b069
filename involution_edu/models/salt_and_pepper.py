"""Salt-and-pepper noise, and the layer of the demo that removes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arguments import Rng
from ..arrays import Array
from ..images import Photo, photo_to_x
from ..nn import Involution2d

NOISE_SHARE = 0.1  # share of the pixels that become black or white

Mask = NDArray[np.bool_]


def salt_and_pepper_layer(rng: Rng = None) -> Involution2d:
    """Return the layer of the demo: red, green and blue share the 5 x 5 kernel of their pixel.

    Parameters
    ----------
    rng : Generator, int or None
        Source of the weights.

    Returns
    -------
    layer : Involution2d
        From photos ``x`` (N, 3, H, W), float32, to photos of the same shape.

    Examples
    --------
    >>> from involution_edu import models
    >>> layer = models.salt_and_pepper_layer(rng=0).eval()
    >>> layer.generate_kernel(np.zeros((1, 3, 6, 9), np.float32)).shape  # (N, G, K, K, H, W)
    (1, 1, 5, 5, 6, 9)
    """
    layer = Involution2d(3, 5, groups=1, reduction=1, rng=rng)
    # The first feature rises with the brightness, the others fall. If none rose, or none fell, the
    # layer would see white pixels or black ones, and training would rarely change that.
    weight = layer.conv1.parameters()[0].data
    weight[:] = np.abs(weight)
    weight[1:] *= -1
    return layer


def draw_salt_and_pepper(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Mask, Mask]:
    """Return masks of the pixels that become black and white, each half of `NOISE_SHARE`."""
    chance = rng.random(shape)
    return chance < NOISE_SHARE / 2, chance > 1 - NOISE_SHARE / 2


def add_salt_and_pepper(x: Array, rng: np.random.Generator) -> Array:
    """Return ``x`` (N, 3, H, W) of `photo_to_x` with a share `NOISE_SHARE` of noisy pixels."""
    n, _, h, w = x.shape
    noisy = x.transpose(0, 2, 3, 1).copy()
    for where, byte in zip(draw_salt_and_pepper((n, h, w), rng), (0, 255), strict=True):
        noisy[where] = photo_to_x(np.full((1, 1, 3), byte, np.uint8))[0, :, 0, 0]
    return np.ascontiguousarray(noisy.transpose(0, 3, 1, 2))


def with_salt_and_pepper(photo: Photo, seed: int) -> Photo:
    """Return ``photo`` (H, W, 3) with salt-and-pepper noise as in training."""
    photo = photo.copy()
    black, white = draw_salt_and_pepper(photo.shape[:2], np.random.default_rng(seed))
    photo[black], photo[white] = 0, 255
    return photo
