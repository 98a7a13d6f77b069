"""Hold every gradient against numbers that the forward pass alone gives.

The operator is linear in ``x`` and linear in ``kernel``: along either, the loss <dy, y> is a
straight line, so its central difference

.. code-block:: text

    (<dy, y(a + h e)> - <dy, y(a - h e)>) / 2h

is the derivative itself for *any* step h. Here h = 1 and all operands are whole numbers, which
leaves no rounding either: the two sides are equal, in float32 as in float64. Linearity also gives
an identity for whole tensors, <dx, x> = <dy, y> = <dkernel, kernel>, for one forward pass.

A layer bends: BatchNorm is curved and ReLU has a kink. There the step is small, the arithmetic
float64, and an entry whose two steps see different ReLU masks is skipped and counted: across a
kink the difference is a mean of two slopes and says nothing about either.

A gradient check cannot see a forward pass that is wrong in the same way as its backward pass;
the comparison of the backends in ``compare`` can.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from . import nn
from .backends import Backend, on_numpy_arrays, select, use_backend
from .cases import AWKWARD, TOLERANCE, random_operands, scaled_error
from .geometry import Array, Geometry
from .ops import involution, involution_backward

STEP = 1e-5
# Looser than TOLERANCE: the step leaves some h^2 = 1e-10 of curvature, and 1e-16 / h = 1e-11 of
# rounding, each times numbers of the order of ten.
STEP_TOLERANCE = 1e-8


@dataclass(frozen=True, slots=True)
class Check:
    """One gradient held against the forward pass.

    Attributes
    ----------
    tensor : str
        The gradient's name: "dkernel", "dx", or the name of a parameter.
    method : str
        "central difference" or "adjoint identity".
    entries, checked, skipped : int
        Entries of the tensor, those compared, and those left out because of a ReLU kink.
    error, tolerance : float
        Largest difference relative to the largest reference, and how much is allowed.
    wrong : str or None
        The first wrong entry with both values; None if all is well.
    """

    tensor: str
    method: str
    entries: int
    checked: int
    skipped: int
    error: float
    tolerance: float
    wrong: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """The checks of an operator or layer in one case, in backward order."""

    backend: str
    subject: str
    dtype: str
    case: str
    checks: tuple[Check, ...]


def check_operator(
    backend: Backend,
    geom: Geometry,
    *,
    dtype: DTypeLike = np.float64,
    entries: int = 1000,
    seed: int = 0,
) -> list[Check]:
    """Check ``backward_kernel`` and ``backward_input`` of a backend against its ``forward``.

    Parameters
    ----------
    backend : Backend
        A module or object with these three functions; ``backends.select(name)`` returns one.
    geom : Geometry
        The sizes to check at.
    dtype : float32 or float64
    entries : int
        A tensor of at most this many is checked whole, a larger one at this many random places,
        unless its adjoint identity fails: then all of it is searched for the first wrong entry.
    seed : int
        Of the random x, kernel and dy, all whole numbers, and of the places.

    Returns
    -------
    list of Check
        For dkernel, then for dx: the central differences with h = 1 and the adjoint identity.

    Examples
    --------
    >>> from involution_edu.backends import select
    >>> from involution_edu.geometry import make_geometry
    >>> geom = make_geometry((1, 4, 4, 5), groups=2, window=3)
    >>> for check in check_operator(select("shifts"), geom):
    ...     print(check.tensor, "-", check.method, "-", check.checked, "-", check.wrong)
    dkernel - central difference - 360 - None
    dkernel - adjoint identity - 360 - None
    dx - central difference - 80 - None
    dx - adjoint identity - 80 - None
    """
    x, kernel, dy = (np.rint(4 * a) for a in random_operands(geom, dtype, seed))
    tolerance = TOLERANCE[np.dtype(dtype)]
    differences = _Differences(
        lambda: backend.forward(x, kernel, geom), dy, step=1.0, tolerance=tolerance
    )
    loss = _dot(dy, differences.y())
    checks = []
    for tensor, operand, gradient in (
        ("dkernel", kernel, backend.backward_kernel(dy, x, geom)),
        ("dx", x, backend.backward_input(dy, kernel, geom)),
    ):
        identity = _adjoint_identity(tensor, gradient, operand, loss, tolerance)
        searched = operand.size if identity.wrong else entries
        checks += [differences.check(tensor, gradient, operand, searched, seed), identity]
    return checks


def check_layer(layer: nn.Module, x: Array, *, entries: int = 1000, seed: int = 0) -> list[Check]:
    """Check ``layer.backward`` against ``layer.forward``: every parameter, and ``x``.

    The layer is copied first, so that its gradients and running averages stay as they are. The
    two branches of an `nn.Involution2d` are also checked alone, dx_apply with the kernel held
    fixed and dx_generate with the operator's input held fixed, before their sum dx.

    Parameters
    ----------
    layer : Module
        In float64, in training or in evaluation mode. Its `nn.ReLU` modules are watched for
        kinks; those of other functions go unnoticed.
    x : ndarray, float64
        What the layer is called with.
    entries, seed : int
        As in `check_operator`.

    Returns
    -------
    list of Check
        In backward order: dkernel (of an involution), the parameters from last to first, dx.

    Raises
    ------
    TypeError
        If ``x`` is not float64: small steps drown in the rounding of float32.

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import nn
    >>> layer = nn.Involution2d(8, kernel_size=3, groups=2, rng=0, dtype=float)
    >>> checks = check_layer(layer, np.random.default_rng(0).standard_normal((2, 8, 4, 5)))
    >>> print(*(check.tensor for check in checks), sep=", ")
    dkernel, conv2.conv.bias, conv2.conv.weight, conv1.bn.bias, conv1.bn.weight,
    conv1.conv.weight, dx_generate, dx_apply, dx
    >>> [check.wrong for check in checks if check.wrong]
    []
    """
    if x.dtype != np.float64:
        raise TypeError(f"x has dtype {x.dtype}; need float64, which resolves steps of {STEP}")
    layer, x = copy.deepcopy(layer), x.copy()
    for _, module in layer.named_modules():
        if isinstance(module, nn.Involution2d):
            module.band_rows = x.shape[2]  # one band: a ReLU remembers its last call only
    layer.zero_grad()
    dy = np.random.default_rng(seed).standard_normal(layer(x).shape)
    dx = layer.backward(dy)
    relus = [module for _, module in layer.named_modules() if isinstance(module, nn.ReLU)]
    whole = _Differences(lambda: layer(x), dy, relus)
    rows = [
        (whole, name, parameter.grad.copy(), parameter.data)  # the branches add to grad again
        for name, parameter in reversed(layer.named_parameters().items())
    ]
    if isinstance(layer, nn.Involution2d):
        dkernel, *branches = _branches(layer, x, dy, relus)
        rows = [dkernel, *rows, *branches]
    rows.append((whole, "dx", dx, x))
    return [differences.check(name, g, a, entries, seed) for differences, name, g, a in rows]


# Shape of x, training or not, and options of the layer: between them they take every branch.
LAYERS: dict[str, tuple[tuple[int, int, int, int], bool, dict[str, Any]]] = {
    "3x3": ((2, 8, 4, 5), True, {"groups": 2}),
    "evaluation mode": ((1, 8, 5, 4), False, {"groups": 2}),
    "stride 2, odd sizes": ((2, 8, 5, 7), True, {"groups": 4, "stride": 2}),
    "3x5, stride (1, 3), dilation (2, 1)": (
        (1, 8, 6, 7),
        True,
        {"kernel_size": (3, 5), "groups": 1, "stride": (1, 3), "dilation": (2, 1)},
    ),
    "a group per channel, no BatchNorm": ((1, 4, 5, 4), True, {"groups": 4, "sigma": "relu"}),
    "6 channels of 8, no sigma": (
        (2, 8, 3, 4),
        True,
        {"out_channels": 6, "groups": 3, "sigma": "identity"},
    ),
}


def make_layer(case: str, seed: int) -> tuple[nn.Involution2d, Array]:
    """Return the float64 layer of a row of `LAYERS` and an ``x`` for it, all numbers random."""
    shape, training, options = LAYERS[case]
    rng = np.random.default_rng(seed)
    layer = nn.Involution2d(shape[1], rng=rng, dtype=np.float64, **{"kernel_size": 3} | options)
    for parameter in layer.parameters():  # a bias that is still zero would hide its faults
        parameter.data += 0.3 * rng.standard_normal(parameter.data.shape)
    layer(rng.standard_normal(shape))  # moves the running averages away from 0 and 1
    return layer.train(training), rng.standard_normal(shape)


def check_all(backends: Iterable[str] | None = None) -> Iterator[Report]:
    """Yield a report for every backend on every awkward case, and on every row of `LAYERS`.

    Parameters
    ----------
    backends : iterable of str, optional
        Their names; all that can run here if not given.

    Raises
    ------
    ValueError, BackendUnavailable
        If there is no such backend or it cannot run here.
    """
    entries = 16  # of each tensor, to take seconds on the loops too; adjoints see the others
    if backends is None:
        backends = [name for name, reason in on_numpy_arrays().items() if reason is None]
    for name in backends:
        backend = select(name)
        for dtype in ("float32", "float64"):
            for case, geom in AWKWARD.items():
                checks = check_operator(backend, geom, dtype=dtype, entries=entries)
                yield Report(name, "operator", dtype, case, tuple(checks))
        for case in LAYERS:
            layer, x = make_layer(case, seed=0)
            with use_backend(name):
                checks = check_layer(layer, x, entries=entries)
            yield Report(name, "layer", str(x.dtype), case, tuple(checks))


@dataclass(frozen=True, slots=True)
class _Differences:
    """Central differences of <dy, y()> by steps in one of the arrays that y reads."""

    y: Callable[[], Array]
    dy: Array
    relus: Sequence[nn.ReLU] = ()
    step: float = STEP
    tolerance: float = STEP_TOLERANCE

    def slope(self, a: Array, index: tuple[int, ...]) -> float | None:
        """Return the slope along ``a[index]``; None if the two steps see different masks."""
        kept = a[index]
        ends, ys, masks = [], [], []
        for end in (kept + self.step, kept - self.step):
            a[index] = end
            ends.append(float(a[index]))  # as rounded to the dtype of a
            ys.append(self.y().astype(np.float64))
            masks.append([relu._saved[2][0] for relu in self.relus if relu._saved])
        a[index] = kept
        if not all(map(np.array_equal, *masks)):
            return None
        return _dot(self.dy, ys[0] - ys[1]) / (ends[0] - ends[1])

    def check(self, tensor: str, gradient: Array, a: Array, entries: int, seed: int) -> Check:
        """Hold ``gradient`` against the slopes at up to ``entries`` random places of ``a``."""
        method = "central difference"
        if wrong := _wrong_kind(tensor, gradient, a):
            return Check(tensor, method, a.size, 0, 0, math.inf, self.tolerance, wrong)
        rng = np.random.default_rng(seed)
        chosen = np.sort(rng.choice(a.size, min(entries, a.size), replace=False))
        places = np.transpose(np.unravel_index(chosen, a.shape)).tolist()
        slopes = {place: self.slope(a, place) for place in map(tuple, places)}
        kept = {place: slope for place, slope in slopes.items() if slope is not None}
        reference = np.array(list(kept.values()))
        found = np.array([gradient[place] for place in kept], dtype=np.float64)
        error = scaled_error(found, reference)
        if not kept and a.size:
            error, wrong = math.inf, f"{tensor} was checked nowhere: every step met a kink of ReLU"
        elif error > self.tolerance:
            allowed = self.tolerance * np.abs(reference).max()
            first = int(np.argmax(~(np.abs(found - reference) <= allowed)))
            place = ", ".join(map(str, list(kept)[first]))
            wrong = (
                f"{tensor}[{place}] is {found[first]:.9g}; "
                f"need {reference[first]:.9g} ({method}, h = {self.step:g})"
            )
        skipped = len(slopes) - len(kept)
        return Check(tensor, method, a.size, len(kept), skipped, error, self.tolerance, wrong)


def _adjoint_identity(
    tensor: str, gradient: Array, operand: Array, loss: float, tolerance: float
) -> Check:
    """Check <gradient, operand> = <dy, y> = ``loss``."""
    method, size = "adjoint identity", operand.size
    if wrong := _wrong_kind(tensor, gradient, operand):
        return Check(tensor, method, size, 0, 0, math.inf, tolerance, wrong)
    found = _dot(gradient, operand)
    error = scaled_error(np.array(found), np.array(loss))
    if error > tolerance:
        name = tensor.removeprefix("d")
        wrong = f"<{tensor}, {name}> is {found:.9g}; need <dy, y> = {loss:.9g} ({method})"
    return Check(tensor, method, size, size, 0, error, tolerance, wrong)


def _branches(
    layer: nn.Involution2d, x: Array, dy: Array, relus: Sequence[nn.ReLU]
) -> list[tuple[_Differences, str, Array, Array]]:
    """Return dkernel, dx_generate and dx_apply of ``layer``, each with what it is checked by."""
    apply = partial(involution, stride=layer.stride, dilation=layer.dilation)
    kernel = layer.generate_kernel(x)
    held = layer.project(x).copy()  # a copy, for it may be x itself, which the steps change
    dheld, dkernel = involution_backward(
        dy, held, kernel, stride=layer.stride, dilation=layer.dilation
    )
    linear = partial(_Differences, dy=dy, step=1.0, tolerance=TOLERANCE[x.dtype])
    product = linear(lambda: apply(held, kernel))
    generated = _Differences(lambda: apply(held, layer.generate_kernel(x)), dy, relus)
    applied = linear(lambda: apply(layer.project(x), kernel))
    dx_generate = layer.reduce_backward(layer.span_backward(dkernel))
    return [
        (product, "dkernel", dkernel, kernel),
        (generated, "dx_generate", dx_generate, x),
        (applied, "dx_apply", layer.project.backward(dheld), x),
    ]


def _wrong_kind(tensor: str, gradient: Array, a: Array) -> str | None:
    if (gradient.shape, gradient.dtype) == (a.shape, a.dtype):
        return None
    return f"{tensor} is {gradient.dtype} {gradient.shape}; need {a.dtype} {a.shape}"


def _dot(a: Array, b: Array) -> float:
    """Return the inner product <a, b>, summed in float64."""
    return float(np.vdot(a.astype(np.float64), b.astype(np.float64)))
