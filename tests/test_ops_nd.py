"""Involution of sequences and volumes against loops over the equation, and against PyTorch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import needs
import numpy as np
import pytest
from checks import RUNGS

import involution_edu as inv
from involution_edu.arrays import Array
from involution_edu.cases import scaled_error

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Volumes:
    """The sizes of an involution of volumes, by formulas of their own."""

    x_shape: tuple[int, int, int, int, int]
    groups: int
    window: Triple
    stride: Triple = (1, 1, 1)
    padding: Triple = (0, 0, 0)
    dilation: Triple = (1, 1, 1)

    def options(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    def operands(self, seed: int = 0) -> tuple[Array, Array, Array]:
        """Return a random x, kernel and dy."""
        n, c, *size = self.x_shape
        axes = zip(size, self.padding, self.dilation, self.window, self.stride, strict=True)
        out = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, p, d, k, s in axes)
        rng = np.random.default_rng(seed)
        shapes = self.x_shape, (n, self.groups, *self.window, *out), (n, c, *out)
        x, kernel, dy = map(rng.standard_normal, shapes)
        return x, kernel, dy


CASES = {
    "3 x 3 x 3": Volumes((2, 4, 4, 5, 3), 2, (3, 3, 3), padding=(1, 1, 1)),
    "stride (2, 1, 3), odd sizes": Volumes(
        (1, 6, 5, 4, 7), 3, (3, 1, 5), stride=(2, 1, 3), padding=(1, 0, 2)
    ),
    "dilation (2, 1, 3), even window": Volumes(
        (2, 2, 6, 3, 7), 1, (2, 3, 2), dilation=(2, 1, 3), padding=(1, 2, 0)
    ),
    "deeper than the volume": Volumes((1, 2, 2, 3, 4), 2, (5, 1, 1), padding=(2, 0, 0)),
    "a tap that reads padding alone": Volumes(
        (1, 2, 1, 3, 4), 1, (3, 1, 3), stride=(2, 1, 1), padding=(3, 0, 1)
    ),
    "no volumes": Volumes((0, 2, 3, 4, 5), 1, (3, 3, 3), padding=(1, 1, 1)),
}


def definition(case: Volumes, x: Array, kernel: Array, dy: Array) -> tuple[Array, Array, Array]:
    """Return y, dx and dkernel, one product of the equation at a time."""
    y, dx, dkernel = np.zeros_like(dy), np.zeros_like(x), np.zeros_like(kernel)
    channels = x.shape[1] // case.groups
    for n, g, t, u, v, k, i, j in np.ndindex(kernel.shape):
        taps = (t, u, v)
        at = zip((k, i, j), taps, case.stride, case.dilation, case.padding, strict=True)
        voxel = tuple(o * s + tap * d - p for o, tap, s, d, p in at)
        if not all(0 <= a < size for a, size in zip(voxel, x.shape[2:], strict=True)):
            continue
        for c in range(g * channels, (g + 1) * channels):
            y[n, c, k, i, j] += kernel[n, g, t, u, v, k, i, j] * x[n, c, *voxel]
            dx[n, c, *voxel] += kernel[n, g, t, u, v, k, i, j] * dy[n, c, k, i, j]
            dkernel[n, g, t, u, v, k, i, j] += dy[n, c, k, i, j] * x[n, c, *voxel]
    return y, dx, dkernel


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("backend", RUNGS)
def test_volumes_against_the_definition(backend: str, name: str) -> None:
    case = CASES[name]
    x, kernel, dy = case.operands()
    options = case.options() | {"backend": backend}
    y = inv.involution3d(x, kernel, **options)
    got = y, *inv.involution3d_backward(dy, x, kernel, **options)
    for ours, theirs in zip(got, definition(case, x, kernel, dy), strict=True):
        assert ours.shape == theirs.shape
        assert scaled_error(ours, theirs) <= 1e-12


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["same", "valid", 1])
@pytest.mark.parametrize("dilation", [1, 2])
def test_sequences_are_volumes_of_one_row(stride: int, padding: Any, dilation: int) -> None:
    pad = {"same": dilation, "valid": 0, 1: 1}[padding]
    case = Volumes((2, 4, 1, 1, 9), 2, (1, 1, 3), (1, 1, stride), (0, 0, pad), (1, 1, dilation))
    x, kernel, dy = case.operands()
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    rows = x[:, :, 0, 0], kernel[:, :, 0, 0, :, 0, 0]
    y = inv.involution1d(*rows, **options)
    dx, dkernel = inv.involution1d_backward(dy[:, :, 0, 0], *rows, **options)
    want = definition(case, x, kernel, dy)
    assert scaled_error(y, want[0][:, :, 0, 0]) <= 1e-12
    assert scaled_error(dx, want[1][:, :, 0, 0]) <= 1e-12
    assert scaled_error(dkernel, want[2][:, :, 0, 0, :, 0, 0]) <= 1e-12


def test_gradients_are_differences() -> None:
    """The operator is linear in x and in kernel: a step of 1 gives the derivative itself."""
    case = CASES["stride (2, 1, 3), odd sizes"]
    x, kernel, dy = case.operands(1)
    for operand, gradient in zip(
        (x, kernel), inv.involution3d_backward(dy, x, kernel, **case.options()), strict=True
    ):
        for index in list(np.ndindex(operand.shape))[::37]:
            steps = []
            for step in (1.0, -2.0):
                operand[index] += step
                steps.append((dy * inv.involution3d(x, kernel, **case.options())).sum())
            operand[index] += 1
            assert abs((steps[0] - steps[1]) / 2 - gradient[index]) <= 1e-10


@pytest.mark.parametrize("name", [name for name in CASES if name != "no volumes"])
def test_volumes_equal_torch(name: str) -> None:
    needs.package("torch")
    import torch_reference as reference

    case = CASES[name]
    x, kernel, dy = case.operands(2)
    want = reference.operator3d_results(x, kernel, dy, **case.options())
    y = inv.involution3d(x, kernel, **case.options())
    dx, dkernel = inv.involution3d_backward(dy, x, kernel, **case.options())
    for key, ours in {"y": y, "dx": dx, "dkernel": dkernel}.items():
        assert scaled_error(ours, want[key]) <= 1e-12, key


def test_padding_by_name() -> None:
    x = np.ones((1, 1, 4, 5, 6))
    for padding, out in (("same", (4, 5, 6)), ("valid", (2, 5, 2))):
        kernel = np.ones((1, 1, 3, 1, 5, *out))
        assert inv.involution3d(x, kernel, padding=padding).shape == (1, 1, *out)


X1, K1 = np.ones((1, 2, 5)), np.ones((1, 1, 3, 5))
X3, K3 = np.ones((1, 2, 4, 5, 6)), np.ones((1, 1, 3, 3, 3, 4, 5, 6))
MISTAKES: dict[str, tuple[Any, str]] = {
    "axes of x in 1-D": (
        lambda: inv.involution1d(X1[0], K1), r"x has shape \(2, 5\); need 3 axes \(N, C, W\)",
    ),
    "axes of the kernel in 1-D": (
        lambda: inv.involution1d(X1, K1[0]),
        r"kernel has shape \(1, 3, 5\); need 4 axes \(N, G, K, W_out\)",
    ),
    "outputs in 1-D": (
        lambda: inv.involution1d(X1, K1[..., :4]),
        r"kernel has shape \(1, 1, 3, 4\); need \(N, G, K, W_out\) = \(1, 1, 3, 5\)",
    ),
    "dy in 1-D": (
        lambda: inv.involution1d_backward(X1[..., 1:], X1, K1),
        r"dy has shape \(1, 2, 4\); need \(N, C, W_out\) = \(1, 2, 5\)",
    ),
    "padding in 1-D": (lambda: inv.involution1d(X1, K1, padding=-1), "padding is -1; need"),
    "axes of x in 3-D": (
        lambda: inv.involution3d(X3[0], K3), r"need 5 axes \(N, C, D, H, W\)",
    ),
    "axes of the kernel in 3-D": (
        lambda: inv.involution3d(X3, K3[0]), r"need 8 axes \(N, G, K_d, K_h, K_w, D_out, H_out",
    ),
    "deeper than the padded volume": (
        lambda: inv.involution3d(X3, np.ones((1, 1, 7, 1, 1, 1, 5, 6)), padding=(1, 0, 0)),
        r"a window that spans 7 in depth; need at most the 6 of the padded volume \(x has D = 4,",
    ),
    "no depth": (
        lambda: inv.involution3d(X3[:, :, :0], K3), "need at most the 2 of the padded volume",
    ),
    "even window": (
        lambda: inv.involution3d(X3, np.ones((1, 1, 3, 2, 3, 4, 5, 6))),
        'padding is "same" with a window of 3 x 2 x 3; need odd sizes',
    ),
    "pair": (
        lambda: inv.involution3d(X3, K3, stride=(1, 1)),  # type: ignore[arg-type]
        r"stride is \(1, 1\); need one int or a triple \(depth, rows, columns\)",
    ),
    "name of padding": (
        lambda: inv.involution3d(X3, K3, padding="full"), "padding is 'full'; need",
    ),
    "outputs in 3-D": (
        lambda: inv.involution3d(X3, K3, stride=2),
        r"kernel has shape .*; need \(N, G, K_d, .* = \(1, 1, 3, 3, 3, 2, 3, 3\)",
    ),
    "dy in 3-D": (
        lambda: inv.involution3d_backward(X3[..., 1:], X3, K3), r"dy has shape .*D_out, H_out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_the_argument_and_the_need(name: str) -> None:
    mistake, message = MISTAKES[name]
    with pytest.raises(ValueError, match=message) as caught:
        mistake()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("function", [inv.involution, inv.involution1d, inv.involution3d])
@pytest.mark.parametrize("needs_gradient", [False, True])
def test_a_tensor_of_torch_is_refused_with_a_way_out(function: Any, needs_gradient: bool) -> None:
    torch = needs.package("torch")
    tensor = torch.ones(1, 1, 3, 3, requires_grad=needs_gradient)
    way = "x.detach().numpy()" if needs_gradient else "x.numpy()"
    with pytest.raises(TypeError) as caught:
        function(tensor, tensor)
    assert str(caught.value) == f"x is a torch.Tensor; need a NumPy or CuPy array, such as {way}"
    with pytest.raises(TypeError, match=r"kernel is a torch.Tensor; .* kernel(.detach\(\))?.numpy"):
        function(np.ones((1, 1, 3, 3)), tensor)
    with pytest.raises(TypeError, match=r"such as x(.detach\(\))?.numpy\(\)"):
        inv.nn.Involution2d(16)(tensor)
    parameter = torch.nn.Parameter(torch.ones(1, device="meta"))
    with pytest.raises(TypeError, match=r"such as x.detach\(\).cpu\(\).numpy\(\)"):
        function(parameter, tensor)
