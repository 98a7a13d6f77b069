"""The two networks that filter photos: gradients and receptive fields."""

from __future__ import annotations

from typing import Any

import needs
import numpy as np
import pytest
from nn_cases import run

from involution_edu import involution, models, nn
from involution_edu.arrays import Array
from involution_edu.cases import scaled_error
from involution_edu.images import STD, photo_to_x
from involution_edu.models import edge
from involution_edu.training.tasks import TASKS
from involution_edu.viz import measures


def random(shape: tuple[int, ...], seed: int) -> Array:
    array: Array = np.random.default_rng(seed).standard_normal(shape)
    return array


def make_denoiser() -> models.EdgeDenoiser:
    """Return a denoiser whose biases are not zero."""
    model = models.EdgeDenoiser(
        (3, 5),
        channels=(9, 6),
        reduced=5,
        spread_cost=0.7,
        shape_cost=0.6,
        turn_cost=0.5,
        rng=0,
        dtype=float,
    )
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data += 0.1 * rng.standard_normal(parameter.data.shape)
    return model.eval()


def test_denoiser_equals_torch() -> None:
    torch = needs.package("torch")
    from torch.nn.functional import conv2d, unfold

    model = make_denoiser()
    x, dy = random((2, 3, 9, 12), 2), random((2, 3, 9, 12), 3)
    found = run(model, x, dy)

    theirs = {
        n: torch.tensor(p.data, requires_grad=True) for n, p in model.named_parameters().items()
    }
    theirs_x = features = torch.tensor(x, requires_grad=True)
    for layer, dilation in (("0", 1), ("2", 2)):
        weight, bias = theirs[f"features.{layer}.weight"], theirs[f"features.{layer}.bias"]
        features = conv2d(features, weight, bias, padding=3 * dilation, dilation=dilation).relu()
    reduced = conv2d(features, theirs["reduce.conv.weight"]).relu()
    kernel = conv2d(reduced, theirs["span.weight"], theirs["span.bias"]).softmax(dim=1)
    patches = unfold(theirs_x, (3, 5), padding=(1, 2)).reshape(2, 3, 15, 9, 12)
    y = (patches * kernel[:, None]).sum(dim=2)
    y.backward(torch.tensor(dy))
    assert scaled_error(found["y"], y.detach().numpy()) < 1e-12
    assert scaled_error(found["dx"], theirs_x.grad.numpy()) < 1e-12
    for name, tensor in theirs.items():
        assert scaled_error(found[f"d{name}"], tensor.grad.numpy()) < 1e-11, name


@pytest.mark.parametrize("training", [False, True])
def test_the_gradients_of_the_denoiser_equal_differences(training: bool) -> None:
    """Along a random direction of x and of every parameter, away from the kinks of ReLU."""
    model = make_denoiser().train(training)
    x, dy, h = random((2, 3, 7, 8), 2), random((2, 3, 7, 8), 3), 1e-6
    turn = np.random.default_rng(5).uniform(0, 2 * np.pi, (2, 7, 8))
    coherence = np.random.default_rng(6).random((2, 1, 7, 8))
    direction = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    rows, columns = np.mgrid[-1:2, -2:3][..., np.newaxis, np.newaxis]

    def objective(x: Array) -> float:
        value = float((model(x) * dy).sum())
        if training:
            kernel = model.generate_kernel(x)[:, 0]
            spread, wide, slant = (
                (kernel * taps).sum(axis=(1, 2))
                for taps in (rows**2 + columns**2, columns**2 - rows**2, -2 * rows * columns)
            )
            axis = np.stack([wide, slant], axis=1) / spread[:, np.newaxis]
            apart = ((axis - 0.8 * coherence * direction) ** 2).sum(axis=1)
            along = (axis * direction).sum(axis=1) / np.sqrt((axis**2).sum(axis=1) + 0.05**2)
            turned = (1 - along) * (coherence[:, 0] > 0.5)
            value += float((0.7 * spread + 0.6 * apart + 0.5 * turned).mean())
        return value

    model.edges = coherence[:, 0] * np.exp(1j * turn)
    dx = run(model, x, dy)["dx"]
    along = {
        name: random(p.data.shape, n)
        for n, (name, p) in enumerate(model.named_parameters().items(), start=10)
    }
    slope = float(sum((p.grad * along[name]).sum() for name, p in model.named_parameters().items()))

    def loss(step: float) -> float:
        for name, parameter in model.named_parameters().items():
            parameter.data += step * along[name]
        value = objective(x)
        for name, parameter in model.named_parameters().items():
            parameter.data -= step * along[name]
        return value

    assert (model.edges is None) == training
    assert slope == pytest.approx((loss(h) - loss(-h)) / (2 * h), rel=1e-6)
    move = random(x.shape, 4)
    difference = (objective(x + h * move) - objective(x - h * move)) / (2 * h)
    assert float((dx * move).sum()) == pytest.approx(difference, rel=1e-6)


@pytest.mark.parametrize("degrees", [0, 30, 75, 100])
def test_the_first_kernels_and_the_loss_follow_an_edge(degrees: int) -> None:
    rows, columns = np.mgrid[20:-21:-1, -20:21]  # upwards and to the right of the middle
    turn = np.radians(degrees)
    step = (columns * np.sin(turn) - rows * np.cos(turn) + 0.5).clip(0, 1)
    clean = photo_to_x(np.repeat((60 + 130 * step).astype(np.uint8)[..., np.newaxis], 3, axis=2))
    model = models.EdgeDenoiser(rng=0)
    task = TASKS["edge"]
    task.criterion(task.recipe, model)(clean, clean)
    assert model.edges is not None
    at_edge = model.edges[0, 18:23, 18:23]
    assert np.abs(at_edge).min() > 0.9
    np.testing.assert_allclose(at_edge / np.abs(at_edge), np.exp(2j * turn), atol=0.1)
    noisy = edge.add_noise(clean, np.random.default_rng(0))
    kernels = model.generate_kernel(noisy)[0, 0, :, :, 18:23, 18:23].transpose(2, 3, 0, 1)
    angle, strength = measures.orientation(kernels)
    assert np.abs((angle - degrees + 90) % 180 - 90).max() < 10
    assert strength.min() > 0.3


def test_the_denoiser_applies_its_generated_kernels() -> None:
    model = make_denoiser()
    x = random((2, 3, 6, 9), 0)
    kernel = model.generate_kernel(x)
    assert kernel.shape == (2, 1, 3, 5, 6, 9)
    assert kernel.min() > 0
    np.testing.assert_allclose(kernel.sum(axis=(2, 3)), 1)
    y = involution(x, kernel, backend="loops")
    assert scaled_error(model(x), y) < 1e-12


def test_the_receptive_fields_of_the_generators() -> None:
    x = random((1, 1, 25, 26), 0)
    seen = []
    for model in (make_denoiser(), models.salt_and_pepper_layer(rng=0).eval()):
        assert isinstance(model, models.EdgeDenoiser | nn.Involution2d)
        image = np.repeat(x, 3, axis=1).astype(model.parameters()[0].data.dtype)
        before = model.generate_kernel(image)
        image[:, :, 12, 13] += 1
        changed = (model.generate_kernel(image) != before).any(axis=(0, 1, 2, 3))
        seen.append({(int(i), int(j)) for i, j in np.argwhere(changed)})
    around, alone = seen
    assert alone == {(12, 13)}
    assert around <= {(i, j) for i in range(3, 22) for j in range(4, 23)}  # 19 x 19
    assert {(3, 4), (3, 22), (21, 4), (21, 22)} & around
    assert len(around) > 49


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.EdgeDenoiser((3, 4)), r"kernel_size is \(3, 4\); need odd sizes"),
        (
            lambda: models.EdgeDenoiser(channels=(7, 4)),
            r"channels are \(7, 4\), then 24; need at l",
        ),
        (
            lambda: models.EdgeDenoiser()(np.zeros((1, 1, 8, 8), np.float32)),
            r"x has shape \(1, 1, 8, 8\); need .* C = 3",
        ),
    ],
)
def test_wrong_arguments_are_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_noise_of_x_and_of_a_photo_has_25_grey_levels() -> None:
    photo = np.full((90, 110, 3), 128, np.uint8)
    x = photo_to_x(photo)
    noisy = edge.add_noise(x, np.random.default_rng(0))
    assert noisy.dtype == np.float32
    np.testing.assert_array_equal(x, photo_to_x(photo))
    for found in ((noisy[0].transpose(1, 2, 0) - x[0, :, 0, 0]) * STD, edge.with_noise(photo, 0)):
        assert found.std(axis=(0, 1)) == pytest.approx(25, rel=0.03)
        assert len(np.unique(found[0, 0])) > 1  # each colour has its own
    assert edge.with_noise(np.zeros((4, 5, 3), np.uint8), 1).max() < 128  # clipped, not wrapped
    assert (edge.with_noise(photo, 1) != edge.with_noise(photo, 2)).any()
