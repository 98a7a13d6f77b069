"""The layers against PyTorch's autograd, and how modules behave."""

from __future__ import annotations

import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from nn_cases import LAYERS, SIMPLE, random, run

from involution_edu import involution, involution_backward, nn
from involution_edu.cases import TOLERANCE, scaled_error
from involution_edu.geometry import Array
from involution_edu.nn import involution2d

# float32 sums over a whole batch (means, variances, weight gradients) in another order.
LAYER_TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-11}


def assert_same(ours: dict[str, Array], theirs: dict[str, Array], dtype: Any) -> None:
    assert ours.keys() == theirs.keys()
    scale = max(float(np.abs(a).max()) for a in theirs.values())
    for name, reference in theirs.items():
        # A gradient that is zero in exact arithmetic has no scale of its own.
        error = scaled_error(ours[name], reference) * float(np.abs(reference).max())
        limit = LAYER_TOLERANCE[np.dtype(dtype)]
        assert error <= limit * max(float(np.abs(reference).max()), 1e-3 * scale), name


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layer_equals_torch(name: str, training: bool, dtype: Any) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import torch_reference as reference

    case = LAYERS[name]
    layer = case.layer(dtype).train(training)
    theirs = reference.TorchInvolution2d(
        case.geometry(),
        channels=case.x_shape[1],
        reduction=case.options.get("reduction", 4),
        sigma=case.options.get("sigma", "bn-relu"),
    )
    theirs = theirs.to(getattr(torch, np.dtype(dtype).name)).train(training)
    reference.load(theirs, layer.state_dict())
    x, dy = random(case.x_shape, dtype, 1), random(case.geometry().y_shape, dtype, 2)
    assert_same(run(layer, x, dy), reference.module_results(theirs, x, dy), dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(7, 8), (6, 9), (5, 5)])
@pytest.mark.parametrize("name", SIMPLE)
def test_layers_equal_torch(name: str, size: tuple[int, int], training: bool, dtype: Any) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import torch_reference as reference

    make, spelled = SIMPLE[name]
    ours = make(dtype).train(training)
    for parameter in ours.parameters():
        parameter.data += random(parameter.data.shape, dtype, 5)
    if isinstance(ours, nn.BatchNorm2d):
        ours.running_mean += random((6,), dtype, 6)
        ours.running_var += np.abs(random((6,), dtype, 7))
    theirs = eval(spelled, vars(torch.nn)).to(getattr(torch, np.dtype(dtype).name))
    reference.load(theirs.train(training), ours.state_dict())
    x = random((3, 6, *size), dtype, 8)
    with torch.no_grad():
        dy = random(tuple(theirs(torch.tensor(x)).shape), dtype, 9)
    reference.load(theirs, ours.state_dict())  # that pass moved the running statistics
    assert_same(run(ours, x, dy), reference.module_results(theirs, x, dy), dtype)


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"stride": 1}])
def test_max_pool_gives_equal_pixels_as_torch_does(options: dict[str, int]) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import torch_reference as reference

    x = np.random.default_rng(0).integers(-1, 2, (2, 3, 7, 10)).astype(float)
    x[0, 0] = -np.inf  # the first pixel inside the image, not the padding
    ours, theirs = nn.MaxPool2d(3, **options), torch.nn.MaxPool2d(3, **options)
    dy = random(ours(x).shape, float, 1)
    got, want = run(ours, x, dy), reference.module_results(theirs, x, dy)
    np.testing.assert_array_equal(got["y"], want["y"])
    np.testing.assert_allclose(got["dx"], want["dx"], rtol=1e-12)
    assert np.isclose(got["dx"].sum(), dy.sum(), rtol=1e-12)


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


def test_weights_start_as_the_authors_start_them() -> None:
    layer = nn.Involution2d(256, 7, rng=0)
    parameters = layer.named_parameters()
    for name, fan_out in (("conv1.conv.weight", 64), ("conv2.conv.weight", 49 * 16)):
        weight = parameters[name].data
        assert abs(weight.std() / np.sqrt(2 / fan_out) - 1) < 0.02
        assert abs(weight.mean()) < 3 * weight.std() / np.sqrt(weight.size)
    assert not parameters["conv2.conv.bias"].data.any()
    assert (parameters["conv1.bn.weight"].data == 1).all()


def test_a_seed_gives_the_same_weights_and_none_gives_others() -> None:
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


def test_a_band_is_as_large_as_its_kernels_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
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
    monkeypatch.setitem(involution2d.BAND_BYTES, "numpy", 4 * row)
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
    layer(x[:, :, :9])  # whatever is made once

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


def test_a_neighbour_cannot_change_a_pixels_kernel() -> None:
    layer = nn.Involution2d(8, 3, groups=2, sigma="relu", rng=0, dtype=float)
    x = random((1, 8, 5, 6), float, 0)
    kernel = layer.generate_kernel(x)
    x[0, :, 2, 3] += 1
    changed = (layer.generate_kernel(x) != kernel).any(axis=(0, 1, 2, 3))
    assert np.argwhere(changed).tolist() == [[2, 3]]


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
def test_what_a_layer_keeps_beside_its_input(training: bool) -> None:
    """Convolution and norm keep their input alone, ReLU its output: no copies, no masks."""
    x = random((4, 16, 90, 110), np.float32, 0)
    made = {"conv": nn.Conv2d(16, 16, rng=0), "norm": nn.BatchNorm2d(16), "relu": nn.ReLU()}
    for name, arrays in (("conv", 0), ("norm", 0), ("relu", 1)):
        layer = made[name].train(training)
        layer(x[:, :, :3])  # whatever is made once
        tracemalloc.start()
        try:
            layer(x)
            kept, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert kept <= (arrays + 0.02) * x.nbytes, name
        assert peak <= 1.02 * x.nbytes, name  # the output, and no other array as large


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
def test_no_layout_of_x_or_dy_is_a_mistake(make: Callable[..., nn.Module]) -> None:
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
    assert not other.weight.grad.flags.c_contiguous
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


MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "channels 0": (lambda: nn.Involution2d(0), ValueError, "channels is 0; need"),
    "channels float": (lambda: nn.Involution2d(16.0), TypeError, r"channels is 16\.0; need"),  # type: ignore[arg-type]
    "even kernel": (lambda: nn.Involution2d(16, 4), ValueError, "kernel_size is 4; need odd"),
    "even columns": (lambda: nn.Involution2d(16, (3, 2)), ValueError, "kernel_size .* need odd"),
    "groups": (lambda: nn.Involution2d(16, groups=3), ValueError, "groups is 3; need a divisor"),
    "group_channels": (
        lambda: nn.Involution2d(24),
        ValueError,
        "group_channels is 16; need a divisor of the 24",
    ),
    "reduction": (lambda: nn.Involution2d(16, reduction=17), ValueError, "reduction is 17; need"),
    "sigma": (lambda: nn.Involution2d(16, sigma="tanh"), ValueError, "sigma is 'tanh'; need one"),
    "stride": (lambda: nn.Involution2d(16, stride=0), ValueError, "stride is 0; need"),
    "dtype": (lambda: nn.Involution2d(16, dtype=np.int32), TypeError, "dtype is .*int32.*; need"),
    "conv channels": (lambda: nn.Conv2d(3, 0), ValueError, "out_channels is 0; need"),
    "x channels": (
        lambda: nn.Involution2d(16)(np.zeros((1, 8, 5, 5), np.float32)),
        ValueError,
        r"x has shape \(1, 8, 5, 5\); need .* C = 16",
    ),
    "x rank": (
        lambda: nn.AvgPool2d(2)(np.zeros((3, 5, 5))),
        ValueError,
        r"x has shape \(3, 5, 5\); need \(N, C, H, W\)",
    ),
    "x dtype": (
        lambda: nn.Involution2d(16)(np.zeros((1, 16, 5, 5))),
        TypeError,
        "x has dtype float64; need float32",
    ),
    "x integer": (
        lambda: nn.Conv2d(2, 2)(np.zeros((1, 2, 5, 5), int)),
        TypeError,
        "x has dtype int64; need",
    ),
    "one value": (
        lambda: nn.BatchNorm2d(2)(np.zeros((1, 2, 1, 1), np.float32)),
        ValueError,
        "one value per channel; .* at least 2",
    ),
    "relu of a list": (lambda: nn.ReLU()([1.0]), TypeError, "x is a list; need a NumPy or CuPy"),  # type: ignore[arg-type]
    "relu of ints": (
        lambda: nn.ReLU()(np.zeros((1, 2), int)),
        TypeError,
        "x has dtype int64; need",
    ),
    "pool of nothing": (
        lambda: nn.AvgPool2d(2)(np.zeros((1, 2, 0, 3))),
        ValueError,
        r"x has shape \(1, 2, 0, 3\); need at least one channel, one row",
    ),
    "max pool padding": (
        lambda: nn.MaxPool2d(3, padding=2),
        ValueError,
        "padding is 2; need at most half of kernel_size = 3",
    ),
    "max pool larger than the image": (
        lambda: nn.MaxPool2d(5)(np.zeros((1, 2, 4, 6))),
        ValueError,
        "window that spans 5 x 5 pixels; need at most the 4 x 6",
    ),
    "global pool rank": (
        lambda: nn.GlobalAvgPool2d()(np.zeros((1, 2))),
        ValueError,
        r"x has shape \(1, 2\); need \(N, C, H, W\)",
    ),
    "linear features": (lambda: nn.Linear(0, 3), ValueError, "in_features is 0; need an int"),
    "linear rank": (
        lambda: nn.Linear(4, 3)(np.zeros((1, 4, 1, 1), np.float32)),
        ValueError,
        r"x has shape \(1, 4, 1, 1\); need \(N, 4\)",
    ),
    "linear width": (
        lambda: nn.Linear(4, 3)(np.zeros((2, 3), np.float32)),
        ValueError,
        r"x has shape \(2, 3\); need \(N, 4\)",
    ),
    "linear dtype": (
        lambda: nn.Linear(4, 3)(np.zeros((2, 4))),
        TypeError,
        "x has dtype float64; need float32, the dtype of the layer",
    ),
    "conv padding": (lambda: nn.Conv2d(2, 2, 3, padding=-1), ValueError, "padding is -1; need"),
    "conv stride": (lambda: nn.Conv2d(2, 2, 3, stride=0), ValueError, "stride is 0; need"),
    "eps": (lambda: nn.BatchNorm2d(2, eps=-1.0), ValueError, r"eps is -1\.0; need a number from 0"),
    "momentum": (
        lambda: nn.BatchNorm2d(2, momentum=None),  # type: ignore[arg-type]
        ValueError,
        "momentum is None; need a number from 0 to 1",
    ),
    "rng": (lambda: nn.Conv2d(2, 2, rng=-1), ValueError, "rng is -1; need a Generator"),
    "dtype name": (lambda: nn.Conv2d(2, 2, dtype="foo"), TypeError, "dtype is 'foo'; need float32"),
    "backward first": (
        lambda: nn.ReLU().backward(np.zeros((1, 2, 1, 1))),
        RuntimeError,
        "needs a forward pass first",
    ),
    "dy shape": (
        lambda: _forward_then(np.zeros((1, 16, 3, 3), np.float32)),
        ValueError,
        r"dy has shape \(1, 16, 3, 3\); need",
    ),
    "dy dtype": (
        lambda: _forward_then(np.zeros((1, 16, 3, 4))),
        TypeError,
        "dy has dtype float64; need float32",
    ),
}


def _forward_then(dy: Array) -> None:
    layer = nn.Involution2d(16, 3)
    layer(random((1, 16, 3, 4), np.float32, 0))
    layer.backward(dy)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_the_argument_and_the_need(name: str) -> None:
    mistake, error, message = MISTAKES[name]
    with pytest.raises(error, match=message) as caught:
        mistake()
    assert "\n" not in str(caught.value)
