"""The presets: shapes, peers and networks to be timed. C_g = 16 everywhere, as in RedNet."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..geometry import Geometry, make_geometry

THREADS = "threads"
OURS, THEIRS = "involution_edu", "torch eager"  # the contenders of whole networks, and their tasks
INFERENCE, TRAINING = "inference", "training step"
COMPILED, JAX = "torch.compile", "jax jit"


@dataclass(frozen=True, slots=True)
class Batch:
    """One task of a RedNet of ``depth`` layers, on images of ``size`` rows and columns."""

    depth: int
    size: tuple[int, int]
    images: int
    task: str

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the images, (N, 3, H, W)."""
        return self.images, 3, *self.size


Case = tuple[Any, np.dtype[Any]]  # a Geometry or a Batch, and the dtype
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)


def square(images: int, channels: int, size: int, window: int) -> Geometry:
    """Return the geometry of ``images`` square images under square windows, C_g = 16."""
    return make_geometry((images, channels, size, size), channels // 16, window)


def label(size: Geometry | Batch) -> str:
    """Return the name of a shape."""
    if isinstance(size, Batch):
        return f"RedNet-{size.depth}, {' × '.join(map(str, size.shape))}"
    k_h, k_w = size.window
    return f"{' × '.join(map(str, size.x_shape))}, K = {k_h if k_h == k_w else size.window}"


@dataclass(frozen=True, slots=True)
class Sweep:
    """One size varied, all else fixed: time should scale with its power ``theory``."""

    axis: str
    points: tuple[tuple[int, Geometry], ...]
    theory: int


@dataclass(frozen=True, slots=True)
class Preset:
    """The meaning of one value of ``--preset``."""

    shapes: tuple[Geometry, ...] = ()
    dtypes: tuple[str, ...] = ("float32",)
    peers: tuple[str, ...] = ()  # where they are installed
    scaling: bool = False  # whether sizes and threads are varied
    batches: tuple[Batch, ...] = ()  # tasks of a whole network
    rounds: int = 12  # maximum of turns
    on_gpu: bool = False

    @property
    def cases(self) -> list[Case]:
        """All shapes, each in all dtypes."""
        return [(geom, np.dtype(dtype)) for geom in self.shapes for dtype in self.dtypes]


# The involutions of RedNet-50 in its four stages and its stem, for eight images of 224 x 224.
STAGES = tuple(square(8, c, s, 7) for c, s in ((64, 56), (128, 28), (256, 14), (512, 7)))
FIVE = (*STAGES, square(8, 32, 112, 3))
REDNET50 = (*FIVE, square(1, 64, 56, 7), square(1, 64, 224, 7))
TIMED = (1, INFERENCE), (8, INFERENCE), (8, TRAINING)  # images and task
WHOLE = tuple(Batch(50, (224, 224), images, task) for images, task in TIMED)


def sweeps(threads: int) -> tuple[Sweep, ...]:
    """Return the sweeps over sizes and over 1 to ``threads`` threads."""
    return (
        Sweep("H·W", tuple((s * s, square(1, 64, s, 7)) for s in (14, 28, 56, 112, 224)), 1),
        Sweep("K", tuple((k, square(1, 64, 56, k)) for k in (3, 5, 7, 9, 11)), 2),
        Sweep("C", tuple((c, square(1, c, 56, 7)) for c in (16, 32, 64, 128, 256, 512)), 1),
        Sweep(THREADS, tuple((t, STAGES[0]) for t in range(1, threads + 1)), -1),
    )


BOTH_PEERS = THEIRS, COMPILED
ALL_PEERS = *BOTH_PEERS, JAX
GPU_SHAPES = tuple(replace(geom, N=64) for geom in STAGES)
PRESETS = {
    "rednet50": Preset(REDNET50, peers=ALL_PEERS),
    "quick": Preset((square(1, 64, 28, 7), square(1, 32, 56, 3)), peers=(THEIRS,), rounds=3),
    "scaling": Preset(scaling=True),
    "networks": Preset(batches=WHOLE),
    "all": Preset(REDNET50, peers=ALL_PEERS, scaling=True, batches=WHOLE),
    "gpu": Preset(GPU_SHAPES, ("float32", "float16"), BOTH_PEERS, on_gpu=True),
}
