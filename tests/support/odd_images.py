"""Files for the reader of photos: every format that Pillow writes, and odd, damaged, hostile ones.

Run as a program, it reads all files of a folder and prints as JSON what became of each, and which
programs were started meanwhile.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from involution_edu.images import FORMATS, load_photo

# A smooth picture, so that lossy formats keep it: 16 x 24 pixels.
RAMP = np.stack(np.broadcast_arrays(*np.ogrid[40:100:16j, 50:200:24j], 90), axis=-1).astype(
    np.uint8
)
# What becomes of a file: the pixels of `RAMP`, nearly these, any photo, an error, or one of both.
EXACT, CLOSE, READ, REFUSED, EITHER = "exact", "close", "read", "refused", "either"
STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"}
Case = tuple[str, bytes, str]


def odd_images() -> list[Case]:
    """Return the name and content of each file, and what becomes of it."""
    return [*_formats(), *_kinds(), *_hostile(), *_damaged()]


def encoded(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def png_of(
    depth: int, colour: int, row: bytes, *chunks: tuple[bytes, bytes], side: int | None = None
) -> bytes:
    """Return a PNG of one row of four pixels, also of kinds that Pillow does not write."""
    head = struct.pack(">IIBBBBB", side or 4, side or 1, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def iptc_around(payload: bytes) -> bytes:
    """Return an IPTC file of ``payload``, which Pillow opens again, whatever its format."""

    def field(record: int, dataset: int, data: bytes) -> bytes:
        return bytes([0x1C, record, dataset]) + struct.pack(">H", len(data)) + data

    fields = field(3, 60, b"\1\0") + field(3, 20, b"\0\x09") + field(3, 30, b"\0\x09")
    fields += field(3, 120, b"\5")  # compressed
    return (
        fields + bytes([0x1C, 8, 10, 132, 0]) + struct.pack(">I", len(payload)) + payload + bytes(5)
    )


def eps() -> bytes:
    return encoded(Image.fromarray(RAMP), "EPS")


def _formats() -> Iterator[Case]:
    Image.init()
    for format in sorted(Image.SAVE):
        for mode in ("RGB", "L", "1", "P"):
            try:
                content = encoded(Image.fromarray(RAMP).convert(mode), format)
            except Exception:  # noqa: BLE001, S112 - not a mode of this format, or it needs a codec
                continue
            lossless = format in {"PNG", "BMP", "TIFF", "PPM"}
            fate = READ if mode != "RGB" else EXACT if lossless else CLOSE
            # A multi-picture file (MPO) is a JPEG with others behind it.
            known = format in {*FORMATS, "MPO"}
            yield f"{mode}.{format.lower()}", content, fate if known else REFUSED


def _kinds() -> Iterator[Case]:
    image = Image.fromarray(RAMP)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for name, mode, format in (
        ("cmyk.jpg", "CMYK", "JPEG"),
        ("cmyk.tif", "CMYK", "TIFF"),
        ("lab.tif", "LAB", "TIFF"),
        ("ycbcr.tif", "YCbCr", "TIFF"),
        ("clear.png", "RGBA", "PNG"),
        ("clear.webp", "RGBA", "WEBP"),
        ("clear.tif", "RGBA", "TIFF"),
        ("grey-clear.png", "LA", "PNG"),
        ("grey16.png", "I;16", "PNG"),
        ("grey16.tif", "I;16", "TIFF"),
        ("grey16.pgm", "I;16", "PPM"),
        ("float.tif", "F", "TIFF"),
        ("float.pfm", "F", "PPM"),
    ):
        yield (
            name,
            encoded(image.convert("L" if mode in {"I;16", "F"} else "RGB").convert(mode), format),
            READ,
        )
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        fate = CLOSE if compression == "jpeg" else EXACT
        yield f"{compression}.tif", encoded(image, "TIFF", compression=compression), fate
    others = {"save_all": True, "append_images": [image.rotate(90)]}
    for format in ("GIF", "PNG", "WEBP", "TIFF", "MPO"):
        fate = EXACT if format in {"PNG", "TIFF"} else CLOSE
        yield f"animated.{format.lower()}", encoded(image, format, **others), fate
    turns = Image.Transpose
    back = {2: turns.FLIP_LEFT_RIGHT, 3: turns.ROTATE_180, 4: turns.FLIP_TOP_BOTTOM}
    back |= {5: turns.TRANSPOSE, 6: turns.ROTATE_90, 7: turns.TRANSVERSE, 8: turns.ROTATE_270}
    for orientation, turn in back.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for format in ("PNG", "TIFF", "JPEG"):
            content = encoded(image.transpose(turn), format, exif=exif)
            yield (
                f"turned-{orientation}.{format.lower()}",
                content,
                CLOSE if format == "JPEG" else EXACT,
            )
    for name, found in (("right", profile), ("damaged", profile[:200]), ("of Lab", lab)):
        for format in ("PNG", "TIFF", "JPEG"):
            fate = CLOSE if format == "JPEG" else EXACT
            yield (
                f"profile-{name}.{format.lower()}",
                encoded(image, format, icc_profile=found),
                fate,
            )
    yield "progressive.jpg", encoded(image, "JPEG", progressive=True), CLOSE
    yield "plain.ppm", b"P3\n2 1\n255\n255 0 0 0 0 255\n", READ
    yield "wrong-extension.gif", encoded(image, "PNG"), EXACT
    yield "no-extension", encoded(image, "PNG"), EXACT
    yield "rgb48.png", png_of(16, 2, bytes(range(24))), READ
    yield "rgb48-clear.png", png_of(16, 2, bytes(range(24)), (b"tRNS", bytes(range(6)))), READ
    yield "grey2-clear.png", png_of(2, 0, b"\x1b", (b"tRNS", b"\0\1")), READ
    yield "grey-clear16.png", png_of(16, 4, bytes(range(16))), READ


def _hostile() -> Iterator[Case]:
    image = Image.fromarray(RAMP)
    png, jpeg, program = encoded(image, "PNG"), encoded(image, "JPEG"), eps()
    nested = program
    for _ in range(20):
        nested = iptc_around(nested)
    yield "program.eps", program, REFUSED
    yield "program.jpg", program, REFUSED
    yield (
        "program-dos.eps",
        b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 30, len(program)) + bytes(18) + program,
        REFUSED,
    )
    yield "iptc-eps.jpg", iptc_around(program), REFUSED
    yield "iptc-eps-nested.jpg", nested, REFUSED
    yield "iptc-png.jpg", iptc_around(png), REFUSED
    yield (
        "metafile.wmf",
        b"\xd7\xcd\xc6\x9a"
        + bytes(4)
        + struct.pack("<hhhhH", 0, 0, 9, 9, 72)
        + bytes(6)
        + b"\1\0\t\0"
        + bytes(60),
        REFUSED,
    )
    yield "metafile.emf", b"\1\0\0\0" + bytes(36) + b" EMF" + bytes(60), REFUSED
    yield "eps-then-png.png", program + png, REFUSED
    yield "png-then-eps.png", png + program, EXACT
    yield "jpeg-then-eps.jpg", jpeg + program, CLOSE
    yield "jpeg-then-zip.jpg", jpeg + b"PK\5\6" + bytes(18), CLOSE
    yield "script.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", REFUSED
    yield "page.pdf", b"%PDF-1.4\n%%EOF\n", REFUSED
    yield "photo.heic", b"\0\0\0\x18ftypheic" + bytes(200), REFUSED
    yield "huge.png", png_of(8, 2, bytes(9), side=60000), REFUSED
    yield (
        "huge.bmp",
        encoded(image, "BMP").replace(struct.pack("<II", 24, 16), struct.pack("<II", 60000, 60000)),
        REFUSED,
    )
    yield (
        "huge.gif",
        b"GIF89a" + b"\xff" * 4 + bytes(3) + b"," + bytes(4) + b"\xff" * 4 + b"\0\2\0;",
        REFUSED,
    )


def _damaged() -> Iterator[Case]:
    image = Image.fromarray(RAMP)
    for format in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "WEBP"):
        whole = encoded(image, format)
        yield f"cut-early.{format.lower()}", whole[:9], REFUSED
        yield f"cut.{format.lower()}", whole[: len(whole) // 2], REFUSED
        yield f"cut-late.{format.lower()}", whole[:-1], EITHER
        middle = len(whole) // 2
        yield (
            f"changed.{format.lower()}",
            whole[:middle] + b"\xff\0\xff\0" + whole[middle + 4 :],
            EITHER,
        )
    yield "empty", b"", REFUSED
    yield "zeros", bytes(4000), REFUSED
    yield "noise", np.random.default_rng(1).bytes(4000), REFUSED


def main(folder: str) -> None:
    """Read every file; print what became of it, and the programs that were started."""
    started: list[str] = []
    sys.addaudithook(lambda event, _: started.append(event) if event in STARTS else None)
    found: dict[str, Any] = {}
    for path in sorted(Path(folder).iterdir()):
        try:
            photo = load_photo(path, 100)[0]
            error = np.abs(photo.astype(int) - RAMP).max() if photo.shape == RAMP.shape else 255
            found[path.name] = int(error)
        except ValueError as refusal:
            found[path.name] = str(refusal)
    print(json.dumps({"found": found, "started": started}))


if __name__ == "__main__":
    main(*sys.argv[1:])
