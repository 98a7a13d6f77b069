"""A photo and labels for the tests of `classify` and `stages`."""

from __future__ import annotations

import numpy as np
from PIL import Image

from involution_edu.images import Photo

LABELS = [f"thing {n}" for n in range(7)]


def random_photo(rows: int, columns: int) -> Photo:
    blocks = np.random.default_rng(rows).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    image = Image.fromarray(blocks).resize((columns, rows), Image.Resampling.BILINEAR)
    return np.asarray(image)


PHOTO = random_photo(300, 420)
