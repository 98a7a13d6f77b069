"""Resizing, RoIAlign, transposed convolution and dense losses: PyTorch, definitions, adjoints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import needs
import numpy as np
import pytest

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.nn.resample import MODES

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 3, 5, 7))
BOXES = np.array(
    [[1.0, 2.0, 9.0, 8.5], [-3.0, -1.0, 20.0, 6.0], [12.0, 8.0, 30.0, 30.0], [3, 3, 3.25, 3.5]]
)
IMAGES = np.array([0, 1, 1, 0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(10, 14), (3, 4), (5, 7), (1, 1), (8, 3), (2, 13)], ids=str)
def test_resize_gives_the_numbers_of_pytorch(mode: str, size: tuple[int, int]) -> None:
    torch = needs.package("torch")
    options = {"align_corners": False} if mode == "bilinear" else {}
    tx = torch.tensor(X, requires_grad=True)
    ty = torch.nn.functional.interpolate(tx, size=size, mode=mode, **options)
    y = nn.resize(X, size, mode)
    np.testing.assert_allclose(y, ty.detach().numpy(), rtol=0, atol=1e-12)
    dy = RNG.standard_normal(y.shape)
    ty.backward(torch.tensor(dy))
    dx = nn.resize_backward(dy, (5, 7), mode)
    np.testing.assert_allclose(dx, tx.grad.numpy(), rtol=0, atol=1e-12)


def test_a_resizing_layer_is_the_function() -> None:
    for layer, size in ((nn.Resize2d(scale=2), (10, 14)), (nn.Resize2d((3, 2)), (3, 2))):
        y = layer(X)
        np.testing.assert_array_equal(y, nn.resize(X, size))
        np.testing.assert_array_equal(layer.backward(y), nn.resize_backward(y, (5, 7)))


@pytest.mark.parametrize("size", [(7, 7), (2, 3), (1, 1)], ids=str)
@pytest.mark.parametrize("scale", [0.5, 1.0, 0.25])
def test_roi_align_is_the_mean_of_bilinear_samples(size: tuple[int, int], scale: float) -> None:
    def value(plane: Array, y: float, x: float) -> float:
        h, w = plane.shape
        if not (-1 <= y <= h and -1 <= x <= w):
            return 0.0
        y, x = min(max(y, 0), h - 1), min(max(x, 0), w - 1)
        i, j = int(y), int(x)
        down, right = min(i + 1, h - 1), min(j + 1, w - 1)
        top = plane[i, j] * (1 - x + j) + plane[i, right] * (x - j)
        low = plane[down, j] * (1 - x + j) + plane[down, right] * (x - j)
        return float(top * (1 - y + i) + low * (y - i))

    y = nn.roi_align(X, BOXES, IMAGES, size, scale)
    assert y.shape == (4, 3, *size)
    for r, box in enumerate(BOXES):
        x0, y0, x1, y1 = box * scale - 0.5
        high, wide = (y1 - y0) / size[0], (x1 - x0) / size[1]
        n, m = int(np.ceil(high)), int(np.ceil(wide))
        for i, j in np.ndindex(size):
            rows = [y0 + (i + (a + 0.5) / n) * high for a in range(n)]
            columns = [x0 + (j + (b + 0.5) / m) * wide for b in range(m)]
            want = np.mean([[value(X[IMAGES[r], 1], a, b) for b in columns] for a in rows])
            assert y[r, 1, i, j] == pytest.approx(want, abs=1e-12)
    dy = RNG.standard_normal(y.shape)  # linear in x: the backward pass is the adjoint
    dx = nn.roi_align_backward(dy, BOXES, IMAGES, X.shape, scale)
    assert (dx * X).sum() == pytest.approx((dy * y).sum(), rel=1e-12)


def test_no_boxes_and_boxes_outside_give_zeros() -> None:
    assert nn.roi_align(X, np.zeros((0, 4)), np.zeros(0, int), 7).shape == (0, 3, 7, 7)
    far = np.array([[100.0, 100.0, 120.0, 130.0], [-50.0, 0.0, -40.0, 5.0]])
    y = nn.roi_align(X, far, np.array([0, 1]), 2)
    assert not y.any()
    assert not nn.roi_align_backward(y + 1, far, np.array([0, 1]), X.shape).any()


def test_a_transposed_convolution_gives_the_numbers_of_pytorch() -> None:
    torch = needs.package("torch")
    for k in (1, 2, 3):
        layer = nn.ConvTranspose2d(3, 4, k, rng=0, dtype=float)
        layer.bias.data[...] = RNG.standard_normal(4)
        twin = torch.nn.ConvTranspose2d(3, 4, k, k).double()
        twin.load_state_dict({name: torch.tensor(a) for name, a in layer.state_dict().items()})
        tx = torch.tensor(X, requires_grad=True)
        ty, y = twin(tx), layer(X)
        dy = RNG.standard_normal(y.shape)
        ty.backward(torch.tensor(dy))
        pairs = [(y, ty.detach()), (layer.backward(dy), tx.grad)]
        pairs += [(layer.weight.grad, twin.weight.grad), (layer.bias.grad, twin.bias.grad)]
        for got, want in pairs:
            np.testing.assert_allclose(got, want.numpy(), rtol=0, atol=1e-12)


LABELS = RNG.choice([0, 1, 2, 255], (2, 5, 7))
HITS = (RNG.random(X.shape) < 0.3).astype(float)
FLOATS: Any = HITS[:, 0]
LOSSES: dict[str, tuple[Any, Any, Callable[[Any, Any, Any], Any]]] = {
    "pixels": (
        nn.PixelCrossEntropy(),
        LABELS,
        lambda f, y, t: f.cross_entropy(y, t, ignore_index=255),
    ),
    "binary": (
        nn.BinaryCrossEntropy(),
        HITS,
        lambda f, y, t: f.binary_cross_entropy_with_logits(y, t),
    ),
    "l1": (nn.SmoothL1(), HITS, lambda f, y, t: f.l1_loss(y, t)),
    "smooth l1": (nn.SmoothL1(0.5), HITS, lambda f, y, t: f.smooth_l1_loss(y, t, beta=0.5)),
    "focal": (
        nn.BinaryCrossEntropy(gamma=2.0),
        HITS,
        lambda f, y, t: (
            (0.25 * t + 0.75 * (1 - t))
            * (t - y.sigmoid()).abs() ** 2
            * f.binary_cross_entropy_with_logits(y, t, reduction="none")
        ).mean(),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_losses_and_their_gradients_are_those_of_pytorch(name: str, scale: float) -> None:
    torch = needs.package("torch")
    criterion, target, theirs = LOSSES[name]
    ty = torch.tensor(scale * X, requires_grad=True)
    want = theirs(torch.nn.functional, ty, torch.tensor(target))
    want.backward()
    assert criterion(scale * X, target) == pytest.approx(want.item(), rel=1e-12)
    np.testing.assert_allclose(criterion.backward(), ty.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_do_not_overflow(gamma: float, dtype: Any) -> None:
    criterion = nn.BinaryCrossEntropy(gamma, 0.5)
    loss = criterion(np.array([1000.0, -1000.0, 1000.0], dtype), np.array([0.0, 1.0, 1.0]), 1)
    assert loss == pytest.approx(2000 * (0.5 if gamma else 1))
    share = 0.5 if gamma else 1.0
    np.testing.assert_allclose(criterion.backward(), [share, -share, 0], rtol=1e-6)


def test_without_a_pixel_that_counts_the_loss_is_zero() -> None:
    criterion = nn.PixelCrossEntropy()
    assert criterion(X, np.full((2, 5, 7), 255)) == 0
    assert not criterion.backward().any()
    for loss in nn.BinaryCrossEntropy(), nn.BinaryCrossEntropy(2.0), nn.SmoothL1():
        assert loss(np.zeros((0, 4)), np.zeros((0, 4)), 0) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.resize(X, 0), r"^size is 0; need an int >= 1"),
        (lambda: nn.resize(X, 3, "cubic"), r"^mode is 'cubic'; need one of"),
        (lambda: nn.Resize2d(mode="linear"), r"^mode is 'linear'; need one of"),
        (lambda: nn.roi_align(X, np.zeros((2, 5)), IMAGES, 7), r"^boxes has shape \(2, 5\)"),
        (lambda: nn.roi_align(X, BOXES, IMAGES[:2], 7), r"^images has shape \(2,\)"),
        (lambda: nn.roi_align(X, BOXES, IMAGES + 1, 7), r"^images has 1 to 2; need 0 to 1"),
        (lambda: nn.PixelCrossEntropy()(X, LABELS[:, 1:]), r"^labels has shape \(2, 4, 7\)"),
        (lambda: nn.PixelCrossEntropy()(X, FLOATS), r"^labels has dtype float64"),
        (lambda: nn.PixelCrossEntropy()(X, LABELS + 3), r"^labels has 3 to 258; need 0 to 2"),
        (lambda: nn.BinaryCrossEntropy()(X, HITS[:1]), r"^target has shape"),
        (lambda: nn.SmoothL1()(X, HITS * np.nan), r"^target has values that are not finite"),
        (lambda: nn.ConvTranspose2d(3, 4, dtype=float)(X[:, :2]), r"^x has shape .* with C = 3"),
    ],
)
def test_mistakes_are_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
