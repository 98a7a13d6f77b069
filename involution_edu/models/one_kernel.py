"""The best kernel for all pixels of a photo: what a convolution can do at most."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from ..backends.windows import windows
from ..geometry import Geometry


def best_one_kernel(x: Array, target: Array, geom: Geometry) -> Array:
    """Return the kernel that all pixels and channels share and that brings ``x`` closest to ``target``.

    It has the least squared error of all, as it is fitted to the target itself.

    Parameters
    ----------
    x, target : ndarray, shape (1, C, H, W)
    geom : Geometry
        Of an involution with one group and the stride 1.

    Returns
    -------
    kernel : ndarray, shape (1, 1, K_h, K_w, H, W), of the dtype of ``x``
        A view of one kernel.

    Examples
    --------
    >>> from involution_edu.geometry import make_geometry
    >>> x = np.random.default_rng(0).standard_normal((1, 3, 9, 9))
    >>> geom = make_geometry(x.shape, 1, (3, 3))
    >>> best_one_kernel(x, 2 * x, geom)[0, 0, :, :, 4, 4].round(6) + 0
    array([[0., 0., 0.],
           [0., 2., 0.],
           [0., 0., 0.]])
    """
    seen = windows(x, geom)[0, 0].reshape(-1, geom.window[0] * geom.window[1]).astype(np.float64)
    taps = np.linalg.lstsq(seen.T @ seen, seen.T @ target.ravel(), rcond=None)[0]
    kernel = taps.astype(x.dtype).reshape(1, 1, *geom.window, 1, 1)
    return np.broadcast_to(kernel, (1, 1, *geom.window, geom.H_out, geom.W_out))
