"""Figures: they show recorded numbers, in the right colours, pixel by pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from figure_pixels import colours_at, pixels
from matplotlib.figure import Figure
from numpy.testing import assert_allclose, assert_array_equal

from involution_edu import models, nn
from involution_edu.arrays import Array
from involution_edu.images import Photo
from involution_edu.viz import OperatorTrace, Trace, measures, record
from involution_edu.viz.figures import diagrams, kernels, maps
from involution_edu.viz.figures.redundancy import channel_redundancy, energy
from involution_edu.viz.palette import diverging, limit_of

H, W = 12, 15


def make_trace(**options: Any) -> Trace:
    sizes = {"kernel_size": (3, 5), "groups": 2, "reduction": 2, "rng": 1, **options}
    layer = nn.Involution2d(4, **sizes).eval()
    return record(layer, np.random.default_rng(2).standard_normal((1, 4, H, W)).astype("f4"))


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace()


@pytest.fixture(scope="module")
def photo() -> Photo:
    return np.random.default_rng(3).integers(0, 256, (24, 30, 3), dtype=np.uint8)


# Measures of a kernel, each against its definition, written out


def by_loops(kernel: Array) -> dict[str, Any]:
    K_h, K_w = kernel.shape
    sizes = sum(abs(float(k)) for k in kernel.ravel())
    share = {(u, v): abs(float(kernel[u, v])) / sizes for u in range(K_h) for v in range(K_w)}
    entropy = -sum(s * np.log(s) for s in share.values() if s) / np.log(K_h * K_w)
    row, column = (sum(s * at[axis] for at, s in share.items()) for axis in (0, 1))
    moments = np.zeros((2, 2))
    for (u, v), s in share.items():
        away = np.array([v - column, row - u])  # right and up
        moments += s * np.outer(away, away)
    values, vectors = np.linalg.eigh(moments)
    long = vectors[:, 1]
    return {
        "kernel_sum": float(kernel.sum()),
        "l1_norm": sizes,
        "entropy": entropy,
        "centroid": (row - (K_h - 1) / 2, column - (K_w - 1) / 2),
        "angle": np.degrees(np.arctan2(long[1], long[0])) % 180,
        "strength": (values[1] - values[0]) / values.sum(),
    }


def test_measures_follow_their_definitions(trace: Trace) -> None:
    angle, strength = measures.orientation(trace.kernels)
    found = {
        "kernel_sum": measures.kernel_sum(trace.kernels),
        "l1_norm": measures.l1_norm(trace.kernels),
        "entropy": measures.entropy(trace.kernels),
        "centroid": measures.centroid(trace.kernels),
        "angle": angle % 180,
        "strength": strength,
    }
    for g, i, j in [(0, 0, 0), (1, 3, 14), (0, 11, 7), (1, 5, 5)]:
        expected = by_loops(trace.kernels[0, g, i, j].astype(float))
        for name, values in found.items():
            assert_allclose(values[0, g, i, j], expected[name], rtol=1e-4, atol=1e-6, err_msg=name)


def test_measures_of_a_kernel_of_zeros() -> None:
    zero = np.zeros((2, 3, 3))
    for measure in (measures.kernel_sum, measures.l1_norm, measures.entropy):
        assert_array_equal(measure(zero), [0, 0])
    assert_array_equal(measures.centroid(zero), np.zeros((2, 2)))
    assert_array_equal(measures.orientation(zero)[1], [0, 0])
    assert_array_equal(measures.distance(zero, zero[0]), [0, 0])
    assert measures.entropy(np.ones((1, 1))) == 0  # a window of one tap


# The figures


ALL = np.argwhere(np.ones((H, W)))


def test_the_kernel_sum_map_pixel_by_pixel(trace: Trace) -> None:
    for group in range(2):
        figure = maps.kernel_sum_map(trace, group=group, limit=1.5)
        sums = trace.kernel[0, group].sum(axis=(0, 1))
        shown = colours_at(pixels(figure), figure.axes[0], ALL).reshape(H, W, 3)
        assert_array_equal(shown, diverging(sums, 1.5))
    assert not np.array_equal(shown, diverging(trace.kernel[0, 0].sum(axis=(0, 1)), 1.5))


@pytest.mark.parametrize(
    ("draw", "measure", "limit"),
    [
        (maps.l1_norm_map, measures.l1_norm, 4.0),
        (maps.entropy_map, measures.entropy, 1.0),
        (maps.centroid_map, lambda k: np.hypot(*np.moveaxis(measures.centroid(k), -1, 0)), 2.0),
        (maps.orientation_map, lambda k: measures.orientation(k)[1], 1.0),
    ],
)
def test_maps_show_their_measure_on_a_fixed_scale(
    draw: Any, measure: Any, limit: float, trace: Trace
) -> None:
    for group in range(2):
        figure = draw(trace, group=group)
        (image,) = figure.axes[0].images
        assert_array_equal(image.get_array(), measure(trace.kernels[0, group]))
        assert image.get_clim() == (0, limit)
        assert f"group {group}" in figure.axes[0].get_title(loc="left")
        assert figure.axes[0].get_xlabel()  # what it means
        assert len(figure.axes) == 2  # and the colour bar


def test_arrows_point_to_the_centroid(trace: Trace, photo: Photo) -> None:
    figure = maps.centroid_map(trace, group=1, photo=photo)
    (quiver,) = (c for c in figure.axes[0].collections if hasattr(c, "U"))
    offsets = measures.centroid(trace.kernels[0, 1])
    for (column, row), right, down in zip(quiver.XY, quiver.U, quiver.V, strict=True):  # type: ignore[attr-defined]
        assert_allclose((down, right), offsets[int(row), int(column)], atol=1e-6)
    angles = maps.orientation_map(trace, photo=photo).axes[0].collections[0]
    angle, strength = measures.orientation(trace.kernels[0, 0])
    for path in angles.get_paths():
        (x0, y0), (x1, y1) = np.asarray(path.vertices, float).tolist()
        i, j = round((y0 + y1) / 2), round((x0 + x1) / 2)
        assert np.hypot(x1 - x0, y1 - y0) == pytest.approx(strength[i, j], abs=1e-6)
        found = np.degrees(np.arctan2(y0 - y1, x1 - x0))
        assert abs((found - angle[i, j] + 90) % 180 - 90) < 1e-3


@pytest.mark.parametrize("options", [{}, {"stride": 2}, {"dilation": 2}], ids=str)
def test_the_atlas_pixel_by_pixel(options: dict[str, Any], photo: Photo) -> None:
    trace = make_trace(**options)
    geom, limit = trace.geom, limit_of(trace.kernel)
    figure = kernels.kernel_atlas(trace, photo, group=1)
    chosen = kernels.atlas_pixels(trace)
    assert len(chosen) >= 2
    taken = np.zeros(geom.padded_size, int)
    points, expected = [], []
    for i, j in chosen:
        for u, v in geom.taps():
            h = i * geom.stride[0] + u * geom.dilation[0] - geom.padding[0]
            w = j * geom.stride[1] + v * geom.dilation[1] - geom.padding[1]
            taken[h + geom.padding[0], w + geom.padding[1]] += 1
            if 0 <= h < H and 0 <= w < W:
                points.append((h, w))
                expected.append(diverging(trace.kernel[0, 1, u, v, i, j], limit))
    assert taken.max() == 1  # no two windows overlap
    assert_array_equal(colours_at(pixels(figure), figure.axes[0], points), expected)


def test_all_groups_with_their_numbers(trace: Trace) -> None:
    figure = kernels.all_groups(trace, (4, 7))
    for group in range(2):
        ax = figure.axes[group]
        kernel = trace.kernel[0, group, :, :, 4, 7]
        written = [text.get_text().replace("−", "-") for text in ax.texts]
        assert written == [f"{value:z.2f}" for value in kernel.ravel()]
        corners = np.argwhere(np.ones((3, 5))) - 0.4
        shown = colours_at(pixels(figure), ax, corners)
        assert_array_equal(shown, diverging(kernel, limit_of(trace.kernel)).reshape(-1, 3))


def test_the_nearest_kernels_are_found(trace: Trace, photo: Photo) -> None:
    kernel = trace.kernel.copy()
    kernel[..., 10, 2] = kernel[..., 3, 9]  # twins, far apart
    planted = OperatorTrace(x=trace.x, kernel=kernel, y=trace.y, geom=trace.geom)
    distance = measures.distance(planted.kernels[0, 1], planted.kernels[0, 1, 3, 9])
    assert distance[10, 2] == 0
    found = kernels.nearest_pixels(planted, distance, (3, 9), 4)
    assert found[0] == (10, 2)
    assert [distance[p] for p in found] == sorted(distance[p] for p in found)
    for n, (i, j) in enumerate([(3, 9), *found]):
        for k, m in [(3, 9), *found][:n]:
            assert abs(i - k) >= 3 or abs(j - m) >= 5
    figure = kernels.nearest_kernels(planted, photo, (3, 9), group=1, count=4)
    assert_array_equal(figure.axes[0].images[0].get_array(), distance)
    marks = [(t.xy[1], t.xy[0]) for t in figure.axes[0].texts]  # type: ignore[attr-defined]
    assert marks == found


def test_before_and_after(trace: Trace) -> None:
    other = make_trace(rng=9)
    figure = kernels.before_and_after(trace, other, [(0, 1), (5, 6), (11, 14)], group=1)
    for n, (i, j) in enumerate([(0, 1), (5, 6), (11, 14)]):
        for row, source in enumerate((trace, other)):
            expected = diverging(source.kernel[0, 1, :, :, i, j], limit_of(source.kernel))
            assert_array_equal(figure.axes[3 * row + n].images[0].get_array(), expected)


def test_figures_are_drawn_on_given_axes(trace: Trace, photo: Photo) -> None:
    figure = Figure()
    axes = figure.subplots(2, 3)
    assert maps.kernel_sum_map(trace, ax=axes[0, 0]) is figure
    assert kernels.kernel_atlas(trace, photo, ax=axes[0, 1]) is figure
    assert diagrams.shape_diagram(trace, ax=axes[0, 2]) is figure
    assert axes[0, 0].images
    assert axes[0, 1].images
    assert not axes[1, 2].images
    for group in (2, -1):
        with pytest.raises(ValueError, match=rf"group is {group}; need "):
            maps.kernel_sum_map(trace, group=group)


def test_energy_counts_patterns() -> None:
    rng = np.random.default_rng(0)
    two = rng.standard_normal((5, 8, 2, 1, 1)) * rng.standard_normal((5, 1, 2, 3, 3))
    held = energy(two.sum(axis=2))  # each kernel is a mixture of two patterns
    assert held[0] < 0.99
    assert_allclose(held[1:], 1)
    assert held.shape == (9,)
    orthogonal = np.eye(9).reshape(1, 9, 3, 3)
    assert_allclose(energy(orthogonal), np.arange(1, 10) / 9)
    assert_array_equal(energy(np.zeros((1, 4, 3, 3))), np.zeros(9))


def test_a_shared_kernel_is_one_pattern() -> None:
    trace = make_trace(kernel_size=3)
    convolution = nn.Conv2d(6, 5, 3, rng=0)
    ax = channel_redundancy(trace, convolution).axes[0]
    involution, other = (np.asarray(line.get_ydata(), float) for line in ax.lines[:2])
    assert_allclose(involution, 1)
    weight = convolution.weight.data.reshape(5, 6, 9).astype(float)
    first = [np.linalg.norm(w, 2) ** 2 / np.square(w).sum() for w in weight]
    assert_allclose(other[0], np.mean(first))
    with pytest.raises(ValueError, match=r"convolution has a window of \(5, 5\); need \(3, 3\)"):
        channel_redundancy(trace, nn.Conv2d(6, 5, 5))


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_shapes_are_those_of_the_arrays(trace: Trace) -> None:
    written = texts(diagrams.shape_diagram(trace))
    for array in (trace.x, trace.reduced, trace.kernel, trace.patches, trace.y):
        assert f"{array.shape}" in written
    assert f"(1, 30, {H}, {W})" in written
    joined = " ".join(written)
    assert "reduce 1×1\n8 weights\nconv → bn → relu" in joined  # 4 -> 2 channels
    assert "span 1×1\n90 weights" in joined  # 2 -> 30, and 30 biases
    strided = " ".join(texts(diagrams.shape_diagram(make_trace(stride=2))))
    assert "stride 2\ndilation 1" in strided
    assert "(1, 4, 6, 8)" in strided


def test_the_blocks_are_those_of_the_network() -> None:
    model = models.rednet38(num_classes=7, rng=0)
    written = texts(diagrams.block_diagram(model))
    names = [text for text in written if text in model.children()]
    assert names == list(model.children())
    assert [text for text in written if text.endswith(" blocks")] == [
        "2 blocks", "3 blocks", "5 blocks", "2 blocks",
    ]  # fmt: skip
    assert written.count("involution 7×7, stride 2") == 3
    assert "G = 32, r = 4" in written
    assert "2048 → 7" in written
    layer3 = sum(p.data.size for p in model.children()["layer3"].parameters())
    assert f"{layer3 / 1e6:.2f} M weights" in written
    resnet = texts(diagrams.block_diagram(models.small_resnet(10, rng=0)))
    assert not any("involution" in text for text in resnet)
    assert "3×3, 32 → 32" in resnet
