"""A network and a folder with its weights, for the tests of `classify` and `stages`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from classify_cases import LABELS, PHOTO
from PIL import Image

import involution_edu as inv
from involution_edu import models, nn
from involution_edu.apps import classify
from involution_edu.images import photo_to_x


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """Return a network whose statistics are those of the photo: else its numbers would overflow."""
    model = models.rednet26(len(LABELS), rng=3)
    rng = np.random.default_rng(0)
    for name, parameter in model.named_parameters().items():
        if name.endswith("bn3.weight"):  # 0 at the start, which would leave the blocks out
            parameter.data[...] = rng.uniform(0.5, 1, parameter.data.shape)
    norms = [m for _, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    model(photo_to_x(classify.middle(PHOTO)))
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


@pytest.fixture(scope="module")
def weights_folder(tmp_path_factory: pytest.TempPathFactory, network: nn.Module) -> Path:
    folder = tmp_path_factory.mktemp("classify")
    Image.fromarray(PHOTO).save(folder / "photo.png")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    inv.save_checkpoint(folder / "w.safetensors", network.state_dict())
    return folder
