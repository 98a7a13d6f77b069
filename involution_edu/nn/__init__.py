"""Layers, each with its hand-written backward pass below its forward pass."""

from .basic import Linear, ReLU, Sequential
from .conv import Conv2d, ConvTranspose2d
from .dense_losses import BinaryCrossEntropy, PixelCrossEntropy, SmoothL1
from .depthwise import DepthwiseConv2d
from .folding import fold_batch_norm
from .involution2d import Involution2d
from .involution_nd import Involution1d, Involution3d
from .local_attention import LocalAttention2d
from .losses import CrossEntropy, MeanSquaredError, train_step
from .module import Module, Parameter, no_grad
from .norm import BatchNorm2d
from .optim import SGD, Adam, Optimizer, clip_grad_norm, warmup_cosine
from .padding import Pad2d
from .pooling import AvgPool2d, GlobalAvgPool2d, MaxPool2d
from .resample import Resize2d, resize, resize_backward, roi_align, roi_align_backward

__all__ = [
    "SGD",
    "Adam",
    "AvgPool2d",
    "BatchNorm2d",
    "BinaryCrossEntropy",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropy",
    "DepthwiseConv2d",
    "GlobalAvgPool2d",
    "Involution1d",
    "Involution2d",
    "Involution3d",
    "Linear",
    "LocalAttention2d",
    "MaxPool2d",
    "MeanSquaredError",
    "Module",
    "Optimizer",
    "Pad2d",
    "Parameter",
    "PixelCrossEntropy",
    "ReLU",
    "Resize2d",
    "Sequential",
    "SmoothL1",
    "clip_grad_norm",
    "fold_batch_norm",
    "no_grad",
    "resize",
    "resize_backward",
    "roi_align",
    "roi_align_backward",
    "train_step",
    "warmup_cosine",
]
