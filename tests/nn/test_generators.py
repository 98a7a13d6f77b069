"""Depthwise convolution and local attention, as generators of kernels for the operator."""

from __future__ import annotations

from typing import Any

import needs
import numpy as np
import pytest
from nn_cases import random, run

from involution_edu import involution, nn
from involution_edu.arrays import Array
from involution_edu.complexity import count
from involution_edu.nn.generators import GENERATORS

CASES: dict[str, dict[str, Any]] = {
    "masked": {},
    "zero": {"outside": "zero"},
    "stride and dilation": {"stride": (2, 1), "dilation": (1, 2), "kernel_size": (3, 5)},
    "one key channel, no bias": {"key_channels": 1, "position_bias": False, "groups": 6},
    "x as value": {"project_value": False, "groups": 1},
}


def attention(**options: Any) -> nn.LocalAttention2d:
    options = {"kernel_size": 3, "groups": 2} | options
    layer = nn.LocalAttention2d(6, rng=0, dtype=float, **options)
    if layer.bias is not None:
        layer.bias.data += random(layer.bias.data.shape, float, 9)
    return layer


@pytest.mark.parametrize("name", GENERATORS)
def test_the_operator_applies_the_kernel_of_every_generator(name: str) -> None:
    layer = GENERATORS[name](16, 3, stride=2, rng=0, dtype=float).eval()
    x = random((2, 16, 5, 6), float, 0)
    kernel = layer.generate_kernel(x)
    value = layer.value(x) if isinstance(layer, nn.LocalAttention2d) else x
    np.testing.assert_allclose(layer(x), involution(value, kernel, stride=2), atol=1e-13)


@pytest.mark.parametrize("name", CASES)
def test_attention_equals_unfold_and_softmax_in_torch(name: str) -> None:
    torch = needs.package("torch")
    layer = attention(**CASES[name])
    x = random((2, 6, 5, 7), float, 1)
    ours = run(layer, x, random(layer(x).shape, float, 2))
    weights = {n: torch.tensor(a, requires_grad=True) for n, a in layer.state_dict().items()}
    xt = torch.tensor(x, requires_grad=True)
    (k_h, k_w), (d_h, d_w), (s_h, s_w) = layer.window, layer.dilation, layer.stride
    options = {
        "kernel_size": layer.window,
        "dilation": layer.dilation,
        "stride": layer.stride,
        "padding": (d_h * (k_h // 2), d_w * (k_w // 2)),
    }

    def windows(a: Any) -> Any:  # (N, G, channels of a head, taps, pixels)
        seen = torch.nn.functional.unfold(a, **options)
        return seen.reshape(len(a), layer.groups, -1, k_h * k_w, seen.shape[-1])

    def project(which: str) -> Any:
        weight = weights.get(f"{which}.weight")
        return xt if weight is None else torch.nn.functional.conv2d(xt, weight)

    query = project("query")[:, :, ::s_h, ::s_w].reshape(
        2, layer.groups, -1, 1, ours["y"][0, 0].size
    )
    score = (query * windows(project("key"))).sum(2) / layer.key_channels**0.5
    if layer.bias is not None:
        score = score + weights["bias"].reshape(1, layer.groups, -1, 1)
    if layer.outside == "masked":
        inside = windows(torch.ones(1, layer.groups, 5, 7, dtype=torch.float64))[:, :, 0] > 0
        score = score.masked_fill(~inside, -torch.inf)
    y = (score.softmax(2)[:, :, None] * windows(project("value"))).sum(3).reshape(ours["y"].shape)
    y.backward(torch.tensor(random(ours["y"].shape, float, 2)))
    theirs = {"y": y.detach(), "dx": xt.grad, **{f"d{n}": w.grad for n, w in weights.items()}}
    assert ours.keys() == theirs.keys()
    for tensor, reference in theirs.items():
        np.testing.assert_allclose(ours[tensor], reference, atol=1e-10, err_msg=tensor)


@pytest.mark.parametrize("options", [{}, {"stride": (2, 1), "dilation": (1, 2)}])
def test_depthwise_equals_grouped_convolution_in_torch(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = needs.package("torch")
    monkeypatch.setitem(nn.bands.MAX_BAND_BYTES, "numpy", 6000)  # several bands
    layer = nn.DepthwiseConv2d(4, (3, 5), rng=0, dtype=float, **options)
    x = random((2, 4, 7, 6), float, 1)
    ours = run(layer, x, dy := random(layer(x).shape, float, 2))
    d = layer.dilation
    theirs = torch.nn.Conv2d(
        4, 4, (3, 5), padding=(d[0], 2 * d[1]), groups=4, bias=False, dtype=torch.float64, **options
    )
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(layer.weight.data[:, None]))
    xt = torch.tensor(x, requires_grad=True)
    y = theirs(xt)
    y.backward(torch.tensor(dy))
    np.testing.assert_allclose(ours["y"], y.detach(), atol=1e-10)
    np.testing.assert_allclose(ours["dx"], xt.grad, atol=1e-10)
    np.testing.assert_allclose(ours["dweight"], theirs.weight.grad[:, 0], atol=1e-10)


def split(layer: nn.LocalAttention2d, x: Array) -> list[Array]:
    """Return query, key and value of one image, each (G, channels of a head, H, W)."""
    parts = (layer.query(x), layer.key(x), layer.value(x))
    return [a[0].reshape(layer.groups, -1, *x.shape[2:]) for a in parts]


def definition(layer: nn.LocalAttention2d, x: Array, shifted: bool) -> Array:
    """Return y of one image from windows cut at the edge or, as NATTEN's, shifted inside."""
    query, key, value = split(layer, x)
    k, (h, w) = layer.window[0], x.shape[2:]

    def pixels(i: int, length: int) -> slice:
        start = i - k // 2
        if shifted:
            start = min(max(start, 0), length - k)
        return slice(max(start, 0), start + k)

    y = np.empty_like(value)
    for g, i, j in np.ndindex(layer.groups, h, w):
        seen = slice(None), pixels(i, h), pixels(j, w)
        score = np.einsum("d,duv->uv", query[g, :, i, j], key[g][seen]) / len(key[g]) ** 0.5
        weight = np.exp(score) / np.exp(score).sum()
        y[g, :, i, j] = (weight * value[g][seen]).sum(axis=(1, 2))
    return y.reshape(x.shape[1:])


def test_attention_differs_from_natten_at_the_edge_alone() -> None:
    layer, x = attention(position_bias=False), random((1, 6, 5, 6), float, 3)
    y = layer(x)[0]
    np.testing.assert_allclose(y, definition(layer, x, shifted=False), atol=1e-12)
    natten = definition(layer, x, shifted=True)
    same = np.isclose(y, natten).all(axis=0)
    assert same[1:-1, 1:-1].all()
    assert same.sum() == 3 * 4


def test_a_window_over_the_image_gives_global_attention() -> None:
    """Each pixel attends to all, as in the encoder of DETR."""
    x = random((1, 6, 4, 5), float, 3)
    layer = attention(kernel_size=2 * 5 - 1, position_bias=False)
    query, key, value = (a.reshape(2, 3, 20) for a in split(layer, x))
    weight = np.exp(np.einsum("gdp,gdq->gpq", query, key) / 3**0.5)
    weight /= weight.sum(axis=2, keepdims=True)
    wanted = np.einsum("gpq,gdq->gdp", weight, value)
    np.testing.assert_allclose(layer(x)[0].reshape(2, 3, 20), wanted, atol=1e-12)


def test_large_scores_do_not_overflow() -> None:
    layer = attention()
    kernel = layer.generate_kernel(1e4 * random((1, 6, 5, 4), float, 0))
    assert np.isfinite(kernel).all()
    np.testing.assert_allclose(kernel.sum(axis=(2, 3)), 1)


def test_costs_of_one_output_number() -> None:
    """Of 64 channels in 4 groups: generating costs 65 in involution, comparing 49 in attention."""
    pixels, outputs = 8 * 8, 64 * 8 * 8
    pixel, compared, constant = (
        count(layer, (64, 8, 8))
        for layer in (nn.Involution2d(64), nn.LocalAttention2d(64), nn.DepthwiseConv2d(64))
    )
    apply = 49
    assert pixel.macs == (apply + 65) * outputs
    assert compared.macs == (apply + 49 + 3 * 64) * outputs
    assert constant.macs == apply * outputs
    assert compared.parameters == 3 * 64 * 64 + 4 * 49
    assert compared.operations == compared.macs + 4 * 4 * 49 * pixels
    assert "compare, apply" in compared.text()
    assert "A softmax counts 3" in compared.text().replace("\n", " ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": 4}, "groups is 4; need a divisor of the 6 channels"),
        ({"groups": None}, "group_channels is 16; need a divisor of the 6 channels"),
        ({"kernel_size": 4}, "kernel_size is 4; need odd sizes, for a middle pixel"),
        ({"key_channels": 0}, "key_channels is 0; need an int >= 1"),
        ({"outside": "same"}, "outside is 'same'; need one of 'masked', 'zero'"),
    ],
)
def test_wrong_arguments_of_attention(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attention(**options)


def test_wrong_arguments_of_a_depthwise_convolution() -> None:
    with pytest.raises(ValueError, match="kernel_size is 2; need odd sizes"):
        nn.DepthwiseConv2d(4, 2)
    for layer in nn.DepthwiseConv2d(4, 3), nn.LocalAttention2d(4, 3, groups=2):
        with pytest.raises(ValueError, match=r"x has shape .*; need \(N, C, H, W\) with C = 4"):
            layer(np.zeros((1, 5, 3, 3), np.float32))
