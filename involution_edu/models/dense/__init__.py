"""Networks of the paper for detection and segmentation, on a RedNet or a ResNet.

>>> import numpy as np
>>> from involution_edu import models
>>> sorted(models.dense.DENSE)[:3]
['faster_rcnn_conv_conv', 'faster_rcnn_inv_conv', 'faster_rcnn_inv_inv']
"""

from collections.abc import Callable, Iterator

from ..rednet import MODELS
from .boxes import Detections, Objects
from .fpn import FPN
from .parts import DenseNetwork
from .rcnn import FasterRCNN, MaskRCNN
from .retina import RetinaNet
from .segmentors import SemanticFPN, UPerNet

__all__ = [
    "DENSE",
    "FPN",
    "DenseNetwork",
    "Detections",
    "FasterRCNN",
    "MaskRCNN",
    "Objects",
    "RetinaNet",
    "SemanticFPN",
    "UPerNet",
]

# Rows and columns of the images that published counts are for.
DETECTION_SIZE, SEGMENTATION_SIZE = (800, 1280), (1024, 2048)
NETWORKS: dict[str, tuple[Callable[..., DenseNetwork], tuple[str, ...], tuple[int, int]]] = {
    "faster_rcnn": (FasterRCNN, ("conv_conv", "inv_conv", "inv_inv"), DETECTION_SIZE),
    "mask_rcnn": (MaskRCNN, ("conv_conv", "inv_conv", "inv_inv"), DETECTION_SIZE),
    "retinanet": (RetinaNet, ("conv", "inv"), DETECTION_SIZE),
    "semantic_fpn": (SemanticFPN, ("conv", "inv"), SEGMENTATION_SIZE),
    "upernet": (UPerNet, ("",), SEGMENTATION_SIZE),
}
Maker = Callable[[], DenseNetwork]


def _table() -> Iterator[tuple[str, tuple[Maker, tuple[int, int]]]]:
    for name, (network, kinds, size) in NETWORKS.items():
        for kind in kinds:
            full = f"{name}_{kind}".rstrip("_")
            yield full, (_maker(network, "rednet50", kind), size)
        yield f"{name}_resnet50", (_maker(network, "resnet50", kinds[0]), size)


def _maker(network: Callable[..., DenseNetwork], backbone: str, kind: str) -> Maker:
    def make() -> DenseNetwork:
        options = dict(zip(("neck", "head"), kind.split("_"), strict=False)) if kind else {}
        return network(MODELS[backbone](1, rng=0), **options, rng=0)

    return make


# Makers of the networks of the paper, and the size of the images that it counts them for.
DENSE = dict(_table())
