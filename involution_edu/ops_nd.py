"""Involution of sequences and of volumes, by the two-dimensional operator.

A sequence is an image of one row. A window of K_d depths is the sum of K_d two-dimensional
windows, each over slices of the volume that are shifted in depth; the slices count as images of
the batch. So every backend computes both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from .arguments import ArgumentError, as_int, check_shape, quoted
from .arrays import Array, array_module, check_array
from .geometry import make_geometry, overlap, resolve_padding
from .ops import involution, involution_backward

Triple = tuple[int, int, int]
IntOrTriple = int | Triple
Padding3d = IntOrTriple | str

_KERNEL_1D, _KERNEL_3D = "(N, G, K, W_out)", "(N, G, K_d, K_h, K_w, D_out, H_out, W_out)"


def involution1d(
    x: Array, kernel: Array, *, stride: int = 1, padding: int | str = "same",
    dilation: int = 1, backend: str = "auto",
) -> Array:  # fmt: skip
    """Apply to the window around every output element of a sequence the kernel of that element.

    .. code-block:: text

        y[n, g*C_g + r, j] = sum over v of kernel[n, g, v, j] * x[n, g*C_g + r, j*s + v*d - p]

    Parameters
    ----------
    x : ndarray, shape (N, C, W)
    kernel : ndarray, shape (N, G, K, W_out), dtype of ``x``
    stride, padding, dilation, backend
        As in `involution`, for one axis.

    Returns
    -------
    y : ndarray, shape (N, C, W_out), dtype of ``x``

    Raises
    ------
    TypeError, ValueError, BackendUnavailable
        As `involution`.

    Examples
    --------
    The first element keeps itself, the second takes its left neighbour, the third its window's sum.

    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3)
    >>> kernel = np.array([[0, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=float).T.reshape(1, 1, 3, 3)
    >>> involution1d(x, kernel)
    array([[[1., 1., 5.]]])
    """
    x, kernel, options = _as_rows(x, kernel, stride, padding, dilation)
    return involution(x, kernel, backend=backend, **options)[:, :, 0]


def involution1d_backward(
    dy: Array, x: Array, kernel: Array, *, stride: int = 1, padding: int | str = "same",
    dilation: int = 1, backend: str = "auto",
) -> tuple[Array, Array]:  # fmt: skip
    """Return the gradients of a loss with respect to ``x`` and ``kernel``, given ``dy``.

    Parameters
    ----------
    dy : ndarray, shape (N, C, W_out), dtype of ``x``
    x, kernel, stride, padding, dilation, backend
        As given to `involution1d`.

    Returns
    -------
    dx : ndarray, shape (N, C, W)
    dkernel : ndarray, shape (N, G, K, W_out)

    Raises
    ------
    TypeError, ValueError, BackendUnavailable
        As `involution`.

    Examples
    --------
    >>> import numpy as np
    >>> x, kernel = np.array([[[1.0, 2.0, 3.0]]]), np.ones((1, 1, 3, 3))
    >>> dx, dkernel = involution1d_backward(np.array([[[1.0, 0.0, 10.0]]]), x, kernel)
    >>> dx  # the middle element is in the windows of both ends
    array([[[ 1., 11., 10.]]])
    >>> dkernel[0, 0, :, 2]  # 10 * (2, 3, 0): right of the last element is a zero
    array([20., 30.,  0.])
    """
    x, kernel, options = _as_rows(x, kernel, stride, padding, dilation)
    dy = check_array("dy", dy, gpu=True, like=x)
    check_shape("dy", dy, (*x.shape[:2], kernel.shape[-1]), "(N, C, W_out)")
    dx, dkernel = involution_backward(dy[:, :, None], x, kernel, backend=backend, **options)
    return dx[:, :, 0], dkernel[:, :, 0, :, 0]


def involution3d(
    x: Array, kernel: Array, *, stride: IntOrTriple = 1, padding: Padding3d = "same",
    dilation: IntOrTriple = 1, backend: str = "auto",
) -> Array:  # fmt: skip
    """Apply to the window around every output voxel of a volume the kernel of that voxel.

    .. code-block:: text

        y[n, g*C_g + r, k, i, j] = sum over t, u, v of kernel[n, g, t, u, v, k, i, j]
            * x[n, g*C_g + r, k*s + t*d - p, i*s + u*d - p, j*s + v*d - p]

    with zeros outside the volume.

    Parameters
    ----------
    x : ndarray, shape (N, C, D, H, W)
        As in `involution`, with a depth D: of a volume, or the frames of a video. The K_d parts
        of a float16 result are added in float16.
    kernel : ndarray, shape (N, G, K_d, K_h, K_w, D_out, H_out, W_out), dtype of ``x``
    stride, dilation : int or (int, int, int)
        Along depth, rows and columns.
    padding : int, (int, int, int), "same" or "valid"
        Zeros on each side. "same" is d(K-1)/2 and needs an odd window.
    backend : str
        As in `involution`.

    Returns
    -------
    y : ndarray, shape (N, C, D_out, H_out, W_out), dtype of ``x``
        With D_out = (D + 2p - d(K-1) - 1) // s + 1, and H_out and W_out by the same rule.

    Raises
    ------
    TypeError, ValueError, BackendUnavailable
        As `involution`.

    Examples
    --------
    Windows of 3 x 1 x 1 over a column of three voxels add up each voxel and its neighbours:

    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1, 1)
    >>> involution3d(x, np.ones((1, 1, 3, 1, 1, 3, 1, 1))).ravel()
    array([3., 6., 5.])
    """
    x, kernel, options, plane = _checked(x, kernel, stride, padding, dilation)
    y: Array = array_module(x).zeros((*x.shape[:2], *kernel.shape[5:]), x.dtype)
    for t, outputs, depths in _depths(x, kernel, *options):
        images, kernels = _fold(x[:, :, depths], 2), _fold(kernel[:, :, t, ..., outputs, :, :], 4)
        part = involution(images, kernels, backend=backend, **plane)
        y[:, :, outputs] += _unfold(part, len(x), 2)
    return y


def involution3d_backward(
    dy: Array, x: Array, kernel: Array, *, stride: IntOrTriple = 1, padding: Padding3d = "same",
    dilation: IntOrTriple = 1, backend: str = "auto",
) -> tuple[Array, Array]:  # fmt: skip
    """Return the gradients of a loss with respect to ``x`` and ``kernel``, given ``dy``.

    Parameters
    ----------
    dy : ndarray, shape (N, C, D_out, H_out, W_out), dtype of ``x``
    x, kernel, stride, padding, dilation, backend
        As given to `involution3d`.

    Returns
    -------
    dx : ndarray, shape (N, C, D, H, W)
    dkernel : ndarray, shape (N, G, K_d, K_h, K_w, D_out, H_out, W_out)

    Raises
    ------
    TypeError, ValueError, BackendUnavailable
        As `involution`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1, 1)
    >>> dy = np.array([1.0, 0.0, 10.0]).reshape(x.shape)
    >>> dx, dkernel = involution3d_backward(dy, x, np.ones((1, 1, 3, 1, 1, 3, 1, 1)))
    >>> dx.ravel()
    array([ 1., 11., 10.])
    >>> dkernel[0, 0, :, 0, 0, 2].ravel()
    array([20., 30.,  0.])
    """
    x, kernel, options, plane = _checked(x, kernel, stride, padding, dilation)
    dy = check_array("dy", dy, gpu=True, like=x)
    shape = (*x.shape[:2], *kernel.shape[5:])
    check_shape("dy", dy, shape, "(N, C, D_out, H_out, W_out)")
    dx, dkernel = (array_module(x).zeros(a.shape, a.dtype) for a in (x, kernel))
    for t, outputs, depths in _depths(x, kernel, *options):
        images, kernels = _fold(x[:, :, depths], 2), _fold(kernel[:, :, t, ..., outputs, :, :], 4)
        dimages, dkernels = involution_backward(
            _fold(dy[:, :, outputs], 2), images, kernels, backend=backend, **plane
        )
        dx[:, :, depths] += _unfold(dimages, len(x), 2)
        dkernel[:, :, t, ..., outputs, :, :] = _unfold(dkernels, len(x), 4)
    return dx, dkernel


def _fold(a: Array, axis: int) -> Array:
    """Make every slice along the depth ``axis`` an image: (N, ..., D, ...) to (N*D, ...)."""
    a = array_module(a).moveaxis(a, axis, 1)
    return a.reshape(a.shape[0] * a.shape[1], *a.shape[2:])


def _unfold(a: Array, n: int, axis: int) -> Array:
    """Make the images of each of ``n`` volumes its slices along ``axis``: undo `_fold`."""
    slices = a.reshape(n, len(a) // n, *a.shape[1:])
    moved: Array = array_module(a).moveaxis(slices, 1, axis)
    return moved


def _depths(
    x: Array, kernel: Array, stride: int, padding: int, dilation: int
) -> Iterator[tuple[int, slice, slice]]:
    """Yield every depth t of the window, the outputs that have a voxel there, and its depth."""
    for t in range(kernel.shape[2]):
        outputs, depths = overlap(x.shape[2], kernel.shape[5], t * dilation - padding, stride)
        if outputs.stop > outputs.start and len(x):
            yield t, outputs, depths


def _as_rows(
    x: Array, kernel: Array, stride: int, padding: int | str, dilation: int
) -> tuple[Array, Array, dict[str, Any]]:
    """Return checked sequences as images of one row, their kernels, and options of `involution`."""
    x, kernel = _arrays(x, kernel, "(N, C, W)", _KERNEL_1D)
    s, d = as_int("stride", stride), as_int("dilation", dilation)
    k = as_int("kernel's window", kernel.shape[2])
    named = isinstance(padding, str)
    p = resolve_padding(padding, (1, k), (1, d))[1] if named else as_int("padding", padding, 0)
    options: dict[str, Any] = {"stride": (1, s), "padding": (0, p), "dilation": (1, d)}
    geom = make_geometry((*x.shape[:2], 1, x.shape[2]), kernel.shape[1], (1, k), **options)
    check_shape("kernel", kernel, (geom.N, geom.G, k, geom.W_out), _KERNEL_1D)
    return x[:, :, None], kernel[:, :, None, :, None], options


def _checked(
    x: Array, kernel: Array, stride: IntOrTriple, padding: Padding3d, dilation: IntOrTriple
) -> tuple[Array, Array, Triple, dict[str, Any]]:
    """Return checked volumes, kernels, the options along depth, and those of `involution`."""
    x, kernel = _arrays(x, kernel, "(N, C, D, H, W)", _KERNEL_3D)
    window = as_triple("kernel's window", kernel.shape[2:5])
    s, d = as_triple("stride", stride), as_triple("dilation", dilation)
    p = resolve_padding3d(padding, window, d)
    n, c, depth, *size = x.shape
    plane: dict[str, Any] = {"stride": s[1:], "padding": p[1:], "dilation": d[1:]}
    geom = make_geometry((n * depth, c, *size), kernel.shape[1], window[1:], **plane)
    extent, padded = d[0] * (window[0] - 1) + 1, depth + 2 * p[0]
    if depth < 1 or extent > padded:
        need = f"at most the {padded} of the padded volume (x has D = {depth}, padding {p[0]})"
        raise ArgumentError("kernel", f"has a window that spans {extent} in depth", need)
    out = (padded - extent) // s[0] + 1, geom.H_out, geom.W_out
    check_shape("kernel", kernel, (n, geom.G, *window, *out), _KERNEL_3D)
    return x, kernel, (s[0], p[0], d[0]), plane


def _arrays(x: Array, kernel: Array, x_axes: str, kernel_axes: str) -> tuple[Array, Array]:
    x = check_array("x", x, gpu=True)
    kernel = check_array("kernel", kernel, gpu=True, like=x)
    for name, a, letters in (("x", x, x_axes), ("kernel", kernel, kernel_axes)):
        if a.ndim != (count := letters.count(",") + 1):
            raise ArgumentError(name, f"has shape {a.shape}", f"{count} axes {letters}")
    return x, kernel


def as_triple(name: str, value: object, minimum: int = 1) -> Triple:
    """Return ``value`` as a (depth, rows, columns) triple of ints; one int counts three times."""
    if not isinstance(value, tuple | list):
        value = (as_int(name, value, minimum),) * 3
    if len(value) != 3:
        need = "one int or a triple (depth, rows, columns)"
        raise ArgumentError(name, f"is {quoted(value)}", need)
    return cast(Triple, tuple(as_int(f"{name}[{n}]", v, minimum) for n, v in enumerate(value)))


def resolve_padding3d(padding: object, window: Triple, dilation: Triple) -> Triple:
    """Return the zeros on each side along depth, rows and columns; see `resolve_padding`."""
    if not isinstance(padding, str):
        return as_triple("padding", padding, 0)
    if padding == "same" and not all(k % 2 for k in window):
        need = "odd sizes for it: pass the padding as an int or a triple for an even window"
        got = f'is "same" with a window of {" x ".join(map(str, window))}'
        raise ArgumentError("padding", got, need)
    pairs = (
        resolve_padding(padding, (k, k), (d, d)) for k, d in zip(window, dilation, strict=True)
    )
    return cast(Triple, tuple(pair[0] for pair in pairs))
