"""Kernels of every stage of a trained RedNet, for one digit after the other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ....arrays import Array
from ....images import Photo
from ....models import pretrained
from ...measures import kernel_sum
from ...palette import MUTED, limit_of
from ...recording import involution_names, record
from ...trace import Trace
from ..canvas import Canvas, Frame, font
from .scene import END, Grid, Scene, kernel_field
from .subject import Subject

DIGITS = 2, 7, 5, 6, 3, 0
SIDE = 8  # rows and columns of a digit, as the network was trained on
PANEL, SUMS = 212, 160  # rows and columns of the canvas for kernels, and for their sums
MIDDLES = 132, 364, 596, 828  # of the digit and of the stages
MIDDLE, BELOW = 222, 486  # rows of the canvas: the middles of kernels and sums
GROUP = 0  # whose kernels are drawn


class Stages(Scene):
    """The trained network for digits reads one printed digit after the other."""

    name = "stages"
    title = "A network of involutions: kernels of every stage"
    caption = (
        "A small RedNet reads printed digits. In every stage each pixel has its own kernel, and "
        "another digit makes other kernels."
    )
    note = "The network 'digits', trained on handwriting. Kernels of the first group of each stage."
    shows_patch = False
    uses_photo = False

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        model = pretrained("digits")
        self.names = involution_names(model)
        self.digits = [digit(d) for d in DIGITS]
        self.traces = [[record(model, x, layer=name) for name in self.names] for x in self.digits]
        logits = np.concatenate([model(x) for x in self.digits])
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        self.scores = powers / powers.sum(axis=1, keepdims=True)
        every = [
            [trace.kernel[:, GROUP] for trace in stage] for stage in zip(*self.traces, strict=True)
        ]
        self.limits = [limit_of(np.stack(kernels)) for kernels in every]
        self.sum_limits = [limit_of(np.stack(kernels).sum(axis=(2, 3))) for kernels in every]

    def draw(self, canvas: Canvas, n: int) -> None:
        """Draw everything that the network makes of digit number ``n``."""
        size, scores = PANEL // SIDE, self.scores[n]
        source = Grid((MIDDLES[0], MIDDLE), SIDE, SIDE, size)
        source.title(canvas, "input: a printed digit")
        canvas.photo(source.corner, ink(self.digits[n]), size)
        canvas.text((MIDDLES[0], BELOW - 104), "the network reads", 15, bold=True, anchor="ms")
        canvas.text((MIDDLES[0], BELOW), f"{int(scores.argmax())}", 120, bold=True, anchor="mm")
        at = MIDDLES[0], BELOW + 86
        canvas.text(at, f"with {scores.max():.0%}", 15, colour=MUTED, anchor="ma")
        for stage, trace in enumerate(self.traces[n]):
            self.draw_stage(canvas, MIDDLES[1 + stage], stage, trace)

    def draw_stage(self, canvas: Canvas, x: int, stage: int, trace: Trace) -> None:
        """Draw the kernels of all pixels of a stage, and their sums."""
        kernels, (rows, columns) = trace.kernels[0, GROUP], (trace.geom.H_out, trace.geom.W_out)
        field = kernel_field(kernels, self.limits[stage], (PANEL // rows - 2) // len(kernels[0, 0]))
        canvas.photo((x - field.shape[1] // 2, MIDDLE - field.shape[0] // 2), field, 1)
        sums = Grid((x, BELOW), rows, columns, SUMS // rows, self.sum_limits[stage])
        sums.draw(canvas, kernel_sum(kernels), 1 if rows < SIDE else None)
        sums.scale(canvas)
        above, size = MIDDLE - PANEL // 2 - 10, f"{rows} × {columns} pixels, a kernel each"
        canvas.text((x, above), f"stage {stage + 1}", 15, bold=True, anchor="ms")
        canvas.text((x, MIDDLE + PANEL // 2 + 4), size, 13, colour=MUTED, anchor="ma")
        canvas.text((x, BELOW - SUMS // 2 - 10), "their sums", 15, bold=True, anchor="ms")
        canvas.arrow((x - PANEL // 2 - 14, MIDDLE), (x - PANEL // 2 - 2, MIDDLE))

    def frames(self) -> Iterator[Frame]:
        """Yield a frame for each digit."""
        caption = "Another digit, other kernels: in every stage each pixel makes its own."
        for n in range(len(self.digits)):
            yield self.frame(caption, END if n == len(self.digits) - 1 else 1500, n)


def digit(d: int) -> Array:
    """Return a printed digit, as the input (1, 1, 8, 8) of the network: 0 paper, 1 ink."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (2 * SIDE * SIDE, 2 * SIDE * SIDE))
    pen = ImageDraw.Draw(image)
    pen.text((SIDE * SIDE,) * 2, f"{d}", fill=255, font=font(SIDE * SIDE), anchor="mm")
    glyph = image.crop(image.getbbox())
    width = min(SIDE, round(glyph.width * SIDE / glyph.height))
    small = Image.new("L", (SIDE, SIDE))
    small.paste(glyph.resize((width, SIDE), Image.Resampling.BOX), ((SIDE - width) // 2, 0))
    return np.asarray(small, np.float32)[None, None] / 255


def ink(x: Array) -> Photo:
    """Return a digit (1, 1, H, W) as a photo, dark on white."""
    grey: Photo = np.rint(255 * (1 - x[0, 0])).astype(np.uint8)[..., None]
    return grey.repeat(3, axis=2)
