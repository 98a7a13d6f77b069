"""The versions of ``cuda/fused.cu`` as data, their launches, and where one launch beats two."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ...geometry import Geometry
from .versions import Launch, Version, gap, plan, stored

TASK = "generate_and_apply"
VERSIONS = (
    Version(
        "v1",
        "any window; each thread makes an entry of the kernel from global memory",
        {TASK: "halo of x + K²/16 of (C_r of features + C_r of weight + bias)"},
        {TASK: 16},
        168,
    ),
    Version(
        "v2",
        "x, features and weights in shared memory; a thread makes 28 entries at once",
        {TASK: "halo of x + C_r/16 of features + weights once a block"},
        {TASK: 16},
        168,
        threads=(4, 16),
        pairs={TASK: (2, 2)},
    ),
)
# C_r, the channels of the features, for each channel of a group of at most 16: up to here one
# launch needs fewer cycles than two wait for memory. Counted in fused.cu, not yet measured.
PAYS = {np.dtype(np.float16): 0.5, np.dtype(np.float32): 2.0, np.dtype(np.float64): 2.0}


def plan_fused(version: Version, geom: Geometry, features: int, dtype: np.dtype[Any]) -> Launch:
    """Return the launch of a version of generate_and_apply, from ``features`` channels.

    Raises
    ------
    ValueError
        As `plan`.
    """
    planned = plan(TASK, version, geom, dtype)
    if not version.pairs:
        return planned
    (wide, tall), (rows, columns) = planned.block, version.pairs[TASK]
    own = tall * rows * (wide * columns + gap(wide * columns, wide, rows))  # pixels with the gap
    k = geom.window[0]
    weights = (features + 1) * k * (-(-k // 4) * 4)  # a row of the window in whole fours
    more = (weights + features * own) * stored(version, dtype)
    return replace(planned, shared=planned.shared + more)


def best_fused(geom: Geometry, features: int, dtype: np.dtype[Any], shared_limit: int) -> Launch:
    """Return the launch of the highest version that takes ``geom`` and fits.

    If none fits into ``shared_limit`` bytes, it is the lowest one's, which needs the fewest.
    """
    plans = [
        plan_fused(version, geom, features, dtype) for version in VERSIONS if version.takes(geom)
    ]
    return next((launch for launch in reversed(plans) if launch.shared <= shared_limit), plans[0])


def fusing_pays(geom: Geometry, features: int, dtype: np.dtype[Any], shared_limit: int) -> bool:
    """Return whether one launch is thought to beat two: few features, and v2 takes it and fits.

    Examples
    --------
    >>> from ..geometry import make_geometry
    >>> geom = make_geometry((8, 64, 56, 56), 4, 7)
    >>> [fusing_pays(geom, features, np.dtype("f4"), 227 * 1024) for features in (16, 64)]
    [True, False]
    """
    few = features <= PAYS[dtype] * min(geom.C_g, 16)
    highest = VERSIONS[-1]
    return (
        few
        and highest.takes(geom)
        and plan_fused(highest, geom, features, dtype).shared <= shared_limit
    )
