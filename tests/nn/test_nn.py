"""Modules: arrays kept for backward, hooks, state, modes, and the arrays they accept."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from nn_cases import LAYERS, SIMPLE, random, run

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.cases import scaled_error


def test_no_grad_keeps_nothing() -> None:
    layer = nn.Involution2d(16, 3, stride=2, rng=0)
    x = random((2, 16, 7, 6), np.float32, 0)
    y = layer(x)
    kept = [weakref.ref(y), *(weakref.ref(a) for a in arrays_kept_by(layer))]
    assert len(kept) > 4
    with nn.no_grad():
        with nn.no_grad():
            pass
        assert np.array_equal(layer(x), y)
    assert list(arrays_kept_by(layer)) == []
    with pytest.raises(RuntimeError, match=r"needs a forward pass first, outside no_grad\(\)"):
        layer.backward(y)
    del y
    assert all(ref() is None or ref() is x for ref in kept)
    layer.backward(layer(x))  # the block has ended


def arrays_kept_by(layer: nn.Module) -> Iterator[Array]:
    for _, module in layer.named_modules():
        if module._saved is not None:
            yield from (a for a in module._saved[2] if isinstance(a, np.ndarray))


@pytest.mark.parametrize("training", [True, False])
def test_arrays_that_a_layer_keeps_for_backward(training: bool) -> None:
    """Convolution and norm keep their input alone, ReLU its output: no copies, no masks."""
    x = random((4, 16, 90, 110), np.float32, 0)
    made = {"conv": nn.Conv2d(16, 16, rng=0), "norm": nn.BatchNorm2d(16), "relu": nn.ReLU()}
    for name, arrays in (("conv", 0), ("norm", 0), ("relu", 1)):
        layer = made[name].train(training)
        layer(x[:, :, :3])  # so that one-time allocations are done
        tracemalloc.start()
        try:
            layer(x)
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept <= (arrays + 0.02) * x.nbytes, name
        assert peak <= 1.02 * x.nbytes, name  # the output, and no other array as large


def test_forward_hooks_see_every_call_until_they_are_removed() -> None:
    inner = nn.ReLU()
    model = nn.Sequential(nn.ReLU(), inner=inner)
    calls: list[tuple[str, nn.Module, Array, Array]] = []
    x = random((1, 2, 3, 4), float, 0)
    first, again = (
        inner.register_forward_hook(lambda *call, name=name: calls.append((name, *call)))
        for name in ("first", "again")
    )
    with first:
        y = model(x)
    assert [call[:2] for call in calls] == [("first", inner), ("again", inner)]
    assert np.array_equal(calls[0][2], np.maximum(x, 0))
    assert calls[0][3] is y
    calls.clear()
    model(x)
    assert [call[0] for call in calls] == ["again"]
    again.remove()
    again.remove()  # a second time does nothing
    with pytest.raises(TypeError, match="x is a list"), inner.register_forward_hook(print):
        inner([1.0])  # type: ignore[arg-type]
    assert model(x) is not None
    assert len(calls) == 1
    assert inner._hooks == nn.ReLU()._hooks == ()


def test_no_grad_ends_with_an_error() -> None:
    layer = nn.ReLU()
    with pytest.raises(TypeError, match="x is a list"), nn.no_grad():
        layer([1.0])  # type: ignore[arg-type]
    layer.backward(layer(np.ones((1, 2))))


def test_gradients_add_up_until_zeroed() -> None:
    layer = LAYERS["dilation 2"].layer(np.float64)
    x, dy = random((2, 8, 6, 7), float, 0), random((2, 8, 6, 7), float, 1)
    once = {name: a.copy() for name, a in run(layer, x, dy).items() if name.startswith("d")}
    layer(x)
    layer.backward(dy)
    for name, parameter in layer.named_parameters().items():
        assert scaled_error(parameter.grad, 2 * once[f"d{name}"]) < 1e-12
    layer.zero_grad()
    assert not any(parameter.grad.any() for parameter in layer.parameters())


def test_state_dict_round_trip_and_a_failed_load_changes_nothing() -> None:
    first, second = (nn.Involution2d(16, 3, rng=seed) for seed in (0, 1))
    first(random((2, 16, 4, 5), np.float32, 0))  # moves the running statistics
    state = first.state_dict()
    second.load_state_dict(state)
    for name, array in second.state_dict().items():
        assert np.array_equal(array, state[name])
    before = second.state_dict()
    assert before["conv1.bn.num_batches_tracked"] == 1
    wrong = {**state, "conv2.conv.bias": np.zeros(3)}
    text: Any = {**state, "conv2.conv.bias": np.full(9, "x", dtype=object)}
    listed = {**state, "conv2.conv.bias": [0.0] * 9}
    imaginary = {**state, "conv2.conv.bias": np.zeros(9, complex)}
    missing = {name: array for name, array in state.items() if name != "conv1.conv.weight"}
    surplus = {**state, "conv3.weight": np.zeros(3)}
    cases: tuple[tuple[Any, str], ...] = (
        (text, r"conv2\.conv\.bias'\] is object; need an array that casts to float32"),
        (listed, r"conv2\.conv\.bias'\] is list; need an array"),
        (imaginary, r"conv2\.conv\.bias'\] is complex128; need"),
        ({**wrong, "conv1.conv.weight": 0 * state["conv1.conv.weight"]}, r"conv2\.conv\.bias"),
        (missing, r"lacks conv1\.conv\.weight"),
        (surplus, r"unknown conv3\.weight"),
    )
    for bad, message in cases:
        with pytest.raises((TypeError, ValueError), match=message):
            second.load_state_dict(bad)
        for name, array in second.state_dict().items():
            assert np.array_equal(array, before[name])


def test_train_and_eval_reach_every_module() -> None:
    layer = nn.Involution2d(16, 3)
    assert layer.eval() is layer
    assert not any(module.training for _, module in layer.named_modules())
    x = random((2, 16, 4, 5), np.float32, 0)
    before = layer.state_dict()
    layer(x)
    assert all(np.array_equal(a, before[name]) for name, a in layer.state_dict().items())
    assert all(module.training for _, module in layer.train().named_modules())


@pytest.mark.parametrize(
    "make", [lambda: nn.Involution2d(8, 3, groups=2, rng=0), *(row[0] for row in SIMPLE.values())]
)
def test_any_layout_of_x_and_dy(make: Callable[..., nn.Module]) -> None:
    layer = make(np.float32) if make.__code__.co_argcount else make()
    channels = 8 if isinstance(layer, nn.Involution2d) else 6
    x = random((2, channels, 6, 7), np.float32, 0)
    dy = random(layer(x).shape, np.float32, 1)
    want = {name: array.copy() for name, array in run(layer, x, dy).items()}
    strided = np.asfortranarray(x), np.asfortranarray(dy)
    swapped = x.astype(">f4"), dy.astype(">f4")
    for other_x, other_dy in (strided, swapped):
        got = run(layer, other_x, other_dy)
        assert got["y"].dtype == got["dx"].dtype == np.float32
        for name in ("y", "dx"):
            assert scaled_error(got[name], want[name]) < 1e-6, name


def test_parameters_of_any_layout() -> None:
    layer, other = (nn.Conv2d(3, 4, 3, rng=0, dtype=float) for _ in range(2))
    other.weight = nn.Parameter(np.asfortranarray(layer.weight.data))
    assert not other.weight.data.flags.c_contiguous
    x, dy = random((2, 3, 6, 5), float, 1), random((2, 4, 4, 3), float, 2)
    want = run(layer, x, dy)
    for name, array in run(other, x, dy).items():
        assert scaled_error(array, want[name]) <= 1e-12, name


def test_training_accepts_no_images() -> None:
    layer = nn.Involution2d(16, 3, stride=2, rng=0)
    state = layer.state_dict()
    y = layer(np.ones((0, 16, 4, 5), np.float32))
    assert y.shape == (0, 16, 2, 3)
    assert layer.backward(y).shape == (0, 16, 4, 5)
    assert all(np.array_equal(array, state[name]) for name, array in layer.state_dict().items())
    assert not any(parameter.grad.any() for parameter in layer.parameters())


def test_eval_accepts_no_images_and_one_pixel() -> None:
    layer = nn.Involution2d(16, 3, rng=0).eval()
    for shape in ((0, 16, 4, 5), (1, 16, 1, 1)):
        y = layer(np.ones(shape, np.float32))
        assert y.shape == layer.backward(y).shape == shape
