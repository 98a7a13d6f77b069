"""Picture of the kernels that every stage of a network generates."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..arguments import ArgumentError
from ..files import check_writable, shown, written_whole
from .classify import case_of, logits_of


@dataclass(frozen=True, slots=True)
class Stages:
    """Result of `draw_stages`: the picture, and the sizes of the kernels drawn on it."""

    image: str
    model: str
    file: Path
    kernels: dict[str, tuple[int, ...]]  # (G, K_h, K_w, H_out, W_out) of each stage
    ok = True

    def text(self) -> str:
        """Return a line for each stage."""
        lines = [f"Kernels of {self.model} on {self.image}, in the last involution of each stage:"]
        lines += [
            f"  {name}: {G} group{'s'[: G > 1]}, {K_h} x {K_w} kernels at {H} x {W} pixels"
            for name, (G, K_h, K_w, H, W) in self.kernels.items()
        ]
        return "\n".join([*lines, f"Wrote {shown(str(self.file), 4096)}"])

    def data(self) -> dict[str, Any]:
        """Return the attributes as plain values."""
        kernels = {name: list(shape) for name, shape in self.kernels.items()}
        return {"model": self.model, "file": str(self.file), "kernels": kernels}


def draw_stages(
    image: str | os.PathLike[str] | None = None,
    *,
    model: str = "digits",
    path: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    out: str | os.PathLike[str] = "stages.png",
    force: bool = False,
) -> Stages:
    """Draw the kernels of every stage of a network on a picture, see `stage_maps`.

    Parameters
    ----------
    image : str or path, optional
        As `load_photo` reads; if not given, a digit drawn for the model "digits", and the portrait
        that ships with matplotlib for others.
    model : str
        "digits" or a RedNet of `involution_edu.models.MODELS`.
    path, labels : str or path, optional
        Weights and names of the classes, as for `classify`.
    out : str or path
        A PNG.
    force : bool
        Whether ``out`` may be replaced.

    Raises
    ------
    OSError
        If a file cannot be read or written.
    ValueError
        If one has the wrong content, or the model has no involution.

    Examples
    --------
    >>> import tempfile
    >>> draw_stages(out=Path(tempfile.mkdtemp(), "stages.png")).kernels["layer1"]
    (1, 7, 7, 8, 8)
    """
    file = Path(out)
    if file.suffix != ".png":
        raise ArgumentError("out", f"is {file}", "a name that ends in .png")
    if model.startswith("resnet"):
        raise ArgumentError("model", f"is {model!r}, which has no involution", "a rednet or digits")
    check_writable(file, force=force, source=None if image is None else Path(image))
    case = case_of(image, model, path, labels)
    logits_of(case.network, case.x, path)

    from ..viz.figures.stages import record_stages, stage_maps

    traces = record_stages(case.network, case.x)
    figure = stage_maps(traces, case.photo)
    with written_whole(file, force=force) as temporary:
        figure.savefig(temporary, format="png")
    default = "a drawn digit" if model == "digits" else "the sample portrait"
    name = default if image is None else shown(Path(image).name)
    kernels = {stage: trace.kernel.shape[1:] for stage, trace in traces.items()}
    return Stages(name, model, file, kernels)
