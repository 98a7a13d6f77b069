"""Local self-attention as an involution whose kernels come from comparing pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from ..arguments import IntOrPair, Rng, as_choice, as_generator, as_int, as_pair
from ..arrays import Array, array_module, as_dtype, kind_of_array
from ..backends import Backend, select
from ..geometry import Geometry, make_geometry
from ..ops import involution, involution_backward
from .arguments import as_features, as_groups, as_window
from .basic import Sequential
from .conv import Conv2d
from .module import Module, Parameter

OUTSIDE = ("masked", "zero")


class LocalAttention2d(Module):
    r"""Local self-attention: at each pixel, weights from comparing it with the pixels around it.

    .. code-block:: text

        query, key (N, G*d, ...), value (N, C, ...) = 1x1 convolutions of x, without bias
        score[n, g, u, v, i, j] = sum over r < d of query[n, g*d + r, i, j]
                                  * key[n, g*d + r, i*s + u*t - p, j*s + v*t - p] / sqrt(d)
                                  + bias[g, u, v]                        (t is the dilation)
        kernel = softmax of score over u, v
        y = involution(value, kernel)

    A head is a group of the operator. The scores are a sum that the operator knows too: they are
    its gradient of the kernel, with ``query`` in the place of dy and ``key`` in that of x. So the
    backward pass needs no new sums. With a = kernel and (dvalue, da) = involution_backward(dy,
    value, a):

    .. code-block:: text

        da_w / dscore_t = a_w * ([w = t] - a_t), for two taps w, t of one window, therefore
        dscore = a * (da - sum over u, v of a * da)
        dbias  = sum over n, i, j of dscore
        dquery = involution(key, dscore) / sqrt(d)               score is linear in query
        dkey   = dx of involution, with query as dy and dscore as kernel, / sqrt(d)      and in key
        dx     = sum of what the three convolutions return

    The scores are as large as the kernel: K_h*K_w*G numbers a pixel, kept for backward. They are
    not computed in bands as in `Involution2d`: this layer is for small images.

    Parameters
    ----------
    channels : int
        C, channels of ``x`` and of the output.
    kernel_size : int or (int, int)
        K, odd. With K = 2 * max(H, W) - 1 and ``outside="masked"`` every window holds the whole
        image: that is global attention.
    groups : int, optional
        G, number of heads. If not given, it is channels / group_channels.
    group_channels : int
        Channels of a head; used only if ``groups`` is not given.
    key_channels : int, optional
        d, channels of the query and key of one head; C / G if not given.
    project_value : bool
        If False, the kernels are applied to ``x`` itself, as in `Involution2d`.
    position_bias : bool
        Whether to add a learned number per head and tap, at first zero, to the scores.
    outside : {"masked", "zero"}
        Taps outside the image get weight 0, or count as pixels whose key and value are zero.
    stride, dilation : int or (int, int)
        In pixels. The output has ceil(H / stride) rows.
    rng : Generator, int or None
        Source of the weights: normal of variance 1 / C.
    dtype : float32 or float64

    Raises
    ------
    ValueError
        If the sizes do not fit together; the message says which and what is needed.

    Examples
    --------
    >>> import numpy as np
    >>> layer = LocalAttention2d(32, 3, rng=0, dtype=float)
    >>> x = np.random.default_rng(0).standard_normal((2, 32, 5, 6))
    >>> kernel = layer.generate_kernel(x)
    >>> kernel.shape  # G = 32 / 16
    (2, 2, 3, 3, 5, 6)
    >>> np.allclose(kernel.sum(axis=(2, 3)), 1)
    True
    >>> layer(x).shape
    (2, 32, 5, 6)
    """

    def __init__(
        self,
        channels: int,
        kernel_size: IntOrPair = 7,
        *,
        groups: int | None = None,
        group_channels: int = 16,
        key_channels: int | None = None,
        project_value: bool = True,
        position_bias: bool = True,
        outside: str = "masked",
        stride: IntOrPair = 1,
        dilation: IntOrPair = 1,
        rng: Rng = None,
        dtype: DTypeLike = np.float32,
    ) -> None:
        self.channels, self.window = as_int("channels", channels), as_window(kernel_size)
        self.groups = as_groups(channels, groups, group_channels)
        self.stride, self.dilation = as_pair("stride", stride), as_pair("dilation", dilation)
        self.outside = as_choice("outside", outside, OUTSIDE)
        d = channels // self.groups
        self.key_channels = d if key_channels is None else as_int("key_channels", key_channels)
        compared, rng, dtype = self.groups * self.key_channels, as_generator(rng), as_dtype(dtype)
        options: dict[str, Any] = {"bias": False, "rng": rng, "dtype": dtype}
        self.query = Conv2d(channels, compared, stride=self.stride, **options)
        self.key = Conv2d(channels, compared, **options)
        self.value: Module = Sequential()  # the identity
        if project_value:
            self.value = Conv2d(channels, channels, **options)
        for parameter in self.parameters():  # from variance 2 / outputs to 1 / C
            parameter.data *= np.sqrt(len(parameter.data) / (2 * channels))
        self.bias = None
        if position_bias:
            self.bias = Parameter(np.zeros((self.groups, *self.window), dtype))

    def generate_kernel(self, x: Array) -> Array:
        """Return the kernel of every pixel, (N, G, K_h, K_w, H_out, W_out); each sums to 1."""
        x = self._checked(x)
        return self._softmax(*self._compared(x))

    def forward(self, x: Array) -> Array:
        """Return y (N, C, H_out, W_out)."""
        x = self._checked(x)
        query, key = self._compared(x)
        kernel, value = self._softmax(query, key), self.value(x)
        y = involution(value, kernel, stride=self.stride, dilation=self.dilation)
        self.save(y, query, key, value, kernel)
        return y

    def backward(self, dy: Array) -> Array:
        """Return dx (N, C, H, W): the sum of the paths through value, key and query."""
        dy, query, key, value, kernel = self.saved(dy)
        options: dict[str, Any] = {"stride": self.stride, "dilation": self.dilation}
        dvalue, dkernel = involution_backward(dy, value, kernel, **options)
        dscore = kernel * (dkernel - (kernel * dkernel).sum(axis=(2, 3), keepdims=True))
        if self.bias is not None:
            self.bias.grad += dscore.sum(axis=(0, 4, 5))
        dquery = involution(key, dscore, **options) * self._scale
        dkey = _backend(key).backward_input(query, dscore, self._geometry(key))  # query is scaled
        dx: Array = self.value.backward(dvalue) + self.key.backward(dkey)
        dx += self.query.backward(dquery)
        return dx

    @property
    def _scale(self) -> float:
        return float(self.key_channels**-0.5)

    def _compared(self, x: Array) -> tuple[Array, Array]:
        """Return query / sqrt(d) (N, G*d, H_out, W_out) and key (N, G*d, H, W)."""
        return self.query(x) * self._scale, self.key(x)

    def _softmax(self, query: Array, key: Array) -> Array:
        """Return the softmax over the window of the scores, (N, G, K_h, K_w, H_out, W_out)."""
        geom = self._geometry(key)
        score = _backend(key).backward_kernel(query, key, geom)  # of keys outside: 0
        if self.bias is not None:
            score += self.bias.data[..., None, None]
        xp = array_module(score)
        if self.outside == "masked":
            inside = xp.zeros(geom.kernel_shape[2:], bool)
            for (u, v), (outputs, _) in zip(geom.taps(), geom.overlaps(), strict=True):
                inside[u, v, *outputs] = True
            score = xp.where(inside, score, -xp.inf)  # never all: the centre is inside
        weight = xp.exp(score - score.max(axis=(2, 3), keepdims=True))  # at most 1: no overflow
        kernel: Array = weight / weight.sum(axis=(2, 3), keepdims=True)
        return kernel

    def _geometry(self, key: Array) -> Geometry:
        return make_geometry(key.shape, self.groups, self.window, self.stride, self.dilation)

    def _checked(self, x: Array) -> Array:
        return as_features(x, self.channels, self.key.weight.data)


def _backend(x: Array) -> Backend:
    return select("auto", kind_of_array(x) or "numpy")
