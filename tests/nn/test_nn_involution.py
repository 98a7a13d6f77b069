"""The involution layer: its two branches, bands, modes, parameter names and initial weights."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from nn_cases import LAYERS, random, run

from involution_edu import involution, involution_backward, nn
from involution_edu.arrays import Array
from involution_edu.cases import TOLERANCE, scaled_error
from involution_edu.nn import bands


def test_names_are_those_of_the_authors_checkpoints() -> None:
    state = nn.Involution2d(32, 3).state_dict()
    assert {name: array.shape for name, array in state.items()} == {
        "conv1.conv.weight": (8, 32, 1, 1),
        "conv1.bn.weight": (8,),
        "conv1.bn.bias": (8,),
        "conv1.bn.running_mean": (8,),
        "conv1.bn.running_var": (8,),
        "conv1.bn.num_batches_tracked": (),
        "conv2.conv.weight": (18, 8, 1, 1),
        "conv2.conv.bias": (18,),
    }


def test_the_projection_to_other_channels_has_no_bias() -> None:
    layer = nn.Involution2d(4, 3, out_channels=6, groups=3)
    assert [name for name in layer.state_dict() if "project" in name] == ["project.weight"]


def test_initial_weights_are_those_of_the_authors() -> None:
    layer = nn.Involution2d(256, 7, rng=0)
    parameters = layer.named_parameters()
    for name, fan_out in (("conv1.conv.weight", 64), ("conv2.conv.weight", 49 * 16)):
        weight = parameters[name].data
        assert abs(weight.std() / np.sqrt(2 / fan_out) - 1) < 0.02
        assert abs(weight.mean()) < 3 * weight.std() / np.sqrt(weight.size)
    assert not parameters["conv2.conv.bias"].data.any()
    assert (parameters["conv1.bn.weight"].data == 1).all()


def test_weights_depend_on_the_seed() -> None:
    first, again, other, unseeded, unseeded_too = (
        nn.Involution2d(16, 3, rng=rng).state_dict()["conv1.conv.weight"]
        for rng in (1, 1, 2, None, None)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(unseeded, unseeded_too)


@pytest.mark.parametrize("name", LAYERS)
def test_dx_is_the_sum_of_its_two_branches(name: str) -> None:
    case = LAYERS[name]
    layer = case.layer(np.float64)
    x = random(case.x_shape, np.float64, 1)
    dy = random(case.geometry().y_shape, np.float64, 2)
    layer(x)
    dx = layer.backward(dy)
    kernel = layer.generate_kernel(x)
    dx_apply, dkernel = involution_backward(
        dy, layer.project(x), kernel, stride=layer.stride, dilation=layer.dilation
    )
    dx_apply, dx_generate = (
        layer.project.backward(dx_apply),
        layer.reduce_backward(layer.span_backward(dkernel)),
    )
    assert np.abs(dx_apply).max() > 1e-3
    assert np.abs(dx_generate).max() > 1e-3
    assert scaled_error(dx, dx_apply + dx_generate) <= TOLERANCE[np.dtype(np.float64)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("band_rows", [1, 2, 3, 100])
@pytest.mark.parametrize("name", LAYERS)
def test_bands_change_nothing(name: str, band_rows: int, training: bool) -> None:
    case = LAYERS[name]
    layer = case.layer(np.float64).train(training)
    x = random(case.x_shape, np.float64, 1)
    dy = random(case.geometry().y_shape, np.float64, 2)
    state = layer.state_dict()
    want = {key: array.copy() for key, array in run(layer, x, dy).items()}
    kernel, value = layer.generate_kernel(x), layer.project(x)
    plain = involution(value, kernel, stride=layer.stride, dilation=layer.dilation)
    assert scaled_error(want["y"], plain) <= TOLERANCE[np.dtype(np.float64)]
    layer.band_rows = band_rows
    layer.load_state_dict(state)
    for key, array in run(layer, x, dy).items():
        assert scaled_error(array, want[key]) <= 1e-11, key


def test_the_size_of_a_band_follows_from_max_band_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    spanned: list[int] = []

    class Watched(nn.Involution2d):
        def span(self, features: Array) -> Array:
            spanned.append(features.shape[2])
            return super().span(features)

    layer, x = Watched(16, 3, rng=0).eval(), random((2, 16, 10, 7), np.float32, 0)
    layer(x)
    assert spanned == [10]
    spanned.clear()
    row = 2 * 3 * 3 * 7 * 4  # bytes of kernels in a row: N*G*K*K*W_out in float32
    monkeypatch.setitem(bands.MAX_BAND_BYTES, "numpy", 4 * row)
    layer(x)
    assert spanned == [3, 3, 4]


def test_reduce_must_not_run_on_another_input_before_backward() -> None:
    layer, x = nn.Involution2d(16, 3, rng=0), random((2, 16, 4, 5), np.float32, 0)
    y = layer(x)
    layer.generate_kernel(2 * x)
    with pytest.raises(RuntimeError, match=r"needs reduce\(\) or generate_kernel\(\) not to"):
        layer.backward(y)
    layer.eval()
    y = layer(x)
    dx = layer.backward(y)
    layer.generate_kernel(2 * x)  # in evaluation mode backward generates everything again
    assert np.array_equal(layer.backward(y), dx)


def test_bands_need_an_eighth_of_the_memory() -> None:
    layer = nn.Involution2d(64, 7, rng=0).eval()
    x = random((1, 64, 512, 512), np.float32, 0)
    layer(x[:, :, :9])  # so that one-time allocations are done

    def peak(band_rows: int | None) -> int:
        layer.band_rows = band_rows
        tracemalloc.start()
        try:
            layer(x)
            return tracemalloc.get_traced_memory()[1] - x.nbytes  # y is as large as x
        finally:
            tracemalloc.stop()

    assert peak(None) <= peak(x.shape[2]) / 8


def test_the_mode_must_not_change_between_forward_and_backward() -> None:
    layer, x = nn.Involution2d(16, 3, rng=0), random((2, 16, 4, 5), np.float32, 0)
    y = layer(x)
    with pytest.raises(RuntimeError, match="needs the mode of the forward pass"):
        layer.eval().backward(y)


def test_the_kernel_of_a_pixel_depends_on_that_pixel_alone() -> None:
    layer = nn.Involution2d(8, 3, groups=2, sigma="relu", rng=0, dtype=float)
    x = random((1, 8, 5, 6), float, 0)
    kernel = layer.generate_kernel(x)
    x[0, :, 2, 3] += 1
    changed = (layer.generate_kernel(x) != kernel).any(axis=(0, 1, 2, 3))
    assert np.argwhere(changed).tolist() == [[2, 3]]
