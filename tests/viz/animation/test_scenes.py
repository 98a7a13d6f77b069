"""Every number and colour of every frame is a recorded one, and the recorded ones are right."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from drawing import Drawing, drawn, watched
from numpy.testing import assert_allclose, assert_array_equal

import involution_edu as inv
from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.images import photo_to_x, x_to_photo
from involution_edu.models import pretrained
from involution_edu.models.salt_and_pepper import with_salt_and_pepper
from involution_edu.viz import OperatorTrace, involution_names, record, record_gradients
from involution_edu.viz.animation.canvas import CAPTION_SIZE, Animation, font, number
from involution_edu.viz.animation.scenes import SCENES, Subject
from involution_edu.viz.animation.scenes.backward import Backward
from involution_edu.viz.animation.scenes.fixed_size import LEFT, RIGHT, FixedSize
from involution_edu.viz.animation.scenes.generate import Generate
from involution_edu.viz.animation.scenes.groups import Groups
from involution_edu.viz.animation.scenes.multiply import Multiply
from involution_edu.viz.animation.scenes.scene import kernel_field
from involution_edu.viz.animation.scenes.sizes import Sizes
from involution_edu.viz.animation.scenes.sliding import Convolution, Involution, Sliding
from involution_edu.viz.animation.scenes.stages import DIGITS, MIDDLE, MIDDLES, Stages
from involution_edu.viz.animation.scenes.training import Training
from involution_edu.viz.palette import EMPTY, LINE, PAPER, diverging

NAMES = list(SCENES)


@pytest.fixture(scope="module")
def subject() -> Subject:
    photo = np.random.default_rng(7).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    return Subject(photo, seed=3)


@pytest.fixture(scope="module")
def animations(subject: Subject) -> dict[str, tuple[Animation, Drawing]]:
    """Return each scene's animation and what its frames share."""
    animations = {}
    for name, scene in SCENES.items():
        with watched() as shared:
            animation = scene(subject).animation()
        animations[name] = animation, shared
    return animations


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_has_the_colour_of_its_number_and_its_number(
    name: str, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, shared = animations[name]
    seen = written = 0
    for frame in animation.frames:
        pixels, drawing = drawn(animation, frame)
        # A grid of the background may be covered by one of the frame.
        for cells in [*drawing.cells.values(), *shared.cells.values()]:
            if cells.corner in drawing.cells and drawing.cells[cells.corner] is not cells:
                continue
            assert_array_equal(cells.colours(pixels), diverging(cells.values, cells.limit))
            seen += cells.values.size
            if cells.digits is not None:
                for middle, value in cells.middles():
                    texts = drawing.texts if cells.corner in drawing.cells else shared.texts
                    assert texts[middle] == number(value, cells.digits)
                    written += 1
    if name not in ("fixed-size", "hero"):  # whose kernels are small, or drawn as light
        assert seen > 250
    if name in ("multiply", "groups", "stages"):
        assert written > 30


@pytest.mark.parametrize("name", NAMES)
def test_captions_fit_and_letters_stay_on_the_canvas(
    name: str, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, shared = animations[name]
    width, height = animation.background.image.size
    for frame in animation.frames:
        assert font(CAPTION_SIZE).getlength(frame.caption) < width - 64 - 90  # and the small photo
        assert 50 <= frame.milliseconds <= 6000
        _, drawing = drawn(animation, frame)
        for x, y in {**shared.texts, **drawing.texts}:
            assert 0 <= x <= width
            assert 0 <= y <= height
    assert animation.frames[-1].milliseconds >= 2400
    assert len(animation.frames) >= 4


@pytest.mark.parametrize("name", sorted({*NAMES} - {"hero"}))
def test_a_scene_is_short_and_its_first_frame_is_as_full_as_any(
    name: str, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations[name]
    assert sum(frame.milliseconds for frame in animation.frames) <= 12_000
    blank = np.array([PAPER, EMPTY, LINE])[:, None, None]
    filled = [
        (np.asarray(animation.draw(frame).image) != blank).any(axis=3).all(axis=0).sum()
        for frame in animation.frames
    ]
    assert filled[0] > 0.05 * 640 * 960
    assert filled[0] > 0.75 * max(filled)


def by_hand(x: Array, window: tuple[int, int], i: int, j: int, c: int = 0) -> Array:
    """Return the window of an output pixel at stride 1, of a channel padded with zeros."""
    K_h, K_w = window
    padded = np.pad(x[0, c], ((K_h // 2,) * 2, (K_w // 2,) * 2))
    return padded[i : i + K_h, j : j + K_w]


def check_sliding(animation: Animation, sliding: Sliding, x: Array, kernel: Array) -> None:
    """Hold every frame against the output of the loops for the whole photo."""
    (top, left), (h, w) = sliding.subject.corner, sliding.subject.patch_size
    y = x_to_photo(inv.involution(x, kernel, backend="loops"))[top : top + h, left : left + w]
    pixels = [*np.ndindex(h, w)]
    stops = [h * w, *range(1, w), *range(w, h * w, 2), h * w, h * w]  # pixels that are filled in
    scale, (x0, y0) = sliding.output.size[0], sliding.output.corner
    for n, (frame, done) in enumerate(zip(animation.frames, stops, strict=True)):
        whole = n in (0, len(stops) - 1)
        i, j = sliding.subject.pixel if whole else pixels[done - 1]
        shown, drawing = drawn(animation, frame)
        own = kernel[0, 0, :, :, top + i, left + j]
        assert_array_equal(drawing.values(sliding.kernel.corner), own)
        for m, (r, c) in enumerate(pixels):
            inside = shown[y0 + r * scale + scale // 2, x0 + c * scale + scale // 2]
            assert_array_equal(inside, y[r, c] if m < done else EMPTY)
        one = shown[sliding.pixel.middle[::-1]]
        assert_array_equal(one, y[i, j])
        K_h, K_w = sliding.trace.geom.window
        cell, corner = sliding.window.size[0], sliding.window.corner
        for u, v in np.ndindex(K_h, K_w):
            r, c = top + i + u - K_h // 2, left + j + v - K_w // 2
            outside = not (0 <= r < x.shape[2] and 0 <= c < x.shape[3])
            under = np.zeros((1, 3, 1, 1)) if outside else x[:, :, r : r + 1, c : c + 1]
            read = shown[corner[1] + u * cell + cell // 2, corner[0] + v * cell + cell // 2]
            assert_array_equal(read, x_to_photo(under)[0, 0])


def test_involution_fills_in(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    trained, sliding = subject.trained, Involution(subject)
    animation = animations["involution"][0]
    check_sliding(animation, sliding, trained.x, trained.kernel)
    frame, _ = drawn(animation, animation.frames[-1])
    (top, left), (h, w) = subject.corner, subject.patch_size
    kernels = trained.kernels[0, 0, top : top + h, left : left + w]
    field = kernel_field(kernels, sliding.kernel.limit, sliding.mini)
    x, y = sliding.field.corner
    same = (frame[y : y + field.shape[0], x : x + field.shape[1]] == field).all(axis=2)
    assert same.mean() > 0.95  # but for the outline of one kernel


def test_convolution_uses_the_mean_kernel_everywhere(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    trained = subject.trained
    mean = trained.kernel.mean(axis=(4, 5))[0, 0]
    H, W = subject.photo.shape[:2]
    kernel = np.tile(mean[:, :, None, None], (1, 1, 1, 1, H, W))
    check_sliding(animations["convolution"][0], Convolution(subject), trained.x, kernel)
    conv = nn.Conv2d(1, 1, mean.shape, padding="same", bias=False)
    conv.load_state_dict({"weight": mean[None, None]})
    y = inv.involution(trained.x, kernel)
    assert_allclose(y[:, :1], conv(trained.x[:, :1]), atol=1e-5)


def test_generate_follows_the_weights(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["generate"]
    scene, trace = Generate(subject), subject.trained
    i, j = scene.pixel
    for frame in (animation.frames[0], animation.frames[-1]):
        shown, drawing = drawn(animation, frame)
        kernel = trace.kernel[0, 0, :, :, i, j]
        for grid, expected in (
            (scene.features, trace.features[0, :, i, j, None]),
            (scene.reduced, trace.reduced[0, :, i, j, None]),
            (scene.spanned, kernel.reshape(-1, 1)),
            (scene.kernel, kernel),
        ):
            assert_array_equal(drawing.values(grid.corner), expected)
        for grid, weights in (
            (scene.reduce, trace.reduce_weight),
            (scene.span, trace.span_weight),
        ):
            (x, y), (w, h) = grid.corner, grid.size
            cells = shown[y : y + grid.rows * h : h, x : x + grid.columns * w : w]
            assert_array_equal(cells, diverging(weights, grid.limit))
    others = {str(drawn(animation, f)[1].values(scene.kernel.corner)) for f in animation.frames}
    assert len(others) == 4


def test_multiply_adds_up_to_every_channel(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, scene = animations["multiply"][0], Multiply(subject)
    x = photo_to_x(with_salt_and_pepper(subject.photo, subject.seed))
    layer = pretrained("salt-and-pepper")
    assert isinstance(layer, nn.Involution2d)
    kernel, (i, j) = layer.generate_kernel(x), scene.pixel
    y = inv.involution(x, kernel, backend="loops")
    _, last = drawn(animation, animation.frames[-1])
    for c, colour in enumerate(("red", "green", "blue")):
        assert last.says(f"y[0, {c}, {i}, {j}] = {number(float(y[0, c, i, j]), 2)}  {colour}")
    own = kernel[0, 0, :, :, i, j]
    window = by_hand(x, (5, 5), i, j)
    rows = (window * own).sum(axis=1).cumsum()
    for done in range(6):  # first the whole, then row by row
        _, drawing = drawn(animation, animation.frames[done])
        shown = [drawing.values(grid.corner) for grid in scene.grids[::2]]
        assert_allclose(shown[0], window, rtol=1e-6)
        assert_allclose(shown[1], (window * own)[: done or 5], rtol=1e-6)
        assert number(float(rows[done - 1]), 2) in drawing.texts.values()


def test_groups_share_their_kernel(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, shared = animations["groups"]
    scene = Groups(subject)
    assert scene.trace.kernels.shape[1] == 2
    _, last = drawn(animation, animation.frames[-1])
    i, j = scene.pixel
    padded = scene.trace.geom.pad(scene.trace.x)[0]
    for n, (g, r) in enumerate(scene.channels):
        c = 16 * g + r
        window = padded[c, 2 * i : 2 * i + 7, 2 * j : 2 * j + 7]  # stride 2
        kernel = shared.values(scene.kernels[c // 16].corner)
        assert_array_equal(shared.values(scene.window_grids[n].corner), window)
        product = last.values(scene.product_grids[n].corner)
        assert_allclose(product, window * kernel, atol=1e-6)
        total = last.values(scene.outputs[n].corner).item()
        assert total == pytest.approx((window * kernel).sum(), abs=1e-5)
        assert last.says(f"y[0, {c}]")
    assert len(scene.channels) == 6
    _, first = drawn(animation, animation.frames[1])
    assert sum(grid.corner in first.cells for grid in scene.product_grids) == 1


def test_stages_shows_the_kernels_of_the_digit_that_is_read(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["stages"]
    scene, model = Stages(subject), pretrained("digits")
    seen = []
    for frame, x in zip(animation.frames, scene.digits, strict=True):
        shown, drawing = drawn(animation, frame)
        best = int(model(x).argmax())
        assert drawing.says("the network reads")
        assert f"{best}" in drawing.texts.values()
        seen.append(best)
        for n, name in enumerate(involution_names(model)):
            kernels = record(model, x, layer=name).kernels[0, 0]
            sums = [c for c in drawing.cells.values() if c.values.shape == kernels.shape[:2]]
            assert_allclose(sums[0].values, kernels.sum(axis=(2, 3)), atol=1e-5)
            field = kernel_field(kernels, scene.limits[n], (212 // len(kernels) - 2) // 7)
            h, w = field.shape[:2]
            x0, y0 = MIDDLES[n + 1] - w // 2, MIDDLE - h // 2
            assert_array_equal(shown[y0 : y0 + h, x0 : x0 + w], field)
    assert seen == list(DIGITS)  # it reads print, too, though not every digit


def test_sizes_shows_each_output_of_the_loops(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, scene = animations["sizes"][0], Sizes(subject)
    options: list[dict[str, Any]] = [{}, {"stride": 2}, {"dilation": 2}, {"padding": "valid"}]
    _, drawing = drawn(animation, animation.frames[-1])
    for option, (trace, _, output) in zip(options, scene.panels, strict=True):
        mean = np.full(trace.geom.kernel_shape, 1 / 9, np.float32)
        y = inv.involution(subject.patch, mean, backend="loops", **option)[0, 0]
        for r, c in np.ndindex(y.shape):
            shown = drawing.values(output.at(r, c).corner).item()
            assert shown == pytest.approx(y[r, c], abs=1e-5)
    assert drawing.says("padding 0:   H_out = ")


def test_the_stored_filter_is_refused_with_the_error_of_the_operator(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["fixed-size"]
    scene, layer = FixedSize(subject), pretrained("salt-and-pepper")
    assert isinstance(layer, nn.Involution2d)
    with pytest.raises(ValueError, match="kernel has shape") as refusal:
        inv.involution(subject.patch, scene.stored)
    _, drawing = drawn(animation, animation.frames[2])
    assert drawing.says(f"ValueError: {refusal.value}")
    H, W = subject.patch_size
    for n, middle, kernels in (
        (0, LEFT, scene.stored),
        (1, LEFT, scene.stored),
        (3, RIGHT, layer.generate_kernel(subject.salted)),
    ):
        frame, _ = drawn(animation, animation.frames[n])
        size = (H - 2, W - 2) if n == 1 else (H, W)
        x, y = scene.field(middle, size).corner
        for i, j in np.ndindex(kernels.shape[4:]):
            cell = 5 * scene.mini + 2
            top, left = y + i * cell + 3, x + j * cell + 3
            shown = frame[top : top + cell - 2 : scene.mini, left : left + cell - 2 : scene.mini]
            assert_array_equal(shown, diverging(kernels[0, 0, :, :, i, j], scene.limit))
    assert list(drawing.texts.values()).count("?") == H * W - (H - 2) * (W - 2)
    _, last = drawn(animation, animation.frames[-1])
    weights = sum(parameter.data.size for parameter in layer.parameters())
    assert last.says(f"{25 * (H - 2) * (W - 2)} stored numbers")
    assert last.says(f"{weights} weights")
    assert last.says("1,254,400 numbers")  # 224 * 224 * 25


def test_backward_shows_recorded_gradients(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["backward"]
    x, layer = subject.salted, pretrained("salt-and-pepper")
    assert isinstance(layer, nn.Involution2d)
    dy = np.zeros_like(x)
    dy[:, 0] = layer(x)[:, 0] - subject.patch[:, 0]
    scene = Backward(subject)
    one = np.zeros_like(dy)
    i, j = scene.pixel
    one[0, 0, i, j] = dy[0, 0, i, j]
    for frame, given in ((animation.frames[6], one), (animation.frames[-1], dy)):
        back = record_gradients(layer, x, given)
        _, drawing = drawn(animation, frame)
        window = by_hand(x, (5, 5), i, j)
        assert_allclose(drawing.values(scene.dkernel.corner), window * dy[0, 0, i, j], atol=1e-6)
        for grid, expected in (
            (scene.source, given),
            (scene.dx_apply, back.dx_apply),
            (scene.dx_generate, back.dx_generate),
            (scene.dx, back.dx),
        ):
            assert_allclose(drawing.values(grid.corner), expected[0, 0], atol=1e-6)
    # The path through the kernel reaches the pixel alone, the other one its window.
    only = record_gradients(layer, x, one)
    assert {tuple(p) for p in np.argwhere(only.dx_generate[0].any(axis=0))} == {(i, j)}
    reached = np.argwhere(only.dx_apply[0, 0])
    assert abs(reached - (i, j)).max() == 2


def test_training_lowers_the_error(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["training"]
    scene = Training(subject)
    assert scene.epochs[0] == 0
    for n in (0, 3, len(scene.epochs) - 1):
        trace = scene.traces[n]
        y = inv.involution(scene.noisy, trace.kernel, backend="windows")
        assert scene.losses[n] == pytest.approx(((y - scene.clean) ** 2).mean(), rel=1e-4)
        _, drawing = drawn(animation, animation.frames[n])
        assert drawing.says(f"epoch {scene.epochs[n]}: {number(scene.losses[n], 3)}")
        for (i, j), grid in zip(scene.pixels, scene.grids, strict=True):
            assert_array_equal(drawing.values(grid.corner), trace.kernel[0, 0, :, :, i, j])
            assert drawing.says(f"sum {number(float(trace.kernel[0, 0, :, :, i, j].sum()), 2)}")
    assert scene.losses[-1] < scene.damage < scene.losses[0]


def test_a_neighbours_kernel_is_noticed(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = subject.trained
    x, kernel = trained.x, trained.kernel
    animation, sliding = SCENES["involution"](subject).animation(), Involution(subject)
    check_sliding(animation, sliding, x, kernel)
    right = OperatorTrace.kernels.fget  # type: ignore[attr-defined]
    shifted = property(lambda self: np.roll(right(self), 1, axis=3))
    monkeypatch.setattr(OperatorTrace, "kernels", shifted)
    with pytest.raises(AssertionError):
        check_sliding(animation, sliding, x, kernel)
    with pytest.raises(ArithmeticError, match="away from the sum of its recorded products"):
        record(pretrained("salt-and-pepper"), x)  # it cannot even be recorded
