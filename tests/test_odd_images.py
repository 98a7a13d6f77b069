"""Odd and hostile image files: read or refused, within a stated memory, and no program is started."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import needs
import pytest
from odd_images import CLOSE, EITHER, EXACT, REFUSED, odd_images
from PIL import Image

MEMORY = """
import sys, resource; from pathlib import Path
from involution_edu.images import load_photo
load_photo(None, 9)
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
load_photo(Path(sys.argv[1]), 1 << 31)
print(peak() - before)
"""


@needs.linux  # counts memory in kB
@pytest.mark.parametrize(
    ("mode", "format", "options", "most"),
    [
        ("RGB", "PNG", {}, 13),
        ("F", "TIFF", {"compression": "tiff_adobe_deflate"}, 14),
        ("P", "PNG", {"transparency": 0}, 13),
        ("CMYK", "JPEG", {"progressive": True}, 14),
        ("RGBA", "WEBP", {"lossless": True, "method": 0}, 20),
    ],
)
def test_a_photo_is_read_within_its_memory(
    tmp_path: Path, mode: str, format: str, options: dict[str, Any], most: int
) -> None:
    path = tmp_path / "photo"
    Image.new(mode, (3000, 3000)).save(path, format, **options)
    command = [sys.executable, "-c", MEMORY, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) <= most * 3000**2


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("odd")
    for name, content, _ in odd_images():
        (folder / name).write_bytes(content)
    return folder


def test_odd_images_are_read_or_refused_and_start_no_program(odd: Path) -> None:
    command = [sys.executable, odd_images.__code__.co_filename, str(odd)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads(done.stdout)
    assert report["started"] == []
    fates = {name: fate for name, _, fate in odd_images()}
    assert len(fates) >= 80
    for name, result in report["found"].items():
        fate = fates[name]
        if isinstance(result, str):
            assert fate in (REFUSED, EITHER), result
            assert result.startswith(f"image is {odd / name}, ")
            assert "\n" not in result
            assert result.endswith(("PNG, JPEG, WEBP, GIF, BMP, TIFF, PPM, AVIF", "need fewer"))
        else:
            assert fate != REFUSED, name
            assert result <= {EXACT: 0, CLOSE: 12}.get(fate, 255), name


def test_the_odd_images_would_start_programs(odd: Path) -> None:
    """Pillow alone asks for Ghostscript, so the test above can fail."""
    code = (
        "import sys; from PIL import Image; started = []\n"
        "sys.addaudithook(lambda event, _: started.append(event))\n"
        "try: Image.open(sys.argv[1]).load()\n"
        "except OSError: pass\n"
        "print('subprocess.Popen' in started)"
    )
    for name in ("program.jpg", "iptc-eps.jpg", "iptc-eps-nested.jpg"):
        command = [sys.executable, "-c", code, str(odd / name)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert done.stdout == "True\n", name
