"""The scenes of ``involution-edu animate``: one table, `SCENES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ....arguments import ArgumentError
from ..frames import Film
from .backward import backward
from .fixed_size import fixed_size
from .generate import generate
from .groups import groups
from .multiply import multiply
from .overview import overview
from .sizes import sizes
from .sliding import convolution, involution
from .subject import SEED, Subject
from .training import training

__all__ = ["SCENES", "SEED", "Scene", "Subject", "scene_of"]


@dataclass(frozen=True, slots=True)
class Scene:
    """A row of the table.

    Attributes
    ----------
    name : str
        As typed on the command line.
    title : str
    caption : str
        What it shows, for the gallery.
    film : callable
        Makes its frames from a `Subject`.
    """

    name: str
    title: str
    caption: str
    film: Callable[[Subject], Film]


SCENES = (
    Scene(
        "overview",
        "The whole way",
        "A window slides over a photo with black and white specks. The pixel in its middle makes a "
        "kernel from its own three numbers, the kernel is multiplied with the window, and the sum "
        "becomes one pixel of the output. The layer was trained to remove the specks.",
        overview,
    ),
    Scene(
        "convolution",
        "Convolution",
        "One kernel slides over the whole image. Here it finds edges, and it does so everywhere.",
        convolution,
    ),
    Scene(
        "fixed-size",
        "Why not store a kernel for every pixel?",
        "Kernels that are stored for the pixels of one size have nothing for those of another. "
        "Involution makes them from the pixels, with a few weights.",
        fixed_size,
    ),
    Scene(
        "generate",
        "How a pixel makes its kernel",
        "Four stages: the pixel's 1×1×C features, reduce, span, and a reshape to K×K. Two 1×1 "
        "convolutions do all the work; no neighbour is looked at.",
        generate,
    ),
    Scene(
        "multiply",
        "Multiply and sum",
        "The kernel is multiplied with the window, place by place, and the products are added up: "
        "over the window only, never across channels.",
        multiply,
    ),
    Scene(
        "groups",
        "Groups",
        "The channels of a group share a kernel. The groups are contiguous: channel c belongs to "
        "group c // C_g.",
        groups,
    ),
    Scene(
        "involution",
        "Involution",
        "The output fills in. Compare it with the convolution: at every pixel the kernel is "
        "another.",
        involution,
    ),
    Scene(
        "sizes",
        "Stride, dilation and padding",
        "Which pixels an output reads, and how many outputs there are, from one rule.",
        sizes,
    ),
    Scene(
        "backward",
        "Backward",
        "x is used twice, so the gradient comes back on two paths: through the window and through "
        "the kernel. dx is their sum.",
        backward,
    ),
    Scene(
        "training",
        "Training",
        "A layer of 5×5 kernels learns to take specks off a photo. At first its kernels are random; in "
        "the end, what may be a speck is taken from the neighbours.",
        training,
    ),
)


def scene_of(name: str) -> Scene:
    """Return the scene of that name.

    Raises
    ------
    ValueError
        If there is none.
    """
    for scene in SCENES:
        if scene.name == name:
            return scene
    raise ArgumentError("scene", f"is {name!r}", f"one of {', '.join(s.name for s in SCENES)}")
