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
from involution_edu.images import photo_to_x
from involution_edu.viz import OperatorTrace, record, record_gradients, record_operator
from involution_edu.viz.animation.canvas import CAPTION_SIZE, Animation, font, number
from involution_edu.viz.animation.scenes import SCENES, Subject
from involution_edu.viz.animation.scenes.backward import Backward
from involution_edu.viz.animation.scenes.fixed_size import FixedSize
from involution_edu.viz.animation.scenes.generate import Generate
from involution_edu.viz.animation.scenes.scene import kernel_field, sum_of
from involution_edu.viz.animation.scenes.sliding import EDGES, Convolution, Involution, Sliding
from involution_edu.viz.animation.scenes.training import Training
from involution_edu.viz.palette import diverging
from involution_edu.viz.picks import strongest_pixel

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
    if name not in ("fixed-size", "training", "hero"):
        assert written > 50


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
    assert animation.frames[-1].milliseconds >= 3000
    assert len(animation.frames) >= 5


def by_hand(x: Array, kernels: Array, i: int, j: int, c: int = 0) -> tuple[Array, Array]:
    """Return the window and the kernel of an output pixel at stride 1, of a padded channel."""
    K_h, K_w = kernels.shape[2:4]
    padded = np.pad(x[0, c], ((K_h // 2,) * 2, (K_w // 2,) * 2))
    return padded[i : i + K_h, j : j + K_w], kernels[0, 0, :, :, i, j]


def check_sliding(animation: Animation, sliding: Sliding, kernel: Array) -> None:
    """Hold every frame against windows cut by hand and the output of the loops."""
    trace, geom = sliding.trace, sliding.trace.geom
    y = inv.involution(trace.x, kernel, backend="loops")
    pixels = [(i, j) for i in range(geom.H_out) for j in range(geom.W_out)]
    middle = (geom.H_out // 2, geom.W_out // 2)
    for n, frame in enumerate(animation.frames):
        _, drawing = drawn(animation, frame)
        last = n == len(animation.frames) - 1
        (i, j) = middle if last else pixels[max(0, n - 2)]
        window, own = by_hand(trace.x, kernel, i, j)
        corners = [grid.corner for grid in sliding.below]
        assert_array_equal(drawing.values(corners[0]), window)
        if n >= 1:
            assert_array_equal(drawing.values(corners[1]), own)
            assert_allclose(drawing.values(corners[2]), window * own, rtol=1e-6)
        done = len(pixels) if last else max(0, n - 1)
        for m, (r, c) in enumerate(pixels):
            cell = sliding.output.at(r, c).corner
            assert (cell in drawing.cells) == (m < done)
            if m < done:
                assert_allclose(drawing.values(cell), y[:, 0, r : r + 1, c], atol=1e-5)
        if 2 <= n < 4 or last:
            assert drawing.says(f"sum = {number(float(trace.y[0, 0, i, j]), 2)}")


def test_involution_fills_in(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    trace = subject.trace()
    kernel = subject.layer().generate_kernel(subject.patch)
    check_sliding(animations["involution"][0], Involution(subject), kernel)
    animation, sliding = animations["involution"][0], Involution(subject)
    frame, _ = drawn(animation, animation.frames[-1])
    field = kernel_field(trace.kernels[0, 0], sliding.field.limit, 10)
    x, y = sliding.field.middle
    top, left = y - field.shape[0] // 2, x - field.shape[1] // 2
    shown = frame[top : top + field.shape[0], left : left + field.shape[1]]
    same = (shown == field).all(axis=2)
    assert same.mean() > 0.98  # but for the outline of one kernel


def test_convolution_uses_one_kernel(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    H, W = subject.patch_size
    kernel = np.tile(EDGES[:, :, None, None], (1, 1, 1, 1, H, W)).astype(np.float32)
    animation, shared = animations["convolution"]
    trace = record_operator(subject.patch, kernel)
    check_sliding(animation, Convolution(subject), kernel)
    conv = nn.Conv2d(1, 1, 3, padding="same", bias=False)
    conv.load_state_dict({"weight": EDGES[None, None].astype(np.float32)})
    assert_allclose(trace.y[:, :1], conv(subject.patch[:, :1]), atol=1e-5)
    assert any(np.array_equal(c.values, EDGES.astype(np.float32)) for c in shared.cells.values())


def test_generate_follows_the_weights(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["generate"]
    layer = subject.layer()
    state = layer.state_dict()
    trace = record(layer, subject.x)
    scene = Generate(subject)
    i, j = strongest_pixel(trace)
    x = photo_to_x(subject.photo)[0, :, i, j]
    conv = state["conv1.conv.weight"][:, :, 0, 0] @ x
    std = np.sqrt(state["conv1.bn.running_var"] + 1e-5)
    normal = (conv - state["conv1.bn.running_mean"]) / std
    reduced = np.maximum(normal, 0)
    numbers = state["conv2.conv.weight"][:, :, 0, 0] @ reduced + state["conv2.conv.bias"]
    _, drawing = drawn(animation, animation.frames[-1])
    for grid, expected in (
        (scene.x, x),
        (scene.stages[0], conv),
        (scene.stages[1], normal),
        (scene.stages[2], reduced),
        (scene.reduced, reduced),
        (scene.numbers, numbers),
    ):
        assert_allclose(drawing.values(grid.corner)[:, 0], expected, atol=1e-4)
    assert_allclose(drawing.values(scene.kernel.corner), numbers.reshape(3, 3), atol=1e-4)
    # One more number from frame to frame, with the sum that makes it.
    formulas = [drawn(animation, frame)[1] for frame in animation.frames[1:4]]
    for row, drawing in enumerate(formulas):
        assert drawing.values(scene.stages[0].corner).shape == (row + 1, 1)
        weights = state["conv1.conv.weight"][row, :, 0, 0]
        assert drawing.says(f"{sum_of(weights, x)} = {number(float(conv[row]), 2)}")


def test_multiply_adds_up_to_every_channel(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["multiply"]
    H, W = subject.patch_size
    i, j = H // 2, W // 2
    kernel = subject.layer().generate_kernel(subject.patch)
    y = inv.involution(subject.patch, kernel, backend="loops")
    _, last = drawn(animation, animation.frames[-1])
    for c, colour in enumerate(("red", "green", "blue")):
        assert last.says(f"y[0, {c}, {i}, {j}] = {number(float(y[0, c, i, j]), 2)}   {colour}")
    window, own = by_hand(subject.patch, kernel, i, j)
    running = (window * own).ravel().cumsum()
    for done in range(1, 9):
        _, drawing = drawn(animation, animation.frames[done])
        assert number(float(running[done - 1]), 2) in drawing.texts.values()


def test_groups_share_their_kernel(animations: dict[str, tuple[Animation, Drawing]]) -> None:
    animation, shared = animations["groups"]
    _, drawing = drawn(animation, animation.frames[-1])
    windows = [c.values for c in drawing.cells.values() if c.size == (22, 22)]
    kernels = [c.values for c in drawing.cells.values() if c.size == (40, 40)]
    sums = [c.values.item() for c in drawing.cells.values() if c.size == (60, 34)]
    assert (len(windows), len(kernels), len(sums)) == (12, 2, 6)
    assert not np.allclose(kernels[0], kernels[1])
    for c in range(6):  # the windows come first, then a product for each channel
        kernel = kernels[c // 3]
        assert_allclose(windows[6 + c], windows[c] * kernel, atol=1e-6)
        assert_allclose(sums[c], (windows[c] * kernel).sum(), atol=1e-5)
    assert len([c for c in shared.cells.values() if c.size == (10, 10)]) == 6


def test_sizes_shows_each_output_of_the_loops(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["sizes"]
    ends = [
        n for n, s in enumerate(animation.frames) if animation.frames[n - 1].caption != s.caption
    ][1:]
    options: list[dict[str, Any]] = [{}, {"stride": 2}, {"dilation": 2}, {"padding": "valid"}]
    for end, option in zip(ends, options, strict=True):
        layer = subject.layer(**{k: v for k, v in option.items() if k != "padding"})
        kernel = layer.generate_kernel(subject.patch)
        if "padding" in option:
            kernel = np.ascontiguousarray(kernel[..., 1:-1, 1:-1])
        y = inv.involution(subject.patch, kernel, backend="loops", **option)[0, 0]
        _, drawing = drawn(animation, animation.frames[end - 1])
        single = [c.values.item() for c in drawing.cells.values() if c.values.size == 1]
        assert_allclose(single, y.ravel(), atol=1e-5)
        assert drawing.says(f"output y, {y.shape[0]} × {y.shape[1]}")


def test_the_stored_filter_is_refused_with_the_error_of_the_operator(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["fixed-size"]
    scene = FixedSize(subject)
    with pytest.raises(ValueError, match="kernel has shape") as refusal:
        inv.involution(subject.patch, scene.stored)
    _, drawing = drawn(animation, animation.frames[2])
    assert drawing.says(f"ValueError: {refusal.value}")
    H, W = subject.patch_size
    for n, middle, kernels in (
        (0, 256, scene.stored),
        (2, 256, scene.stored),
        (3, 704, subject.layer().generate_kernel(subject.patch)),
    ):
        frame, _ = drawn(animation, animation.frames[n])
        size = (H, W) if n >= 2 else (H - 2, W - 2)
        x, y = scene.field(middle, size).corner
        for i, j in np.ndindex(kernels.shape[4:]):
            top, left = y + i * 44 + 4, x + j * 44 + 4
            shown = frame[top : top + 42 : 14, left : left + 42 : 14]
            assert_array_equal(shown, diverging(kernels[0, 0, :, :, i, j], scene.limit))
    assert list(drawing.texts.values()).count("?") == H * W - (H - 2) * (W - 2)
    _, last = drawn(animation, animation.frames[-1])
    weights = sum(a.size for a in (p.data for p in subject.layer().parameters()))
    assert last.says(f"{9 * (H - 2) * (W - 2)} stored numbers")
    assert last.says(f"{weights} weights")
    assert last.says("451,584 numbers")  # 224 * 224 * 9


def test_backward_shows_recorded_gradients(
    subject: Subject, animations: dict[str, tuple[Animation, Drawing]]
) -> None:
    animation, _ = animations["backward"]
    x, dy = subject.patch, np.zeros_like(subject.patch)
    dy[:, 0] = np.random.default_rng(subject.seed).standard_normal(x.shape[2:])
    scene = Backward(subject)
    one = np.zeros_like(dy)
    i, j = scene.pixel
    one[0, 0, i, j] = dy[0, 0, i, j]
    for frame, given in ((animation.frames[5], one), (animation.frames[-1], dy)):
        back = record_gradients(subject.layer(), x, given)
        _, drawing = drawn(animation, frame)
        window, _ = by_hand(x, scene.trace.kernel, i, j)
        assert_allclose(drawing.values(scene.dkernel.corner), window * dy[0, 0, i, j], atol=1e-6)
        for grid, expected in (
            (scene.source, given),
            (scene.dx_apply, back.dx_apply),
            (scene.dx_generate, back.dx_generate),
            (scene.dx, back.dx),
        ):
            assert_allclose(drawing.values(grid.corner), expected[0, 0], atol=1e-6)
    # The path through the kernel reaches the pixel alone, the other one its window.
    only = record_gradients(subject.layer(), x, one)
    assert {tuple(p) for p in np.argwhere(only.dx_generate[0].any(axis=0))} == {(i, j)}
    reached = np.argwhere(only.dx_apply[0, 0])
    assert abs(reached - (i, j)).max() == 1


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
    kernel = subject.layer().generate_kernel(subject.patch)
    animation, sliding = SCENES["involution"](subject).animation(), Involution(subject)
    check_sliding(animation, sliding, kernel)
    right = OperatorTrace.kernels.fget  # type: ignore[attr-defined]
    shifted = property(lambda self: np.roll(right(self), 1, axis=3))
    monkeypatch.setattr(OperatorTrace, "kernels", shifted)
    with pytest.raises(AssertionError):
        check_sliding(animation, sliding, kernel)
    with pytest.raises(ArithmeticError, match="away from the sum of its recorded products"):
        subject.trace()  # it cannot even be recorded
