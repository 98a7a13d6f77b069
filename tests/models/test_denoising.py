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


def random(shape: tuple[int, ...], seed: int) -> Array:
    array: Array = np.random.default_rng(seed).standard_normal(shape)
    return array


def make_denoiser(**options: Any) -> models.KernelDenoiser:
    """Return a denoiser whose biases are not zero."""
    model = models.KernelDenoiser(6, (3, 5), rng=0, dtype=float, **options)
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data += 0.1 * rng.standard_normal(parameter.data.shape)
    return model


@pytest.mark.parametrize("channels", [1, 3])
def test_denoiser_equals_torch(channels: int) -> None:
    torch = needs.package("torch")
    from torch.nn.functional import conv2d, unfold

    model = make_denoiser(in_channels=channels)
    x, dy = random((2, channels, 9, 12), 2), random((2, channels, 9, 12), 3)
    found = run(model, x, dy)

    theirs = {
        n: torch.tensor(p.data, requires_grad=True) for n, p in model.named_parameters().items()
    }
    theirs_x = features = torch.tensor(x, requires_grad=True)
    for layer, dilation in (("0", 1), ("2", 2), ("4", 4)):
        weight, bias = theirs[f"body.{layer}.weight"], theirs[f"body.{layer}.bias"]
        features = conv2d(features, weight, bias, padding=dilation, dilation=dilation).relu()
    kernel = conv2d(features, theirs["span.weight"], theirs["span.bias"])
    patches = unfold(theirs_x, (3, 5), padding=(1, 2)).reshape(2, channels, 15, 9, 12)
    y = (patches * kernel[:, None]).sum(dim=2)
    y.backward(torch.tensor(dy))
    assert scaled_error(found["y"], y.detach().numpy()) < 1e-12
    assert scaled_error(found["dx"], theirs_x.grad.numpy()) < 1e-12
    for name, tensor in theirs.items():
        assert scaled_error(found[f"d{name}"], tensor.grad.numpy()) < 1e-11, name


def test_the_gradients_of_the_denoiser_equal_differences() -> None:
    """Along a random direction of x and of every parameter, away from the kinks of ReLU."""
    model = make_denoiser()
    x, dy, h = random((1, 1, 7, 8), 2), random((1, 1, 7, 8), 3), 1e-6
    dx = run(model, x, dy)["dx"]
    along = {
        name: random(p.data.shape, n)
        for n, (name, p) in enumerate(model.named_parameters().items(), start=10)
    }
    slope = float(sum((p.grad * along[name]).sum() for name, p in model.named_parameters().items()))

    def loss(step: float) -> float:
        for name, parameter in model.named_parameters().items():
            parameter.data += step * along[name]
        value = float((model(x) * dy).sum())
        for name, parameter in model.named_parameters().items():
            parameter.data -= step * along[name]
        return value

    assert slope == pytest.approx((loss(h) - loss(-h)) / (2 * h), rel=1e-6)
    move = random(x.shape, 4)
    difference = ((model(x + h * move) - model(x - h * move)) * dy).sum() / (2 * h)
    assert float((dx * move).sum()) == pytest.approx(float(difference), rel=1e-6)


def test_the_denoiser_applies_its_generated_kernels() -> None:
    model = make_denoiser(in_channels=2)
    x = random((2, 2, 6, 9), 0)
    kernel = model.generate_kernel(x)
    assert kernel.shape == (2, 1, 3, 5, 6, 9)
    y = involution(x, kernel, backend="loops")
    assert scaled_error(model(x), y) < 1e-12


def test_the_receptive_fields_of_the_generators() -> None:
    x = random((1, 1, 25, 26), 0)
    seen = []
    for model in (make_denoiser(), models.salt_and_pepper_layer(rng=0).eval()):
        assert isinstance(model, models.KernelDenoiser | nn.Involution2d)
        channels = 1 if isinstance(model, models.KernelDenoiser) else 3
        image = np.repeat(x, channels, axis=1).astype(model.parameters()[0].data.dtype)
        before = model.generate_kernel(image)
        image[:, :, 12, 13] += 1
        changed = (model.generate_kernel(image) != before).any(axis=(0, 1, 2, 3))
        seen.append({(int(i), int(j)) for i, j in np.argwhere(changed)})
    around, alone = seen
    assert alone == {(12, 13)}
    assert around <= {(i, j) for i in range(5, 20) for j in range(6, 21)}  # 15 x 15
    assert {(5, 6), (5, 20), (19, 6), (19, 20)} & around
    assert len(around) > 49


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: models.KernelDenoiser(8, 4), "kernel_size is 4; need odd sizes"),
        (lambda: models.KernelDenoiser(0), "out_channels is 0; need"),
        (
            lambda: models.KernelDenoiser()(np.zeros((1, 3, 8, 8), np.float32)),
            r"x has shape \(1, 3, 8, 8\); need .* C = 1",
        ),
    ],
)
def test_wrong_arguments_are_errors(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
