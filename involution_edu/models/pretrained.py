"""Networks with the trained weights of the package."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..arguments import as_choice
from ..checkpoint import load_weights
from ..nn import Module
from .edge import EdgeDenoiser
from .salt_and_pepper import salt_and_pepper_layer
from .small import small_rednet, small_segmentor

FOLDER = Path(__file__).parent / "weights"
PRETRAINED: dict[str, Callable[[], Module]] = {
    "salt-and-pepper": partial(salt_and_pepper_layer, rng=0),
    "edge": partial(EdgeDenoiser, rng=0),
    "digits": partial(small_rednet, 10, rng=0),
    "segment": partial(small_segmentor, rng=0),
}


def pretrained(name: str) -> Module:
    """Return a trained network, in evaluation mode.

    Parameters
    ----------
    name : str
        "salt-and-pepper", a layer that removes salt-and-pepper noise from a colour photo;
        "edge", an `EdgeDenoiser`, which removes Gaussian noise from a colour photo; "digits", a
        small RedNet for 8 x 8 digits; or "segment", a `small_segmentor` of digits in photos. The model card ``weights/NAME.md`` gives the training data and the test score.

    Raises
    ------
    ValueError
        If ``name`` is not one of these.

    Examples
    --------
    A white pixel may be noise: its kernel weights the neighbours more than the pixel itself.

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
    model = PRETRAINED[as_choice("name", name, PRETRAINED)]()
    load_weights(model, FOLDER / f"{name}.npz")
    return model.eval()
