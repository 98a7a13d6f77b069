"""Photos read from files, and their conversion to the input of a layer."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .arguments import ArgumentError
from .arrays import Array

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

Photo = NDArray[np.uint8]

# Red, green and blue of the ImageNet training photos, in grey levels 0..255.
MEAN = np.array([123.675, 116.28, 103.53])
STD = np.array([58.395, 57.12, 57.375])


def load_photo(path: Path | None, longest_side: int) -> tuple[Photo, str | None]:
    """Read a photo as red, green and blue bytes, scaled down to ``longest_side`` pixels.

    Grey, palette, CMYK and 16-bit files become 8-bit RGB, and so do floating-point numbers, scaled
    from their minimum to their maximum. Transparent pixels are put on white, the EXIF orientation
    is applied, and of an animation the first frame is read. A photo that is small enough keeps
    every pixel.

    Parameters
    ----------
    path : Path or None
        An image file that Pillow reads; None is the portrait that ships with matplotlib.
    longest_side : int
        Maximum of rows and columns of the result, in pixels.

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
        If it is a pipe or a device, not an image, damaged, too large to unpack, or of 32-bit
        integers, which have no agreed range.

    Examples
    --------
    The portrait that ships with matplotlib:

    >>> photo, notice = load_photo(None, 72)
    >>> photo.shape, notice
    ((72, 61, 3), 'Scaled down from 600 x 512 pixels to 72 x 61.')
    """
    from PIL import Image, UnidentifiedImageError

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
            with Image.open(source) as opened:
                if opened.format == "EPS":
                    raise ValueError("EPS is a program, not pixels")
                # PNG and PPM have at most 16 bits, but Pillow may give them the mode of 32.
                if opened.mode == "I" and opened.format not in {"PNG", "PPM"}:
                    raise ValueError("its integers are of 32 bits or signed: no agreed range")
                image = _upright_rgb(opened)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise ArgumentError(
            "image", f"is {source}, of more than {Image.MAX_IMAGE_PIXELS} pixels", "fewer"
        ) from None
    except PermissionError:
        raise PermissionError(f"image is {source}, which may not be read; need a file") from None
    except Exception as error:
        # Pillow's decoders raise almost any exception on a damaged file.
        reason = "no known format" if isinstance(error, UnidentifiedImageError) else error
        raise ArgumentError(
            "image",
            f"is {source}, which cannot be read ({reason})",
            "a whole image file such as a PNG or JPEG",
        ) from error

    width, height = image.size
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
    """Return the photo (H, W, 3) of ``x`` (1, 3, H, W): the inverse of `photo_to_x`, clipped.

    Examples
    --------
    >>> x_to_photo(np.array([0.006, -2.036, 9.0]).reshape(1, 3, 1, 1))
    array([[[124,   0, 255]]], dtype=uint8)
    """
    return _bytes(x[0].transpose(1, 2, 0) * STD + MEAN)


def _upright_rgb(image: PILImage) -> PILImage:
    """Return ``image`` decoded, upright and as 8-bit RGB."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):  # 16-bit grey; 65535 = 255 * 257
        return Image.fromarray(_bytes(np.asarray(image) / 257)).convert("RGB")
    if image.mode == "F":  # no agreed range: the darkest is black, the brightest white
        values = np.asarray(image, np.float64)  # max - min may overflow float32
        if not np.isfinite(values).all():
            raise ValueError("it holds infinity or NaN")
        span = float(np.ptp(values)) or 1.0
        return Image.fromarray(_bytes((values - values.min()) / span * 255)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


def _bytes(grey: NDArray[Any]) -> Photo:
    rounded: Photo = np.rint(grey.clip(0, 255)).astype(np.uint8)
    return rounded
