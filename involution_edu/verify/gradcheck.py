"""Check every gradient against numbers from the forward pass alone.

The operator is linear in ``x`` and linear in ``kernel``: along either, the loss <dy, y> is a
straight line, so its central difference

.. code-block:: text

    (<dy, y(a + h e)> - <dy, y(a - h e)>) / 2h

is the derivative itself for *any* step h. Here h = 1 and all operands are whole numbers, which
leaves no rounding either: the two sides are equal, in float32 as in float64. Linearity also gives
an identity for whole tensors, <dx, x> = <dy, y> = <dkernel, kernel>, for one forward pass.

A layer is not linear: BatchNorm is curved, ReLU and MaxPool have kinks. There the step is small
and the arithmetic float64. An entry is skipped and counted if between its two steps an input of
ReLU changes its sign or MaxPool takes another pixel: across a kink the difference is a mean of two
slopes and equals neither.

A gradient check cannot see a forward pass that is wrong in the same way as its backward pass;
the comparison of the backends in ``compare`` can.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, islice
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import nn
from ..arguments import WrongTypeError
from ..arrays import Array
from ..backends import Backend, on_numpy_arrays, rung_of, use_backend
from ..cases import AWKWARD, TOLERANCE, random_operands
from ..geometry import Geometry
from ..ops import involution, involution_backward
from ..progress import Progress, no_progress
from .differences import STEP, Check, Differences, adjoint_identity, dot
from .layer_cases import LAYERS, make_layer, make_network
from .on_numpy import on_numpy, takes
from .text import Lines, number, wrapped


@dataclass(frozen=True, slots=True)
class CaseReport:
    """The checks of an operator or layer in one case, in backward order."""

    backend: str
    subject: str
    dtype: str
    case: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class GradientReport(Lines):
    """The result of `check_all`."""

    reports: tuple[CaseReport, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return not any(check.wrong for r in self.reports for check in r.checks)

    def lines(self) -> Iterator[str]:
        """Yield a row for every gradient of every backend, and its first failure."""
        key = attrgetter("backend", "subject", "dtype")
        for (backend, subject, dtype), group in groupby(self.reports, key):
            cases = list(group)
            yield f"{backend}: {subject} in {dtype}, {len(cases)} cases"
            yield ("tensor            compared with      checked     of kinks    error allowed")
            rows: dict[tuple[str, str], list[Check]] = {}
            for check in (check for report in cases for check in report.checks):
                rows.setdefault((check.tensor, check.method), []).append(check)
            for (tensor, method), checks in rows.items():
                counts = ("checked", 7), ("entries", 6), ("skipped", 5)
                sums = " ".join(f"{sum(getattr(c, n) for c in checks):>{w}}" for n, w in counts)
                error, allowed = number(max(c.error for c in checks)), number(checks[0].tolerance)
                verdict = "FAIL" if any(c.wrong for c in checks) else "ok"
                # The end of the name of a layer in a layer is enough beside the title.
                yield f"{tensor[-17:]:17} {method:18} {sums} {error:>8} {allowed:>7}  {verdict}"
            wrong = ((r.case, check) for r in cases for check in r.checks if check.wrong)
            for case, check in islice(wrong, 1):
                yield wrapped(
                    f"First wrong, in case {case!r}: {check.wrong}; error "
                    f"{number(check.error)}, allowed {number(check.tolerance)}"
                )
            yield ""
        wrongs = [check.wrong for r in self.reports for check in r.checks]
        failed, total = len(wrongs) - wrongs.count(None), len(wrongs)
        yield f"{failed} of {total} checks failed." if failed else f"All {total} checks passed."


def check_operator(
    backend: Backend, geom: Geometry, *,
    dtype: DTypeLike = np.float64, entries: int = 1000, seed: int = 0,
) -> list[Check]:  # fmt: skip
    """Check ``backward_kernel`` and ``backward_input`` of a backend against its ``forward``.

    Parameters
    ----------
    backend : Backend
        A module or object with these three functions; ``backends.select(name)`` returns one.
    geom : Geometry
        The sizes to check at.
    dtype : float32 or float64
    entries : int
        A tensor of at most this many is checked whole, a larger one at this many random indices,
        unless its adjoint identity fails: then all of it is searched for the first wrong entry.
    seed : int
        Of the random x, kernel and dy, all whole numbers, and of the indices.

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
    differences = Differences(
        lambda: backend.forward(x, kernel, geom), dy, step=1.0, tolerance=tolerance
    )
    loss = dot(dy, differences.y())
    checks = []
    for tensor, operand, gradient in (
        ("dkernel", kernel, backend.backward_kernel(dy, x, geom)),
        ("dx", x, backend.backward_input(dy, kernel, geom)),
    ):
        identity = adjoint_identity(tensor, gradient, operand, loss, tolerance)
        searched = operand.size if identity.wrong else entries
        checks += [differences.check(tensor, gradient, operand, searched, seed), identity]
    return checks


def check_layer(layer: nn.Module, x: Array, *, entries: int = 1000, seed: int = 0) -> list[Check]:
    """Check ``layer.backward`` against ``layer.forward`` in float64, in backward order.

    The branches of an `nn.Involution2d` are also checked alone: dx_apply with the kernel kept fixed
    and dx_generate with the operator's input. Only `nn.ReLU` and `nn.MaxPool2d` have kinks.

    >>> layer = nn.Involution2d(8, kernel_size=3, groups=2, rng=0, dtype=float)
    >>> checks = check_layer(layer, np.random.default_rng(0).standard_normal((2, 8, 4, 5)))
    >>> print(*(check.tensor for check in checks), sep=", ")
    dkernel, conv2.conv.bias, conv2.conv.weight, conv1.bn.bias, conv1.bn.weight,
    conv1.conv.weight, dx_generate, dx_apply, dx
    >>> [check.wrong for check in checks if check.wrong]
    []
    """
    if x.dtype != np.float64:
        need = f"float64, which resolves steps of {STEP}"
        raise WrongTypeError("x", f"has dtype {x.dtype}", need)
    layer, x = copy.deepcopy(layer), x.copy()
    for _, module in layer.named_modules():
        if isinstance(module, nn.Involution2d):
            module.band_rows = x.shape[2]  # one band: a ReLU saves its last call only
    layer.zero_grad()
    dy = np.random.default_rng(seed).standard_normal(layer(x).shape)
    dx = layer.backward(dy)
    kinked = [m for _, m in layer.named_modules() if isinstance(m, nn.ReLU | nn.MaxPool2d)]
    whole = Differences(lambda: layer(x), dy, kinked)
    rows = [
        (whole, name, parameter.grad.copy(), parameter.data)  # the branches add to grad again
        for name, parameter in reversed(layer.named_parameters().items())
    ]
    if isinstance(layer, nn.Involution2d):
        dkernel, *branches = _branches(layer, x, dy, kinked)
        rows = [dkernel, *rows, *branches]
    rows.append((whole, "dx", dx, x))
    return [differences.check(name, g, a, entries, seed) for differences, name, g, a in rows]


Step = tuple[str, str, str, str, Callable[[], list[Check]]]  # the fields of a CaseReport
ENTRIES = 16  # of each tensor, to take seconds on the loops too; adjoints cover the others


def check_all(
    backends: Iterable[str] | None = None, progress: Progress = no_progress
) -> GradientReport:
    """Check backends, by default all that run on NumPy arrays, and layers, in every case."""
    if backends is None:
        backends = [name for name, reason in on_numpy_arrays().items() if reason is None]
    steps = [step for name in backends for step in _steps(name)]
    for mode in ("training", "evaluation"):  # of the layers that need no backend
        network = partial(_check_made, make_network, mode == "training")
        steps.append(("any backend", "network", "float64", f"{mode} mode", network))
    reports = []
    for done, (backend, subject, dtype, case, check) in enumerate(steps, 1):
        reports.append(CaseReport(backend, subject, dtype, case, tuple(check())))
        progress(done, len(steps), f"{backend}: {subject}, {case}")
    return GradientReport(tuple(reports))


def _steps(name: str) -> Iterator[Step]:
    """Yield the checks of one backend."""
    backend = on_numpy(name)
    for dtype in TOLERANCE:
        for case, geom in AWKWARD.items():
            if takes(backend, geom, dtype):
                check = partial(check_operator, backend, geom, dtype=str(dtype), entries=ENTRIES)
                yield name, "operator", str(dtype), case, check
    if rung_of(name).arrays == "numpy":
        for case in LAYERS:
            yield name, "layer", "float64", case, partial(_check_made, make_layer, case, name)


def _check_made(
    make: Callable[[Any, int], tuple[nn.Module, Array]], case: Any, backend: str = "auto"
) -> list[Check]:
    layer, x = make(case, 0)
    with use_backend(backend):
        return check_layer(layer, x, entries=ENTRIES)


def _branches(
    layer: nn.Involution2d, x: Array, dy: Array, kinked: Sequence[nn.ReLU | nn.MaxPool2d]
) -> list[tuple[Differences, str, Array, Array]]:
    """Return dkernel, dx_generate and dx_apply of ``layer``, each with its differences."""
    kernel, options = layer.generate_kernel(x), layer.options
    held = layer.pad(layer.project(x)).copy()  # a copy: it may be x itself, which the steps change
    dheld, dkernel = involution_backward(dy, held, kernel, **options)

    def apply(x: Array, kernel: Array) -> Array:
        return involution(x, kernel, **options)

    linear = partial(Differences, dy=dy, step=1.0, tolerance=TOLERANCE[x.dtype])
    product = linear(lambda: apply(held, kernel))
    generated = Differences(lambda: apply(held, layer.generate_kernel(x)), dy, kinked)
    applied = linear(lambda: apply(layer.pad(layer.project(x)), kernel))
    dx_generate = layer.reduce_backward(layer.span_backward(dkernel))
    return [
        (product, "dkernel", dkernel, kernel),
        (generated, "dx_generate", dx_generate, x),
        (applied, "dx_apply", layer.project.backward(layer.pad.backward(dheld)), x),
    ]
