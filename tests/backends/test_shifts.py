"""The size of a block changes memory, but no result, even where one group is larger than a block."""

from __future__ import annotations

import math
import tracemalloc

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


@pytest.mark.parametrize("shape", [(4, 64, 28, 28), (1, 32, 72, 80)])
def test_the_temporaries_are_those_of_a_block_or_of_a_larger_group(
    shape: tuple[int, int, int, int],
) -> None:
    """As the README says of the memory beside the operands and results."""
    geom = make_geometry(shape, shape[1] // 16, 7)
    x, kernel, dy = random_operands(geom, np.float32, seed=0)
    block = max(shifts.BLOCK, geom.C_g * geom.H_out * geom.W_out)
    padded = geom.N * geom.C * math.prod(geom.padded_size)
    for function, operands in (
        (shifts.forward, (x, kernel)),
        (shifts.backward_input, (dy, kernel)),
        (shifts.backward_kernel, (dy, x)),
    ):
        tracemalloc.start()
        try:
            result = function(*operands, geom)
            peak = tracemalloc.get_traced_memory()[1] - result.nbytes
        finally:
            tracemalloc.stop()
        # Shifted columns still have the rows of the padding; a product has none.
        most = padded + block * (1 + geom.padded_size[0] / geom.H_out)
        assert 4 * padded < peak < 4 * most + 65_536  # and a buffer of NumPy
