"""The presets: shapes, peers and networks to be timed. C_g = 16 everywhere, as in RedNet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..geometry import Geometry, make_geometry

CHANNELS_PER_GROUP = 16
THREADS = "threads"
OURS, INFERENCE, TRAINING = "involution_edu", "inference", "training step"  # of whole networks


Case = tuple[Geometry, np.dtype[Any]]


def square(images: int, channels: int, size: int, window: int) -> Geometry:
    """Return the geometry of ``images`` square images under square windows."""
    shape = images, channels, size, size
    return make_geometry(shape, channels // CHANNELS_PER_GROUP, window)


def label(geom: Geometry) -> str:
    """Return the name of a shape.

    Examples
    --------
    >>> label(square(8, 64, 56, 7))
    '8 × 64 × 56 × 56, K = 7'
    """
    k_h, k_w = geom.window
    return f"{' × '.join(map(str, geom.x_shape))}, K = {k_h if k_h == k_w else geom.window}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """One size varied, all else fixed: time should scale with its power ``theory``."""

    axis: str
    points: tuple[tuple[int, Geometry], ...]
    theory: int


@dataclass(frozen=True, slots=True)
class Networks:
    """A RedNet of ``depth`` layers on images of ``size`` x ``size`` pixels.

    ``cases`` are (images, task), a task being `INFERENCE` or `TRAINING`.
    """

    depth: int
    size: int
    cases: tuple[tuple[int, str], ...]

    @property
    def label(self) -> str:
        """The name of the network, and the size of its images."""
        return f"RedNet-{self.depth}, {self.size} × {self.size}"


@dataclass(frozen=True, slots=True)
class Preset:
    """The meaning of one value of ``--preset``.

    Every contender is timed on all ``shapes`` in all ``dtypes``, for a maximum of ``rounds``
    turns; ``peers`` take part where PyTorch is installed. With ``scaling``, sizes and threads are
    varied. ``networks`` is a whole network.
    """

    shapes: tuple[Geometry, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    peers: tuple[str, ...] = ()
    scaling: bool = False
    networks: Networks | None = None
    rounds: int = 12
    on_gpu: bool = False

    @property
    def cases(self) -> list[Case]:
        """All shapes, each in all dtypes."""
        return [(geom, np.dtype(dtype)) for geom in self.shapes for dtype in self.dtypes]


# The involutions of RedNet-50 in its four stages and its stem, for eight images of 224 x 224.
STAGES = (
    square(8, 64, 56, 7),
    square(8, 128, 28, 7),
    square(8, 256, 14, 7),
    square(8, 512, 7, 7),
)
FIVE = (*STAGES, square(8, 32, 112, 3))
SINGLE = (square(1, 64, 56, 7), square(1, 64, 224, 7))
REDNET50 = (*FIVE, *SINGLE)


WHOLE = Networks(50, 224, ((1, INFERENCE), (8, INFERENCE), (8, TRAINING)))


def sweeps(threads: int) -> tuple[Sweep, ...]:
    """Return the sweeps over sizes and over 1 to ``threads`` threads."""
    return (
        Sweep("H·W", tuple((s * s, square(1, 64, s, 7)) for s in (14, 28, 56, 112, 224)), 1),
        Sweep("K", tuple((k, square(1, 64, 56, k)) for k in (3, 5, 7, 9, 11)), 2),
        Sweep("C", tuple((c, square(1, c, 56, 7)) for c in (16, 32, 64, 128, 256, 512)), 1),
        Sweep(THREADS, tuple((t, STAGES[0]) for t in range(1, threads + 1)), -1),
    )


BOTH_PEERS = "torch eager", "torch.compile"
PRESETS = {
    "rednet50": Preset(REDNET50, peers=BOTH_PEERS),
    "quick": Preset((square(1, 64, 28, 7), square(1, 32, 56, 3)), peers=("torch eager",), rounds=3),
    "scaling": Preset(scaling=True),
    "networks": Preset(networks=WHOLE),
    "all": Preset(REDNET50, peers=BOTH_PEERS, scaling=True, networks=WHOLE),
    "gpu": Preset(
        tuple(replace(geom, N=64) for geom in STAGES),
        ("float32", "float16"),
        BOTH_PEERS,
        on_gpu=True,
    ),
}
