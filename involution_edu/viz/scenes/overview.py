"""The whole way of a photo through a layer: the animation of ``involution-edu demo``."""

from __future__ import annotations

from ..animation import film_of
from ..film import Film
from ..recording import record
from ..trace import varied_pixels
from .generate import strongest
from .subject import Subject

WINDOW = 5


def overview(subject: Subject) -> Film:
    """Return the scene of one pixel step by step, then all of them."""
    trace = record(subject.layer(WINDOW), subject.x)
    return film_of(trace, subject.photo, varied_pixels(trace, strongest(trace), 2, 3))
