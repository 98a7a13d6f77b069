"""Scenes of ``involution-edu animate``: one idea a class, listed in the table `SCENES`."""

from __future__ import annotations

from .backward import Backward
from .fixed_size import FixedSize
from .generate import Generate
from .groups import Groups
from .hero import Hero
from .multiply import Multiply
from .scene import Scene
from .sizes import Sizes
from .sliding import Convolution, Involution
from .stages import Stages
from .subject import SEED, Subject
from .training import Training

__all__ = ["SCENES", "SEED", "Scene", "Subject"]

SCENES: dict[str, type[Scene]] = {
    scene.name: scene
    for scene in (
        *(Hero, Convolution, FixedSize, Generate, Multiply),
        *(Groups, Involution, Stages, Sizes, Backward, Training),
    )
}
