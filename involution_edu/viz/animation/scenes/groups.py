"""Groups: each kernel is shared by the channels of its group."""

from __future__ import annotations

from collections.abc import Iterator

from ....nn import Conv2d, Involution2d
from ...palette import ACCENT, LINE, MUTED, limit_of
from ...picks import maximum_inside
from ...recording import record
from ..canvas import Canvas, Frame
from .scene import END, SLOW, STEP, Grid, Scene
from .subject import Subject, with_statistics_of

CHANNELS, GROUPS = 6, 2
TOP, PITCH = 152, 80  # rows of the canvas: the middle of the first channel, and to the next
SMALL = 22  # rows and columns of the canvas for a tap of a window


class Groups(Scene):
    """One pixel of a layer with groups: two kernels, shared by six channels."""

    name = "groups"
    title = "Groups: channels share kernels"
    caption = (
        "The channels of a group share a kernel. The groups are contiguous: channel c belongs to "
        "group c // C_g."
    )
    note = "Random weights, not trained; a random 3×3 convolution makes six channels of the photo."

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        features = Conv2d(3, CHANNELS, 3, padding="same", rng=subject.seed)
        layer = Involution2d(CHANNELS, 3, groups=GROUPS, reduction=2, rng=subject.seed)
        layer = with_statistics_of(layer, features(subject.x))
        self.trace = trace = record(layer, features(subject.patch))
        geom, K = trace.geom, trace.geom.window
        strength = (trace.kernel[0] ** 2).sum(axis=(1, 2)).min(axis=0)  # of the weaker group
        # Off the border, where the photo is large enough: a window without zeros is clearer.
        border = (min(1, (n - 1) // 2) for n in strength.shape)
        self.pixel = i, j = maximum_inside(strength, *border)
        rows = [TOP + PITCH * c + 20 * (c // geom.C_g) for c in range(geom.C)]
        arrays = trace.x, trace.kernel, trace.products(i, j)
        self.limits = limit, kernel_limit, product_limit = [limit_of(a) for a in arrays]
        self.channels = [Grid((96, y), geom.H, geom.W, 10, limit) for y in rows]
        self.windows = [Grid((222, y), *K, SMALL, limit) for y in rows]
        middles = [sum(rows[g * geom.C_g : (g + 1) * geom.C_g]) // geom.C_g for g in range(geom.G)]
        self.kernels = [Grid((440, y), *K, 40, kernel_limit) for y in middles]
        self.products = [Grid((664, y), *K, SMALL, product_limit) for y in rows]
        self.outputs = [Grid((800, y), 1, 1, (60, 34), limit_of(trace.y)) for y in rows]

    def draw_background(self, canvas: Canvas) -> None:
        """Draw the channels and the scales."""
        super().draw_background(canvas)
        canvas.text((96, TOP - 46), "input x", 15, bold=True, anchor="ms")
        for c, grid in enumerate(self.channels):
            grid.draw(canvas, self.trace.x[0, c])
            canvas.text((grid.corner[0] - 8, grid.middle[1]), f"{c}", 14, bold=True, anchor="rm")
            grid.mark(canvas, *self.pixel)
        names = "x", "kernels", "products"
        for x, name, limit in zip((300, 412, 524), names, self.limits, strict=True):
            canvas.text((x + 42, 580), name, 12, colour=MUTED, anchor="ms")
            canvas.colour_bar((x, 586), (85, 7), limit, 10)

    def draw(self, canvas: Canvas, step: int, done: int) -> None:
        """Draw the windows (step 1), groups (2), kernels (3), and ``done`` channels' outputs."""
        trace, geom, (i, j) = self.trace, self.trace.geom, self.pixel
        canvas.text((222, TOP - 46), "windows", 15, bold=True, anchor="ms")
        for c, grid in enumerate(self.windows):
            g, r = divmod(c, geom.C_g)
            grid.draw(canvas, trace.patches[0, g, r, i, j])
        if step >= 2:
            for g in range(geom.G):
                first, last = self.channels[g * geom.C_g], self.channels[(g + 1) * geom.C_g - 1]
                box = first.corner[0] - 26, first.corner[1] - 8, 268, last.bottom + 7
                canvas.pen.rectangle(box, outline=MUTED)
                canvas.text((box[0] - 6, (box[1] + box[3]) // 2), f"g={g}", 12, anchor="rm")
        if step >= 3:
            canvas.text((440, TOP - 46), "one kernel for each group", 15, bold=True, anchor="ms")
            for g, grid in enumerate(self.kernels):
                grid.draw(canvas, trace.kernels[0, g, i, j], digits=2)
                canvas.text((grid.middle[0], grid.corner[1] - 8), f"kernel {g}", 13, anchor="ms")
        for x, title in ((664, "kernel × window"), (800, "sums")) if done else ():
            canvas.text((x, TOP - 46), title, 15, bold=True, anchor="ms")
        for c in range(done):
            g, r = divmod(c, geom.C_g)
            kernel, product, output = self.kernels[g], self.products[c], self.outputs[c]
            y, colour = product.middle[1], ACCENT if c == done - 1 < geom.C - 1 else LINE
            line = kernel.right + 8, kernel.middle[1], product.corner[0] - 8, y
            canvas.pen.line(line, fill=colour, width=2)
            product.draw(canvas, trace.products(i, j)[0, g, r])
            canvas.arrow((product.right + 8, y), (output.corner[0] - 8, y))
            output.draw(canvas, trace.y[0, c, i, j].reshape(1, 1), digits=2)
            canvas.text((output.right + 10, y), f"y[0, {c}]", 13, colour=MUTED, anchor="lm")

    def frames(self) -> Iterator[Frame]:
        """Yield the windows, the groups and the kernels, then the channels one by one."""
        geom = self.trace.geom
        C, G, C_g, taps = geom.C, geom.G, geom.C_g, geom.window[0] * geom.window[1]
        captions = (
            f"Six channels, one pixel: a window in each. C = {C}.",
            f"Channel c is in group g = c // C_g = c // {C_g}: neighbours share a group.",
            f"The pixel makes G = {G} kernels, {G}·{taps} = {G * taps} numbers.",
        )
        for step, caption in enumerate(captions, start=1):
            yield self.frame(caption, SLOW, step, 0)
        for c in range(C):
            caption = f"Kernel {c // C_g} is broadcast to channel {c}: multiply and sum."
            yield self.frame(caption, STEP, 3, c + 1)
        end = f"{C} channels, {G} kernels. The Keras example takes c % G instead: another layer."
        yield self.frame(end, END, 3, C)
