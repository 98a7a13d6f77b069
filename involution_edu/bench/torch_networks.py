"""RedNet and ResNet in PyTorch, as their authors run them, under the names of their checkpoints.

Needs torch. The benchmark times our networks beside these, and the tests hold ours against them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from torch import nn

Spatial = Callable[[int, int], Any]  # of channels and stride: what mixes pixels in a block


def unit(channels: int, out_channels: int, k: int = 1, stride: int = 1) -> Any:
    """Return a convolution, its batch normalisation and a ReLU."""
    conv = nn.Conv2d(channels, out_channels, k, stride, k // 2, bias=False)
    bn = nn.BatchNorm2d(out_channels)
    return nn.Sequential(OrderedDict(conv=conv, bn=bn, relu=nn.ReLU(inplace=True)))


class Involution(nn.Module):  # type: ignore[misc]
    """Pool, reduce, span; unfold every window, multiply with the kernels, sum over the window.

    The pool rounds sizes up, where the authors' rounds down: at odd sizes theirs does not run.
    """

    def __init__(
        self, channels: int, stride: int, k: int, group_channels: int = 16, reduction: int = 4
    ) -> None:
        super().__init__()
        self.shape = channels // group_channels, group_channels, k * k
        hidden = channels // reduction
        self.pool = nn.AvgPool2d(stride, stride, ceil_mode=True) if stride > 1 else nn.Identity()
        self.conv1 = unit(channels, hidden)
        spanned = nn.Conv2d(hidden, self.shape[0] * k * k, 1)
        self.conv2 = nn.Sequential(OrderedDict(conv=spanned))
        self.unfold = nn.Unfold(k, 1, (k - 1) // 2, stride)

    def forward(self, x: Any) -> Any:
        """Return y (N, C, H_out, W_out)."""
        kernel = self.conv2(self.conv1(self.pool(x)))
        n, _, h, w = kernel.shape
        groups, group_channels, places = self.shape
        kernel = kernel.view(n, groups, 1, places, h, w)
        windows = self.unfold(x).view(n, groups, group_channels, places, h, w)
        return (kernel * windows).sum(dim=3).view(n, -1, h, w)


def convolution(channels: int, stride: int) -> Any:
    """Return the 3 x 3 convolution of ResNet."""
    return nn.Conv2d(channels, channels, 3, stride, 1, bias=False)


class Bottleneck(nn.Module):  # type: ignore[misc]
    """Narrow, mix pixels, widen; add the input or, where sizes change, a projection of it."""

    def __init__(self, in_channels: int, channels: int, stride: int, spatial: Spatial) -> None:
        super().__init__()
        out_channels = 4 * channels
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = spatial(channels, stride)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Any) -> Any:
        """Return y (N, 4 * channels, H_out, W_out)."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += self.downsample(x)
        return self.relu(y)


class Network(nn.Module):  # type: ignore[misc]
    """The stem, the stages of blocks, global average pooling and the classifier."""

    def __init__(
        self,
        stem: dict[str, Any],
        blocks: Sequence[int],
        spatial: Spatial,
        num_classes: int,
        channels: int = 64,
        in_channels: int = 64,
    ) -> None:
        super().__init__()
        stages: list[tuple[str, list[str]]] = [("stem", [n for n in stem if n != "maxpool"])]
        for name, module in stem.items():
            self.add_module(name, module)
        for i, count in enumerate(blocks):
            made = []
            for block in range(count):
                stride = 2 if i > 0 and block == 0 else 1
                made.append(Bottleneck(in_channels, channels << i, stride, spatial))
                in_channels = 4 * (channels << i)
            self.add_module(f"layer{i + 1}", nn.Sequential(*made))
            before = ["maxpool"] if i == 0 and "maxpool" in stem else []
            stages.append((f"layer{i + 1}", [*before, f"layer{i + 1}"]))
        self.stages = stages
        self.fc = nn.Linear(in_channels, num_classes)

    def features(self, x: Any) -> dict[str, Any]:
        """Return the output of the stem and of every stage, by name."""
        found = {}
        for stage, names in self.stages:
            for name in names:
                x = getattr(self, name)(x)
            found[stage] = x
        return found

    def forward(self, x: Any) -> Any:
        """Return logits (N, num_classes)."""
        *_, last = self.features(x).values()
        return self.fc(last.mean(dim=(2, 3)))


def rednet(blocks: Sequence[int], num_classes: int = 1000) -> Network:
    """Return a RedNet for photos."""
    stem = nn.Sequential(
        unit(3, 32, 3, 2), Involution(32, 1, 3), nn.BatchNorm2d(32), nn.ReLU(), unit(32, 64, 3)
    )
    pool = nn.MaxPool2d(3, 2, 1)
    return Network({"stem": stem, "maxpool": pool}, blocks, _seven, num_classes)


def _seven(channels: int, stride: int) -> Involution:
    return Involution(channels, stride, 7)


def resnet(blocks: Sequence[int], num_classes: int = 1000) -> Network:
    """Return a ResNet for photos, whose second 3 x 3 convolution has the stride of a stage."""
    stem = {
        "conv1": nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        "bn1": nn.BatchNorm2d(64),
        "relu": nn.ReLU(inplace=True),
        "maxpool": nn.MaxPool2d(3, 2, 1),
    }
    return Network(stem, blocks, convolution, num_classes)
