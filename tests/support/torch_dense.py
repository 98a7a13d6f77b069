"""The dense networks in PyTorch, under the names of mmdet and mmseg: layers, losses, autograd.

Boxes that count, and the objects they belong to, are taken from ours: no gradient passes there.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from involution_edu.arrays import Array
from involution_edu.bench import torch_networks
from involution_edu.bench.torch_networks import module, unit
from involution_edu.models import dense
from involution_edu.models.dense import rcnn_heads
from involution_edu.models.dense.boxes import IGNORED, NEGATIVE, assign, encode


def backbone(channels: int) -> Any:
    """Return the twin of `dense_cases.backbone`, without its classifier."""

    def spatial(c: int, stride: int) -> Any:
        return torch_networks.involution(c, stride, 3, 4, 2)

    stem = {"stem": unit(3, channels, 3)}
    made = torch_networks.network(stem, (1, 1, 1, 1), spatial, 1, channels, channels)
    del made.fc
    return made


def conv(c: int, o: int, k: int = 1, stride: int = 1, *, norm: bool = False) -> Any:
    """Return a module ``conv``, with ``bn`` and ReLU if ``norm``."""
    if norm:
        return unit(c, o, k, stride)
    return nn.Sequential(OrderedDict(conv=nn.Conv2d(c, o, k, stride, k // 2)))


def spatial_layer(kind: str, channels: int) -> Any:
    if kind == "conv":
        return conv(channels, channels, 3)
    return torch_networks.involution(channels, 1, 7)


def fpn(in_channels: list[int], channels: int, kind: str, extra: str, levels: int) -> Any:
    lateral = nn.ModuleList(conv(c, channels) for c in in_channels)
    convs = nn.ModuleList(spatial_layer(kind, channels) for _ in in_channels)
    more = levels - len(in_channels)
    if extra == "conv":
        convs.extend(conv(c, channels, 3, 2) for c in [in_channels[-1], channels][:more])

    def forward(features: list[Any]) -> list[Any]:
        sums = [layer(x) for layer, x in zip(lateral, features, strict=True)]
        for i in range(len(sums) - 1, 0, -1):
            sums[i - 1] = sums[i - 1] + functional.interpolate(sums[i], size=sums[i - 1].shape[2:])
        out = [layer(x) for layer, x in zip(convs, sums, strict=False)]
        source = features[-1]
        for i in range(more):
            if extra == "conv":
                source = convs[len(sums) + i](source)
                out.append(source)
            else:
                out.append(functional.max_pool2d(out[-1], 1, stride=2))
        return out

    return module(forward, lateral_convs=lateral, fpn_convs=convs)


def bilinear(x: Any, size: Any) -> Any:
    return functional.interpolate(x, size=size, mode="bilinear", align_corners=False)


def fpn_head(levels: int, c: int, channels: int, classes: int) -> Any:
    heads = []
    for level in range(levels):
        steps: list[Any] = []
        for step in range(max(level, 1)):
            steps.append(unit(c if step == 0 else channels, channels, 3))
            if level:
                steps.append(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
        heads.append(nn.Sequential(*steps))
    scale_heads, conv_seg = nn.ModuleList(heads), nn.Conv2d(channels, classes, 1)

    def forward(inputs: list[Any]) -> Any:
        y = scale_heads[0](inputs[0])
        for head, x in zip(scale_heads[1:], inputs[1:], strict=True):
            y = y + bilinear(head(x), y.shape[2:])
        return conv_seg(y)

    return module(forward, scale_heads=scale_heads, conv_seg=conv_seg)


def uper_head(in_channels: list[int], channels: int, classes: int) -> Any:
    last = in_channels[-1]
    psp = nn.ModuleList(
        nn.Sequential(nn.AdaptiveAvgPool2d(s), unit(last, channels)) for s in (1, 2, 3, 6)
    )
    bottleneck = unit(last + 4 * channels, channels, 3)
    lateral = nn.ModuleList(unit(c, channels) for c in in_channels[:-1])
    convs = nn.ModuleList(unit(channels, channels, 3) for _ in in_channels[:-1])
    fpn_bottleneck = unit(len(in_channels) * channels, channels, 3)
    conv_seg = nn.Conv2d(channels, classes, 1)

    def forward(features: list[Any]) -> Any:
        top = features[-1]
        pooled = [bilinear(pool(top), top.shape[2:]) for pool in psp]
        sums = [layer(x) for layer, x in zip(lateral, features, strict=False)]
        sums.append(bottleneck(torch.cat([top, *pooled], dim=1)))
        for i in range(len(sums) - 1, 0, -1):
            sums[i - 1] = sums[i - 1] + bilinear(sums[i], sums[i - 1].shape[2:])
        out = [layer(x) for layer, x in zip(convs, sums, strict=False)] + [sums[-1]]
        out = [bilinear(y, sums[0].shape[2:]) for y in out]
        return conv_seg(fpn_bottleneck(torch.cat(out, dim=1)))

    children = {"psp_modules": psp, "bottleneck": bottleneck, "lateral_convs": lateral}
    children |= {"fpn_convs": convs, "fpn_bottleneck": fpn_bottleneck, "conv_seg": conv_seg}
    return module(forward, **children)


def rows(level: Any, columns: int) -> Any:
    """Turn (N, A * columns, H, W) into (N, H * W * A, columns)."""
    return level.permute(0, 2, 3, 1).reshape(len(level), -1, columns)


def retina_head(channels: int, classes: int, convs: int) -> Any:
    def tower() -> Any:
        made = (conv(channels, channels, 3) for _ in range(convs))
        return nn.Sequential(*(nn.Sequential(*made_, nn.ReLU()) for made_ in made))

    def named(made: Any) -> Any:  # Sequential(conv, ReLU) has the names 0, 1; need conv
        steps = (nn.Sequential(OrderedDict(conv=step[0], relu=step[1])) for step in made)
        return nn.Sequential(*steps)

    cls_convs, reg_convs = named(tower()), named(tower())
    cls, reg = (nn.Conv2d(channels, 9 * n, 3, 1, 1) for n in (classes, 4))

    def forward(levels: list[Any]) -> Any:
        found = []
        for x in levels:
            pair = rows(cls(cls_convs(x)), classes), rows(reg(reg_convs(x)), 4)
            found.append(torch.cat(pair, dim=2))
        return torch.cat(found, dim=1)

    return module(forward, cls_convs=cls_convs, reg_convs=reg_convs, retina_cls=cls, retina_reg=reg)


def rpn_head(channels: int, kind: str) -> Any:
    layer = spatial_layer(kind, channels)
    layer = layer.conv if kind == "conv" else layer
    cls, reg = nn.Conv2d(channels, 3, 1), nn.Conv2d(channels, 12, 1)

    def forward(levels: list[Any]) -> Any:
        shared = [functional.relu(layer(x)) for x in levels]
        return torch.cat([torch.cat([rows(cls(x), 1), rows(reg(x), 4)], 2) for x in shared], 1)

    return module(forward, rpn_conv=layer, rpn_cls=cls, rpn_reg=reg)


def box_head(channels: int, hidden: int, classes: int) -> Any:
    fcs = nn.ModuleList([nn.Linear(channels * 49, hidden), nn.Linear(hidden, hidden)])
    cls, reg = nn.Linear(hidden, classes + 1), nn.Linear(hidden, 4 * classes)

    def forward(x: Any) -> Any:
        x = x.flatten(1)
        for fc in fcs:
            x = functional.relu(fc(x))
        return torch.cat([cls(x), reg(x)], dim=1)

    return module(forward, shared_fcs=fcs, fc_cls=cls, fc_reg=reg)


def mask_head(channels: int, classes: int, kind: str) -> Any:
    steps: list[Any] = []
    for _ in range(4):
        layer = spatial_layer(kind, channels)
        if kind == "conv":
            steps.append(nn.Sequential(OrderedDict(conv=layer.conv, relu=nn.ReLU())))
        else:
            steps.append(nn.Sequential(layer, nn.ReLU()))
    convs, up = nn.Sequential(*steps), nn.ConvTranspose2d(channels, channels, 2, 2)
    logits = nn.Conv2d(channels, classes, 1)

    def forward(x: Any) -> Any:
        return logits(functional.relu(up(convs(x))))

    return module(forward, convs=convs, upsample=up, conv_logits=logits)


def roi_align(x: Any, boxes: Array, images: Array, size: int, scale: float) -> Any:
    """Sample every point of every bin bilinearly, by the definition."""
    _, _, h, w = x.shape
    found = []
    for (x0, y0, x1, y1), image in zip(boxes * scale - 0.5, images, strict=True):
        rows_, columns = int(np.ceil((y1 - y0) / size)), int(np.ceil((x1 - x0) / size))
        y = y0 + (np.arange(size * rows_) + 0.5) * (y1 - y0) / (size * rows_)
        z = x0 + (np.arange(size * columns) + 0.5) * (x1 - x0) / (size * columns)
        yy, xx = (a.ravel() for a in np.meshgrid(y, z, indexing="ij"))
        inside = (yy >= -1) & (yy <= h) & (xx >= -1) & (xx <= w)
        yy, xx = yy.clip(0, h - 1), xx.clip(0, w - 1)
        low_y, low_x = yy.astype(int), xx.astype(int)
        high_y, high_x = np.minimum(low_y + 1, h - 1), np.minimum(low_x + 1, w - 1)
        fy, fx = (torch.tensor(a, dtype=x.dtype) for a in (yy - low_y, xx - low_x))
        a = x[int(image)]
        top = a[:, low_y, low_x] * (1 - fx) + a[:, low_y, high_x] * fx
        low = a[:, high_y, low_x] * (1 - fx) + a[:, high_y, high_x] * fx
        values = (top * (1 - fy) + low * fy) * torch.tensor(inside, dtype=x.dtype)
        values = values.view(-1, size, rows_, size, columns)
        found.append(values.mean(dim=(2, 4)))
    return torch.stack(found) if found else x.new_zeros(0, x.shape[1], size, size)


def anchor_losses(head: Any, y: Any, targets: list[dense.Objects]) -> Any:
    """Return the loss of a head on anchors, with all anchors sampled; `head` is ours."""
    anchors, k, total = np.concatenate(head.anchors), head.classes, 0.0
    counted, positive = 0, 0
    for row, objects in zip(y, targets, strict=True):
        assigned = assign(anchors, objects.boxes, *head.overlaps)
        hit = assigned >= 0
        target = np.zeros((len(anchors), k))
        target[hit, objects.labels[assigned[hit]] if k > 1 else 0] = 1
        t = torch.tensor(target, dtype=y.dtype)
        logits = row[:, :k] * (2 * t - 1)  # of the probability that is given to the target
        alpha = (0.25 * t + 0.75 * (1 - t)) if head.gamma else 1.0
        wrong = torch.sigmoid(-logits)
        terms = -alpha * wrong**head.gamma * functional.logsigmoid(logits)
        total = total + terms[torch.tensor(assigned != IGNORED)].sum()
        deltas = torch.tensor(encode(anchors[hit], objects.boxes[assigned[hit]]), dtype=y.dtype)
        total = total + (row[torch.tensor(hit), k:] - deltas).abs().sum()
        positive += int(hit.sum())
        counted += int((hit | (assigned == NEGATIVE)).sum())
    return total / max(positive if head.gamma else counted, 1)


def second_losses(ours: Any, twin: Any, levels: list[Any], targets: list[dense.Objects]) -> Any:
    """Return the loss of the second stage for the boxes that ours has sampled."""
    boxes, images, found = ours.sampled
    head, k = twin.roi_head, ours.roi_head.classes

    def align(part: Any, size: int) -> Any:
        out = [None] * len(boxes[part])
        side = np.sqrt(
            (boxes[part][:, 2] - boxes[part][:, 0]) * (boxes[part][:, 3] - boxes[part][:, 1])
        )
        wanted = np.clip(
            np.floor(np.log2(side / rcnn_heads.FINEST_SIZE + 1e-6)), 0, ours.roi_head.levels - 1
        )
        for i, level in enumerate(wanted.astype(int)):
            box, image = boxes[part][i : i + 1], images[part][i : i + 1]
            out[i] = roi_align(levels[level], box, image, size, 1 / (ours.stride << level))[0]
        return torch.stack(out)

    hit = np.flatnonzero(found >= 0)
    object_boxes = np.concatenate([a.boxes for a in targets])[found[hit]]
    label = np.concatenate([a.labels for a in targets])[found[hit]].astype(int)
    labels = np.full(len(boxes), k)
    labels[hit] = label
    y = head.bbox_head(align(slice(None), 7))
    total = functional.cross_entropy(y[:, : k + 1], torch.tensor(labels))
    deltas = y[:, k + 1 :].view(-1, k, 4)[torch.tensor(hit), torch.tensor(label)]
    wanted = torch.tensor(encode(boxes[hit], object_boxes, (0.1, 0.1, 0.2, 0.2)), dtype=y.dtype)
    total = total + (deltas - wanted).abs().sum() / len(boxes)
    if ours.masks and len(hit):
        logits = head.mask_head(align(hit, 14))[torch.arange(len(hit)), torch.tensor(label)]
        masks = torch.tensor(np.concatenate([a.masks for a in targets])[:, None], dtype=y.dtype)
        inside = (roi_align(masks, boxes[hit], found[hit], 28, 1.0)[:, 0] >= 0.5).to(y.dtype)
        total = total + functional.binary_cross_entropy_with_logits(logits, inside)
    return total
