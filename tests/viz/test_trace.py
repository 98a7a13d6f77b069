"""Traces hold the numbers of the operator; a wrong operator cannot be recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import involution_edu as inv
from involution_edu import models, nn
from involution_edu.arrays import Array
from involution_edu.cases import TOLERANCE, scaled_error
from involution_edu.nn import involution2d
from involution_edu.viz import (
    Trace,
    involution_names,
    record,
    record_gradients,
    record_operator,
    recording,
)
from involution_edu.viz.picks import varied_pixels

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
def test_recording_does_not_change_the_layer(name: str) -> None:
    layer = nn.Involution2d(**LAYERS[name], rng=3).eval()
    before = layer.state_dict()
    record(layer, np.random.default_rng(0).standard_normal((1, layer.channels, 5, 6)).astype("f4"))
    for key, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[key])


def test_a_layer_in_training_mode_is_refused() -> None:
    layer = nn.Involution2d(**LAYERS["RGB, one group"])
    with pytest.raises(ValueError, match=r"model is in training mode; need .* call eval"):
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


@pytest.mark.parametrize("size", [3, 19, 45])
def test_right_sums_of_many_products_can_be_recorded(size: int) -> None:
    """Equal products round in the same direction; a kernel that sums to 0 leaves only rounding."""
    x = np.full((1, 1, size + 1, size + 2), 0.1, np.float32)
    same = np.full((1, 1, size, size, 2, 3), 0.1, np.float32)
    edges = same * np.random.default_rng(0).standard_normal((size, size, 1, 1)).astype(np.float32)
    for kernel in (same, edges - edges.mean(axis=(2, 3), keepdims=True)):
        record_operator(x, kernel, padding=0)


def test_a_lost_product_of_a_large_window_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(x: Array, kernel: Array, **options: Any) -> Array:
        kernel = kernel.copy()
        kernel[:, :, 0, 0] = 0
        return inv.involution(x, kernel, **options)

    monkeypatch.setattr(recording, "involution", lost)
    ones = np.ones((1, 1, 45, 45, 1, 1), np.float32)
    with pytest.raises(ArithmeticError, match=r"y is .* away"):
        record_operator(ones[..., 0, 0], ones, padding=0)


def test_many_channels_of_a_layer_can_be_recorded() -> None:
    layer = nn.Involution2d(4096, 1, reduction=1, rng=0).eval()
    record(layer, np.random.default_rng(0).random((1, 4096, 1, 2), np.float32))


def test_a_wrong_generator_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    span = nn.Involution2d.span
    monkeypatch.setattr(nn.Involution2d, "span", lambda self, a: span(self, a)[:, :, ::-1])
    with pytest.raises(ArithmeticError, match=r"kernel is .* away"):
        recorded("RGB, one group")


def test_varied_pixels_are_in_their_blocks_and_differ() -> None:
    trace = recorded("RGB, one group", size=(12, 15))
    pixels = varied_pixels(trace, (5, 1), 2, 3)
    blocks = [(i // 6, j // 5) for i, j in pixels]
    assert blocks == [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]
    kernels, (m_h, m_w) = trace.kernels[0, 0], (k // 2 for k in trace.geom.window)
    for n in range(1, len(pixels)):
        nearest = np.min([np.square(kernels - kernels[p]).sum(axis=(2, 3)) for p in pixels[:n]], 0)
        row, column = blocks[n]
        nearest[:m_h] = nearest[-m_h:] = 0  # the windows there reach beyond the image
        nearest[:, :m_w] = nearest[:, -m_w:] = 0
        block = nearest[6 * row : 6 * row + 6, 5 * column : 5 * column + 5]
        assert nearest[pixels[n]] == block.max() > 0


def test_varied_pixels_of_a_tiny_output() -> None:
    assert varied_pixels(recorded("RGB, one group", size=(1, 2)), (0, 0), 2, 3) == [(0, 0), (0, 1)]


# Parts, models, gradients


@pytest.mark.parametrize("name", LAYERS)
def test_a_part_holds_the_numbers_of_its_pixels_and_groups(name: str) -> None:
    trace = recorded(name)
    geom, G = trace.geom, trace.geom.G
    rows, columns = slice(1, geom.H_out - 1), slice(2, geom.W_out)
    part = trace.part(rows, columns, slice(G - 1, G))
    assert (part.origin, part.geom.G, part.geom.C) == ((1, 2), 1, geom.C_g)
    assert_array_equal(part.patches, trace.patches[:, -1:, :, rows, columns])
    assert_array_equal(part.kernels, trace.kernels[:, -1:, rows, columns])
    assert_array_equal(part.y, trace.y[:, -geom.C_g :, rows, columns])
    assert_array_equal(part.products(0, 1), trace.products(1, 3)[:, -1:])
    part.check()  # its own features still span its own kernels
    again = part.part(slice(1, 2), slice(None))
    assert again.origin == (2, 2)
    assert_array_equal(again.patches, part.patches[:, :, :, 1:2])


def test_a_part_is_a_copy() -> None:
    trace = record_operator(np.ones((1, 2, 5, 6)), np.ones((1, 2, 3, 3, 3, 4)), padding=0)
    part = trace.part(slice(0, 2), slice(0, 2))
    for name in ("x", "kernel", "y"):
        assert not np.shares_memory(getattr(part, name), getattr(trace, name))


@pytest.mark.parametrize("rows", [slice(3, 3), slice(0, 9, 2), slice(9, 12)])
def test_an_impossible_part_is_refused(rows: slice) -> None:
    with pytest.raises(ValueError, match=r"rows is slice\(.*\); need a slice without a step"):
        recorded("RGB, one group").part(rows, slice(None))


def test_a_layer_inside_a_model() -> None:
    rng = np.random.default_rng(5)
    layer = nn.Involution2d(4, 3, groups=2, rng=1, dtype=np.float64)
    inner = nn.Sequential(nn.Conv2d(3, 4, rng=0, dtype=np.float64), inv=layer)
    model = nn.Sequential(nn.ReLU(), body=inner, tail=nn.ReLU()).eval()
    assert involution_names(model) == ["body.inv"]
    x = rng.standard_normal((1, 3, 5, 6))
    trace = record(model, x, layer="body.inv")
    given = inner.children()["0"](np.maximum(x, 0))
    assert_array_equal(trace.x, given)
    assert_array_equal(trace.y, layer(given))
    assert layer._hooks == ()
    for name in (None, "body", "inv"):
        with pytest.raises(ValueError, match=r"layer is .*; need one of 'body\.inv'"):
            record(model, x, layer=name)
    layer.train()
    with pytest.raises(ValueError, match="model is in training mode"):
        record(model, x, layer="body.inv")


def test_every_involution_of_a_network() -> None:
    model = models.small_rednet(5, 3, rng=0).eval()
    x = np.random.default_rng(5).standard_normal((1, 3, 11, 14)).astype(np.float32)
    names = involution_names(model)
    assert names == [f"layer{n}.0.conv2" for n in (1, 2, 3)]
    given = model.features(x)
    for stage, before, name in zip(list(given)[1:], given.values(), names, strict=False):
        trace = record(model, x, layer=name)
        parts = model.children()[stage].children()["0"].children()
        for part in ("conv1", "bn1", "relu1"):
            before = parts[part](before)
        assert_array_equal(trace.x, before)
        assert_array_equal(trace.y, parts["conv2"](before))
        assert trace.geom.window == (7, 7)


@pytest.mark.parametrize("name", LAYERS)
def test_both_paths_back(name: str) -> None:
    layer = nn.Involution2d(**LAYERS[name], rng=3, dtype=np.float64).eval()
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, layer.channels, 7, 9))
    dy = rng.standard_normal(layer(x).shape)
    layer.backward(dy)
    before = [parameter.grad.copy() for parameter in layer.parameters()]
    back = record_gradients(layer, x, dy)
    for parameter, grad in zip(layer.parameters(), before, strict=True):
        assert_array_equal(parameter.grad, grad)
    # By the definition, at one pixel: dkernel = sum over the channels of dy * window.
    trace = record(layer, x)
    window = trace.patches[1, 0, :, 2, 1]
    expected = (window * dy[1, : trace.geom.C_g, 2, 1, np.newaxis, np.newaxis]).sum(axis=0)
    np.testing.assert_allclose(back.dkernel[1, 0, :, :, 2, 1], expected, rtol=1e-9)
    # Along one path at a time, by differences: the operator is linear in x.
    h = rng.standard_normal(x.shape)
    moved = nn.Involution2d(**LAYERS[name], rng=3, dtype=np.float64).eval()
    moved.load_state_dict(layer.state_dict())
    options: dict[str, Any] = {"stride": layer.stride, "dilation": layer.dilation}
    change = inv.involution(moved.project(h), trace.kernel, **options)
    np.testing.assert_allclose(np.sum(dy * change), np.sum(back.dx_apply * h), rtol=1e-9)


def test_a_wrong_gradient_cannot_be_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Involution2d(**LAYERS["two groups, reduced"], rng=3, dtype=np.float64).eval()
    x = np.random.default_rng(0).standard_normal((1, 8, 5, 6))
    dy = np.random.default_rng(1).standard_normal((1, 8, 5, 6))
    backward = nn.Involution2d.backward
    monkeypatch.setattr(nn.Involution2d, "backward", lambda self, dy: backward(self, 1.01 * dy))
    with pytest.raises(ArithmeticError, match=r"dx is .* away"):
        record_gradients(layer, x, dy)
