"""Photos of every kind become upright 8-bit RGB, or give a one-line error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import needs
import numpy as np
import pytest
from odd_images import png_of
from PIL import Image, ImageCms

from involution_edu.images import MEAN, STD, load_photo, photo_to_x, sample_photo, x_to_photo

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def saved(folder: Path, image: Image.Image, suffix: str = ".png", **options: Any) -> Path:
    path = folder / f"photo{suffix}"
    image.save(path, **options)
    return path


def pixels(path: Path) -> list[Any]:
    photo, notice = load_photo(path, 100)
    assert photo.dtype == np.uint8
    assert photo.flags.c_contiguous
    assert notice is None
    return photo.tolist()  # type: ignore[no-any-return]


def test_the_default_is_the_portrait() -> None:
    photo, notice = load_photo(None, 72)
    assert photo.shape == (72, 61, 3)
    assert notice == "Scaled down from 600 x 512 pixels to 72 x 61."
    assert sample_photo().is_file()


def test_a_small_photo_keeps_every_pixel(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    loaded, notice = load_photo(saved(tmp_path, Image.fromarray(photo)), 7)
    assert notice is None
    np.testing.assert_array_equal(loaded, photo)


def palette_with_hole() -> Image.Image:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *GREEN])
    image.putdata([0, 1])
    image.info["transparency"] = 1
    return image


# Name, the image, the file's suffix, the pixels expected.
KINDS: list[tuple[str, Callable[[], Image.Image], str, list[list[tuple[int, int, int]]]]] = [
    (
        "grey",
        lambda: Image.fromarray(np.array([[0, 200]], np.uint8)),
        ".png",
        [[(0,) * 3, (200,) * 3]],
    ),
    ("black and white", lambda: Image.new("1", (2, 1), 1), ".png", [[WHITE, WHITE]]),
    ("grey and alpha", lambda: Image.new("LA", (1, 1), (0, 0)), ".png", [[WHITE]]),
    ("clear over white", lambda: Image.new("RGBA", (1, 1), (*RED, 0)), ".png", [[WHITE]]),
    ("half clear", lambda: Image.new("RGBA", (1, 1), (0, 0, 0, 51)), ".png", [[(204,) * 3]]),
    ("palette with a hole", palette_with_hole, ".png", [[RED, WHITE]]),
    (
        "16-bit grey",
        lambda: Image.fromarray(np.array([[0, 257 * 200, 65535]], np.uint16)),
        ".png",
        [[(0,) * 3, (200,) * 3, WHITE]],
    ),
    (
        "16-bit grey in the mode of 32",
        lambda: Image.fromarray(np.array([[0, 257 * 200, 65535]], np.uint16)),
        ".pgm",
        [[(0,) * 3, (200,) * 3, WHITE]],
    ),
    (
        "floats",
        lambda: Image.fromarray(np.array([[-1.0, 0.0, 1.0]], np.float32)),
        ".tiff",
        [[(0,) * 3, (128,) * 3, WHITE]],
    ),
    (
        "the largest floats",
        lambda: Image.fromarray(np.array([[-3e38, 3e38]], np.float32)),
        ".tiff",
        [[(0,) * 3, WHITE]],
    ),
    ("one float", lambda: Image.fromarray(np.full((1, 1), 7, np.float32)), ".tiff", [[(0,) * 3]]),
    ("CMYK", lambda: Image.new("CMYK", (1, 2), (0, 255, 255, 0)), ".tiff", [[RED], [RED]]),
    ("one pixel", lambda: Image.new("RGB", (1, 1), BLUE), ".bmp", [[BLUE]]),
]


@pytest.mark.parametrize(
    ("make", "suffix", "expected"), [pytest.param(*k[1:], id=k[0]) for k in KINDS]
)
def test_every_kind_becomes_rgb(
    tmp_path: Path, make: Callable[[], Image.Image], suffix: str, expected: list[Any]
) -> None:
    np.testing.assert_array_equal(pixels(saved(tmp_path, make(), suffix)), expected)


# EXIF orientation, and where the pixels of the row RED GREEN BLUE go.
@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [[RED, GREEN, BLUE]]),
        (2, [[BLUE, GREEN, RED]]),
        (3, [[BLUE, GREEN, RED]]),
        (6, [[RED], [GREEN], [BLUE]]),
        (8, [[BLUE], [GREEN], [RED]]),
    ],
)
def test_a_turned_photo_is_set_upright(
    tmp_path: Path, orientation: int, expected: list[Any]
) -> None:
    image = Image.fromarray(np.array([[RED, GREEN, BLUE]], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(pixels(saved(tmp_path, image, exif=exif)), expected)


def test_an_animation_gives_its_first_frame(tmp_path: Path) -> None:
    first, second = Image.new("RGB", (2, 2), GREEN), Image.new("RGB", (2, 2), RED)
    path = saved(tmp_path, first, ".gif", save_all=True, append_images=[second])
    np.testing.assert_array_equal(pixels(path), [[GREEN, GREEN]] * 2)


def test_a_large_photo_is_scaled_down_with_a_notice(tmp_path: Path) -> None:
    image = Image.new("RGB", (4000, 3000), RED)
    image.paste(BLUE, (2000, 0, 4000, 3000))
    photo, notice = load_photo(saved(tmp_path, image, ".jpg"), 72)
    assert notice == "Scaled down from 3000 x 4000 pixels to 54 x 72."
    assert photo.shape == (54, 72, 3)
    np.testing.assert_allclose(photo[:, :30], np.broadcast_to(RED, (54, 30, 3)), atol=3)
    np.testing.assert_allclose(photo[:, 42:], np.broadcast_to(BLUE, (54, 30, 3)), atol=3)


def test_a_very_long_photo_keeps_a_row(tmp_path: Path) -> None:
    photo, _ = load_photo(saved(tmp_path, Image.new("RGB", (3000, 2), GREEN)), 60)
    np.testing.assert_array_equal(photo, np.broadcast_to(GREEN, (1, 60, 3)))


def damaged(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def whole(folder: Path, suffix: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    return saved(folder, Image.fromarray(noise), suffix).read_bytes()


def test_files_that_are_no_images_are_refused(tmp_path: Path) -> None:
    cases = {
        "text": b"no photo, but a text\n" * 9,
        "empty": b"",
        "noise": np.random.default_rng(1).bytes(4000),
        "only-a-signature.png": b"\x89PNG\r\n\x1a\n",
        "cut.jpg": whole(tmp_path, ".jpg")[:2000],
        "cut.png": whole(tmp_path, ".png")[:6000],
        "cut.gif": whole(tmp_path, ".gif")[:2000],
        "changed.png": whole(tmp_path, ".png").replace(b"IDAT", b"JDAT"),
        "program.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
    }
    for name, content in cases.items():
        path = damaged(tmp_path / name, content)
        with pytest.raises(ValueError, match="need a whole image file") as caught:
            load_photo(path, 72)
        message = str(caught.value)
        assert message.startswith(f"image is {path}, which cannot be read (")
        assert "\n" not in message
        assert "PNG, JPEG, WEBP" in message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"image is .*nowhere\.png; there is no such file"):
        load_photo(tmp_path / "nowhere.png", 72)
    with pytest.raises(IsADirectoryError, match=r"a folder; need a file"):
        load_photo(tmp_path, 72)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0.0, np.inf]], np.float32), "it holds infinity or NaN"),
        (np.array([[np.nan, 1.0]], np.float32), "it holds infinity or NaN"),
        (np.array([[0, 1 << 20]], np.int32), "its integers are of 32 bits or signed"),
        (np.array([[0, 255]], np.int32), "its integers are of 32 bits or signed"),
    ],
)
def test_numbers_without_a_range_are_refused(tmp_path: Path, values: Any, message: str) -> None:
    path = saved(tmp_path, Image.fromarray(values), ".tiff")
    with pytest.raises(ValueError, match=f"^image is .*, which cannot be read .{message}"):
        load_photo(path, 72)


@needs.posix
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="a pipe or a device; need a file of its own"):
        load_photo(tmp_path / "pipe", 72)


@pytest.mark.parametrize(
    ("depth", "row", "key", "expected"),
    [
        (1, bytes([0b01010000]), [1], [0, 255, 0, 255]),
        (2, bytes([0b00011011]), [1], [0, 255, 170, 255]),
        (4, bytes([0x05, 0xAF]), [10], [0, 85, 255, 255]),
        (8, bytes([0, 5, 200, 255]), [5], [0, 255, 200, 255]),
        (16, np.array([0, 263, 51400, 65535], ">u2").tobytes(), [263], [0, 255, 200, 255]),
    ],
)
def test_a_transparent_grey_is_white(
    tmp_path: Path, depth: int, row: bytes, key: list[int], expected: list[int]
) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(png_of(depth, 0, row, (b"tRNS", np.array(key, ">u2").tobytes())))
    assert pixels(path) == [[[grey] * 3 for grey in expected]]


@pytest.mark.parametrize("key", [(513, 7, 1027), (513, 7, 1028), (2, 7, 4)])
def test_a_transparent_colour_of_16_bits_is_compared_in_all_of_them(
    tmp_path: Path, key: tuple[int, ...]
) -> None:
    colours = [(513, 7, 1027), (513, 7, 1028), (257, 7, 3), (2 << 8, 7 << 8, 4 << 8)]
    row, path = np.array(colours, ">u2").tobytes(), tmp_path / "photo.png"
    path.write_bytes(png_of(16, 2, row, (b"tRNS", np.array(key, ">u2").tobytes())))
    kept = [[n >> 8 for n in colour] for colour in colours]
    assert pixels(path) == [
        [list(WHITE) if colour == key else k for colour, k in zip(colours, kept, strict=True)]
    ]


def test_a_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    profile[red], profile[blue] = b"br"  # exchanges the two colours
    image = Image.new("RGB", (2, 1), RED)
    for suffix in (".png", ".tiff"):
        path = saved(tmp_path, image, suffix, icc_profile=bytes(profile))
        np.testing.assert_array_equal(pixels(path), [[BLUE, BLUE]])
        np.testing.assert_array_equal(load_photo(path, 9, srgb=False)[0], [[RED, RED]])
    image.putalpha(51)
    path = saved(tmp_path, image, icc_profile=bytes(profile))
    np.testing.assert_array_equal(pixels(path), [[(204, 204, 255)] * 2])


def test_heif_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = damaged(tmp_path / "photo.heic", b"\0\0\0\x18ftypheic" + bytes(99))
    with pytest.raises(ValueError, match="HEIF: pip install pillow-heif, or convert it to JPEG"):
        load_photo(path, 72)


@pytest.mark.parametrize("limit", [600, 1000])  # Pillow raises above 2 * limit, and warns above it
def test_a_decompression_bomb_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    path = saved(tmp_path, Image.new("RGB", (40, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ValueError, match=f"of more than {limit} pixels; need fewer"):
        load_photo(path, 72)


@pytest.mark.parametrize("size", [(65_536, 1), (1, 70_000)])
def test_a_very_long_side_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    path = saved(tmp_path, Image.new("L", size))
    with pytest.raises(ValueError, match=rf"{size[1]} x {size[0]} pixels; at most 65535 a side"):
        load_photo(path, 16)


def progressive(folder: Path, repeats: int, after: bytes = b"") -> Path:
    """Return a progressive JPEG with its last scan repeated, and bytes after its end."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 40, 3), dtype=np.uint8)
    path = saved(folder, Image.fromarray(noise), ".jpg", progressive=True, comment=b"\xff\xda" * 99)
    head, mark, last = path.read_bytes().removesuffix(b"\xff\xd9").rpartition(b"\xff\xda")
    path.write_bytes(head + (mark + last) * repeats + b"\xff\xd9" + after)
    return path


def test_a_progressive_jpeg_is_read(tmp_path: Path) -> None:
    path = progressive(tmp_path, 1, after=b"\xff\xda" * 99)  # such as a film of the same moment
    assert load_photo(path, 40)[0].shape == (24, 40, 3)


def test_a_jpeg_of_very_many_scans_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a JPEG of more than 32 scans"):
        load_photo(progressive(tmp_path, 64), 40)


def test_x_is_each_byte_normalised_by_its_colour() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    x = photo_to_x(photo)
    assert x.shape == (1, 3, 3, 4)
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    for c in range(3):
        np.testing.assert_allclose(x[0, c] * STD[c] + MEAN[c], photo[..., c], atol=1e-4)


def test_x_to_photo_inverts_photo_to_x() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    np.testing.assert_array_equal(x_to_photo(photo_to_x(photo)), photo)
    beyond = np.array([0.006, -2.036, 9.0]).reshape(1, 3, 1, 1)
    assert x_to_photo(beyond).tolist() == [[[124, 0, 255]]]
