"""Layers and inputs for the tests of the explorer page."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from browser import saved

from involution_edu import nn
from involution_edu.arrays import Array
from involution_edu.images import photo_to_x
from involution_edu.models import EdgeDenoiser
from involution_edu.viz import Trace, record
from involution_edu.viz.explorer import explorer

# A file name that tries to break out of the page.
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror=hacked=1>&{{script}}.png"

LAYERS: dict[str, dict[str, Any]] = {
    "RGB, one group": {"channels": 3, "kernel_size": 5, "groups": 1, "reduction": 1},
    "two groups": {"channels": 6, "kernel_size": 3, "groups": 2, "reduction": 2},
    "stride 2, odd sizes": {"channels": 4, "kernel_size": 5, "groups": 2, "stride": 2},
    "stride (1, 3), dilation (2, 1), 3x5": {
        "channels": 4,
        "kernel_size": (3, 5),
        "groups": 4,
        "stride": (1, 3),
        "dilation": (2, 1),
        "reduction": 1,
    },
    "no batch norm": {
        "channels": 2,
        "kernel_size": 3,
        "groups": 1,
        "sigma": "relu",
        "reduction": 1,
    },
    "sixteen channels": {"channels": 16, "kernel_size": 3, "group_channels": 4},
    "linear, 1x1": {"channels": 4, "kernel_size": 1, "groups": 2, "sigma": "identity"},
}


def layer_of(name: str) -> nn.Involution2d:
    """Return a layer in evaluation mode whose every parameter matters: none is 0 or 1."""
    layer = nn.Involution2d(**LAYERS[name], rng=3)
    rng, state = np.random.default_rng(5), layer.state_dict()
    for key, a in state.items():
        if key.endswith(("bias", "running_mean")):
            state[key] = rng.standard_normal(a.shape).astype(a.dtype)
        elif key.endswith(("bn.weight", "running_var")):
            state[key] = rng.uniform(0.5, 2, a.shape).astype(a.dtype)
    layer.load_state_dict(state)
    return layer.eval()


def x_of(name: str, size: tuple[int, int] = (7, 11)) -> Array:
    """Return two random images; the page shows the first."""
    rng = np.random.default_rng(4)
    return rng.standard_normal((2, LAYERS[name]["channels"], *size)).astype(np.float32)


def edge_model() -> EdgeDenoiser:
    """Return a small denoiser, untrained, whose every bias matters."""
    model = EdgeDenoiser((3, 5), channels=(9, 6), reduced=5, rng=3)
    rng, state = np.random.default_rng(5), model.state_dict()
    for key, a in state.items():
        state[key] = (a + 0.1 * rng.standard_normal(a.shape)).astype(a.dtype)
    model.load_state_dict(state)
    return model.eval()


def edge_page(folder: Path, **options: Any) -> tuple[Path, Trace]:
    """Write the page of that model and a small photo."""
    photo = np.random.default_rng(0).integers(0, 256, (18, 23, 3), np.uint8)
    trace = record(edge_model(), photo_to_x(photo))
    page = explorer(trace, photo=True, body=edge_model().features, **options)
    return saved(folder, "edge", page.html), trace


def photo_page(folder: Path) -> tuple[Path, Trace]:
    """Write the page of a small photo with a hostile name."""
    photo = np.random.default_rng(0).integers(0, 256, (10, 13, 3), np.uint8)
    trace = record(layer_of("RGB, one group"), photo_to_x(photo))
    return saved(folder, "photo", explorer(trace, about=HOSTILE, photo=True).html), trace


def group_page(folder: Path) -> tuple[Path, Trace]:
    """Write the page of six channels in two groups."""
    trace = record(layer_of("two groups"), x_of("two groups"))
    return saved(folder, "groups", explorer(trace).html), trace


def element(page: str, pattern: str) -> str:
    """Return the text of the one element of a page whose tag matches."""
    (found,) = re.findall(rf"<{pattern}>(.*?)</", page, re.DOTALL)
    assert isinstance(found, str)
    return found


def data_of(page: str) -> dict[str, Any]:
    """Return the data that the page carries."""
    data = json.loads(element(page, 'script type="application/json" id="data"'))
    assert isinstance(data, dict)
    return data


def numbers(data: dict[str, Any], name: str) -> Any:
    """Return an array of the data, flat."""
    return np.frombuffer(base64.b64decode(data["arrays"][name]), "<f4")
