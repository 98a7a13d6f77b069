"""The operator and its gradients: check the arguments, select a backend, run it."""

from __future__ import annotations

from .arguments import ArgumentError, IntOrPair, as_pair, check_shape
from .arrays import Array, check_array, kind_of_array
from .backends import select
from .geometry import Geometry, Padding, make_geometry


def involution(
    x: Array,
    kernel: Array,
    *,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    dilation: IntOrPair = 1,
    backend: str = "auto",
) -> Array:
    r"""Apply to the window around every output pixel the kernel of that pixel.

    .. code-block:: text

        y[n, g*C_g + r, i, j] = sum over u, v of
            kernel[n, g, u, v, i, j] * x[n, g*C_g + r, i*s + u*d - p, j*s + v*d - p]

    with zeros outside the image. The sum runs over the window only, never across channels: the
    C_g channels of group g share one kernel.

    Parameters
    ----------
    x : ndarray, shape (N, C, H, W), float32 or float64
        Input. A CuPy array is computed on its GPU and may also be float16, summed in float32;
        the other arrays must then be CuPy arrays on that GPU, and so is the result.
    kernel : ndarray, shape (N, G, K_h, K_w, H_out, W_out), dtype of ``x``
        One K_h x K_w kernel for each image, group and output pixel; G divides C.
    stride, dilation : int or (int, int)
        Pixels between neighbouring outputs, and between neighbouring taps of the window.
    padding : int, (int, int), "same" or "valid"
        Zeros on each side of the image, in pixels. "same" is d(K-1)/2 and needs an odd window.
    backend : str
        A name from `available_backends`, or "auto": the backend set by `use_backend`, else the
        fastest usable one for this kind of array.

    Returns
    -------
    y : ndarray, shape (N, C, H_out, W_out), dtype of ``x``
        A new array, with H_out = (H + 2p - d(K-1) - 1) // s + 1.

    Raises
    ------
    TypeError
        If an argument is not a NumPy or CuPy array of these dtypes, if the kinds or dtypes of the
        arrays differ, or if ``backend`` takes the other kind.
    ValueError
        If a shape, a size or the name of the backend is wrong; the message says what is needed.
    BackendUnavailable
        If the named backend cannot run here; the message says why.

    References
    ----------
    Li et al., "Involution: Inverting the Inherence of Convolution for Visual Recognition",
    CVPR 2021, arXiv:2103.06255, equation 4.

    Examples
    --------
    A 1 x 3 window over the row 1 2 3. Each pixel has its own kernel: the first keeps the pixel
    itself, the second takes its left neighbour, the third sums its window.

    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    >>> kernel = np.array([[0, 1, 0], [1, 0, 0], [1, 1, 1]], dtype=float)
    >>> kernel = kernel.T.reshape(1, 1, 1, 3, 1, 3)  # (pixel, v) -> (N, G, K_h, K_w, H_out, W_out)
    >>> involution(x, kernel)
    array([[[[1., 1., 5.]]]])
    """
    x, kernel, geom = _checked(x, kernel, stride, padding, dilation)
    return select(backend, str(kind_of_array(x))).forward(x, kernel, geom)


def involution_backward(
    dy: Array,
    x: Array,
    kernel: Array,
    *,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    dilation: IntOrPair = 1,
    backend: str = "auto",
) -> tuple[Array, Array]:
    r"""Return the gradients of a loss with respect to ``x`` and ``kernel``, given ``dy``.

    Each product in the sum of `involution` has two gradients:

    .. code-block:: text

        dx[n, c, h, w]            = sum over the (i, j, u, v) that read (h, w) of
                                        kernel[n, g, u, v, i, j] * dy[n, c, i, j]
        dkernel[n, g, u, v, i, j] = sum over r of dy[n, g*C_g + r, i, j] * x[n, g*C_g + r, h, w]

    Parameters
    ----------
    dy : ndarray, shape (N, C, H_out, W_out), dtype of ``x``
        Gradient of the loss with respect to the output.
    x, kernel, stride, padding, dilation, backend
        As given to `involution`.

    Returns
    -------
    dx : ndarray, shape (N, C, H, W)
        Gradient through the operator alone; a layer adds the path through kernel generation.
    dkernel : ndarray, shape (N, G, K_h, K_w, H_out, W_out)

    Raises
    ------
    TypeError, ValueError, BackendUnavailable
        As `involution`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3)
    >>> kernel = np.ones((1, 1, 1, 3, 1, 3))
    >>> dy = np.array([1.0, 0.0, 10.0]).reshape(1, 1, 1, 3)
    >>> dx, dkernel = involution_backward(dy, x, kernel)
    >>> dx  # the middle pixel is in the windows of both ends
    array([[[[ 1., 11., 10.]]]])
    >>> dkernel[0, 0, 0, :, 0, 2]  # 10 * (2, 3, 0): right of the last pixel is a zero
    array([20., 30.,  0.])
    """
    x, kernel, geom = _checked(x, kernel, stride, padding, dilation)
    dy = check_array("dy", dy, gpu=True, like=x)
    check_shape("dy", dy, geom.y_shape, "(N, C, H_out, W_out)")
    chosen = select(backend, str(kind_of_array(x)))
    return chosen.backward_input(dy, kernel, geom), chosen.backward_kernel(dy, x, geom)


def _checked(
    x: Array, kernel: Array, stride: IntOrPair, padding: Padding, dilation: IntOrPair
) -> tuple[Array, Array, Geometry]:
    x = check_array("x", x, gpu=True)
    kernel = check_array("kernel", kernel, gpu=True, like=x)
    axes = "(N, G, K_h, K_w, H_out, W_out)"
    if x.ndim != 4:
        raise ArgumentError("x", f"has shape {x.shape}", "4 axes (N, C, H, W)")
    if kernel.ndim != 6:
        raise ArgumentError("kernel", f"has shape {kernel.shape}", f"6 axes {axes}")
    window = as_pair("kernel's window", kernel.shape[2:4])
    geom = make_geometry(x.shape, kernel.shape[1], window, stride, dilation, padding)
    check_shape("kernel", kernel, geom.kernel_shape, axes)
    return x, kernel, geom
