"""The whole way of a photo through a layer: the animation of ``involution-edu demo``."""

from __future__ import annotations

from ....images import photo_to_x, x_to_photo
from ....models import pretrained
from ....models.salt_and_pepper import NOTE, with_salt_and_pepper
from ...picks import telling_pixel, varied_pixels
from ...recording import record
from ..frames import Film
from ..walk import film_of
from .subject import Subject


def overview(subject: Subject) -> Film:
    """Return the scene of one pixel step by step, then all of them, with trained kernels."""
    photo = with_salt_and_pepper(subject.photo, subject.seed)
    trace = record(pretrained("salt-and-pepper"), photo_to_x(photo))
    stops = varied_pixels(trace, telling_pixel(trace), 2, 3)
    return film_of(trace, photo, x_to_photo(trace.y), stops, NOTE)
