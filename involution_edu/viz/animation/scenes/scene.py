"""Base class of the scenes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from ...palette import ACCENT, MUTED
from ..canvas import Canvas
from ..frames import Animation, Frame
from .subject import Subject

WIDTH, HEIGHT = 960, 640
SLOW, STEP, QUICK, END = 2400, 1200, 130, 4500  # milliseconds


class Scene(ABC):
    """One idea as an animation of numbers that were computed on a photo."""

    name: ClassVar[str]  # as typed on the command line
    title: ClassVar[str]  # line at the top of every frame
    note: ClassVar[str]  # line at the foot of every frame
    caption: ClassVar[str]  # description in the gallery
    height: ClassVar[int] = HEIGHT  # of the frames, in pixels
    shows_patch: ClassVar[bool] = True  # whether a small photo marks the patch that is used

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.photos = [subject.photo]  # whose colours the palette must hold

    @abstractmethod
    def frames(self) -> Iterator[Frame]:
        """Yield the frames in order."""

    @abstractmethod
    def draw(self, canvas: Canvas, *args: Any, **kwargs: Any) -> None:
        """Draw one frame on a copy of the background."""

    def frame(self, caption: str, milliseconds: int, *state: Any) -> Frame:
        """Return the frame that ``draw(canvas, *state)`` draws."""
        return Frame(caption, milliseconds, lambda canvas: self.draw(canvas, *state))

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the parts that all frames share: here title, note, and the patch in the photo."""
        canvas.text((32, 18), self.title, 26, bold=True)
        canvas.text((WIDTH // 2, self.height - 10), self.note, 12, colour=MUTED, anchor="ms")
        if self.shows_patch:
            photo, (i, j), (h, w) = self.subject.photo, self.subject.corner, self.subject.patch_size
            x, y = WIDTH - 32 - photo.shape[1], 14
            canvas.photo((x, y), photo, 1)
            canvas.pen.rectangle((x + j - 1, y + i - 1, x + j + w, y + i + h), outline=ACCENT)

    def animation(self) -> Animation:
        """Return the background and the frames."""
        background = Canvas(WIDTH, self.height)
        self.draw_background(background)
        return Animation(background, list(self.frames()), self.photos)
