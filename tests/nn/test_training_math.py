"""Losses and optimisers against PyTorch and against sums done by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import needs
import numpy as np
import pytest

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.cases import scaled_error
from involution_edu.nn.losses import softmax

SHAPES = ((5, 3), (4,), (2, 3, 1, 2))
LR = (0.1, 0.1, 0.03, 0.2, 0.01, 0.1, 0.05)  # of each step, as a schedule may set it


def random(shape: tuple[int, ...], seed: int, dtype: Any = np.float64) -> Array:
    array: Array = np.random.default_rng(seed).standard_normal(shape).astype(dtype)
    return array


def make_parameters(dtype: Any = np.float64) -> list[nn.Parameter]:
    return [nn.Parameter(random(shape, n, dtype)) for n, shape in enumerate(SHAPES)]


def set_gradients(parameters: list[nn.Parameter], step: int) -> None:
    for n, parameter in enumerate(parameters):
        parameter.grad[...] = random(parameter.data.shape, 100 * step + n, parameter.data.dtype)


OPTIMISERS: dict[str, tuple[Callable[..., nn.Optimizer], dict[str, Any]]] = {
    "plain": (nn.SGD, {}),
    "decay": (nn.SGD, {"weight_decay": 0.1}),
    "momentum": (nn.SGD, {"momentum": 0.9}),
    "nesterov": (nn.SGD, {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    "adam": (nn.Adam, {}),
    "adam, decay": (nn.Adam, {"betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMISERS)
def test_many_steps_equal_torch(name: str, dtype: Any) -> None:
    torch = needs.package("torch")
    make, options = OPTIMISERS[name]
    ours = make_parameters(dtype)
    theirs = [torch.nn.Parameter(torch.tensor(p.data)) for p in ours]
    optimiser = make(ours, LR[0], **options)
    reference = getattr(torch.optim, make.__name__)(theirs, LR[0], **options)
    for step in range(40):
        set_gradients(ours, step)
        for parameter, tensor in zip(ours, theirs, strict=True):
            tensor.grad = torch.tensor(parameter.grad)
        optimiser.lr = reference.param_groups[0]["lr"] = LR[step % len(LR)]
        optimiser.step()
        reference.step()
    for parameter, tensor in zip(ours, theirs, strict=True):
        assert parameter.data.dtype == dtype
        error = scaled_error(parameter.data, tensor.detach().numpy())
        assert error < (3e-6 if dtype == np.float32 else 1e-13)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_optimiser_continues_exactly_from_its_state(name: str) -> None:
    make, options = OPTIMISERS[name]
    parameters = make_parameters()
    optimiser = make(parameters, 0.1, **options)
    for step in range(3):
        set_gradients(parameters, step)
        optimiser.step()
    others = [nn.Parameter(p.data.copy()) for p in parameters]
    other = make(others, 0.1, **options)
    other.load_state_dict(optimiser.state_dict())
    for step in range(3, 6):
        for both in (parameters, others):
            set_gradients(both, step)
        optimiser.step()
        other.step()
    for parameter, copy in zip(parameters, others, strict=True):
        np.testing.assert_array_equal(parameter.data, copy.data)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_a_step_leaves_the_gradients_as_they_are(name: str) -> None:
    make, options = OPTIMISERS[name]
    parameters = make_parameters()
    optimiser = make(parameters, 0.1, **options)
    for step in range(3):
        set_gradients(parameters, step)
        before = [parameter.grad.copy() for parameter in parameters]
        optimiser.step()
        for parameter, grad in zip(parameters, before, strict=True):
            np.testing.assert_array_equal(parameter.grad, grad)


def test_a_wrong_state_changes_nothing() -> None:
    parameters = make_parameters()
    optimiser = nn.Adam(parameters, 0.1)
    set_gradients(parameters, 0)
    optimiser.step()
    before = optimiser.state_dict()
    missing = {name: array for name, array in before.items() if name != "square.1"}
    wrong = {**{name: 0 * array for name, array in before.items()}, "square.2": np.zeros(3)}
    for bad, message in ((missing, r"square\.1"), (wrong, r"square\.2'\] has shape \(3,\)")):
        with pytest.raises(ValueError, match=message):
            optimiser.load_state_dict(bad)
        for name, array in optimiser.state_dict().items():
            np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cross_entropy_equals_torch(smoothing: float, dtype: Any) -> None:
    torch = needs.package("torch")
    logits = 3 * random((6, 5), 0, dtype)
    labels = np.array([0, 4, 2, 2, 1, 3])
    theirs = torch.tensor(logits, requires_grad=True)
    reference = torch.nn.functional.cross_entropy(
        theirs, torch.tensor(labels), label_smoothing=smoothing
    )
    reference.backward()
    criterion = nn.CrossEntropy(smoothing)
    loss = criterion(logits, labels)
    tolerance = 1e-6 if dtype == np.float32 else 1e-13
    assert loss == pytest.approx(float(reference.detach()), rel=tolerance)
    assert scaled_error(criterion.backward(), theirs.grad.numpy()) < tolerance


def test_mean_squared_error_equals_torch() -> None:
    torch = needs.package("torch")
    y, target = random((2, 3, 5, 4), 0), random((2, 3, 5, 4), 1)
    theirs = torch.tensor(y, requires_grad=True)
    reference = torch.nn.functional.mse_loss(theirs, torch.tensor(target))
    reference.backward()
    criterion = nn.MeanSquaredError()
    assert criterion(y, target) == pytest.approx(float(reference.detach()), rel=1e-13)
    assert scaled_error(criterion.backward(), theirs.grad.numpy()) < 1e-13


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_gradient_of_a_loss_is_its_slope(smoothing: float) -> None:
    criterion = nn.CrossEntropy(smoothing)
    logits, labels, along = random((4, 3), 1), np.array([2, 0, 1, 1]), random((4, 3), 2)
    criterion(logits, labels)
    slope = float((criterion.backward() * along).sum())
    h = 1e-5
    difference = criterion(logits + h * along, labels) - criterion(logits - h * along, labels)
    assert slope == pytest.approx(difference / (2 * h), rel=1e-7)


def test_softmax_is_along_the_last_axis() -> None:
    logits = random((3, 4, 5), 0)
    exp = np.exp(logits)
    np.testing.assert_allclose(softmax(logits), exp / exp.sum(axis=2)[:, :, None], rtol=1e-14)
    assert softmax(logits.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(softmax(np.array([1e30, -np.inf])), [1, 0])


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_extreme_logits_do_not_overflow(size: float) -> None:
    logits = np.array([[size, 0.0], [-size, size]], np.float32)
    criterion = nn.CrossEntropy()
    assert criterion(logits, np.array([0, 1])) == 0
    assert criterion(logits, np.array([1, 1])) == pytest.approx(size / 2)
    np.testing.assert_array_equal(criterion.backward(), [[0.5, -0.5], [0, 0]])


def test_the_logits_of_one_image_do_not_matter_to_another() -> None:
    logits = np.array([[0.0, 1.0], [1000.0, 1001.0], [-1000.0, -999.0]])
    criterion = nn.CrossEntropy()
    assert criterion(logits, np.array([1, 1, 1])) == pytest.approx(np.log1p(np.exp(-1.0)))
    p = 1 / (1 + np.e)
    np.testing.assert_allclose(criterion.backward(), 3 * [[p / 3, -p / 3]], rtol=1e-12)


def test_a_logit_of_minus_infinity() -> None:
    criterion = nn.CrossEntropy()
    assert criterion(np.array([[0.0, -np.inf], [1.0, 1.0]]), np.array([0, 1])) == np.log(2) / 2
    np.testing.assert_array_equal(criterion.backward(), [[0, 0], [0.25, -0.25]])
    assert criterion(np.array([[0.0, -np.inf]]), np.array([1])) == np.inf
    assert nn.CrossEntropy(0.1)(np.array([[0.0, -np.inf]]), np.array([0])) == np.inf


def test_gradients_are_clipped_together() -> None:
    parameters = make_parameters()
    set_gradients(parameters, 0)
    before = [p.grad.copy() for p in parameters]
    norm = float(np.sqrt(sum(np.square(grad).sum() for grad in before)))
    assert nn.clip_grad_norm(parameters, norm * 2) == pytest.approx(norm, rel=1e-14)
    for parameter, grad in zip(parameters, before, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)
    assert nn.clip_grad_norm(parameters, 0.5) == pytest.approx(norm, rel=1e-14)
    for parameter, grad in zip(parameters, before, strict=True):
        np.testing.assert_allclose(parameter.grad, grad * 0.5 / norm, rtol=1e-14)


def test_the_schedule_is_a_linear_warmup_and_a_cosine() -> None:
    schedule: dict[str, Any] = {"base_lr": 0.4, "warmup_steps": 5, "total_steps": 25}
    rates = [nn.warmup_cosine(step, **schedule) for step in range(25)]
    np.testing.assert_allclose(rates[:5], [0.08, 0.16, 0.24, 0.32, 0.4])
    np.testing.assert_allclose(rates[5:], [0.2 + 0.2 * np.cos(np.pi * n / 20) for n in range(20)])
    assert nn.warmup_cosine(0, base_lr=1.0, warmup_steps=0, total_steps=1) == 1.0


LOGITS, LABELS = np.zeros((2, 3), np.float32), np.array([0, 2])
MISTAKES: dict[str, tuple[Callable[[], object], type[Exception], str]] = {
    "smoothing": (lambda: nn.CrossEntropy(1.5), ValueError, r"label_smoothing is 1\.5; need"),
    "logits": (
        lambda: nn.CrossEntropy()(np.zeros(3), LABELS),
        ValueError,
        r"logits has shape \(3,\); need \(N, K\)",
    ),
    "no images": (
        lambda: nn.CrossEntropy()(np.zeros((0, 3)), LABELS),
        ValueError,
        r"logits has shape \(0, 3\); need",
    ),
    "integer logits": (
        lambda: nn.CrossEntropy()(np.zeros((2, 3), int), LABELS),
        TypeError,
        "logits has dtype int64; need float32",
    ),
    "labels of another count": (
        lambda: nn.CrossEntropy()(LOGITS, np.array([0])),
        ValueError,
        r"labels has shape \(1,\); need \(2,\)",
    ),
    "a label too high": (
        lambda: nn.CrossEntropy()(LOGITS, np.array([0, 3])),
        ValueError,
        "labels has 0 to 3; need 0 to 2",
    ),
    "a negative label": (
        lambda: nn.CrossEntropy()(LOGITS, np.array([-1, 2])),
        ValueError,
        "labels has -1 to 2; need 0 to 2",
    ),
    "labels as floats": (
        lambda: nn.CrossEntropy()(LOGITS, np.array([0.0, 2.0])),
        TypeError,
        "labels has dtype float64; need whole numbers",
    ),
    "a list": (
        lambda: nn.CrossEntropy()(LOGITS, [0, 2]),  # type: ignore[arg-type]
        TypeError,
        "labels is a list; need",
    ),
    "backward first": (nn.CrossEntropy().backward, RuntimeError, "needs a loss first"),
    "target": (
        lambda: nn.MeanSquaredError()(LOGITS, LOGITS[:1]),
        ValueError,
        r"target has shape \(1, 3\); need the shape of y",
    ),
    "target in float64": (
        lambda: nn.MeanSquaredError()(LOGITS, np.zeros((2, 3))),
        TypeError,
        "target has dtype float64; need float32, the dtype of y",
    ),
    "nothing": (
        lambda: nn.MeanSquaredError()(LOGITS[:0], LOGITS[:0]),
        ValueError,
        r"y has shape \(0, 3\); need at least one",
    ),
    "lr": (lambda: nn.SGD([], -0.1), ValueError, r"lr is -0\.1; need a number of at least 0"),
    "lr text": (lambda: nn.Adam([], "1"), ValueError, "lr is '1'; need"),  # type: ignore[arg-type]
    "decay": (
        lambda: nn.SGD([], 0.1, weight_decay=float("nan")),
        ValueError,
        "weight_decay is nan; need",
    ),
    "momentum": (lambda: nn.SGD([], 0.1, momentum=2), ValueError, "momentum is 2; need"),
    "nesterov": (lambda: nn.SGD([], 0.1, nesterov=True), ValueError, "momentum is 0; need more"),
    "betas": (lambda: nn.Adam([], 0.1, betas=(0.9, 1)), ValueError, r"betas is \(0\.9, 1\); need"),
    "norm": (lambda: nn.clip_grad_norm([], -1), ValueError, "max_norm is -1; need"),
    "step": (
        lambda: nn.warmup_cosine(9, base_lr=1, warmup_steps=0, total_steps=9),
        ValueError,
        "step is 9; need 0 to 8",
    ),
    "warm-up": (
        lambda: nn.warmup_cosine(0, base_lr=1, warmup_steps=9, total_steps=9),
        ValueError,
        "warmup_steps is 9; need less than 9",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_the_argument_and_the_need(name: str) -> None:
    mistake, error, message = MISTAKES[name]
    with pytest.raises(error, match=message) as caught:
        mistake()
    assert "\n" not in str(caught.value)
