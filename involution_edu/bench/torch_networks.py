"""RedNet in PyTorch, under the names of its authors' checkpoints.

PyTorch is imported when a network is made, so that this module can be imported without it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

Spatial = Callable[[int, int], Any]  # of channels and stride: the spatial layer of a block


def module(forward: Callable[[Any], Any], **children: Any) -> Any:
    """Return a `torch.nn.Module` with these children, called through ``forward(x)``."""
    from torch import nn

    made = nn.Module()
    for name, child in children.items():
        made.add_module(name, child)
    made.forward = forward
    return made


def unit(channels: int, out_channels: int, k: int = 1, stride: int = 1) -> Any:
    """Return a convolution, its batch normalisation and a ReLU."""
    from torch import nn

    conv = nn.Conv2d(channels, out_channels, k, stride, k // 2, bias=False)
    bn = nn.BatchNorm2d(out_channels)
    return nn.Sequential(OrderedDict(conv=conv, bn=bn, relu=nn.ReLU(inplace=True)))


def involution(channels: int, stride: int, k: int, per_group: int = 16, reduction: int = 4) -> Any:
    """Return the layer: pool, reduce, span; unfold, multiply with the kernels, sum over windows."""
    from torch import nn

    groups, taps, hidden = channels // per_group, k * k, channels // reduction
    # The pool rounds sizes up, where the authors' rounds down: at odd sizes theirs does not run.
    pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity()
    conv1 = unit(channels, hidden)
    conv2 = nn.Sequential(OrderedDict(conv=nn.Conv2d(hidden, groups * taps, 1)))
    unfold = nn.Unfold(k, 1, (k - 1) // 2, stride)

    def forward(x: Any) -> Any:
        kernel = conv2(conv1(pool(x)))
        n, _, h, w = kernel.shape
        kernel = kernel.view(n, groups, 1, taps, h, w)
        windows = unfold(x).view(n, groups, per_group, taps, h, w)
        return (kernel * windows).sum(dim=3).view(n, -1, h, w)

    return module(forward, conv1=conv1, conv2=conv2)


def bottleneck(in_channels: int, channels: int, stride: int, spatial: Spatial) -> Any:
    """Return a block: 1 x 1, spatial, 1 x 1; its input, or a projection of it, is added."""
    from torch import nn

    conv1, bn1, relu = unit(in_channels, channels)
    conv2, bn2 = spatial(channels, stride), nn.BatchNorm2d(channels)
    conv3, bn3, _ = unit(channels, 4 * channels)
    downsample = nn.Identity()
    if stride > 1 or in_channels != 4 * channels:
        downsample = nn.Sequential(*unit(in_channels, 4 * channels, 1, stride)[:2])

    def forward(x: Any) -> Any:
        y = bn3(conv3(relu(bn2(conv2(relu(bn1(conv1(x))))))))
        y += downsample(x)
        return relu(y)

    children = {"conv1": conv1, "bn1": bn1, "conv2": conv2, "bn2": bn2, "conv3": conv3, "bn3": bn3}
    return module(forward, **children, downsample=downsample)


def network(
    stem: dict[str, Any],
    blocks: Sequence[int],
    spatial: Spatial,
    num_classes: int,
    channels: int = 64,
    in_channels: int = 64,
) -> Any:
    """Return the stem, the stages of blocks, global average pooling and the classifier."""
    from torch import nn

    parts = dict(stem)
    for i, count in enumerate(blocks):
        stage, stride, width = [], 2 if i > 0 else 1, channels << i
        for _ in range(count):
            stage.append(bottleneck(in_channels, width, stride, spatial))
            stride, in_channels = 1, 4 * width
        parts[f"layer{i + 1}"] = nn.Sequential(*stage)
    fc = nn.Linear(in_channels, num_classes)

    def features(x: Any) -> dict[str, Any]:  # of the stem and each stage; maxpool is the first's
        found = {}
        for name, part in parts.items():
            x = part(x)
            if name != "maxpool":
                found[name if name.startswith("layer") else "stem"] = x
        return found

    def forward(x: Any) -> Any:
        *_, last = features(x).values()
        return fc(last.mean(dim=(2, 3)))

    made = module(forward, **parts, fc=fc)
    made.features = features
    return made


def rednet(blocks: Sequence[int], num_classes: int = 1000) -> Any:
    """Return a RedNet for photos."""
    from torch import nn

    norm = nn.BatchNorm2d(32)
    first = unit(3, 32, 3, 2), involution(32, 1, 3), norm, nn.ReLU(), unit(32, 64, 3)
    stem = {"stem": nn.Sequential(*first), "maxpool": nn.MaxPool2d(3, 2, 1)}
    return network(stem, blocks, lambda c, stride: involution(c, stride, 7), num_classes)
