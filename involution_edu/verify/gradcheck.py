"""Hold every gradient against numbers that the forward pass alone gives.

The operator is linear in ``x`` and linear in ``kernel``: along either, the loss <dy, y> is a
straight line, so its central difference

.. code-block:: text

    (<dy, y(a + h e)> - <dy, y(a - h e)>) / 2h

is the derivative itself for *any* step h. Here h = 1 and all operands are whole numbers, which
leaves no rounding either: the two sides are equal, in float32 as in float64. Linearity also gives
an identity for whole tensors, <dx, x> = <dy, y> = <dkernel, kernel>, for one forward pass.

A layer bends: BatchNorm is curved, ReLU and MaxPool have kinks. There the step is small, the
arithmetic float64, and an entry between whose two steps a number changes sides, or a pixel stops
being the largest, is skipped and counted: across a kink the difference is a mean of two slopes
and says nothing about either.

A gradient check cannot see a forward pass that is wrong in the same way as its backward pass;
the comparison of the backends in ``compare`` can.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from .. import nn
from ..arguments import WrongTypeError
from ..arrays import Array
from ..backends import Backend, on_numpy_arrays, select, use_backend
from ..cases import AWKWARD, TOLERANCE, random_operands
from ..geometry import Geometry
from ..ops import involution, involution_backward
from .differences import STEP, Check, Differences, adjoint_identity, dot


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
    """Check ``layer.backward`` against ``layer.forward``: every parameter, and ``x``.

    The layer is copied first, so that its gradients and running averages stay as they are. The
    two branches of an `nn.Involution2d` are also checked alone, dx_apply with the kernel held
    fixed and dx_generate with the operator's input held fixed, before their sum dx.

    Parameters
    ----------
    layer : Module
        In float64, in training or in evaluation mode. Its `nn.ReLU` and `nn.MaxPool2d` modules
        are watched for kinks; those of other functions go unnoticed.
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
        raise WrongTypeError(
            "x", f"has dtype {x.dtype}", f"float64, which resolves steps of {STEP}"
        )
    layer, x = copy.deepcopy(layer), x.copy()
    for _, module in layer.named_modules():
        if isinstance(module, nn.Involution2d):
            module.band_rows = x.shape[2]  # one band: a ReLU remembers its last call only
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
    return layer, _set_going(layer, shape, training, rng)


def make_network(training: bool, seed: int) -> tuple[nn.Sequential, Array]:
    """Return a float64 network of all layers but involution and an ``x``, all numbers random."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {"rng": rng, "dtype": np.float64}
    network = nn.Sequential(
        conv=nn.Conv2d(2, 4, 3, stride=(2, 1), padding=1, bias=False, **made),
        norm=nn.BatchNorm2d(4, dtype=np.float64),
        relu=nn.ReLU(),
        max_pool=nn.MaxPool2d(3, 2, 1),
        mix=nn.Conv2d(4, 5, **made),
        avg_pool=nn.AvgPool2d(2),
        global_pool=nn.GlobalAvgPool2d(),
        linear=nn.Linear(5, 3, **made),
    )
    return network, _set_going(network, (3, 2, 11, 9), training, rng)


def _set_going(
    layer: nn.Module, shape: tuple[int, int, int, int], training: bool, rng: np.random.Generator
) -> Array:
    """Move all parameters and running averages away from where they start; return an ``x``."""
    for parameter in layer.parameters():  # a bias that is still zero would hide its faults
        parameter.data += 0.3 * rng.standard_normal(parameter.data.shape)
    layer(rng.standard_normal(shape))
    layer.train(training)
    return rng.standard_normal(shape)


def check_all(backends: Iterable[str] | None = None) -> Iterator[Report]:
    """Yield a report for every backend on every awkward case and row of `LAYERS`.

    The last two are for a network of the other layers, which need no backend.

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
    for mode in ("training", "evaluation"):
        network, x = make_network(mode == "training", seed=0)
        checks = check_layer(network, x, entries=entries)
        yield Report("any backend", "network", str(x.dtype), f"{mode} mode", tuple(checks))


def _branches(
    layer: nn.Involution2d, x: Array, dy: Array, kinked: Sequence[nn.ReLU | nn.MaxPool2d]
) -> list[tuple[Differences, str, Array, Array]]:
    """Return dkernel, dx_generate and dx_apply of ``layer``, each with what it is checked by."""
    apply = partial(involution, stride=layer.stride, dilation=layer.dilation)
    kernel = layer.generate_kernel(x)
    held = layer.project(x).copy()  # a copy, for it may be x itself, which the steps change
    dheld, dkernel = involution_backward(
        dy, held, kernel, stride=layer.stride, dilation=layer.dilation
    )
    linear = partial(Differences, dy=dy, step=1.0, tolerance=TOLERANCE[x.dtype])
    product = linear(lambda: apply(held, kernel))
    generated = Differences(lambda: apply(held, layer.generate_kernel(x)), dy, kinked)
    applied = linear(lambda: apply(layer.project(x), kernel))
    dx_generate = layer.reduce_backward(layer.span_backward(dkernel))
    return [
        (product, "dkernel", dkernel, kernel),
        (generated, "dx_generate", dx_generate, x),
        (applied, "dx_apply", layer.project.backward(dheld), x),
    ]
