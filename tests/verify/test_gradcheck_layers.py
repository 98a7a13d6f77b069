"""The gradient check of layers passes what is right, and names the first tensor that is wrong."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from checks import first_wrong
from faults import WRONG_INDICES, misread
from nn_cases import SIMPLE, random

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.backends import loops, shifts, use_backend
from involution_edu.geometry import make_geometry
from involution_edu.verify.differences import Differences
from involution_edu.verify.gradcheck import check_all, check_layer
from involution_edu.verify.layer_cases import LAYERS, make_layer, make_network


@pytest.mark.parametrize("case", LAYERS)
def test_a_right_layer_passes(case: str) -> None:
    layer, x = make_layer(case, seed=1)
    checks = check_layer(layer, x, entries=40)
    assert [check.wrong for check in checks if check.wrong] == []
    assert all(check.checked + check.skipped == min(40, check.entries) for check in checks)
    names = [check.tensor for check in checks]
    parameters = list(layer.named_parameters())[::-1]
    if isinstance(layer, nn.Involution2d):
        assert names == ["dkernel", *parameters, "dx_generate", "dx_apply", "dx"]
    else:
        assert names == [*parameters, "dx"]


def apply_branch(self: nn.Involution2d, dy: Array) -> Array:
    """Return dx_apply, by another backend than the one under test."""
    dy, value, features, *_ = self.saved(dy)
    kernel = self.span(features)
    geom = make_geometry(value.shape, self.groups, self.window, self.stride, self.dilation)
    return self.project.backward(shifts.backward_input(dy, kernel, geom))


def apply_alone(self: nn.Involution2d, dy: Array) -> Array:
    """Drop the gradient through the generator, and with it that of every parameter there."""
    return apply_branch(self, dy)


def apply_alone_in_the_sum(self: nn.Involution2d, dy: Array) -> Array:
    RIGHT_LAYER_BACKWARD(self, dy)
    return apply_branch(self, dy)


def generate_alone(self: nn.Involution2d, dy: Array) -> Array:
    return RIGHT_LAYER_BACKWARD(self, dy) - apply_branch(self, dy)


def view_misread(self: nn.Involution2d, dkernel: Array) -> Array:
    """Take the span's channels as (K_h, K_w, G) instead of (G, K_h, K_w)."""
    mixed = np.moveaxis(dkernel, 1, 3).reshape(dkernel.shape)
    return RIGHT_SPAN_BACKWARD(self, np.ascontiguousarray(mixed))


def mask_ignored(self: nn.ReLU, dy: Array) -> Array:
    return dy.copy()


def statistics_kept_fixed(self: nn.BatchNorm2d, dy: Array) -> Array:
    """Use the formula of evaluation mode while training."""
    dy, *kept, _ = self.saved(dy)
    self.save(dy, *kept, False)
    return RIGHT_NORM_BACKWARD(self, dy)


def statistics_never_fixed(self: nn.BatchNorm2d, dy: Array) -> Array:
    """Use the formula of training mode in evaluation mode too."""
    dy, *kept, _ = self.saved(dy)
    self.save(dy, *kept, True)
    return RIGHT_NORM_BACKWARD(self, dy)


def scale_forgotten(self: nn.BatchNorm2d, dy: Array) -> Array:
    return RIGHT_NORM_BACKWARD(self, dy) / self.weight.data[:, None, None]


def sum_of_bias_forgotten(self: nn.Conv2d, dy: Array) -> Array:
    dx = RIGHT_CONV_BACKWARD(self, dy)
    if self.bias is not None:
        self.bias.grad /= len(dy)
    return dx


def weight_doubled(self: nn.Conv2d, dy: Array) -> Array:
    dx = RIGHT_CONV_BACKWARD(self, dy)
    self.weight.grad *= 2
    return dx


def share_forgotten(self: nn.AvgPool2d, dy: Array) -> Array:
    dy, _, count = self.saved(dy)
    return RIGHT_POOL_BACKWARD(self, dy * count)


RIGHT_LAYER_BACKWARD = nn.Involution2d.backward
RIGHT_SPAN_BACKWARD = nn.Involution2d.span_backward
RIGHT_NORM_BACKWARD = nn.BatchNorm2d.backward
RIGHT_CONV_BACKWARD = nn.Conv2d.backward
RIGHT_POOL_BACKWARD = nn.AvgPool2d.backward

LAYER_FAULTS: list[tuple[type[nn.Module], str, Callable[..., Array], str, str]] = [
    (nn.Involution2d, "backward", apply_alone, "3x3", "conv2.conv.bias"),
    (nn.Involution2d, "backward", apply_alone_in_the_sum, "3x3", "dx"),
    (nn.Involution2d, "backward", generate_alone, "stride 2, odd sizes", "dx"),
    (nn.Involution2d, "span_backward", view_misread, "3x3", "conv2.conv.bias"),
    (nn.Conv2d, "backward", sum_of_bias_forgotten, "3x3", "conv2.conv.bias"),
    (nn.Conv2d, "backward", weight_doubled, "3x3", "conv2.conv.weight"),
    (nn.ReLU, "backward", mask_ignored, "3x3", "conv1.bn.bias"),
    (nn.ReLU, "backward", mask_ignored, "a group per channel, no BatchNorm", "conv1.conv.weight"),
    (nn.BatchNorm2d, "backward", statistics_kept_fixed, "3x3", "conv1.conv.weight"),
    (nn.BatchNorm2d, "backward", statistics_never_fixed, "evaluation mode", "conv1.conv.weight"),
    (nn.BatchNorm2d, "backward", scale_forgotten, "evaluation mode", "conv1.conv.weight"),
    (nn.AvgPool2d, "backward", share_forgotten, "stride 2, odd sizes", "dx_generate"),
]


@pytest.mark.parametrize("fault", LAYER_FAULTS, ids=lambda row: f"{row[2].__name__}, {row[3]}")
def test_a_fault_of_the_layer_is_named(
    fault: tuple[type[nn.Module], str, Callable[..., Array], str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind, method, wrong, case, tensor = fault
    layer, x = make_layer(case, seed=0)
    monkeypatch.setattr(kind, method, wrong)
    check = first_wrong(check_layer(layer, x, entries=20))
    assert check.tensor == tensor
    assert str(check.wrong).startswith(f"{tensor}[")
    assert check.error > 1e-3


def last_window_wins(self: nn.MaxPool2d, dy: Array) -> Array:
    """Assign where windows overlap instead of adding."""
    dy, x, y, geom = self.saved(dy)
    dx: Array = np.zeros_like(x)
    for outputs, pixels, is_maximum in self._maxima(x, y, geom):
        dx[:, :, *pixels] = is_maximum * dy[:, :, *outputs]
    return dx


def global_share_forgotten(self: nn.GlobalAvgPool2d, dy: Array) -> Array:
    dx: Array = RIGHT_GLOBAL_BACKWARD(self, dy)
    dx *= dx.shape[2] * dx.shape[3]
    return dx


def bias_counted_once(self: nn.Linear, dy: Array) -> Array:
    dx = RIGHT_LINEAR_BACKWARD(self, dy)
    assert self.bias is not None
    self.bias.grad /= len(dy)
    return dx


def first_image_only(self: nn.Linear, dy: Array) -> Array:
    dx = RIGHT_LINEAR_BACKWARD(self, dy)
    _, x = self.saved(dy)
    self.weight.grad[...] = dy[:1].T @ x[:1]
    return dx


RIGHT_GLOBAL_BACKWARD = nn.GlobalAvgPool2d.backward
RIGHT_LINEAR_BACKWARD = nn.Linear.backward

NETWORK_FAULTS: list[tuple[type[nn.Module], Callable[..., Array], str]] = [
    (nn.MaxPool2d, last_window_wins, "norm.bias"),
    (nn.GlobalAvgPool2d, global_share_forgotten, "transposed.bias"),
    (nn.Linear, bias_counted_once, "linear.bias"),
    (nn.Linear, first_image_only, "linear.weight"),
    (nn.AvgPool2d, share_forgotten, "transposed.bias"),
    (nn.ReLU, mask_ignored, "norm.bias"),
    (nn.BatchNorm2d, statistics_kept_fixed, "conv.weight"),
    (nn.Conv2d, weight_doubled, "mix.weight"),
]


@pytest.mark.parametrize("fault", NETWORK_FAULTS, ids=lambda row: row[1].__name__)
def test_a_fault_in_the_network_is_named(
    fault: tuple[type[nn.Module], Callable[..., Array], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, wrong, tensor = fault
    network, x = make_network(training=True, seed=0)
    monkeypatch.setattr(kind, "backward", wrong)
    check = first_wrong(check_layer(network, x, entries=30))
    assert check.tensor == tensor
    assert check.error > 1e-3


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", SIMPLE)
def test_every_layer_by_itself(name: str, training: bool) -> None:
    layer = SIMPLE[name][0](np.float64).train(training)
    checks = check_layer(layer, random((2, 6, 5, 8), np.float64, 1), entries=60)
    assert [check.tensor for check in checks] == [*list(layer.named_parameters())[::-1], "dx"]
    assert [check.wrong for check in checks if check.wrong] == []


def test_a_maximum_that_moves_to_another_pixel_is_a_kink() -> None:
    x = np.array([[1.0, 1.0, 0.0], [5.0, 3.0, 3.0 + 1e-6]]).reshape(1, 2, 1, 3)
    (dx,) = check_layer(nn.MaxPool2d((1, 3)), x)
    assert (dx.checked, dx.skipped, dx.wrong) == (4, 2, None)


def test_a_fault_of_the_backend_is_named_as_dkernel(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong, _ = WRONG_INDICES["u and v swapped"]
    monkeypatch.setattr(shifts, "backward_kernel", misread(loops.backward_kernel, wrong))
    layer, x = make_layer("3x3", seed=0)
    with use_backend("shifts"):
        assert first_wrong(check_layer(layer, x, entries=20)).tensor == "dkernel"


def test_a_fault_of_the_projection_is_named_as_dx_apply(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = make_layer("6 channels of 8, no sigma", seed=0)
    assert isinstance(layer, nn.Involution2d)
    projection = (6, 8, 1, 1)

    def halved(self: nn.Conv2d, dy: Array) -> Array:
        dx = RIGHT_CONV_BACKWARD(self, dy)
        return dx / 2 if self.weight.data.shape == projection else dx

    assert layer.project.parameters()[0].data.shape == projection
    monkeypatch.setattr(nn.Conv2d, "backward", halved)
    assert first_wrong(check_layer(layer, x, entries=20)).tensor == "dx_apply"


def test_kinks_are_skipped_and_counted() -> None:
    """The features of one pixel are zero, so there every step in ``x`` crosses the kink."""
    layer, x = make_layer("a group per channel, no BatchNorm", seed=0)
    x[0, :, 1, 2] = 0
    checks = {check.tensor: check for check in check_layer(layer, x, entries=100)}
    for name in ("dx_generate", "dx"):
        assert (checks[name].skipped, checks[name].checked) == (4, x.size - 4)
        assert checks[name].wrong is None
    assert checks["dx_apply"].skipped == 0


@pytest.mark.parametrize("training", [True, False])
def test_every_module_is_in_the_mode_of_its_case(training: bool) -> None:
    made: list[nn.Module] = [make_network(training, seed=0)[0]]
    made += [make_layer(case, 0)[0] for case, row in LAYERS.items() if row[1] is training]
    assert len(made) > 1
    modes = [module.training for layer in made for _, module in layer.named_modules()]
    assert modes == [training] * len(modes)


def test_a_fault_in_evaluation_mode_only_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.BatchNorm2d, "backward", statistics_never_fixed)
    found = {r.case for r in check_all(["shifts"]).reports if any(c.wrong for c in r.checks)}
    evaluated = {case for case, (_, training, _) in LAYERS.items() if not training}
    assert found == evaluated | {"evaluation mode"}  # that of the network


def test_bands_hide_no_kink() -> None:
    layer, x = make_layer("a group per channel, no BatchNorm", seed=0)
    assert isinstance(layer, nn.Involution2d)
    layer.eval().band_rows = 1
    x[0, :, 1, 2] = 0
    dx = {check.tensor: check for check in check_layer(layer, x, entries=100)}["dx"]
    assert (dx.skipped, dx.wrong) == (4, None)


def test_skipping_everything_is_a_failure() -> None:
    layer, x = make_layer("a group per channel, no BatchNorm", seed=0)
    check = {check.tensor: check for check in check_layer(layer, 0 * x, entries=100)}["dx"]
    assert (check.checked, check.skipped, check.error) == (0, x.size, np.inf)
    assert check.wrong == "no entry of dx was checked: every step crossed a kink"


def test_the_layer_and_x_stay_as_they_are() -> None:
    layer, x = make_layer("3x3", seed=0)
    layer.parameters()[0].grad += 3
    before, kept = layer.state_dict(), x.copy()
    grads = [parameter.grad.copy() for parameter in layer.parameters()]
    checks = check_layer(layer, x, entries=5)
    assert [check.wrong for check in checks if check.wrong] == []  # the old gradients are not added
    np.testing.assert_equal(layer.state_dict(), before)
    np.testing.assert_array_equal(x, kept)
    np.testing.assert_equal([parameter.grad for parameter in layer.parameters()], grads)


def test_any_module_can_be_checked() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, rng=0, dtype=float), nn.ReLU())
    checks = check_layer(module, np.random.default_rng(0).standard_normal((2, 3, 4, 5)))
    assert [(c.tensor, c.wrong) for c in checks] == [
        ("0.bias", None),
        ("0.weight", None),
        ("dx", None),
    ]


def test_float32_is_refused() -> None:
    layer = nn.Involution2d(16, 3, rng=0)
    with pytest.raises(TypeError, match="x has dtype float32; need float64"):
        check_layer(layer, np.zeros((1, 16, 4, 5), np.float32))


def test_the_network_is_checked_in_both_modes(monkeypatch: pytest.MonkeyPatch) -> None:
    for fault, mode in (
        (statistics_kept_fixed, "training mode"),
        (statistics_never_fixed, "evaluation mode"),
    ):
        monkeypatch.setattr(nn.BatchNorm2d, "backward", fault)
        report = check_all([])
        assert not report.ok
        assert [r.case for r in report.reports if any(c.wrong for c in r.checks)] == [mode]


def test_an_error_just_above_the_tolerance_is_seen() -> None:
    a, dy = random((3, 4), float, 0), random((3, 4), float, 1)
    differences = Differences(lambda: a.copy(), dy)
    assert differences.check("dx", dy * (1 + 3e-9), a, 12, 0).wrong is None
    assert differences.check("dx", dy * (1 + 3e-8), a, 12, 0).wrong is not None
