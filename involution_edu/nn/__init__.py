"""Layers with a backward pass written by hand below each forward pass.

>>> import numpy as np
>>> from involution_edu import nn
>>> layer = nn.Involution2d(32, kernel_size=7, stride=2, rng=0)
>>> x = np.random.default_rng(0).standard_normal((1, 32, 9, 12)).astype(np.float32)
>>> y = layer(x)
>>> y.shape
(1, 32, 5, 6)
>>> layer.backward(np.ones_like(y)).shape
(1, 32, 9, 12)
"""

from .involution2d import Involution2d
from .layers import AvgPool2d, BatchNorm2d, Conv2d, ReLU
from .module import Module, Parameter, Sequential

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "Involution2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
]
