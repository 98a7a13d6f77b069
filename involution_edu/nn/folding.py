"""Batch norms folded into the convolutions before them, for evaluation."""

from __future__ import annotations

from contextlib import ExitStack
from copy import deepcopy

from ..arguments import ArgumentError
from ..arrays import Array, as_numpy
from ..cases import scaled_error
from .basic import Sequential
from .conv import Conv2d
from .module import Module, Parameter, no_grad
from .norm import BatchNorm2d

TOLERANCE = 1e-3  # of the outputs of a deep network in float32; a wrong folding is far beyond


def fold_batch_norm(model: Module, x: Array) -> Module:
    """Return a copy of ``model`` for evaluation, without the batch norms that follow convolutions.

    In evaluation mode a batch norm scales and shifts each channel by fixed numbers, which the
    convolution before it can do itself:

    .. code-block:: text

        scale = bn.weight / sqrt(bn.running_var + bn.eps)
        weight' = scale * weight;  bias' = scale * (bias - bn.running_mean) + bn.bias

    so the outputs are equal but for rounding, and each takes one pass over the numbers less. A
    batch norm after an involution stays: channels that share a kernel have scales of their own.

    Parameters
    ----------
    model : Module
        Left as it is.
    x : ndarray
        A batch that the model takes. It is run to find the batch norms that take the output of a
        convolution, and to compare both models.

    Returns
    -------
    Module
        In evaluation mode, with a bias in place of each batch norm that is gone. Train ``model``.

    Raises
    ------
    ValueError
        If the copy computes something else: the model uses the output of a convolution, or its
        weights, in another place too.

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import models, nn
    >>> model = models.small_rednet(10, rng=0).eval()
    >>> x = np.random.default_rng(0).standard_normal((2, 1, 8, 8)).astype(np.float32)
    >>> fast = nn.fold_batch_norm(model, x)
    >>> bool(np.abs(fast(x) - model(x)).max() < 1e-5)
    True
    """
    folded = deepcopy(model).eval()
    outputs: list[tuple[Conv2d, Array]] = []
    before: dict[Module, set[Conv2d | None]] = {}

    def record(module: Module, x: Array, y: Array) -> None:
        if isinstance(module, Conv2d):
            outputs.append((module, y))
        else:
            conv = next((conv for conv, output in outputs if output is x), None)
            before.setdefault(module, set()).add(conv)

    layers = [m for _, m in folded.named_modules() if isinstance(m, Conv2d | BatchNorm2d)]
    with no_grad(), ExitStack() as stack:
        for layer in layers:
            stack.enter_context(layer.register_forward_hook(record))
        expected = folded(x)
    folds = {bn: conv for bn, convs in before.items() for conv in convs if len(convs) == 1 and conv}
    for bn, conv in folds.items():
        assert isinstance(bn, BatchNorm2d)
        scale = bn.weight.data / (bn.running_var + bn.eps) ** 0.5
        bias = 0 if conv.bias is None else conv.bias.data
        conv.weight.data *= scale[:, None, None, None]
        conv.bias = Parameter(scale * (bias - bn.running_mean) + bn.bias.data)
    for _, module in list(folded.named_modules()):
        for name, child in module.children().items():
            if child in folds:
                setattr(module, name, Sequential())  # the identity
    with no_grad():
        error = scaled_error(as_numpy(folded(x)), as_numpy(expected))
    if not error <= TOLERANCE:
        need = "a model in which only its batch norm uses what a convolution returns"
        raise ArgumentError("model", f"gives other outputs when folded (error {error:.2g})", need)
    return folded
