"""Layers, each with its hand-written backward pass below its forward pass."""

from .basic import Linear, ReLU, Sequential
from .conv import Conv2d
from .depthwise import DepthwiseConv2d
from .involution2d import Involution2d
from .local_attention import LocalAttention2d
from .losses import CrossEntropy, MeanSquaredError, train_step
from .module import Module, Parameter, no_grad
from .norm import BatchNorm2d
from .optim import SGD, Adam, Optimizer, clip_grad_norm, warmup_cosine
from .pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d

__all__ = [
    "SGD",
    "Adam",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropy",
    "DepthwiseConv2d",
    "GlobalAvgPool2d",
    "Involution2d",
    "Linear",
    "LocalAttention2d",
    "MaxPool2d",
    "MeanSquaredError",
    "Module",
    "Optimizer",
    "Parameter",
    "ReLU",
    "Sequential",
    "clip_grad_norm",
    "no_grad",
    "train_step",
    "warmup_cosine",
]
