"""The walk-through: each step can be recomputed from the printed numbers."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

import involution_edu as inv
from involution_edu.apps import walkthrough
from involution_edu.apps.walkthrough import Walkthrough
from involution_edu.cases import TOLERANCE, scaled_error
from involution_edu.images import colour_name, load_photo, photo_to_x
from involution_edu.models import pretrained
from involution_edu.models.salt_and_pepper import NOISE_SHARE, with_salt_and_pepper
from involution_edu.training.scores import psnr
from involution_edu.viz import record


@pytest.fixture(scope="module")
def portrait() -> Walkthrough:
    return walkthrough.run()


def test_the_output_is_that_of_the_definition(portrait: Walkthrough) -> None:
    trace = portrait.trace
    y = inv.involution(trace.x, trace.kernel, backend="windows")
    assert scaled_error(trace.y, y) <= TOLERANCE[y.dtype]
    i, j = portrait.pixel
    around = trace.x[:, :, i - 2 : i + 3, j - 2 : j + 3]
    here = trace.kernel[:, :, :, :, i : i + 1, j : j + 1]
    y_here = inv.involution(np.ascontiguousarray(around), here, padding="valid", backend="loops")
    np.testing.assert_allclose(trace.y[0, :, i, j], y_here[0, :, 0, 0], rtol=1e-5)


def numbers(line: str) -> list[float]:
    return [float(text) for text in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?", line)]


@pytest.fixture(scope="module")
def pale(tmp_path_factory: pytest.TempPathFactory) -> Walkthrough:
    """Return that of a photo of almost one colour."""
    folder = tmp_path_factory.mktemp("pale")
    photo = np.random.default_rng(5).integers(100, 102, (9, 12, 3), dtype=np.uint8)
    Image.fromarray(photo).save(folder / "photo.png")
    return walkthrough.run(folder / "photo.png")


@pytest.mark.parametrize("photo", ["portrait", "pale"])
def test_the_walkthrough_can_be_followed_with_a_pencil(
    photo: str, request: pytest.FixtureRequest
) -> None:
    """Every step, computed from what is printed, differs by what the rounding explains."""
    result: Walkthrough = request.getfixturevalue(photo)
    text = result.text()
    lines = text.splitlines()
    assert len(lines) < 60
    assert max(map(len, lines)) <= 80
    assert text.isascii()
    words = " ".join(text.split())
    assert "The layer was trained" in words
    assert "the last digit may differ" in words

    def after(start: str, count: int, skip: int = 0) -> Any:
        at = next(n for n, line in enumerate(lines) if line.startswith(start)) + 1 + skip
        return np.array([numbers(line) for line in lines[at : at + count]])

    def close(value: Any, expected: Any, error: Any) -> None:
        assert (np.abs(np.asarray(value) - expected) <= error + 1e-6).all()  # + that of float32

    digits = len(str(re.search(r"x +-?\d\.(\d+)", text)[1]))  # type: ignore[index]
    h, fine = 0.5e-3, 0.5 * 10.0**-digits  # the rounding of a printed number
    byte, mean, std, x = after("1.", 4, skip=1)
    close(x, (byte - mean) / std, fine)
    mean_x, std_x = mean, std

    table = after("   Weights", 3)
    weights, products, sums = table[:, :3], table[:, 3:6], table[:, 6]
    close(products, weights * x, fine * (np.abs(weights) + np.abs(x) + 1))
    close(sums, products.sum(axis=1), fine * (3 + 1))
    conv, mean, std, scale, shift, bn, reduced = after("   Weights", 7, skip=3)
    assert conv.tolist() == sums.tolist()
    x_hat = (conv - mean) / std
    allowed = fine * ((2 + np.abs(x_hat)) * np.abs(scale) / std + np.abs(x_hat) + 1) + h
    assert (allowed < 4 * h * (1 + np.abs(bn))).all()  # "the last digit may differ"
    close(bn, x_hat * scale + shift, allowed)
    assert reduced.tolist() == [max(number, 0) for number in bn]

    (example,) = after("   weights, too many", 1)
    ((bias, first),) = after("   weights, too many", 1, skip=1)
    weights, products = np.split(example, 2)
    close(products, weights * reduced, h * (np.abs(weights) + np.abs(reduced) + 1))
    close(first, bias + products.sum(), h * (1 + 3 + 1))
    kernel = after("   Reshaped to 5 rows", 5)
    assert kernel[0, 0] == first

    window = after("4.", 5)
    table = after("   kernel * window", 5)
    products, row_sums = table[:, :5], table[:, 5]
    close(window[2, 2], x[0], h + fine)
    close(products, kernel * window, h * (np.abs(kernel) + np.abs(window) + 1))
    close(row_sums, products.sum(axis=1), h * (5 + 1))
    (total,), (operator,) = after("5.", 2)
    close(total, row_sums.sum(), h * (5 + 1))
    close(total, operator, 2 * h)
    i, j = result.pixel
    close(operator, result.trace.y[0, 0, i, j], h)
    assert abs(operator) > 0.1  # a sum worth following

    y, noisy, clean = after("6.", 3, skip=1)
    others = numbers(next(line for line in lines if "The same kernel" in line))
    values = np.array([operator, *others]) * std_x + mean_x
    close(y, values.clip(0, 255), h * std_x + 0.5)
    assert noisy.tolist() == result.photo[i, j].tolist() == byte.tolist()
    assert clean.tolist() == result.clean[i, j].tolist()
    assert lines[-3].endswith(colour_name(y.astype(np.uint8)))


def test_a_kernel_depends_on_its_pixel_alone(portrait: Walkthrough) -> None:
    layer = pretrained("salt-and-pepper")
    i, j = portrait.pixel
    painted = np.random.default_rng(6).integers(0, 256, portrait.photo.shape, dtype=np.uint8)
    painted[i, j] = portrait.photo[i, j]
    trace = record(layer, photo_to_x(painted))
    shown = portrait.trace.kernel
    np.testing.assert_array_equal(trace.kernel[..., i, j], shown[..., i, j])
    assert not np.allclose(trace.kernel, shown)


def test_noise_is_added_to_the_photo_and_most_is_removed(portrait: Walkthrough) -> None:
    """The portrait is not a photo of the training."""
    clean, _ = load_photo(None, 72)
    changed = (portrait.photo != clean).any(axis=2)
    assert changed.mean() == pytest.approx(NOISE_SHARE, rel=0.15)
    assert np.isin(portrait.photo[changed], [0, 255]).all()
    x = photo_to_x(clean)
    gain = psnr(portrait.trace.y, x) - psnr(portrait.trace.x, x)
    assert gain > 8  # dB


def test_the_data_are_plain_and_sum_up(portrait: Walkthrough) -> None:
    data = json.loads(json.dumps(portrait.data()))
    kernel, window = np.array(data["kernel"]), np.array(data["window"])
    assert window.shape == (3, 5, 5)
    np.testing.assert_allclose(data["products"], kernel * window, rtol=1e-6)
    np.testing.assert_allclose(data["y"], (kernel * window).sum(axis=(1, 2)), rtol=1e-4)
    assert data["pixel"] == list(portrait.pixel)
    assert data["size"] == [72, 61]
    assert data["notice"] == "Scaled down from 600 x 512 pixels to 72 x 61."
    assert data["notice"] in portrait.text()
    np.testing.assert_allclose(data["conv"], np.dot(data["reduce_weight"], data["x"]), atol=1e-5)
    bn = (np.array(data["conv"]) - data["mean"]) / data["std"] * data["scale"] + data["shift"]
    np.testing.assert_allclose(data["bn"], bn, atol=1e-4)
    spanned = np.dot(data["span_weight"], data["reduced"]) + data["span_bias"]
    np.testing.assert_allclose(spanned, kernel.ravel(), atol=1e-5)


@pytest.mark.parametrize("seed", [0, 8])
def test_the_pixel_that_is_chosen_is_a_noisy_one(seed: int) -> None:
    result = walkthrough.run(seed=seed)
    i, j = result.pixel
    assert 27 <= i < 45
    assert 22 <= j < 39
    assert np.isin(result.photo[i, j], [0, 255]).all()
    assert (result.photo[i, j] != result.clean[i, j]).any()


def test_seed_pixel_and_size() -> None:
    first = walkthrough.run(seed=1, pixel=(3, 4), size=20)
    assert first.pixel == (3, 4)
    assert first.photo.shape == (20, 17, 3)
    assert "row 3, column 4" in first.text()
    again, other = (walkthrough.run(seed=seed, size=20).trace for seed in (1, 2))
    np.testing.assert_array_equal(first.trace.kernel, again.kernel)
    assert not np.allclose(first.trace.kernel, other.kernel)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"pixel": (72, 0)}, ValueError, r"pixel is \(72, 0\); need a row of 0 to 71 and a col"),
        ({"pixel": (0, 61)}, ValueError, r"need .* a column of 0 to 60"),
        ({"pixel": (-1, 0)}, ValueError, r"pixel\[0\] is -1; need an int >= 0"),
        ({"pixel": (0.5, 0)}, TypeError, r"pixel\[0\] is 0\.5; need an int >= 0"),
        ({"size": 7}, ValueError, r"size is 7; need an int >= 8"),
        ({"size": 289}, ValueError, r"size is 289; need an int <= 288"),
        ({"seed": -1}, ValueError, r"seed is -1; need an int >= 0"),
        ({"image": "nowhere.png"}, FileNotFoundError, r"image is nowhere\.png; there is no such"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        walkthrough.run(**options)


def test_the_sample_portrait_is_what_is_shown(portrait: Walkthrough) -> None:
    photo = with_salt_and_pepper(load_photo(None, 72)[0], seed=0)
    np.testing.assert_array_equal(portrait.photo, photo)
