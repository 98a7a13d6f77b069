"""Mistakes in the arguments or the input of a layer give a one-sentence error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from nn_cases import random

from involution_edu import nn
from involution_edu.arrays import Array

MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "channels 0": (lambda: nn.Involution2d(0), ValueError, "channels is 0; need"),
    "channels float": (lambda: nn.Involution2d(16.0), TypeError, r"channels is 16\.0; need"),  # type: ignore[arg-type]
    **{
        f"even window {window}": (
            lambda window=window: nn.Involution2d(16, window),
            ValueError,
            'padding is "same" with a window of . x .; need odd sizes for it: pass the padding',
        )
        for window in (4, (3, 2), (3, 4), (4, 3))
    },
    "padding larger than same": (
        lambda: nn.Involution2d(16, (5, 3), padding=2),
        ValueError,
        r"padding is \(2, 2\); need at most \(2, 1\), for the middle of every window",
    ),
    "padding mode": (
        lambda: nn.Involution2d(16, padding_mode="mirror"),
        ValueError,
        "padding_mode is 'mirror'; need one of 'zeros', 'reflect', 'replicate', 'circular'",
    ),
    "reflect more than the image": (
        lambda: nn.Involution2d(16, padding_mode="reflect")(np.zeros((1, 16, 9, 3), np.float32)),
        ValueError,
        r"x has shape \(1, 16, 9, 3\); need at least 4 columns to pad 3 in mode 'reflect'",
    ),
    "a period more than the image": (
        lambda: nn.Pad2d((3, 0), "circular")(np.zeros((1, 1, 2, 3))),
        ValueError,
        "need at least 3 rows to pad 3 in mode 'circular'",
    ),
    "no window fits": (
        lambda: nn.Involution2d(16, 7, padding="valid")(np.zeros((1, 16, 9, 6), np.float32)),
        ValueError,
        r"x has shape \(1, 16, 9, 6\); need at least 7 pixels on axis 3",
    ),
    "a pair in 1-D": (
        lambda: nn.Involution1d(16, padding=(1, 1)),  # type: ignore[arg-type]
        TypeError,
        r"padding is \(1, 1\); need an int >= 0",
    ),
    "axes in 1-D": (
        lambda: nn.Involution1d(16)(np.zeros((1, 16, 9, 6), np.float32)),
        ValueError,
        r"x has shape \(1, 16, 9, 6\); need \(N, C, W\) with C = 16",
    ),
    "axes in 3-D": (
        lambda: nn.Involution3d(16)(np.zeros((1, 16, 9, 6), np.float32)),
        ValueError,
        r"x has shape \(1, 16, 9, 6\); need \(N, C, D, H, W\) with C = 16",
    ),
    "even window in 3-D": (
        lambda: nn.Involution3d(16, (3, 2, 3)),
        ValueError,
        'padding is "same" with a window of 3 x 2 x 3; need odd sizes',
    ),
    "groups": (lambda: nn.Involution2d(16, groups=3), ValueError, "groups is 3; need a divisor"),
    "group_channels": (
        lambda: nn.Involution2d(24),
        ValueError,
        "group_channels is 16; need a divisor of the 24",
    ),
    "reduction": (lambda: nn.Involution2d(16, reduction=17), ValueError, "reduction is 17; need"),
    "sigma": (lambda: nn.Involution2d(16, sigma="tanh"), ValueError, "sigma is 'tanh'; need one"),
    "stride": (lambda: nn.Involution2d(16, stride=0), ValueError, "stride is 0; need"),
    "dtype": (lambda: nn.Involution2d(16, dtype=np.int32), TypeError, "dtype is .*int32.*; need"),
    "conv channels": (lambda: nn.Conv2d(3, 0), ValueError, "out_channels is 0; need"),
    "x channels": (
        lambda: nn.Involution2d(16)(np.zeros((1, 8, 5, 5), np.float32)),
        ValueError,
        r"x has shape \(1, 8, 5, 5\); need .* C = 16",
    ),
    "x rank": (
        lambda: nn.AvgPool2d(2)(np.zeros((3, 5, 5))),
        ValueError,
        r"x has shape \(3, 5, 5\); need \(N, C, H, W\)",
    ),
    "x dtype": (
        lambda: nn.Involution2d(16)(np.zeros((1, 16, 5, 5))),
        TypeError,
        "x has dtype float64; need float32",
    ),
    "x integer": (
        lambda: nn.Conv2d(2, 2)(np.zeros((1, 2, 5, 5), int)),
        TypeError,
        "x has dtype int64; need",
    ),
    "one value": (
        lambda: nn.BatchNorm2d(2)(np.zeros((1, 2, 1, 1), np.float32)),
        ValueError,
        "one value per channel; .* at least 2",
    ),
    "relu of a list": (lambda: nn.ReLU()([1.0]), TypeError, "x is a list; need a NumPy or CuPy"),  # type: ignore[arg-type]
    "relu of ints": (
        lambda: nn.ReLU()(np.zeros((1, 2), int)),
        TypeError,
        "x has dtype int64; need",
    ),
    "pool of nothing": (
        lambda: nn.AvgPool2d(2)(np.zeros((1, 2, 0, 3))),
        ValueError,
        r"x has shape \(1, 2, 0, 3\); need at least one channel, one row",
    ),
    "max pool padding": (
        lambda: nn.MaxPool2d(3, padding=2),
        ValueError,
        "padding is 2; need at most half of kernel_size = 3",
    ),
    "max pool larger than the image": (
        lambda: nn.MaxPool2d(5)(np.zeros((1, 2, 4, 6))),
        ValueError,
        "window that spans 5 x 5 pixels; need at most the 4 x 6",
    ),
    "global pool rank": (
        lambda: nn.GlobalAvgPool2d()(np.zeros((1, 2))),
        ValueError,
        r"x has shape \(1, 2\); need \(N, C, H, W\)",
    ),
    "linear features": (lambda: nn.Linear(0, 3), ValueError, "in_features is 0; need an int"),
    "linear rank": (
        lambda: nn.Linear(4, 3)(np.zeros((1, 4, 1, 1), np.float32)),
        ValueError,
        r"x has shape \(1, 4, 1, 1\); need \(N, 4\)",
    ),
    "linear width": (
        lambda: nn.Linear(4, 3)(np.zeros((2, 3), np.float32)),
        ValueError,
        r"x has shape \(2, 3\); need \(N, 4\)",
    ),
    "linear dtype": (
        lambda: nn.Linear(4, 3)(np.zeros((2, 4))),
        TypeError,
        "x has dtype float64; need float32, the dtype of the layer",
    ),
    "conv padding": (lambda: nn.Conv2d(2, 2, 3, padding=-1), ValueError, "padding is -1; need"),
    "conv stride": (lambda: nn.Conv2d(2, 2, 3, stride=0), ValueError, "stride is 0; need"),
    "eps": (lambda: nn.BatchNorm2d(2, eps=-1.0), ValueError, r"eps is -1\.0; need a number from 0"),
    "momentum": (
        lambda: nn.BatchNorm2d(2, momentum=None),  # type: ignore[arg-type]
        ValueError,
        "momentum is None; need a number from 0 to 1",
    ),
    "rng": (lambda: nn.Conv2d(2, 2, rng=-1), ValueError, "rng is -1; need a Generator"),
    "dtype name": (lambda: nn.Conv2d(2, 2, dtype="foo"), TypeError, "dtype is 'foo'; need float32"),
    "backward first": (
        lambda: nn.ReLU().backward(np.zeros((1, 2, 1, 1))),
        RuntimeError,
        "needs a forward pass first",
    ),
    "dy shape": (
        lambda: _forward_then(np.zeros((1, 16, 3, 3), np.float32)),
        ValueError,
        r"dy has shape \(1, 16, 3, 3\); need",
    ),
    "dy dtype": (
        lambda: _forward_then(np.zeros((1, 16, 3, 4))),
        TypeError,
        "dy has dtype float64; need float32",
    ),
}


def _forward_then(dy: Array) -> None:
    layer = nn.Involution2d(16, 3)
    layer(random((1, 16, 3, 4), np.float32, 0))
    layer.backward(dy)


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_name_the_argument_and_the_need(name: str) -> None:
    mistake, error, message = MISTAKES[name]
    with pytest.raises(error, match=message) as caught:
        mistake()
    assert "\n" not in str(caught.value)
