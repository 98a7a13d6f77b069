"""The size of a block changes nothing, not even where one group is larger than a block."""

from __future__ import annotations

import numpy as np
import pytest

from involution_edu.backends import shifts
from involution_edu.cases import random_operands
from involution_edu.geometry import make_geometry


@pytest.mark.parametrize("block", [1, 60, 1000])
def test_any_size_of_block_gives_the_same_bits(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    geom = make_geometry((3, 6, 7, 5), 3, (3, 5), stride=(2, 1))
    x, kernel, dy = random_operands(geom, np.float32, seed=0)

    def results() -> list[np.ndarray[tuple[int, ...], np.dtype[np.floating]]]:
        y = shifts.forward(x, kernel, geom)
        dx = shifts.backward_input(dy, kernel, geom)
        return [y, dx, shifts.backward_kernel(dy, x, geom)]

    whole = results()
    assert geom.N * geom.G * geom.C_g * geom.H_out * geom.W_out < shifts.BLOCK
    monkeypatch.setattr(shifts, "BLOCK", block)
    for got, want in zip(results(), whole, strict=True):
        np.testing.assert_array_equal(got, want)
