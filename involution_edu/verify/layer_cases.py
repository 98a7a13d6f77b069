"""Layers and networks with random numbers, whose gradients `gradcheck` checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import nn
from ..arrays import Array

KINDS = {3: "Involution1d", 4: "Involution2d", 5: "Involution3d"}
# Shape of x, training or not, and options of the layer: together they cover every branch. The
# layer is the one that "kind" names, or else that of `KINDS` for the number of axes.
LAYERS: dict[str, tuple[tuple[int, ...], bool, dict[str, Any]]] = {
    "3x3": ((2, 8, 4, 5), True, {"groups": 2}),
    "evaluation mode": ((1, 8, 5, 4), False, {"groups": 2}),
    "stride 2, odd sizes": ((2, 8, 5, 7), True, {"groups": 4, "stride": 2}),
    "3x5, stride (1, 3), dilation (2, 1)": ((1, 8, 6, 7), True, {
        "kernel_size": (3, 5), "groups": 1, "stride": (1, 3), "dilation": (2, 1)
    }),
    "a group per channel, no BatchNorm": ((1, 4, 5, 4), True, {"groups": 4, "sigma": "relu"}),
    "6 channels of 8, no sigma": ((2, 8, 3, 4), True, {
        "out_channels": 6, "groups": 3, "sigma": "identity"
    }),
    "reflected border, stride 2": ((1, 8, 5, 6), True, {
        "groups": 2, "kernel_size": 5, "stride": 2, "padding_mode": "reflect"
    }),
    "even window, padding of opposite sides": ((2, 8, 5, 6), False, {
        "groups": 2, "kernel_size": (4, 3), "padding": 1, "padding_mode": "circular"
    }),
    "no padding": ((1, 8, 6, 7), True, {"groups": 2, "stride": (1, 2), "padding": "valid"}),
    "1-D, stride 2": ((2, 8, 7), True, {"groups": 2, "stride": 2}),
    "3-D, stride (2, 1, 2)": ((1, 4, 4, 3, 5), True, {
        "groups": 2, "reduction": 2, "stride": (2, 1, 2)
    }),
    "3-D, no padding": ((1, 4, 3, 4, 5), False, {"groups": 1, "padding": (1, 0, 0)}),
    "depthwise convolution": ((2, 4, 5, 6), True, {
        "kind": "DepthwiseConv2d", "kernel_size": (3, 5), "stride": (1, 2), "dilation": (2, 1)
    }),
    "attention, masked": ((2, 4, 4, 5), True, {"kind": "LocalAttention2d", "groups": 2}),
    "attention, zeros, stride (2, 1), dilation 2, x as value": ((1, 6, 5, 4), True, {
        "kind": "LocalAttention2d", "groups": 3, "key_channels": 1, "kernel_size": (3, 5),
        "project_value": False, "position_bias": False, "outside": "zero", "stride": (2, 1),
        "dilation": 2
    }),
}  # fmt: skip


def make_layer(case: str, seed: int) -> tuple[Any, Array]:
    """Return the float64 layer of a row of `LAYERS` and an ``x`` for it, all numbers random."""
    shape, training, options = LAYERS[case]
    rng = np.random.default_rng(seed)
    options = {"kind": KINDS[len(shape)], "kernel_size": 3} | options
    layer = getattr(nn, str(options.pop("kind")))(shape[1], rng=rng, dtype=np.float64, **options)
    return layer, _randomize(layer, shape, training, rng)


def make_network(training: bool, seed: int) -> tuple[nn.Sequential, Array]:
    """Return a float64 network of all layers but involution and an ``x``, all numbers random."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {"rng": rng, "dtype": np.float64}
    network = nn.Sequential(
        conv=nn.Conv2d(2, 4, 3, stride=(2, 1), padding=1, bias=False, **made),
        norm=nn.BatchNorm2d(4, dtype=np.float64),
        relu=nn.ReLU(),
        max_pool=nn.MaxPool2d(3, 2, 1),
        mix=nn.Conv2d(4, 5, **made),
        transposed=nn.ConvTranspose2d(5, 5, **made),
        resize=nn.Resize2d((5, 3)),
        avg_pool=nn.AvgPool2d(2),
        global_pool=nn.GlobalAvgPool2d(),
        linear=nn.Linear(5, 3, **made),
    )
    return network, _randomize(network, (3, 2, 11, 9), training, rng)


def _randomize(
    layer: nn.Module, shape: tuple[int, ...], training: bool, rng: np.random.Generator
) -> Array:
    """Change all parameters and running averages from their start values; return an ``x``."""
    for parameter in layer.parameters():  # a bias of zero would hide its faults
        parameter.data += 0.3 * rng.standard_normal(parameter.data.shape)
    layer(rng.standard_normal(shape))
    layer.train(training)
    return rng.standard_normal(shape)
