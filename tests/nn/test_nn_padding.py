"""Padding of the involution layers: which pixels are added, and which generate a kernel."""

from __future__ import annotations

from typing import Any

import needs
import numpy as np
import pytest
from nn_cases import random, run

from involution_edu import nn, viz
from involution_edu.arrays import Array
from involution_edu.cases import scaled_error
from involution_edu.complexity import count
from involution_edu.nn.padding import MODES

ALL_MODES = ["zeros", *MODES]

# Sizes of x and options of the layer of that many axes.
CASES: dict[str, tuple[tuple[int, ...], dict[str, Any]]] = {
    "reflect": ((2, 8, 6, 5), {"kernel_size": 5, "padding_mode": "reflect"}),
    "replicate, dilation 2": (
        (2, 8, 6, 5),
        {"kernel_size": 3, "padding_mode": "replicate", "dilation": 2},
    ),
    "circular, stride (2, 3)": (
        (2, 8, 7, 9),
        {"kernel_size": (5, 3), "padding_mode": "circular", "stride": (2, 3)},
    ),
    "valid": ((2, 8, 6, 9), {"kernel_size": (3, 5), "padding": "valid"}),
    "valid, stride 2, dilation (1, 2)": (
        (2, 8, 10, 9),
        {"kernel_size": 3, "padding": "valid", "stride": 2, "dilation": (1, 2)},
    ),
    "even window, reflect": (
        (2, 8, 6, 7),
        {"kernel_size": (4, 6), "padding": (1, 2), "padding_mode": "reflect", "stride": (1, 2)},
    ),
    "even window": ((2, 8, 7, 6), {"kernel_size": (4, 2), "padding": (1, 0)}),
    "1-D": ((2, 8, 9), {"kernel_size": 5, "stride": 2}),
    "1-D, reflect, less padding": (
        (2, 8, 9),
        {"kernel_size": 5, "padding": 1, "padding_mode": "reflect"},
    ),
    "3-D": ((2, 8, 3, 5, 4), {"kernel_size": (3, 1, 5)}),
    "3-D, stride (2, 1, 3)": ((2, 8, 5, 4, 7), {"kernel_size": 3, "stride": (2, 1, 3)}),
    "3-D, dilation, less padding": (
        (2, 8, 4, 7, 6),
        {"kernel_size": (2, 3, 3), "padding": (0, 1, 2), "dilation": (2, 3, 2)},
    ),
}
KINDS: dict[int, Any] = {3: nn.Involution1d, 4: nn.Involution2d, 5: nn.Involution3d}


def made(name: str) -> tuple[Any, Array, Array]:
    """Return the float64 layer of a case with all numbers random, an x and a dy."""
    shape, options = CASES[name]
    layer = KINDS[len(shape)](shape[1], groups=2, rng=0, dtype=float, **options)
    for parameter in layer.parameters():
        parameter.data += 0.3 * random(parameter.data.shape, float, 3)
    x = random(shape, float, 1)
    return layer, x, random(layer(x).shape, float, 2)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_layers_equal_torch(name: str, training: bool) -> None:
    needs.package("torch")
    import torch_reference as reference

    layer, x, dy = made(name)
    inside = getattr(layer, "involution2d", layer)
    sizes = {
        key: (*(fill,) * (3 - len(of)), *of)
        for key, fill in (("window", 1), ("stride", 1), ("padding", 0), ("dilation", 1))
        if (of := getattr(inside, key))
    }
    mode = getattr(inside, "padding_mode", "zeros")
    theirs = reference.TorchInvolution3d(8, 2, mode, **sizes).double().train(training)
    reference.load(theirs, inside.state_dict())
    depth = (1,) * (5 - x.ndim)
    x3, dy3 = (a.reshape(*a.shape[:2], *depth, *a.shape[2:]) for a in (x, dy))
    want = reference.module_results(theirs, x3, dy3)
    for key, ours in run(layer.train(training), x, dy).items():
        reference_array = want[key.replace("involution2d.", "")]
        assert scaled_error(ours, reference_array.reshape(ours.shape)) <= 1e-11, key


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("band_rows", [1, 2, 3])
@pytest.mark.parametrize("name", [name for name in CASES if "-D" not in name])
def test_bands_change_nothing(name: str, band_rows: int, training: bool) -> None:
    layer, x, dy = made(name)
    state = layer.train(training).state_dict()
    layer.band_rows = 100
    want = {key: array.copy() for key, array in run(layer, x, dy).items()}
    layer.load_state_dict(state)
    layer.band_rows = band_rows
    for key, array in run(layer, x, dy).items():
        assert scaled_error(array, want[key]) <= 1e-11, key


def test_the_kernel_of_a_window_is_that_of_its_middle_pixel() -> None:
    """Without padding a layer gives the inner pixels of its output with "same"."""
    same, valid = (
        nn.Involution2d(8, (3, 5), groups=2, dilation=(2, 1), padding=padding, rng=0).eval()
        for padding in ("same", "valid")
    )
    x = random((2, 8, 9, 7), np.float32, 0)
    assert scaled_error(valid(x), same(x)[:, :, 2:-2, 2:-2]) <= 1e-6
    assert np.array_equal(valid.generate_kernel(x), same.generate_kernel(x)[..., 2:-2, 2:-2])


def test_a_sequence_is_an_image_of_one_row() -> None:
    options: dict[str, Any] = {"groups": 2, "padding_mode": "reflect", "rng": 0, "dtype": float}
    layer = nn.Involution1d(8, 5, stride=3, padding=2, dilation=2, **options)
    image = nn.Involution2d(8, (1, 5), stride=(1, 3), padding=(0, 2), dilation=(1, 2), **options)
    x = random((2, 8, 13), float, 0)
    y = layer(x)
    assert y.shape == (2, 8, 3)
    assert np.array_equal(y, image(x[:, :, None])[:, :, 0])
    assert np.array_equal(layer.backward(y), image.backward(y[:, :, None])[:, :, 0])
    assert np.array_equal(
        layer.generate_kernel(x)[:, :, None, :, None], image.generate_kernel(x[:, :, None])
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_is_a_padded_image_without_padding(mode: str) -> None:
    options: dict[str, Any] = {"groups": 2, "rng": 0, "dtype": float}
    layer = nn.Involution2d(8, (5, 3), padding_mode=mode, **options).eval()
    valid = nn.Involution2d(8, (5, 3), padding="valid", **options).eval()
    x = random((2, 8, 4, 6), float, 0)
    numpy_mode: Any = MODES[mode]
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (1, 1)), numpy_mode)
    assert scaled_error(layer(x), valid(padded)) <= 1e-12


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("padding", [(0, 2), (3, 1), (3, 4)])
def test_the_gradient_of_padding_is_its_adjoint(mode: str, padding: tuple[int, int]) -> None:
    pad = nn.Pad2d(padding, mode)
    rng = np.random.default_rng(0)
    x = rng.integers(-9, 9, (2, 3, 4, 5)).astype(float)
    y = pad(x)
    numpy_mode: Any = MODES[mode]
    p_h, p_w = padding
    np.testing.assert_array_equal(
        y, np.pad(x, ((0, 0), (0, 0), (p_h, p_h), (p_w, p_w)), numpy_mode)
    )
    dy = rng.integers(-9, 9, y.shape).astype(float)
    assert (pad.backward(dy) * x).sum() == (dy * y).sum()  # for every x, as padding is linear
    e = np.zeros_like(x)
    e[0, 1, 0, 0] = e[1, 2, 3, 4] = 1
    dx = pad.backward(dy)
    assert (dx * e).sum() == (dy * pad(e)).sum()


@pytest.mark.parametrize("mode", ALL_MODES)
def test_padding_adds_no_names_to_the_state(mode: str) -> None:
    plain = nn.Involution2d(16, 3, rng=0).state_dict()
    for padding in ("same", "valid"):
        state = nn.Involution2d(16, 3, padding=padding, padding_mode=mode, rng=0).state_dict()
        assert list(state) == list(plain)
        assert all(np.array_equal(state[name], plain[name]) for name in state)


def test_a_flat_image_stays_flat_at_its_border_only_if_reflected() -> None:
    kept = {}
    for mode in ALL_MODES:
        layer = nn.Involution2d(8, 5, groups=2, padding_mode=mode, rng=0, dtype=float).eval()
        layer.conv2.parameters()[1].data[...] = 0.04  # every kernel adds something up
        y = layer(np.ones((1, 8, 6, 7)))
        kept[mode] = np.ptp(y, axis=(2, 3)).max() < 1e-12
    assert kept == {"zeros": False, "reflect": True, "replicate": True, "circular": True}


@pytest.mark.parametrize("name", CASES)
def test_an_empty_batch_runs(name: str) -> None:
    layer, x, dy = made(name)
    assert layer.eval()(x[:0]).shape == (0, *dy.shape[1:])
    assert layer.backward(dy[:0]).shape == (0, *x.shape[1:])


@pytest.mark.parametrize("name", [name for name in CASES if "-D" not in name])
def test_a_padded_layer_can_be_recorded(name: str) -> None:
    layer, x, dy = made(name)
    trace = viz.record(layer.eval(), x)
    assert scaled_error(trace.y, layer(x)) <= 1e-12
    back = viz.record_gradients(layer, x, dy)
    assert scaled_error(back.dx, back.dx_apply + back.dx_generate) <= 1e-12


@pytest.mark.parametrize("name", CASES)
def test_the_products_of_a_layer_are_counted(name: str) -> None:
    layer, x, dy = made(name)
    products = sum(row.macs for row in count(layer, x.shape[1:]).layers)
    inside = getattr(layer, "involution2d", layer)
    taps, outputs = int(np.prod(inside.window)), int(np.prod(dy.shape[2:]))
    assert products == outputs * (8 * taps + 8 * 2 + 2 * 2 * taps)  # apply, reduce, span
