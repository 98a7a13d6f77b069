"""Hero: a convolution and an involution side by side on one photo, almost without words."""

from __future__ import annotations

from collections.abc import Iterator

from ....arguments import Pair
from ....arrays import Array
from ....images import Photo, decibels, photo_to_x, x_to_photo
from ....models import pretrained
from ....models.edge import with_noise
from ....models.one_kernel import best_one_kernel
from ...palette import INK, MUTED, PAPER
from ...picks import along_an_edge
from ...recording import record, record_operator
from ...strokes import lit, strokes
from ..canvas import Animation, Canvas, Frame, Point
from .scene import WIDTH, Scene
from .subject import Subject

PANEL, LEFTS = 448, (20, 492)  # side of a panel, and where the two begin
TOP, BELOW = 104, 44  # of the panels, and from them to the squares below
SQUARE, GAP = 126, 35  # side of a square, and room for the arrow to the next
LOOK = 21  # rows and columns of the photo that are seen enlarged
STEPS, WIPE = 24, 8  # frames
TITLES = ("convolution", "one kernel everywhere"), ("involution", "each pixel its own kernel")


class Hero(Scene):
    """The kernels of both over the photo, then both remove the noise: blurred against sharp."""

    name = "hero"
    title = "Convolution and involution"
    caption = (
        "Kernels drawn over a photo: a convolution has the same one everywhere, here the best for "
        "this photo; an involution makes one for each pixel, and they follow the edges. "
        "Then both remove noise from the photo: the convolution blurs it, the involution keeps it "
        "sharp."
    )
    note = ""
    side = 224
    shows_patch = False

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        clean = subject.photo
        self.noisy = with_noise(clean, subject.seed)
        own = record(pretrained("edge"), photo_to_x(self.noisy))
        shared = best_one_kernel(own.x, photo_to_x(clean), own.geom)
        self.traces = record_operator(own.x, shared), own
        self.results = [x_to_photo(trace.y) for trace in self.traces]
        self.psnr = [decibels(photo, clean) for photo in (self.noisy, *self.results)]
        self.size = clean.shape[0], clean.shape[1]
        self.zoom = max(1, PANEL // max(self.size))
        every = max(2, round(24 / self.zoom))
        self.fields = [
            strokes(clean, trace.kernels[0, 0], self.zoom, every) for trace in self.traces
        ]
        self.photos = [photo[::2, ::2] for photo in (*self.fields, self.noisy, *self.results)]
        self.way = along_an_edge(own.kernels[0, 0], STEPS)
        self.corners = [(x + (PANEL - self.size[1] * self.zoom) // 2, TOP) for x in LEFTS]
        self.squares = TOP + self.size[0] * self.zoom + BELOW  # their top

    def frames(self) -> Iterator[Frame]:
        """Yield the kernels, the window along an edge, and the noise that both remove."""
        first, *way = self.way
        yield self.frame("", 1500, first)
        for pixel in way:
            yield self.frame("", 130, pixel)
        columns = self.size[1]
        last = self.way[-1]
        for n in range(WIPE + 1):
            quick = 110 if 0 < n < WIPE else 900 if n == 0 else 3000
            yield self.frame("", quick, last, columns * n // WIPE)

    def animation(self) -> Animation:
        """Return the background and the frames."""
        height = self.squares + SQUARE + 22
        background = Canvas(WIDTH, height + height % 2)  # even, as a video needs
        self.draw_background(background)
        return Animation(self.title, background, list(self.frames()), self.photos)

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the titles, and what the squares below the photos are."""
        for left, (name, words) in zip(LEFTS, TITLES, strict=True):
            canvas.text((left, 8), name, 38, bold=True)
            canvas.text((left, 58), words, 28, colour=MUTED)
            for n, label in enumerate(("noisy", "kernel", "result")):
                x = left + n * (SQUARE + GAP)
                canvas.text((x + SQUARE // 2, self.squares - 9), label, 24, anchor="ms")
                if n:
                    y = self.squares + SQUARE // 2
                    canvas.arrow((x - GAP + 6, y), (x - 6, y))

    def draw(self, canvas: Canvas, pixel: Pair, cleared: int | None = None) -> None:
        """Draw the strokes, or the photo with that many columns without noise; and the squares."""
        for left, corner, trace, field, result, psnr in zip(
            LEFTS, self.corners, self.traces, self.fields, self.results, self.psnr[1:], strict=True
        ):
            if cleared is None:
                canvas.photo(corner, field, 1)
            else:
                photo = self.noisy.copy()
                photo[:, :cleared] = result[:, :cleared]
                canvas.photo(corner, photo, self.zoom)
                self._draw_psnr(canvas, corner, psnr if cleared == self.size[1] else self.psnr[0])
            self._draw_squares(canvas, left, corner, trace.kernels[0, 0][pixel], result, pixel)

    def _draw_squares(
        self, canvas: Canvas, left: int, corner: Point, kernel: Array, result: Photo, pixel: Pair
    ) -> None:
        look = min(LOOK, *self.size)
        top, first = (
            min(max(0, at - look // 2), n - look) for at, n in zip(pixel, self.size, strict=True)
        )
        canvas.ring(
            (corner[0] + first * self.zoom, corner[1] + top * self.zoom), (look * self.zoom,) * 2
        )
        seen = slice(top, top + look), slice(first, first + look)
        for n, part in enumerate((self.noisy[seen], lit(kernel), result[seen])):
            scale = SQUARE // max(part.shape[:2])
            x = left + n * (SQUARE + GAP) + (SQUARE - part.shape[1] * scale) // 2
            y = self.squares + (SQUARE - part.shape[0] * scale) // 2
            canvas.photo((x, y), part, scale)
            if n == 0:
                window = kernel.shape[0], kernel.shape[1]
                at = pixel[0] - top, pixel[1] - first
                canvas.outline((x, y), (look, look), scale, at, window)

    def _draw_psnr(self, canvas: Canvas, corner: Point, psnr: float) -> None:
        x, y = corner[0], corner[1] + self.size[0] * self.zoom
        canvas.pen.rectangle((x, y - 46, x + 138, y - 1), fill=INK)
        canvas.text((x + 69, y - 23), f"{psnr:.1f} dB", 28, bold=True, colour=PAPER, anchor="mm")
