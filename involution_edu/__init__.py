"""involution_edu: learn involution by reading, running and seeing it.

>>> import numpy as np
>>> import involution_edu as inv
>>> rng = np.random.default_rng(0)
>>> x = rng.standard_normal((1, 32, 9, 12))
>>> kernel = rng.standard_normal((1, 2, 7, 7, 9, 12))  # (N, G, K_h, K_w, H_out, W_out)
>>> inv.involution(x, kernel).shape
(1, 32, 9, 12)
"""

from . import _interrupt, models, nn  # noqa: F401 - the first of all
from .backends import BackendUnavailable, available_backends, use_backend
from .checkpoint import CheckpointError, load_checkpoint, load_weights, save_checkpoint
from .geometry import Geometry
from .ops import involution, involution_backward
from .ops_nd import involution1d, involution1d_backward, involution3d, involution3d_backward

__version__ = "0.1.0"

__all__ = [
    "BackendUnavailable",
    "CheckpointError",
    "Geometry",
    "available_backends",
    "involution",
    "involution1d",
    "involution1d_backward",
    "involution3d",
    "involution3d_backward",
    "involution_backward",
    "load_checkpoint",
    "load_weights",
    "models",
    "nn",
    "save_checkpoint",
    "use_backend",
]
