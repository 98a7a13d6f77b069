"""Page to explore an involution layer, alone or in a network, on a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import ArgumentError, as_choice, as_int
from ..arrays import Array
from ..checkpoint import load_weights
from ..files import check_writable, shown
from ..images import Photo, load_photo, photo_to_x
from ..models import MODELS, EdgeDenoiser, pretrained
from ..models.edge import SIGMA, with_noise
from ..models.salt_and_pepper import NOISE_SHARE, with_salt_and_pepper
from ..nn import Module
from ..nn.losses import softmax
from ..training.data import digits
from ..viz import Trace, record
from ..viz.explorer import explorer
from ..viz.html import Page
from ..viz.recording import involution_names
from .classify import CLASSES, DIGIT, FULL_SIZE, digit_to_x, logits_of

REDNETS = {name: make for name, make in MODELS.items() if name.startswith("rednet")}
LAYERS = "edge", "salt-and-pepper"  # models of one layer, on a photo with noise
NAMES = *LAYERS, "digits", *REDNETS
MAX_SIZE = 128  # pixels a side: the page computes all their kernels, and again while one paints
MAX_BYTES = 1_500_000  # of the page


@dataclass(frozen=True, eq=False)
class Explored:
    """Result of `run`: the page, and every number on it."""

    about: str  # the layer and the picture, in one sentence
    notice: str | None  # such as that the picture was scaled
    trace: Trace
    file: Path
    model: str
    layer: str | None  # its name in the model; None if it is the model
    weights: str  # "shipped" with the package, "random", or the path of their file
    ok = True

    def text(self) -> str:
        """Return the page's subject and its path."""
        wrote = f"Wrote {shown(str(self.file), 4096)}; open it in a browser."
        return "\n".join([self.about, *([self.notice] if self.notice else []), wrote])

    def data(self) -> dict[str, Any]:
        """Return the path and size of the page, and its subject."""
        geom = self.trace.geom
        return {
            "file": str(self.file),
            "bytes": self.file.stat().st_size,
            "size": [geom.H, geom.W],
            "model": self.model,
            "layer": self.layer,
            "weights": self.weights,
        }


def run(
    image: str | Path | None = None,
    *,
    model: str = "edge",
    layer: str | None = None,
    path: str | Path | None = None,
    out: str | Path = "explorer.html",
    force: bool = False,
    size: int | None = None,
    seed: int = 0,
) -> Explored:
    """Run an involution layer on a picture and write a page to explore it.

    ``model`` is one of `NAMES`: the `EdgeDenoiser` or the layer of the demo, each on a photo with
    the noise that it was trained to remove, the small RedNet trained on digits, or a RedNet of
    ImageNet with the weights at ``path`` or random ones. Without an ``image``, it is the portrait
    that ships with matplotlib, or one of scikit-learn's digits that the network was not trained
    on. ``layer`` is an involution of the network, if not given the first, and ``size`` the longest
    side of the photo, 8 to 128 pixels, 96 or 64 if not given; digits have 8 x 8.

    Raises
    ------
    ValueError
        If the image or the weights cannot be used, there is no such model or layer, or the page
        of the layer would be larger than `MAX_BYTES`.
    OSError
        If a file cannot be read or written.
    """
    seed, out, image = as_int("seed", seed, 0), Path(out), None if image is None else Path(image)
    as_choice("model", model, NAMES)
    if path is not None and model not in REDNETS:
        raise ArgumentError("path", f"is {path}", f"no weights for {model}, which has its own")
    if size is not None and model == "digits":
        raise ArgumentError("size", f"is {size}", f"none for digits, of {DIGIT} x {DIGIT} pixels")
    if layer is not None and model in LAYERS:
        raise ArgumentError("layer", f"is {layer!r}", f"none for {model}, which is one layer")
    usual = 96 if model == "edge" else 64
    size = usual if size is None else as_int("size", size, 8, MAX_SIZE)
    if out.suffix != ".html":  # a browser would not show it as a page
        raise ArgumentError("out", f"is {out}", "a name that ends in .html")
    check_writable(out, force=force, choice="another file with --out", source=image)

    name = name_of(image)
    if model == "edge":
        photo, notice = load_photo(image, size)
        page, trace = _edge_page(with_noise(photo, seed), name, seed)
        subject = "a layer whose kernels follow edges"
    elif model == "salt-and-pepper":
        photo, notice = load_photo(image, size)
        noisy = with_salt_and_pepper(photo, seed)
        trace = record(pretrained(model), photo_to_x(noisy))
        page, subject = page_of(trace, name, seed), "an involution layer"
    else:
        if model in REDNETS:
            source, notice = load_photo(image, size)
            x = photo_to_x(source)
        else:
            x, name, notice = _test_digit(seed) if image is None else _digit_of(image)
            source = np.rint(255 - 255 * x[0].transpose(1, 2, 0).repeat(3, axis=2)).astype(np.uint8)
        network, words = _network(model, x, path, seed)
        layer = involution_names(network)[0] if layer is None else layer
        trace = record(network, x, layer=layer)
        about = (
            f"The picture is {name}, {x.shape[2]} × {x.shape[3]} pixels. The network is {words}."
        )
        page, subject = _page(trace, about, layer, source), f"layer {layer} of {words}"
    page.save(out, force=force)
    weights = "shipped" if model not in REDNETS else "random" if path is None else str(path)
    return Explored(
        f"Every pixel of {name} in {subject}.", notice, trace, out, model, layer, weights
    )


def page_of(trace: Trace, name: str, seed: int) -> Page:
    """Return the page to explore the layer on a noisy photo of that name."""
    geom = trace.geom
    about = (
        f"The photo is {name}, {geom.H} × {geom.W} pixels, with salt-and-pepper noise (seed "
        f"{seed}). One layer, trained to remove such noise: {geom.C} channels, one group, "
        f"{geom.window[0]} × {geom.window[1]} kernels."
    )
    noise = {"salt_and_pepper": NOISE_SHARE}
    return explorer(trace, about=about, photo=True, noise=noise)


def name_of(image: Path | None) -> str:
    """Return the name of a photo for texts."""
    return "the sample portrait" if image is None else shown(image.name)


def _digit_of(image: Path) -> tuple[Array, str, str | None]:
    """Return the input of the network, its name, and a warning if it looks wrong."""
    x = digit_to_x(load_photo(image, FULL_SIZE)[0])
    dark = "More than half of it is dark; the network was trained on dark ink on light paper."
    return x, f"the digit in {name_of(image)}", dark if x.mean() > 0.5 else None


def _test_digit(seed: int) -> tuple[Array, str, None]:
    try:
        data = digits()
    except ImportError as error:
        raise ArgumentError(
            "image",
            f"is not given, and scikit-learn's digits cannot be loaded ({error})",
            "a picture of a digit, or: pip install scikit-learn",
        ) from error
    n = int(np.random.default_rng(seed).integers(len(data.x_test)))
    name = f"scikit-learn's test digit number {n}, labelled {data.y_test[n]}"
    return data.x_test[n : n + 1], name, None


def _network(model: str, x: Array, path: str | Path | None, seed: int) -> tuple[Module, str]:
    """Return the network, in evaluation mode, and a description of it."""
    if model == "digits":
        network = pretrained(model)
        probabilities = softmax(network(x)[0].astype(np.float64))
        read = f"{probabilities.argmax()} ({100 * probabilities.max():.0f} %)"
        return network, f"the trained small RedNet for digits, which reads {read}"
    network = REDNETS[model](CLASSES, rng=seed).eval()
    if path is None:
        return network, f"{model} with random weights (seed {seed}), not trained"
    load_weights(network, path)
    logits_of(network, x, path)
    return network, f"{model} with the weights of {shown(Path(path).name)}"


def _edge_page(photo: Photo, name: str, seed: int) -> tuple[Page, Trace]:
    network = pretrained("edge")
    assert isinstance(network, EdgeDenoiser)
    trace = record(network, photo_to_x(photo))
    geom = trace.geom
    about = (
        f"The photo is {name}, {geom.H} × {geom.W} pixels, with Gaussian noise of {SIGMA:.0f} grey "
        f"levels (seed {seed}). The layer was trained on other photos to remove it: convolutions make "
        f"features, and each pixel's features make its {geom.window[0]} × {geom.window[1]} kernel."
    )
    noise = {"gaussian": SIGMA}
    return explorer(trace, about=about, photo=True, body=network.features, noise=noise), trace


def _page(trace: Trace, about: str, layer: str, source: Photo) -> Page:
    geom = trace.geom
    groups = "one group" if geom.G == 1 else f"{geom.G} groups"
    page = explorer(
        trace,
        about=f"{about} Shown is its layer {layer}: {geom.C} channels of {geom.H} × {geom.W} "
        f"pixels, {groups}, {geom.window[0]} × {geom.window[1]} kernels.",
        source=source,
    )
    count = len(page.html.encode())
    if count > MAX_BYTES:
        raise ArgumentError(
            "layer",
            f"is {layer!r}, of {geom.C} channels, whose page would have {count / 1e6:.2f} MB",
            f"at most {MAX_BYTES / 1e6:.1f} MB, as an earlier layer has",
        )
    return page
