"""Networks with the trained weights that ship in the package."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..arguments import ArgumentError
from ..checkpoint import load_weights
from ..nn import Module
from .denoising import KernelDenoiser
from .salt_and_pepper import salt_and_pepper_layer
from .small import small_rednet

FOLDER = Path(__file__).parent / "weights"
PRETRAINED: dict[str, Callable[[], Module]] = {
    "salt-and-pepper": partial(salt_and_pepper_layer, rng=0),
    "denoise": partial(KernelDenoiser, rng=0),
    "digits": partial(small_rednet, 10, rng=0),
}


def pretrained(name: str) -> Module:
    """Return a trained network, in evaluation mode.

    Parameters
    ----------
    name : str
        "salt-and-pepper", a layer that removes black and white specks from a colour photo; "denoise", a
        `KernelDenoiser` for grey photos; or "digits", a small RedNet for 8 x 8 digits. The card
        beside the weights, ``weights/NAME.md``, says what they were trained on and how well
        they do.

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    A white pixel may be a speck: its kernel takes from its neighbours and not from itself.

    >>> import numpy as np
    >>> from involution_edu.images import photo_to_x
    >>> layer = pretrained("salt-and-pepper")
    >>> white, grey = (photo_to_x(np.full((1, 1, 3), byte, np.uint8)) for byte in (255, 128))
    >>> for x in white, grey:
    ...     kernel = layer.generate_kernel(x)[0, 0, :, :, 0, 0]
    ...     print(bool(kernel[2, 2] > kernel[1, 2]))
    False
    True
    """
    if name not in PRETRAINED:
        raise ArgumentError("name", f"is {name!r}", f"one of {', '.join(map(repr, PRETRAINED))}")
    model = PRETRAINED[name]()
    load_weights(model, FOLDER / f"{name}.npz")
    return model.eval()
