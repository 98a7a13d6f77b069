"""RedNet and ResNet, small ones to train on a CPU, and two networks that filter photos.

>>> import numpy as np
>>> from involution_edu import models
>>> model = models.rednet26(num_classes=10, rng=0).eval()
>>> x = np.random.default_rng(0).standard_normal((1, 3, 64, 96)).astype(np.float32)
>>> model(x).shape
(1, 10)
"""

from . import dense
from .edge import EdgeDenoiser
from .pretrained import pretrained
from .rednet import (
    MODELS,
    rednet,
    rednet26,
    rednet38,
    rednet50,
    rednet101,
    rednet152,
    resnet,
    resnet26,
    resnet38,
    resnet50,
    resnet101,
    resnet152,
)
from .residual import Bottleneck, ResidualNetwork
from .salt_and_pepper import salt_and_pepper_layer
from .small import small_rednet, small_resnet

__all__ = [
    "MODELS",
    "Bottleneck",
    "EdgeDenoiser",
    "ResidualNetwork",
    "dense",
    "pretrained",
    "rednet",
    "rednet26",
    "rednet38",
    "rednet50",
    "rednet101",
    "rednet152",
    "resnet",
    "resnet26",
    "resnet38",
    "resnet50",
    "resnet101",
    "resnet152",
    "salt_and_pepper_layer",
    "small_rednet",
    "small_resnet",
]
