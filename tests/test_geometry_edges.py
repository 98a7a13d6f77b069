"""The limits of sizes, and padding on two sides only."""

from __future__ import annotations

import numpy as np
import pytest

from involution_edu.arguments import Pair
from involution_edu.geometry import Geometry, make_geometry


@pytest.mark.parametrize(
    ("N", "C", "padding"), [(2**19 + 1, 2**14, 0), (2**19, 2**14 + 1, 0), (2**19, 2**14, (0, 1))]
)
def test_the_limit_counts_images_channels_and_padding(N: int, C: int, padding: int | Pair) -> None:
    largest = make_geometry((2**19, 2**14, 2**8, 2**7), 1, 1)  # 2^48 numbers
    assert largest.y_shape == largest.x_shape
    with pytest.raises(ValueError, match=r"numbers with it, more than 281474976710656$"):
        make_geometry((N, C, 2**8, 2**7), 1, 1, padding=padding)


@pytest.mark.parametrize("padding", [(0, 2), (2, 0)])
def test_padding_on_two_sides_only(padding: Pair) -> None:
    geom = make_geometry((1, 1, 3, 4), 1, (1, 1), padding=padding)
    padded = geom.pad(np.ones(geom.x_shape))
    assert padded.shape == (1, 1, 3 + 2 * padding[0], 4 + 2 * padding[1])
    assert padded.sum() == 12


@pytest.mark.parametrize("name", ["window", "stride", "dilation", "padding"])
def test_a_pair_is_a_tuple(name: str) -> None:
    sizes = {"window": (1, 1), "stride": (1, 1), "dilation": (1, 1), "padding": (0, 0)}
    with pytest.raises(TypeError, match=rf"^{name} is \[1, 1\]; need a pair of ints"):
        Geometry(1, 1, 5, 6, 1, **{**sizes, name: [1, 1]})  # type: ignore[arg-type]


@pytest.mark.parametrize("x_shape", [(1, 1, 1, 9), (1, 1, 9, 1)])
def test_a_window_that_is_too_large_one_way(x_shape: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"^kernel has a window that spans 3 x 3 pixels; need"):
        make_geometry(x_shape, 1, 3, padding="valid")
