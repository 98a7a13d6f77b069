"""The versions of ``cuda/fused.cuh`` as data, and where one launch beats two."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...geometry import Geometry
from .versions import FUSED, Version, plan

TASK = FUSED
VERSIONS = (
    Version(
        "v1", "any window; each thread makes an entry of the kernel from global memory",
        {TASK: "halo of x + K²/16 of (C_r of features + C_r of weight + bias)"}, {TASK: 16}, 200,
    ),
    Version(
        "v2", "x, features and weights in shared memory; a thread makes 28 entries at once",
        {TASK: "halo of x + C_r/16 of features + weights once a block"}, {TASK: 16}, 168,
        threads=(4, 16), pairs={TASK: (2, 2)},
    ),
)  # fmt: skip
# C_r, the channels of the features, for each channel of a group of at most 16: up to here one
# launch needs fewer cycles than two wait for memory. Counted in fused.cuh, not yet measured.
PAYS = {np.dtype(np.float16): 0.5, np.dtype(np.float32): 2.0, np.dtype(np.float64): 2.0}


def fusing_pays(geom: Geometry, features: int, dtype: np.dtype[Any], shared_limit: int) -> bool:
    """Return whether one launch should beat two: few features, and v2 takes it and fits."""
    if features > PAYS[dtype] * min(geom.C_g, 16) or not VERSIONS[-1].takes(geom, dtype):
        return False
    return plan(TASK, VERSIONS[-1], geom, dtype, features).shared <= shared_limit
