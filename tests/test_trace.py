"""What is recorded is what the operator did; a wrong operator cannot be recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import involution_edu as inv
from involution_edu import nn
from involution_edu.cases import TOLERANCE, scaled_error
from involution_edu.geometry import Array
from involution_edu.nn import involution2d
from involution_edu.viz import Trace, record
from involution_edu.viz.trace import varied_pixels

LAYERS: dict[str, dict[str, Any]] = {
    "RGB, one group": {"channels": 3, "kernel_size": 5, "groups": 1, "reduction": 1},
    "two groups, reduced": {"channels": 8, "kernel_size": 3, "groups": 2},
    "stride 2": {"channels": 4, "kernel_size": 7, "groups": 2, "stride": 2, "reduction": 2},
    "dilation 2, 3x5": {"channels": 4, "kernel_size": (3, 5), "groups": 4, "dilation": 2},
    "more channels out": {"channels": 4, "kernel_size": 3, "groups": 3, "out_channels": 6},
}


def recorded(name: str, dtype: Any = np.float64, size: tuple[int, int] = (7, 9)) -> Trace:
    layer = nn.Involution2d(**LAYERS[name], rng=3, dtype=dtype).eval()
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, LAYERS[name]["channels"], *size)).astype(dtype)
    return record(layer, x)


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_sum_to_the_output_of_the_loops(name: str, dtype: Any) -> None:
    trace = recorded(name, dtype)
    geom = trace.geom
    y = inv.involution(
        trace.x,
        trace.kernel,
        stride=geom.stride,
        padding=geom.padding,
        dilation=geom.dilation,
        backend="loops",
    )
    sums = np.empty_like(y)
    for i in range(geom.H_out):
        for j in range(geom.W_out):
            products = trace.products(i, j)
            assert products.shape == (2, geom.G, geom.C_g, *geom.window)
            sums[:, :, i, j] = products.sum(axis=(-2, -1)).reshape(2, -1)
    allowed = TOLERANCE[np.dtype(dtype)]
    assert scaled_error(sums, y) <= allowed
    assert scaled_error(trace.y, y) <= allowed


def test_patches_and_kernels_are_views() -> None:
    trace = recorded("stride 2")
    assert np.shares_memory(trace.kernels, trace.kernel)
    assert not trace.patches.flags.owndata
    # Output pixel (1, 2) at stride 2 is centred on input pixel (2, 4).
    np.testing.assert_array_equal(trace.patches[0, 1, 0, 1, 2, 3, 3], trace.x[0, 2, 2, 4])
    np.testing.assert_array_equal(trace.kernels[1, 1, 2, 3, 4, 5], trace.kernel[1, 1, 4, 5, 2, 3])


@pytest.mark.parametrize("name", LAYERS)
def test_recording_leaves_the_layer_alone(name: str) -> None:
    layer = nn.Involution2d(**LAYERS[name], rng=3).eval()
    before = layer.state_dict()
    record(layer, np.random.default_rng(0).standard_normal((1, layer.channels, 5, 6)).astype("f4"))
    for key, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


def test_a_layer_in_training_mode_is_refused() -> None:
    layer = nn.Involution2d(**LAYERS["RGB, one group"])
    with pytest.raises(ValueError, match=r"layer is in training mode; need .* call eval"):
        record(layer, np.zeros((1, 3, 5, 6), np.float32))


def test_the_statistics_of_batch_norm_are_the_fixed_ones() -> None:
    layer = nn.Involution2d(**LAYERS["two groups, reduced"], rng=3, dtype=np.float64)
    rng = np.random.default_rng(4)
    layer(3 + 2 * rng.standard_normal((2, 8, 7, 9)))  # moves the running statistics
    state = layer.state_dict()
    for name in ("conv1.bn.weight", "conv1.bn.bias"):
        state[name] = rng.standard_normal(state[name].shape)
    layer.load_state_dict(state)
    trace = record(layer.eval(), rng.standard_normal((2, 8, 7, 9)))
    mean, std, scale, shift = (a[:, np.newaxis, np.newaxis] for a in trace.statistics.values())
    assert list(trace.statistics) == ["mean", "std", "scale", "shift"]
    assert not np.allclose(mean, 0)
    normal = (trace.stages["conv"] - mean) / std
    np.testing.assert_allclose(trace.stages["bn"], scale * normal + shift, rtol=1e-9)


def test_a_layer_without_batch_norm_has_no_statistics() -> None:
    layer = nn.Involution2d(**LAYERS["RGB, one group"], sigma="relu", rng=3).eval()
    assert record(layer, np.ones((1, 3, 5, 6), np.float32)).statistics == {}


def swap_u_v(x: Array, kernel: Array, **options: Any) -> Array:
    return inv.involution(x, np.ascontiguousarray(kernel.swapaxes(2, 3)), **options)


def neighbours_kernel(x: Array, kernel: Array, **options: Any) -> Array:
    return inv.involution(x, np.roll(kernel, 1, axis=-1), **options)


def last_group(x: Array, kernel: Array, **options: Any) -> Array:
    return inv.involution(x, np.repeat(kernel[:, -1:], kernel.shape[1], axis=1), **options)


def slightly_off(x: Array, kernel: Array, **options: Any) -> Array:
    return inv.involution(x, kernel, **options) * (1 + 1e-4)


def not_a_number(x: Array, kernel: Array, **options: Any) -> Array:
    y = inv.involution(x, kernel, **options)
    y[0, 0, 0, 0] = np.nan
    return y


@pytest.mark.parametrize(
    "fault", [swap_u_v, neighbours_kernel, last_group, slightly_off, not_a_number]
)
def test_a_wrong_operator_cannot_be_recorded(fault: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(involution2d, "involution", fault)
    with pytest.raises(
        ArithmeticError, match=r"y is .* away from the sum of its recorded products"
    ):
        recorded("two groups, reduced", np.float32)


def test_a_wrong_generator_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    span = nn.Involution2d.span
    monkeypatch.setattr(nn.Involution2d, "span", lambda self, a: span(self, a)[:, :, ::-1])
    with pytest.raises(ArithmeticError, match=r"kernel is .* away"):
        recorded("RGB, one group")


def test_varied_pixels_lie_in_their_blocks_and_differ() -> None:
    trace = recorded("RGB, one group", size=(12, 15))
    pixels = varied_pixels(trace, (5, 1), 2, 3)
    blocks = [(i // 6, j // 5) for i, j in pixels]
    assert blocks == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]
    kernels = trace.kernels[0, 0]
    for n in range(1, len(pixels)):
        nearest = np.min([np.square(kernels - kernels[p]).sum(axis=(2, 3)) for p in pixels[:n]], 0)
        row, column = blocks[n]
        block = nearest[6 * row : 6 * row + 6, 5 * column : 5 * column + 5]
        assert nearest[pixels[n]] == block.max() > 0


def test_varied_pixels_of_a_tiny_output() -> None:
    assert varied_pixels(recorded("RGB, one group", size=(1, 2)), (0, 0), 2, 3) == [(0, 0), (0, 1)]
