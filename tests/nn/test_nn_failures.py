"""State of a layer after a failed load or pass, after a copy, and with infinity and NaN."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nn_cases import SIMPLE, random, run

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.nn.conv import MAX_COLUMNS

Stateful = nn.Module | nn.Optimizer


def loadable() -> list[tuple[Stateful, list[Array]]]:
    """Return a module and an optimiser, each with all arrays that a load changes."""
    module, parameter = nn.Linear(3, 2, rng=0), nn.Parameter(np.ones((2, 3), np.float32))
    adam = nn.Adam([parameter, nn.Parameter(np.ones(2, np.float32))], 0.1)
    adam.step()
    return [
        (module, [p.data for p in module.parameters()]),
        (adam, [array for arrays in adam.state.values() for array in arrays]),
    ]


def check_unchanged(owner: Stateful, state: dict[str, Any], error: type[Exception]) -> str:
    before = owner.state_dict()
    with pytest.raises(error) as caught:
        owner.load_state_dict(state)
    for name, array in owner.state_dict().items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    return str(caught.value)


@pytest.mark.parametrize("index", [0, 1])
def test_a_load_that_overflows_changes_nothing(index: int) -> None:
    owner, _ = loadable()[index]
    state: dict[str, Any] = {name: a + 1 for name, a in owner.state_dict().items()}
    last = list(state)[-1]
    state[last] = np.full(state[last].shape, 1e300)
    with np.errstate(all="raise"):
        check_unchanged(owner, state, FloatingPointError)
    with warnings.catch_warnings(action="error"):
        check_unchanged(owner, state, RuntimeWarning)


@pytest.mark.parametrize("index", [0, 1])
def test_a_load_into_a_read_only_array_changes_nothing(index: int) -> None:
    owner, arrays = loadable()[index]
    state = {name: a + 1 for name, a in owner.state_dict().items()}
    arrays[-1].flags.writeable = False
    message = check_unchanged(owner, state, ValueError)
    assert message == f"'{list(state)[-1]}' is read-only; need an array to copy state into"


@pytest.mark.parametrize("index", [0, 1])
def test_hostile_names_are_escaped_and_shortened(index: int) -> None:
    owner, _ = loadable()[index]
    for name in ("x" * 1_000_000, "\x1b[2J\n\u202e", 3):
        message = check_unchanged(owner, {**owner.state_dict(), name: np.ones(1)}, ValueError)  # type: ignore[dict-item]
        assert message.startswith("state has the unknown ")
        assert len(message) < 200
        assert message.isprintable()


def test_negative_steps_are_refused() -> None:
    owner, _ = loadable()[1]
    message = check_unchanged(owner, {**owner.state_dict(), "steps": np.array(-1)}, ValueError)
    assert message == "state['steps'] is -1; need an int >= 0"


def fails_between(model: nn.Sequential, x: Array) -> None:
    """Run a pass that stops between two modules."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with model.children()["first"].register_forward_hook(stop), pytest.raises(KeyboardInterrupt):
        model(x)


def fails_inside(model: nn.Sequential, x: Array) -> None:
    with pytest.raises(ValueError, match="at least 2 for a variance"):
        model(x[:1, :, :1, :1])


@pytest.mark.parametrize("fail", [fails_between, fails_inside])
def test_a_pass_that_raised_has_no_backward(fail: Callable[[nn.Sequential, Array], None]) -> None:
    model = nn.Sequential(
        first=nn.Conv2d(3, 4, rng=0, dtype=float),
        norm=nn.BatchNorm2d(4, dtype=float),
        end=nn.ReLU(),
    )
    x = random((2, 3, 4, 5), float, 0)
    dy = model(x)
    fail(model, 2 * x)
    with pytest.raises(RuntimeError, match="needs a forward pass first"):
        model.backward(dy)
    assert not any(p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_without_the_last_batch_and_hooks(duplicate: Callable[[Any], Any]) -> None:
    model = nn.Sequential(conv=nn.Conv2d(2, 4, rng=0), layer=nn.Involution2d(4, 3, groups=1))
    x = random((8, 2, 40, 41), np.float32, 0)
    model.conv.register_forward_hook(lambda *_: None)  # type: ignore[attr-defined]
    y = model(x)
    other = duplicate(model)
    assert len(pickle.dumps(other)) < 20_000 < y.nbytes
    assert all(m._saved is None and not m._hooks for _, m in other.named_modules())
    np.testing.assert_array_equal(other(x), y)
    model.backward(y)  # the original still has what it kept
    model(x)
    assert not any(np.shares_memory(a.data, b.data) for a, b in parameter_pairs(model, other))


def parameter_pairs(a: nn.Module, b: nn.Module) -> list[tuple[nn.Parameter, nn.Parameter]]:
    return list(zip(a.parameters(), b.parameters(), strict=True))


@pytest.mark.parametrize("momentum", [0.1, 0.9, 1.0])
def test_running_statistics_do_not_cancel(momentum: float) -> None:
    norm = nn.BatchNorm2d(1, momentum=momentum)
    x = 1e-4 * random((4, 1, 5, 6), np.float32, 0)
    norm(x)
    var = x.astype(float).var(ddof=1)
    assert norm.running_var[0] == pytest.approx(1 - momentum + momentum * var, rel=1e-6)
    assert norm.running_mean[0] == pytest.approx(momentum * x.astype(float).mean(), rel=1e-5)


def test_an_infinite_gradient_stays_off_blocked_pixels() -> None:
    relu, pool = nn.ReLU(), nn.MaxPool2d((1, 2))
    relu(np.array([[-1.0, 0.0, 2.0]]))
    np.testing.assert_array_equal(
        relu.backward(np.array([[np.inf, np.nan, np.inf]])), [[0, 0, np.inf]]
    )
    pool(np.array([1.0, 2.0, 4.0, 3.0]).reshape(1, 1, 1, 4))
    dx = pool.backward(np.array([np.inf, -np.inf]).reshape(1, 1, 1, 2))
    np.testing.assert_array_equal(dx[0, 0], [[0, np.inf, -np.inf, 0]])


def test_a_nan_is_the_maximum_of_its_window() -> None:
    pool, nan = nn.MaxPool2d((1, 3)), np.nan
    y = pool(np.array([[3, nan, nan, 1, 2, 0.0]]).reshape(1, 1, 1, 6))
    np.testing.assert_array_equal(y[0, 0], [[nan, 2]])
    dx = pool.backward(np.array([5.0, 7.0]).reshape(1, 1, 1, 2))
    np.testing.assert_array_equal(dx[0, 0], [[0, 5, 0, 0, 7, 0]])  # the first of equals
    assert sum(int(mask.sum()) for mask in pool.active_masks()) == 2


@pytest.mark.parametrize("name", [name for name in SIMPLE if SIMPLE[name][0](float).parameters()])
def test_a_second_backward_pass_adds_to_the_gradients(name: str) -> None:
    layer = SIMPLE[name][0](float)
    y = layer(random((2, 6, 6, 7), float, 0))
    dy, other = random(y.shape, float, 1), random(y.shape, float, 2)
    apart = []
    for gradient in (dy, other):
        layer.zero_grad()
        layer.backward(gradient)
        apart.append([p.grad.copy() for p in layer.parameters()])
    layer.zero_grad()
    for gradient in (dy, other):
        layer.backward(gradient)
    for parameter, first, second in zip(layer.parameters(), *apart, strict=True):
        np.testing.assert_allclose(parameter.grad, first + second, rtol=1e-12)


def test_zero_grad_removes_nan() -> None:
    layer = nn.Linear(2, 3)
    for parameter in layer.parameters():
        parameter.grad[...] = np.nan
    layer.zero_grad()
    assert not any(parameter.grad.any() for parameter in layer.parameters())


def test_a_state_is_a_copy() -> None:
    layer = nn.BatchNorm2d(2)
    optimiser = nn.Adam(layer.parameters(), 0.1)
    for owner in (layer, optimiser):
        for array in owner.state_dict().values():
            array[...] = 7
        assert not any((array == 7).any() for array in owner.state_dict().values())


def test_dy_of_another_shape() -> None:
    layer = nn.ReLU()
    layer(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"^dy has shape \(3, 2\); need .* ReLU = \(2, 3\)$"):
        layer.backward(np.ones((3, 2)))


def test_the_gradient_of_relu_at_0_is_0() -> None:
    layer = nn.ReLU()
    layer(np.array([-1.0, -0.0, 0.0, 1.0]))
    np.testing.assert_array_equal(layer.backward(np.full(4, 3.0)), [0, 0, 0, 3])


def test_initial_weights_of_linear_keep_the_variance_of_x() -> None:
    layer = nn.Linear(400, 25, rng=0)
    assert layer.weight.data.std() == pytest.approx(1 / 20, rel=0.02)
    assert layer.bias is not None
    assert not layer.bias.data.any()


@pytest.mark.parametrize("options", [{"stride": 2}, {"padding": (2, 1)}, {"stride": (1, 3)}])
def test_a_1x1_convolution_with_steps_or_padding(options: dict[str, Any]) -> None:
    """Against a product of the padded pixels that it reads."""
    conv = nn.Conv2d(3, 4, 1, rng=0, dtype=float, **options)
    x, weight = random((2, 3, 5, 7), float, 1), conv.weight.data[:, :, 0, 0]
    (p_h, p_w), (s_h, s_w) = conv.padding, conv.stride

    def read(image: Array) -> Array:
        padded = np.pad(image, ((0, 0), (0, 0), (p_h, p_h), (p_w, p_w)))
        return padded[:, :, ::s_h, ::s_w]

    y = conv(x)
    np.testing.assert_allclose(y, np.einsum("oc,nchw->nohw", weight, read(x)), atol=1e-12)
    dy = random(y.shape, float, 2)
    dx = conv.backward(dy)
    np.testing.assert_allclose(
        conv.weight.grad[:, :, 0, 0], np.einsum("nohw,nchw->oc", dy, read(x)), atol=1e-12
    )
    assert (dx * x).sum() == pytest.approx((dy * y).sum())  # the adjoint: y has no bias yet


def test_a_batch_in_parts_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1, rng=0, dtype=float)
    x, dy = random((5, 3, 4, 5), float, 1), random((5, 4, 4, 5), float, 2)
    want = {name: array.copy() for name, array in run(conv, x, dy).items()}
    monkeypatch.setitem(MAX_COLUMNS, "numpy", 2 * 27 * 20)  # two images of five
    for name, array in run(conv, x, dy).items():
        np.testing.assert_allclose(array, want[name], atol=1e-12, err_msg=name)


def test_a_shared_parameter_is_listed_once() -> None:
    layer = nn.Linear(2, 2, rng=0)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    assert len(model.parameters()) == 2
    assert len(model.state_dict()) == 4


@pytest.mark.parametrize(
    ("criterion", "target", "wrong"),
    [
        (nn.CrossEntropy(), np.array([0, 1]), np.array([0, 9])),
        (nn.MeanSquaredError(), np.zeros((2, 3)), np.zeros((2, 4))),
    ],
)
def test_a_loss_that_raised_has_no_backward(
    criterion: nn.losses.Loss, target: Any, wrong: Any
) -> None:
    criterion(np.ones((2, 3)), target)
    with pytest.raises(ValueError, match="need"):
        criterion(np.ones((2, 3)), wrong)
    with pytest.raises(RuntimeError, match="needs a loss first"):
        criterion.backward()
