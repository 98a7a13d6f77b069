"""Layers, each with its hand-written backward pass below its forward pass."""

from .basic import Linear, ReLU, Sequential
from .conv import Conv2d
from .involution2d import Involution2d
from .involution_nd import Involution1d, Involution3d
from .losses import CrossEntropy, MeanSquaredError, train_step
from .module import Module, Parameter, no_grad
from .norm import BatchNorm2d
from .optim import SGD, Adam, Optimizer, clip_grad_norm, warmup_cosine
from .padding import Pad2d
from .pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d

__all__ = [
    "SGD",
    "Adam",
    "AvgPool2d",
    "BatchNorm2d",
    "Conv2d",
    "CrossEntropy",
    "GlobalAvgPool2d",
    "Involution1d",
    "Involution2d",
    "Involution3d",
    "Linear",
    "MaxPool2d",
    "MeanSquaredError",
    "Module",
    "Optimizer",
    "Pad2d",
    "Parameter",
    "ReLU",
    "Sequential",
    "clip_grad_norm",
    "no_grad",
    "train_step",
    "warmup_cosine",
]
