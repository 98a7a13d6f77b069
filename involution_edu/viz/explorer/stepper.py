"""Frames to step through in a notebook, at the reader's own speed."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from ...images import Photo
from .page import base64_of, filled, framed


class Stepper:
    """Pictures with captions, one at a time, with a slider and buttons.

    It shows itself in a notebook, also in one that was saved, converted or has no kernel.

    Parameters
    ----------
    frames : sequence of ndarrays, shape (rows, columns, 3), uint8
    captions : sequence of str
        Plain text, one for each frame.
    height : int
        Of the frame in a notebook, in CSS pixels.

    Raises
    ------
    ValueError
        If there are no frames, or not as many captions.

    Examples
    --------
    >>> import numpy as np
    >>> frames = [np.full((8, 8, 3), grey, np.uint8) for grey in (0, 255)]
    >>> stepper = Stepper(frames, ["night", "day"])
    >>> stepper.html.startswith("<!doctype html>")
    True
    """

    def __init__(
        self, frames: Sequence[Photo], captions: Sequence[str], *, height: int = 640
    ) -> None:
        if not frames:
            raise ValueError("frames is empty; need one or more")
        if len(captions) != len(frames):
            raise ValueError(f"captions has {len(captions)} texts; need {len(frames)}, as frames")
        self.height = height
        shown = [
            {"picture": f"data:image/png;base64,{base64_of(_png(frame))}", "caption": caption}
            for frame, caption in zip(frames, captions, strict=True)
        ]
        self.html = filled("stepper", ["stepper"], {"frames": shown}, "Frames")

    def _repr_html_(self) -> str:
        return framed(self.html, "Frames", self.height)


def _png(frame: Photo) -> bytes:
    from PIL import Image

    stream = BytesIO()
    Image.fromarray(frame).save(stream, "PNG", optimize=True)
    return stream.getvalue()
