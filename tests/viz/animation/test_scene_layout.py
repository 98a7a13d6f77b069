"""Layout of the scenes, and scenes of photos of every shape."""

from __future__ import annotations

import numpy as np
import pytest
from drawing import drawn
from numpy.testing import assert_array_equal

from involution_edu.geometry import make_geometry
from involution_edu.viz.animation.scenes import SCENES, Subject
from involution_edu.viz.animation.scenes.scene import Grid, kernel_field
from involution_edu.viz.animation.scenes.sizes import pixel_read, rule
from involution_edu.viz.palette import EMPTY, diverging, limit_of


@pytest.mark.parametrize(("stride", "dilation", "padding"), [(1, 1, 1), (2, 1, 1), (1, 2, 2)])
def test_an_output_reads_the_pixels_of_the_definition(
    stride: int, dilation: int, padding: int
) -> None:
    geom = make_geometry((1, 1, 6, 7), 1, 3, stride, dilation, padding)
    for i in range(geom.H_out):
        for j in range(geom.W_out):
            for u, v in geom.taps():
                expected = (i * stride + u * dilation, j * stride + v * dilation)
                assert pixel_read(geom, (i, j), (u, v)) == expected
    assert rule(geom, 1) == (
        f"W_out = (W + 2·p − d·(K − 1) − 1) // s + 1 = (7 + 2·{padding} − {dilation}·(3 − 1) − 1)"
        f" // {stride} + 1 = {geom.W_out}"
    )


def test_a_field_of_kernels_pixel_by_pixel() -> None:
    kernels = np.random.default_rng(0).standard_normal((2, 3, 3, 5))
    known = np.array([[True, False, True], [True, True, True]])
    field = kernel_field(kernels, limit_of(kernels), 4, known)
    assert field.shape == (2 * 14, 3 * 22, 3)
    for i, j in np.ndindex(2, 3):
        inside = field[14 * i + 3 : 14 * i + 13 : 4, 22 * j + 3 : 22 * j + 21 : 4]
        expected = diverging(kernels[i, j], limit_of(kernels)) if known[i, j] else [EMPTY]
        assert_array_equal(inside, np.broadcast_to(np.array(expected), (3, 5, 3)))


@pytest.mark.parametrize("size", [(1, 2), (2, 1), (3, 3), (72, 3), (2, 72)], ids=str)
@pytest.mark.parametrize("name", list(SCENES))
def test_photos_of_every_shape(name: str, size: tuple[int, int]) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    animation = SCENES[name](Subject(photo, seed=3)).animation()
    for n in (0, len(animation.frames) // 2, -1):
        frame, drawing = drawn(animation, animation.frames[n])
        assert frame.shape[1] == 960
        for cells in drawing.cells.values():
            assert_array_equal(cells.colours(frame), diverging(cells.values, cells.limit))


def test_grids() -> None:
    grid = Grid((100, 50), 3, 2, (20, 10))
    assert (grid.corner, grid.middle, grid.right, grid.bottom) == ((80, 35), (100, 50), 120, 65)
    assert grid.at(1, 1).corner == (100, 45)
