"""Photos read from files, and their conversion to the input of a layer."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from importlib import import_module
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .arguments import ArgumentError
from .arrays import Array

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage
    from PIL.ImageFile import ImageFile

Photo = NDArray[np.uint8]

# Red, green and blue of the ImageNet training photos, in grey levels 0..255.
MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.12, 57.375])

FORMATS = "PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"
MAX_SIDE = 65_535  # rows or columns, as in a JPEG: scaling takes memory for each of the longer side
MAX_SCANS = 32  # of a JPEG, each of which is decoded for the whole image; usual are 1 to 20
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")  # of a JPEG, but those to restart
BAND = 1 << 20  # pixels converted at a time


def load_photo(
    path: Path | None, longest_side: int, *, srgb: bool = True
) -> tuple[Photo, str | None]:
    """Read a photo as red, green and blue bytes, scaled down to ``longest_side`` pixels.

    Grey, palette, CMYK and 16-bit files become 8-bit RGB, and so do floating-point numbers, scaled
    from their minimum to their maximum. Transparent pixels are put on white, the EXIF orientation
    is applied, and of an animation the first frame is read. A photo that is small enough keeps
    every pixel.

    Only `FORMATS`, and HEIF where pillow-heif is installed, are read: some others are programs, or
    hold a file of any format. An image has at most Pillow's ``MAX_IMAGE_PIXELS``, about 89 million,
    and 65,535 rows and columns, and a JPEG has at most 32 scans, checked before it is decoded.
    Reading takes at most 20 bytes of memory for each pixel, which are 1.8 GB, and for most formats
    13.

    Parameters
    ----------
    path : Path or None
        An image file; None is the portrait that ships with matplotlib.
    longest_side : int
        Maximum of rows and columns of the result, in pixels.
    srgb : bool
        Whether the colours of a file with an ICC profile are converted to sRGB. A damaged profile,
        or one for another kind of image, is ignored.

    Returns
    -------
    photo : ndarray, shape (H, W, 3), uint8
    notice : str or None
        The sizes before and after scaling, as a sentence for the user.

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        If there is no file to read.
    ValueError
        If it is a pipe or a device, of another format, damaged, too large to unpack, or of 32-bit
        integers, which have no agreed range.

    Examples
    --------
    The portrait that ships with matplotlib:

    >>> photo, notice = load_photo(None, 72)
    >>> photo.shape, notice
    ((72, 61, 3), 'Scaled down from 600 x 512 pixels to 72 x 61.')
    """
    from PIL import Image

    source = sample_photo() if path is None else path
    if not source.exists():
        raise FileNotFoundError(f"image is {source}; there is no such file")
    if source.is_dir():
        raise IsADirectoryError(f"image is {source}, a folder; need a file such as a PNG or JPEG")
    if not source.is_file():  # reading a pipe would wait for its writer
        raise ArgumentError("image", f"is {source}, a pipe or a device", "a file of its own")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image, (width, height) = _decoded(source, longest_side, srgb)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        got = f"is {source}, of more than {Image.MAX_IMAGE_PIXELS} pixels"
        raise ArgumentError("image", got, "fewer") from None
    except PermissionError:
        raise PermissionError(f"image is {source}, which this user may not read") from None
    except Exception as error:
        # Pillow's decoders raise almost any exception on a damaged file.
        got, need = f"is {source}, which cannot be read ({error})", ", ".join(FORMATS)
        raise ArgumentError("image", got, f"a whole image file: {need}") from error
    scale = longest_side / max(width, height)
    if scale >= 1:
        return np.asarray(image), None
    small = max(1, round(width * scale)), max(1, round(height * scale))
    notice = f"Scaled down from {height} x {width} pixels to {small[1]} x {small[0]}."
    return np.asarray(image.resize(small, Image.Resampling.LANCZOS)), notice


def sample_photo() -> Path:
    """Return the path of the portrait in matplotlib's sample data: Grace Hopper, 600 x 512."""
    from matplotlib.cbook import get_sample_data

    return Path(get_sample_data("grace_hopper.jpg", asfileobj=False))


def photo_to_x(photo: Photo) -> Array:
    """Return ``photo`` (H, W, 3) as the input x (1, 3, H, W) of a layer, float32.

    Each channel is (byte - mean) / standard deviation, with the fixed mean and standard deviation
    of that colour over the ImageNet photos, as for RedNet. So a colour gives the same numbers in
    every photo: black is about -2, white about 2.5, and a middle grey about 0.

    Parameters
    ----------
    photo : ndarray, shape (H, W, 3), uint8

    Returns
    -------
    x : ndarray, shape (1, 3, H, W), float32

    Examples
    --------
    >>> photo_to_x(np.array([[[124, 0, 255]]], dtype=np.uint8)).ravel().round(3)
    array([ 0.006, -2.036,  2.64 ], dtype=float32)
    """
    x = ((photo - MEAN) / STD).astype(np.float32)
    return np.ascontiguousarray(x.transpose(2, 0, 1)[np.newaxis])


def x_to_photo(x: Array) -> Photo:
    """Return the photo (H, W, 3) of ``x`` (1, 3, H, W): the inverse of `photo_to_x`, clipped."""
    return _bytes(x[0].transpose(1, 2, 0) * STD + MEAN)


def decibels(photo: Photo, clean: Photo) -> float:
    """Return the peak signal-to-noise ratio of ``photo`` in dB: -10 log10 of the mean squared error.

    Examples
    --------
    >>> decibels(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8))
    0.0
    """
    error = np.square(np.subtract(photo, clean, dtype=np.float64) / 255).mean()
    return float(0 - 10 * np.log10(max(error, 1e-12)))


def colour_name(colour: NDArray[np.uint8]) -> str:
    """Return red, green and blue bytes in words.

    Examples
    --------
    >>> for bytes in (255, 255, 255), (40, 60, 140), (150, 140, 160), (250, 180, 140):
    ...     print(colour_name(np.array(bytes, np.uint8)))
    white
    dark blue
    grey
    light orange
    """
    from colorsys import rgb_to_hls

    hue, light, _ = rgb_to_hls(*(colour / 255).tolist())
    shade = "dark " if light < 0.37 else "light " if light > 0.68 else ""
    if int(colour.max()) - int(colour.min()) < 26:  # hardly a colour
        return "black" if light < 0.12 else "white" if light > 0.9 else f"{shade}grey"
    limits = (15, 45, 70, 165, 200, 260, 330, 361)  # degrees, each the end of a name
    names = "red", "orange", "yellow", "green", "cyan", "blue", "purple", "red"
    return shade + next(n for n, end in zip(names, limits, strict=True) if hue * 360 < end)


def _decoded(source: Path, longest_side: int, srgb: bool) -> tuple[PILImage, tuple[int, int]]:
    """Return the image upright and as 8-bit RGB, and its width and height in the file."""
    from PIL import ExifTags, ImageOps

    with _opened(source) as image:
        # PNG and PPM have at most 16 bits, but Pillow may give them the mode of 32.
        if image.mode == "I" and image.format not in {"PNG", "PPM"}:
            raise ValueError("its integers are of 32 bits or signed: no agreed range")
        size = image.size
        if max(size) > MAX_SIDE:
            raise ValueError(f"{size[1]} x {size[0]} pixels; at most {MAX_SIDE} a side are read")
        if image.format in ("JPEG", "MPO") and _scans(source) > MAX_SCANS:
            raise ValueError(f"a JPEG of more than {MAX_SCANS} scans")
        drafted = image.draft(image.mode, (max(8 * longest_side, 2048),) * 2)  # of a JPEG
        raw = [tile[3] for tile in image.tile]
        image.load()
        _fit_key(image, raw, source)
        size = size if drafted else image.size  # a TIFF is turned when it is loaded
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        rgb = _rgb(image, _to_srgb(image) if srgb else None)
    if orientation != 1:
        rgb.getexif()[ExifTags.Base.Orientation] = orientation
        ImageOps.exif_transpose(rgb, in_place=True)
    return rgb, size[::-1] if orientation in (5, 6, 7, 8) else size


def _scans(source: Path) -> int:
    """Return how many scans a JPEG has: its segments are walked, nothing is decoded."""
    scans, at = 0, 2
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        while scans <= MAX_SCANS and (marker := _MARKER.search(data, at)):
            code, at = marker[1][0], marker.end()
            if code == 0xD9:  # the end; what follows is no part of the image
                break
            if code == 0xDA:  # of a scan; its data have no marker but those to restart
                scans += 1
            elif code != 1:  # a segment, which tells its length
                at += max(2, int.from_bytes(data[at : at + 2], "big"))
    return scans


def _fit_key(image: ImageFile, raw: list[Any], source: Path) -> None:
    """Fit the transparent colour of a PNG, of the file's depth, to its image decoded to 8 bits."""
    from PIL import ImageChops

    key = image.info.get("transparency")
    if key is not None and raw in (["L;2"], ["L;4"]):
        image.info["transparency"] = key * (85 if raw == ["L;2"] else 17)
    elif key is not None and raw == ["RGB;16B"]:  # of which Pillow keeps the upper bytes
        with _opened(source) as lower:
            # In the other byte order, the upper bytes are the lower ones.
            lower.tile = [(*lower.tile[0][:3], "RGB;16L")]  # type: ignore[list-item]
            lower.info["transparency"] = tuple(number & 255 for number in key)
            image.info["transparency"] = tuple(number >> 8 for number in key)
            both = (part.convert("RGBA").getchannel("A") for part in (image, lower))
            image.putalpha(ImageChops.lighter(*both))
        del image.info["transparency"]


def _opened(source: Path) -> ImageFile:
    """Open a file of one of `FORMATS`, or HEIF: of others, Pillow may start Ghostscript."""
    from PIL import Image, UnidentifiedImageError

    with source.open("rb") as file:
        head = file.read(40)  # of HEIF: a size, "ftyp", and brands such as "heic" and "hevc"
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    if head[4:8] == b"ftyp" and (b"hei" in head or b"hev" in head):
        try:
            import_module("pillow_heif").register_heif_opener()
        except ImportError:
            raise ValueError("HEIF: pip install pillow-heif, or convert it to JPEG") from None
        formats = ["HEIF"]
    try:
        return Image.open(source, formats=formats)
    except UnidentifiedImageError:
        raise ValueError("no known format") from None


def _to_srgb(image: PILImage) -> Any:
    """Return the transform from the ICC profile of an image to sRGB, or None."""
    from PIL import ImageCms

    grey = image.mode in {"1", "L", "LA"} or image.mode.startswith("I")
    mode = "L" if grey else "CMYK" if image.mode == "CMYK" else "RGB"
    if (profile := image.info.get("icc_profile")) and image.mode not in {"F", "LAB"}:
        with suppress(ImageCms.PyCMSError, ImportError):  # damaged, or of another kind of image
            target = ImageCms.createProfile("sRGB")
            return ImageCms.buildTransform(BytesIO(profile), target, mode, "RGB")
    return None


def _rgb(image: PILImage, to_srgb: Any) -> PILImage:
    """Return a decoded image as 8-bit RGB, converted in bands of rows to save memory."""
    from PIL import Image

    rows = max(1, BAND // image.width)
    boxes = [(0, y, image.width, min(y + rows, image.height)) for y in range(0, image.height, rows)]
    low, span = 0.0, 65535.0  # of 16-bit grey
    if image.mode == "F":  # no agreed range: the darkest is black, the brightest white
        parts = (np.asarray(image.crop(box), np.float64) for box in boxes)
        ends = [(part.min(), part.max()) for part in parts]
        low, span = np.min(ends), np.ptp(ends)  # in float64: the span may overflow float32
        if not np.isfinite(span):
            raise ValueError("it holds infinity or NaN")
    result = Image.new("RGB", image.size)
    for box in boxes:
        band, alpha = image.crop(box), None
        if image.mode[0] in "IF":
            values, clear = np.asarray(band, np.float64), image.info.get("transparency")
            band = Image.fromarray(_bytes((values - low) / (span or 1.0) * 255))
            if clear is not None:
                alpha = Image.fromarray(np.uint8(255) * (values != clear))
        elif image.has_transparency_data:
            band = band.convert("RGBA")
            alpha = band.getchannel("A")
        band = to_srgb.apply(band.convert(to_srgb.input_mode)) if to_srgb else band.convert("RGB")
        if alpha is not None:
            band.putalpha(alpha)
            band = Image.alpha_composite(Image.new("RGBA", band.size, "white"), band)
        result.paste(band.convert("RGB"), box)
    return result


def _bytes(grey: NDArray[Any]) -> Photo:
    rounded: Photo = np.rint(grey.clip(0, 255)).astype(np.uint8)
    return rounded
