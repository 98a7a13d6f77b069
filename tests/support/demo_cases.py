"""Photos for the demo, and its progress and animation read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from involution_edu.images import Photo


class Steps(list[tuple[int, int, str]]):
    """A progress that keeps the calls."""

    def __call__(self, done: int, total: int, what: str) -> None:
        self.append((done, total, what))


def read_frames(path: Path) -> list[Photo]:
    with Image.open(path) as gif:
        shown = []
        for n in range(gif.n_frames):  # type: ignore[attr-defined]
            gif.seek(n)
            shown.append(np.asarray(gif.convert("RGB")))
    return shown


def save_photo(path: Path, rows: int, columns: int) -> Path:
    photo = np.random.default_rng(rows).integers(0, 256, (rows, columns, 3), dtype=np.uint8)
    Image.fromarray(photo).save(path)
    return path
