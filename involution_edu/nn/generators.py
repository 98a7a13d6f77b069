"""The layers that generate kernels for the same operator, by what makes the kernel."""

from __future__ import annotations

from .depthwise import DepthwiseConv2d
from .involution2d import Involution2d
from .local_attention import LocalAttention2d

# Each has `generate_kernel(x)`, whose result `involution` applies.
GENERATORS: dict[str, type[DepthwiseConv2d | Involution2d | LocalAttention2d]] = {
    "constant": DepthwiseConv2d,  # nothing: it is a parameter
    "pixel": Involution2d,  # the features of the pixel itself
    "comparison": LocalAttention2d,  # the pixel compared with each pixel of its window
}
