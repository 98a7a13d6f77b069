"""Layers on CuPy arrays: the same numbers as with NumPy, and no copy to the host."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any

import fake_cupy
import needs
import numpy as np
import pytest
from nn_cases import SIMPLE, random

from involution_edu import BackendUnavailable, models, nn
from involution_edu.arrays import array_module, as_numpy
from involution_edu.cases import scaled_error
from involution_edu.nn.conv import MAX_COLUMNS


def check_on_gpu(layer: nn.Module, x: Any, tolerance: float = 1e-6) -> None:
    """Fail unless ``layer`` gives the same results on a GPU as in NumPy, without a copy to the host."""
    twin = copy.deepcopy(layer).to("cupy")
    y = layer(x)
    dy = random(y.shape, y.dtype, 1)
    dx = layer.backward(dy)
    gpu_x, gpu_dy = fake_cupy.asarray(x), fake_cupy.asarray(dy)
    fake_cupy.ndarray.copies.clear()
    gpu_y = twin(gpu_x)
    gpu_dx = twin.backward(gpu_dy)
    assert fake_cupy.ndarray.copies == []
    got = {"y": gpu_y, "dx": gpu_dx, **{n: p.grad for n, p in twin.named_parameters().items()}}
    want = {"y": y, "dx": dx, **{n: p.grad for n, p in layer.named_parameters().items()}}
    for name, array in got.items():
        assert type(array) is fake_cupy.ndarray, name
        assert scaled_error(fake_cupy.asnumpy(array), want[name]) <= tolerance, name
    state = layer.state_dict()
    for name, array in twin.state_dict().items():
        assert type(array) is np.ndarray
        assert scaled_error(array, state[name]) <= tolerance, name
    with nn.no_grad():
        again = twin.eval()(gpu_x)
        assert scaled_error(fake_cupy.asnumpy(again), layer.eval()(x)) <= tolerance


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SIMPLE)
def test_every_layer(name: str, training: bool) -> None:
    layer = SIMPLE[name][0](np.float32).train(training)
    check_on_gpu(layer, random((3, 6, 7, 8), np.float32, 0))


@needs.compiler
@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize(("layer", "shape"), [
    (nn.Involution2d(8, 5, groups=2, stride=2, padding_mode="reflect", rng=0), (2, 8, 6, 7)),
    (nn.Involution2d(8, (4, 3), groups=2, padding="valid", rng=0), (2, 8, 6, 7)),
    (nn.Involution1d(8, 3, groups=2, dilation=2, rng=0), (2, 8, 9)),
    (nn.Involution3d(8, (3, 1, 3), groups=2, stride=(1, 2, 2), rng=0), (2, 8, 4, 5, 3)),
], ids=["reflect", "valid", "1-D", "3-D"])  # fmt: skip
def test_involutions(layer: nn.Module, shape: tuple[int, ...]) -> None:
    check_on_gpu(copy.deepcopy(layer), random(shape, np.float32, 0), 1e-5)


def through_the_host(self: nn.ReLU, x: Any) -> Any:
    return RIGHT_RELU(self, array_module(x).asarray(as_numpy(x)))


def with_numpy(self: nn.ReLU, x: Any) -> Any:
    y = np.maximum(x, 0)
    self.save(y, y)
    return y


RIGHT_RELU = nn.ReLU.forward


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("wrong", [through_the_host, with_numpy])
def test_a_layer_that_leaves_the_gpu_is_caught(
    wrong: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.ReLU, "forward", wrong)
    with pytest.raises((AssertionError, TypeError), match=r"asnumpy|get|ufunc"):
        check_on_gpu(nn.ReLU(), random((1, 2, 3, 4), np.float32, 0))


@needs.compiler
@pytest.mark.usefixtures("cupy")
def test_networks() -> None:
    rng = np.random.default_rng(0)
    for stride, size, band_rows in ((1, (6, 5), None), (2, (7, 10), None), (2, (9, 7), 2)):
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=stride, padding=1, bias=False, rng=rng),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Involution2d(
                8, 3, groups=2, stride=stride, out_channels=6, band_rows=band_rows, rng=rng
            ),
            nn.MaxPool2d(3, 2, 1),
            nn.GlobalAvgPool2d(),
            nn.Linear(6, 4, rng=rng),
        )
        for training in (True, False):
            check_on_gpu(net.train(training), random((2, 3, *size), np.float32, 2), 1e-5)
    check_training(models.small_rednet(4, kernel_size=3, blocks=(1, 1), rng=rng))


def check_training(model: nn.Module) -> None:
    """Fail unless two training steps equal those in NumPy and copy only the loss to the host."""
    twin = copy.deepcopy(model).to("cupy")
    x, labels = random((3, 1, 6, 7), np.float32, 3), np.array([3, 0, 1])
    for make in (partial(nn.SGD, momentum=0.9, nesterov=True, weight_decay=1e-4), nn.Adam):
        fake_cupy.ndarray.copies.clear()
        want = train(model, make(model.parameters(), lr=0.01), x, labels)
        on_gpu = map(fake_cupy.asarray, (x, labels))
        got = train(twin, make(twin.parameters(), lr=0.01), *on_gpu)
        assert np.allclose(got, want, rtol=1e-5)
        # Of each step, in one array: the loss, and the lowest and highest label, to be checked.
        assert fake_cupy.ndarray.copies == 2 * ["get"]


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize(("window", "padding", "launches"), [(1, 0, 8), (3, 1, 37)])
def test_a_convolution_launches_as_often_for_one_image_as_for_many(
    window: int, padding: int, launches: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MAX_COLUMNS, "numpy", 1)  # a GPU has a limit of its own
    conv = nn.Conv2d(4, 6, window, padding=padding, rng=0).to("cupy")
    for images in (1, 7):
        y = conv(fake_cupy.asarray(random((images, 4, 5, 6), np.float32, 1)))
        fake_cupy.ndarray.launches = 0
        conv.backward(y)
        assert fake_cupy.ndarray.launches == launches


@pytest.mark.usefixtures("cupy")
def test_the_processor_waits_once_for_the_norm_of_all_gradients() -> None:
    parameters = [nn.Parameter(fake_cupy.asarray(random((n, 2), np.float32, n))) for n in (1, 2, 3)]
    for parameter in parameters:
        parameter.grad[...] = 2.0
    fake_cupy.ndarray.copies.clear()
    assert nn.clip_grad_norm(parameters, 1.0) == pytest.approx(48**0.5)
    assert fake_cupy.ndarray.copies == ["get"]
    assert parameters[2].grad.get()[2, 1] == pytest.approx(2 / 48**0.5)


@pytest.mark.usefixtures("cupy")
def test_a_label_that_is_no_class_is_named_on_the_gpu_too() -> None:
    criterion, logits = nn.CrossEntropy(), fake_cupy.asarray(random((2, 3), np.float32, 0))
    with pytest.raises(ValueError, match=r"^labels has -1 to 7; need 0 to 2$"):
        criterion(logits, fake_cupy.asarray(np.array([7, -1])))


@pytest.mark.parametrize("make", [partial(nn.SGD, momentum=0.9), nn.Adam])
@pytest.mark.usefixtures("cupy")
def test_the_state_of_an_optimiser_is_the_same_on_the_gpu(make: Any) -> None:
    model = models.small_rednet(4, kernel_size=3, blocks=(1,), rng=0)
    optimiser, twin = make(model.parameters(), lr=0.01), copy.deepcopy(model).to("cupy")
    on_gpu, again = (make(twin.parameters(), lr=0.01) for _ in range(2))
    x, labels = random((3, 1, 6, 7), np.float32, 3), np.array([3, 0, 1])
    train(model, optimiser, x, labels)
    train(twin, on_gpu, *map(fake_cupy.asarray, (x, labels)))
    state = on_gpu.state_dict()
    again.load_state_dict(state)
    for name, array in optimiser.state_dict().items():
        assert type(state[name]) is np.ndarray
        np.testing.assert_allclose(state[name], array, rtol=1e-3, atol=1e-6)
        np.testing.assert_array_equal(again.state_dict()[name], state[name])


def train(model: nn.Module, optimizer: nn.Optimizer, x: Any, labels: Any) -> list[float]:
    """Return the losses of two training steps."""
    criterion, losses = nn.CrossEntropy(label_smoothing=0.1), []
    for _ in range(2):
        losses.append(criterion(model(x), labels))
        model.zero_grad()
        model.backward(criterion.backward())
        optimizer.step()
    return losses


@pytest.mark.usefixtures("cupy")
def test_to_cupy_and_back() -> None:
    layer = nn.Sequential(nn.Conv2d(3, 4, rng=0), nn.BatchNorm2d(4))
    x = random((2, 3, 4, 5), np.float32, 0)
    y = layer(x)
    parameters, state = layer.parameters(), layer.state_dict()
    layer.backward(y)
    gradients = [parameter.grad for parameter in parameters]
    assert layer.to("cupy") is layer
    assert all(type(p.data) is type(p.grad) is fake_cupy.ndarray for p in parameters)
    with pytest.raises(RuntimeError, match="needs a forward pass first"):
        layer.backward(fake_cupy.asarray(y))
    layer.load_state_dict({name: np.array(2 * array) for name, array in state.items()})
    layer.load_state_dict({name: fake_cupy.asarray(array) for name, array in state.items()})
    layer.to("numpy")
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
    for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(parameter.grad, gradient)
    assert layer.parameters() == parameters  # an optimiser still holds them
    layer(x)


def cpu(*shape: int) -> Any:
    return np.ones(shape, np.float32)


def gpu(*shape: int, dtype: Any = np.float32, device: int = 0) -> Any:
    return fake_cupy.asarray(np.ones(shape, dtype), gpu=device)


def elsewhere(function: Callable[[Any], Any], a: Any) -> None:
    with fake_cupy.Device(1):
        function(a)


# A call, and the error of the layer, which is on GPU 0.
WRONG_DEVICES: dict[str, tuple[Callable[[nn.Module], Any], str]] = {
    "x in NumPy": (
        lambda layer: layer(cpu(1, 2, 3, 4)),
        r"x is a NumPy array; need a CuPy array, .* such as cupy\.asarray\(x\) or layer\.to.*",
    ),
    "the layer in NumPy": (
        lambda layer: layer.to("numpy")(gpu(1, 2, 3, 4)),
        r"x is a CuPy array; need a NumPy array, as the layer is, .* or layer\.to\('cupy'\)",
    ),
    "x on another GPU": (
        lambda layer: layer(gpu(1, 2, 3, 4, device=1)),
        r"x is on <CUDA Device 1>; need <CUDA Device 0>, where the layer is",
    ),
    "another GPU is current": (
        lambda layer: elsewhere(layer, gpu(1, 2, 3, 4)),
        r"x is on <CUDA Device 0>; need <CUDA Device 1>, the current one: .* `with x\.device:`",
    ),
    "another GPU is current for dy": (
        lambda layer: elsewhere(layer.backward, layer(gpu(1, 2, 3, 4))),
        r"dy is on <CUDA Device 0>; need <CUDA Device 1>, the current one: use .*",
    ),
    "half": (
        lambda layer: layer(gpu(1, 2, 3, 4, dtype=np.float16)),
        r"x has dtype float16; need float32, the dtype of the layer",
    ),
    "dy in NumPy": (
        lambda layer: (layer(gpu(1, 2, 3, 4)), layer.backward(cpu(1, 2, 3, 4))),
        r"dy is a NumPy array; need a CuPy array, as the output is, such as cupy\.asarray\(dy\)",
    ),
    "no such kind": (lambda layer: layer.to("cuda"), "kind is 'cuda'; need one of 'numpy', 'cupy'"),
}


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("name", WRONG_DEVICES)
def test_the_wrong_device_is_one_sentence(name: str) -> None:
    mistake, message = WRONG_DEVICES[name]
    for layer in (nn.Conv2d(2, 2, rng=0), nn.BatchNorm2d(2)):
        with pytest.raises((TypeError, ValueError), match=f"^{message}$"):
            mistake(layer.to("cupy"))


def test_without_a_gpu_the_layer_is_not_moved(cupy: Any) -> None:
    cupy.cuda.runtime.getDeviceCount = lambda: 0
    layer = nn.Linear(2, 2, rng=0)
    with pytest.raises(BackendUnavailable, match="no GPU is visible: unset CUDA_VISIBLE_DEVICES"):
        layer.to("cupy")
    layer(cpu(1, 2))


# Operations of a layer that mixes NumPy and CuPy arrays, which CuPy refuses.
MIXED: dict[str, Callable[[Any], Any]] = {
    "a NumPy array added": lambda a: a + cpu(3),
    "added to a NumPy array": lambda a: cpu(3) + a,
    "added in place": lambda a: cpu(3).__iadd__(a),
    "a NumPy array assigned": lambda a: a.__setitem__(slice(None), cpu(3)),
    "assigned to a NumPy array": lambda a: cpu(3).__setitem__(slice(None), a),
    "numpy.maximum": lambda a: np.maximum(a, 0),
    "numpy.zeros_like": lambda a: np.zeros_like(a),
    "numpy.einsum": lambda a: np.einsum("a,a->", a, a),
    "numpy.asarray": lambda a: np.asarray(a),
    "an array of another GPU": lambda a: a + gpu(3, device=1),
    "an index of NumPy": lambda a: a[np.arange(2)],
}


@pytest.mark.usefixtures("cupy")
@pytest.mark.parametrize("name", MIXED)
def test_the_stand_in_refuses(name: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        MIXED[name](gpu(3))


@pytest.mark.parametrize("tell", [float, int, bool, fake_cupy.asnumpy, lambda a: a.get()])
def test_the_stand_in_counts(tell: Callable[[Any], Any]) -> None:
    fake_cupy.ndarray.copies.clear()
    assert tell(gpu(1).sum()) == 1
    assert len(fake_cupy.ndarray.copies) == 1


def test_the_stand_in_has_nothing_that_cupy_lacks() -> None:
    cupy = needs.package("cupy")
    assert [name for name in fake_cupy.FUNCTIONS if not hasattr(cupy, name)] == []
    methods = [*fake_cupy.ATTRIBUTES, *fake_cupy.METHODS]
    assert [name for name in methods if not hasattr(cupy.ndarray, name)] == []
