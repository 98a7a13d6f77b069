"""The whole way of a photo through a layer: the animation of ``involution-edu demo``."""

from __future__ import annotations

from ..animation import film_of
from ..film import Film
from ..palette import as_photo, limit_of
from ..recording import record
from ..trace import varied_pixels
from .generate import strongest
from .subject import Subject

WINDOW = 5
NOTE = "Random weights, not trained; in y, middle grey is 0."


def overview(subject: Subject) -> Film:
    """Return the scene of one pixel step by step, then all of them."""
    trace = record(subject.layer(WINDOW), subject.x)
    stops = varied_pixels(trace, strongest(trace), 2, 3)
    output = as_photo(trace.y[0], limit_of(trace.y))
    return film_of(trace, subject.photo, output, stops, NOTE)
