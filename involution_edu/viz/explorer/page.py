"""One HTML file that shows a trace, computes its layer live, and loads nothing else."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import numpy as np

from ...arguments import ArgumentError, as_int
from ...arrays import Array
from ...cases import scaled_error, tolerance
from ...images import MEAN, STD, Photo
from ...nn import AvgPool2d, Conv2d, Sequential
from ..html import Page, csp_source, script_data
from ..measures import entropy, orientation
from ..palette import diverging, limit_of
from ..picks import maximum_inside, varied_pixels
from ..trace import Trace

# Modules of the page's script, each after those that it needs.
PARTS = (
    "numbers",
    "layer",
    "maps",
    "state",
    "draw",
    "panels",
    "cards",
    "controls",
    "upload",
    "tour",
    "main",
)
# Error allowed between the page's outputs and the recorded ones, relative to the largest output:
# the page computes in float64 with float32 inputs, NumPy perhaps in float32.
PAGE_TOLERANCE = 1e-5


NO_BODY = Sequential()


def explorer(
    trace: Trace,
    *,
    about: str = "",
    photo: bool = False,
    body: Sequential = NO_BODY,
    noise: Mapping[str, float] | None = None,
    source: Photo | None = None,
    height: int = 608,
) -> Page:
    """Return a page to explore an involution layer and its input.

    It shows one output pixel of the first image at a time: its numbers, its kernel, its output.
    The page has the layer in JavaScript, so that painting a pixel changes its kernel at once.
    When it opens, it recomputes every recorded output and shows the error.

    Parameters
    ----------
    trace : Trace
        Of a layer that applies its kernels to the ``x`` from which it generates them; not a part.
    about : str
        A line of plain text for the head of the page: the layer and its input.
    photo : bool
        Whether ``x`` is what `involution_edu.images.photo_to_x` returned. A photo from the
        reader's disk can then be run through the layer in the page.
    body : Sequential
        The convolutions, each followed by ReLU, that made the features of the trace from its
        ``x``, as `involution_edu.models.EdgeDenoiser.features`.
    noise : mapping, optional
        Added to such a photo: "salt_and_pepper", the share of the pixels made black or white, or
        "gaussian", the standard deviation in grey levels, 0 to 255.
    source : ndarray, shape (H, W, 3), uint8, optional
        The picture given to the network that the layer is in, shown beside its ``x``.
    height : int
        Of the frame in a notebook, in CSS pixels.

    Raises
    ------
    ValueError
        If the kernels of ``trace`` are not generated from its ``x``: it is a part of a run, or of
        a layer with a projection.

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import nn
    >>> from involution_edu.viz import record
    >>> layer = nn.Involution2d(4, 3, groups=2, rng=0).eval()
    >>> x = np.random.default_rng(0).standard_normal((1, 4, 8, 9)).astype(np.float32)
    >>> page = explorer(record(layer, x), about="Four channels of noise")
    >>> page.html.startswith("<!doctype html>")
    True
    """
    _check_whole(trace, body)
    data = _data(trace, about, photo, edges=bool(body.children()))
    arrays = data["arrays"]
    data["noise"] = dict(noise) if noise else None
    layers = body.children().values()
    for n, conv in enumerate(layer for layer in layers if isinstance(layer, Conv2d)):
        channels, _, *window = conv.weight.data.shape
        assert conv.bias is not None
        data["body"].append({"channels": channels, "window": window, "dilation": conv.dilation})
        arrays[f"body{n}_weight"] = _packed(conv.weight.data)
        arrays[f"body{n}_bias"] = _packed(conv.bias.data)
    if source is not None:
        rows, columns, _ = source.shape
        data["source"] = {"rows": rows, "columns": columns, "bytes": _packed(source, "u1")}
    page = filled(data)
    return Page(page, "Involution explorer", as_int("height", height))


def filled(data: Mapping[str, Any]) -> str:
    """Return the page with its style, its script and ``data``; it may run and load nothing else."""
    style = source("explorer.css")
    script = "\n".join(source(f"{name}.js") for name in PARTS)
    policy = (
        f"default-src 'none'; script-src '{csp_source(script)}'; style-src '{csp_source(style)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    parts = {"policy": policy, "style": style, "data": script_data(data), "script": script}
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], source("explorer.html"))


def source(name: str) -> str:
    """Return a file that the page is made of."""
    return files(__package__).joinpath("page", name).read_text(encoding="utf-8")


def _data(trace: Trace, about: str, photo: bool, edges: bool) -> dict[str, Any]:
    geom, C = trace.geom, trace.geom.C
    limits = {"x": trace.x[0], "kernel": trace.kernel[0], "y": trace.y[0]}
    arrays = {
        "x": trace.x[0],
        "reduce_weight": trace.reduce_weight,
        **trace.statistics,
        "span_weight": trace.span_weight,
        "span_bias": trace.span_bias,
        "y": trace.y[0],
    }
    kernels = trace.kernels[0, 0]  # (H_out, W_out, K_h, K_w)
    # A is near the middle, the pixel whose kernel is most like a line, or widest where kernels see
    # no neighbourhood and so no edges; B, if any, is the one least like it.
    shape = orientation(kernels)[1] if edges else entropy(kernels)
    first = maximum_inside(shape, geom.H_out // 5, geom.W_out // 5)
    distance = np.square(kernels - kernels[first]).sum(axis=(2, 3))
    others = varied_pixels(trace, first, 3, 3)[1:]
    return {
        "about": about,
        "geometry": {**asdict(geom), "H_out": geom.H_out, "W_out": geom.W_out},
        "channels": ["red", "green", "blue"] if photo else [str(c) for c in range(C)],
        "colour": {"mean": MEAN.tolist(), "std": STD.tolist()} if photo else None,
        "stages": list(trace.stages),
        "limits": {name: limit_of(a) for name, a in limits.items()},
        "anchors": diverging(np.linspace(-1, 1, 5), 1.0).tolist(),
        "tolerance": PAGE_TOLERANCE,
        "channel": next((c for c in range(C) if np.ptp(trace.x[0, c])), 0),  # not blank
        "start": first,
        "other": max(others, key=lambda at: float(distance[at]), default=None),
        "features": trace.reduce_weight.shape[1],
        "softmax": trace.softmax,
        "body": [],
        "arrays": {name: _packed(a) for name, a in arrays.items()},
    }


def _packed(a: Array | Photo, dtype: str = "<f4") -> str:
    return base64.b64encode(np.ascontiguousarray(a, dtype).tobytes()).decode("ascii")


def _check_whole(trace: Trace, body: Sequential) -> None:
    """Raise unless the reduced features are computed from ``x``, as the page does."""
    geom, weight = trace.geom, trace.reduce_weight
    conv, features = trace.stages["conv"], body(trace.x)
    if weight.shape[1] == features.shape[1]:
        pooled: Array = AvgPool2d(geom.stride)(features)
        if pooled.shape[2:] == conv.shape[2:]:
            # In float64: einsum adds one by one, and hundreds of rounding errors add up.
            reduced = np.einsum("oc,nchw->nohw", weight, pooled, dtype=np.float64)
            allowed = tolerance(conv.dtype, terms=weight.shape[1])
            if scaled_error(reduced.astype(conv.dtype), conv) <= allowed:
                return
    raise ArgumentError(
        "trace",
        "has kernels that are not generated from its x",
        "a whole run of a layer without out_channels",
    )
