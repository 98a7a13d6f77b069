"""A photo that is scaled down keeps the brightness of patterns finer than its new pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from involution_edu.images import load_photo


def test_fine_lines_become_grey(tmp_path: Path) -> None:
    lines = np.zeros((96, 120, 3), np.uint8)
    lines[:, ::2] = 254
    Image.fromarray(lines).save(tmp_path / "lines.png")
    photo, _ = load_photo(tmp_path / "lines.png", 20)
    assert photo.shape == (16, 20, 3)
    assert np.abs(photo[:, 1:-1].astype(int) - 127).max() <= 8
