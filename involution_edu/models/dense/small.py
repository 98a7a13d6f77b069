"""A small segmentor for scenes of 64 x 64 pixels, and its twin of convolutions."""

from __future__ import annotations

from typing import Any

from ...arguments import Rng, as_choice, as_generator
from ..small import small_rednet, small_resnet
from .segmentors import SemanticFPN

DIGIT_CLASSES = 11  # the background and ten digits


def small_segmentor(kind: str = "inv", *, rng: Rng = None) -> SemanticFPN:
    """Return a network that labels every pixel of a photo: 0 for none, d + 1 for the digit d.

    Parameters
    ----------
    kind : {"inv", "conv"}
        A small RedNet with involutions in the FPN, or a small ResNet with 3x3 convolutions there.
    rng : Generator, int or None
        Source of the weights.

    Returns
    -------
    model : SemanticFPN
        Of photos (N, 3, H, W) with at least 8 rows and columns.

    Examples
    --------
    >>> for kind in "inv", "conv":
    ...     sum(p.data.size for p in small_segmentor(kind, rng=0).parameters())
    137924
    204731
    """
    make = small_rednet if as_choice("kind", kind, ("inv", "conv")) == "inv" else small_resnet
    rng = as_generator(rng)
    backbone = make(1, 3, stride=2, rng=rng)
    sizes: dict[str, Any] = {"channels": 32, "head_channels": 32, "stride": 2}
    return SemanticFPN(backbone, DIGIT_CLASSES, kind, **sizes, rng=rng)
