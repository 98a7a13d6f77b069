"""Traces kept in a file: a plain ``.npz`` of arrays, which runs no code when it is read."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import ArgumentError, check_shape
from ..arrays import Array, check_array
from ..files import written_whole
from ..geometry import Geometry
from .trace import OperatorTrace, Trace

OPERATOR = ("x", "kernel", "y")
GENERATOR = ("reduce_weight", "span_weight", "span_bias")
SIZES = ("stride", "padding", "dilation", "origin")  # pairs of whole numbers


def save_trace(path: str | Path, trace: OperatorTrace, *, force: bool = False) -> None:
    """Write ``trace`` to ``path``; `Trace.part` keeps the file small.

    Parameters
    ----------
    path : path
        Ends in ``.npz``.
    trace : OperatorTrace or Trace
    force : bool
        Replace the file if it exists.

    Raises
    ------
    ValueError
        If the path ends otherwise.
    OSError
        If the file exists or cannot be written; it is written whole or not at all.

    Examples
    --------
    >>> import tempfile
    >>> from involution_edu.viz import record_operator
    >>> path = Path(tempfile.mkdtemp()) / "small.npz"
    >>> save_trace(path, record_operator(np.ones((1, 1, 3, 4)), np.ones((1, 1, 3, 3, 3, 4))))
    >>> load_trace(path).y[0, 0, 1].tolist()
    [6.0, 9.0, 9.0, 6.0]
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ArgumentError("path", f"is {path}", "a name that ends in .npz")
    arrays = {name: getattr(trace, name) for name in OPERATOR}
    pairs = {name: getattr(trace.geom, name) for name in SIZES[:3]} | {"origin": trace.origin}
    arrays |= {name: np.array(pair) for name, pair in pairs.items()}
    if isinstance(trace, Trace):
        arrays |= {name: getattr(trace, name) for name in GENERATOR}
        arrays |= {f"statistics.{name}": a for name, a in trace.statistics.items()}
        arrays |= {f"stages.{name}": a for name, a in trace.stages.items()}
    with written_whole(path, force=force) as whole:
        np.savez_compressed(whole, **arrays)


def load_trace(path: str | Path) -> OperatorTrace:
    """Read what `save_trace` wrote: a `Trace` if it has a generator, else an `OperatorTrace`.

    Parameters
    ----------
    path : path

    Returns
    -------
    trace : OperatorTrace or Trace

    Raises
    ------
    OSError
        If there is no file that may be read.
    ValueError
        If it is no such file, or its arrays do not fit together.

    Examples
    --------
    >>> import tempfile
    >>> from involution_edu import nn, viz
    >>> layer = nn.Involution2d(2, 3, groups=1, reduction=1, rng=0).eval()
    >>> path = Path(tempfile.mkdtemp()) / "layer.npz"
    >>> viz.save_trace(path, viz.record(layer, np.ones((1, 2, 4, 5), np.float32)))
    >>> trace = viz.load_trace(path)
    >>> type(trace).__name__, trace.reduced.shape
    ('Trace', (1, 2, 4, 5))
    """
    path = Path(path)
    try:
        # An array of objects would run code when it is read; allow_pickle=False refuses it.
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return _trace_of({name: file[name] for name in file.files})
    except OSError:
        raise
    except (ValueError, TypeError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else error
        raise ArgumentError("path", f"is {path}, which holds no trace ({reason})", "one") from error


def _trace_of(arrays: dict[str, Array]) -> OperatorTrace:
    dtype = arrays["x"].dtype
    x, kernel, y = (check_array(name, arrays.pop(name), dtype) for name in OPERATOR)
    pairs = {name: arrays.pop(name).tolist() for name in SIZES}
    row, column = pairs.pop("origin")
    stride, padding, dilation = (tuple(pairs[name]) for name in SIZES[:3])
    geom = Geometry.of(x, kernel, stride=stride, padding=padding, dilation=dilation)
    check_shape("y", y, geom.y_shape, "(N, C, H_out, W_out)")
    operator: dict[str, Any] = {
        "x": x,
        "kernel": kernel,
        "y": y,
        "geom": geom,
        "origin": (row, column),
    }
    if not arrays:
        return OperatorTrace(**operator)
    generator: dict[str, Any] = {"statistics": {}, "stages": {}}
    for name in list(arrays):
        group, _, member = name.partition(".")
        if member:
            generator[group][member] = check_array(name, arrays.pop(name), dtype)
    generator |= {name: check_array(name, arrays.pop(name), dtype) for name in GENERATOR}
    if arrays:
        raise ValueError(f"it has the unknown {', '.join(arrays)}")
    return _checked(Trace(**operator, **generator))


def _checked(trace: Trace) -> Trace:
    """Return ``trace`` if the shapes of its generator fit its kernels."""
    geom = trace.geom
    if not trace.stages:
        raise ValueError("it has no stages")
    hidden, spanned = trace.reduce_weight.shape[0], geom.G * geom.window[0] * geom.window[1]
    for name, a in trace.stages.items():
        check_shape(
            f"stages.{name}", a, (geom.N, hidden, geom.H_out, geom.W_out), "(N, C // r, ...)"
        )
    for name, a in trace.statistics.items():
        check_shape(f"statistics.{name}", a, (hidden,), "(C // r,)")
    check_shape("span_weight", trace.span_weight, (spanned, hidden), "(G*K_h*K_w, C // r)")
    check_shape("span_bias", trace.span_bias, (spanned,), "(G*K_h*K_w,)")
    return trace
