"""Recording of every number that the operator, or a layer of a model, computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import ArgumentError, IntOrPair
from ..arrays import Array
from ..geometry import Padding, make_geometry
from ..models import EdgeDenoiser
from ..nn import BatchNorm2d, Involution2d, Module, Sequential
from ..ops import involution, involution_backward
from .trace import OperatorTrace, Trace, agree


def record_operator(
    x: Array,
    kernel: Array,
    *,
    stride: IntOrPair = 1,
    padding: Padding = "same",
    dilation: IntOrPair = 1,
) -> OperatorTrace:
    """Apply ``kernel`` to ``x`` and return all numbers, after a check that the products sum to y.

    A kernel that is the same at every pixel gives a convolution of each channel.

    Parameters
    ----------
    x, kernel, stride, padding, dilation
        As in `involution_edu.involution`, which checks them.

    Raises
    ------
    ArithmeticError
        If the products do not sum to ``y``.

    Examples
    --------
    >>> trace = record_operator(np.ones((1, 1, 4, 5)), np.ones((1, 1, 3, 3, 2, 3)), padding=0)
    >>> trace.y[0, 0].tolist()
    [[9.0, 9.0, 9.0], [9.0, 9.0, 9.0]]
    """
    y = involution(x, kernel, stride=stride, padding=padding, dilation=dilation)
    _, G, K_h, K_w, *_ = kernel.shape
    geom = make_geometry(x.shape, G, (K_h, K_w), stride, dilation, padding)
    trace = OperatorTrace(x=x, kernel=kernel, y=y, geom=geom)
    trace.check()
    return trace


def record(model: Module, x: Array, *, layer: str | None = None) -> Trace:
    """Run an involution layer and return every number on the way from its input to its output.

    The products are summed here once more and compared with the ``y`` of the operator, so that
    a wrong operator raises an error instead of giving a picture that looks right.

    Parameters
    ----------
    model : Module
        An `Involution2d`, an `EdgeDenoiser`, or a model that contains some `Involution2d`. In evaluation mode: in training mode
        batch norm uses all of ``x``, so that a kernel depends on more than its own pixel.
    x : ndarray, shape (N, C, H, W)
        The input of ``model``.
    layer : str, optional
        Name of an involution inside ``model``; `involution_names` lists them.

    Raises
    ------
    ValueError
        If the model is in training mode, or ``layer`` is not an involution in it.
    ArithmeticError
        If the products do not sum to ``y``, or span does not give the kernels from the features.

    Examples
    --------
    >>> from involution_edu import nn
    >>> involution = nn.Involution2d(2, 3, groups=1, reduction=1, rng=0, dtype=float)
    >>> x = np.random.default_rng(0).standard_normal((1, 2, 4, 5))
    >>> trace = record(involution.eval(), x)
    >>> products = trace.products(1, 2)[0, 0]  # of pixel (1, 2): (C, K_h, K_w)
    >>> np.allclose(products.sum(axis=(1, 2)), trace.y[0, :, 1, 2])
    True

    Inside a model, here after a ReLU:

    >>> model = nn.Sequential(nn.ReLU(), involution).eval()
    >>> bool((record(model, x, layer="1").x >= 0).all())
    True
    """
    if any(module.training for _, module in model.named_modules()):
        raise ArgumentError("model", "is in training mode", "evaluation mode: call eval()")
    if layer is None and isinstance(model, Involution2d | EdgeDenoiser):
        return _record_layer(model, x)
    names = involution_names(model)
    if layer not in names:
        some = f"one of {', '.join(map(repr, names))}" if names else "a model with an Involution2d"
        raise ArgumentError("layer", f"is {layer!r}", some)
    target = dict(model.named_modules())[f"{layer}."]
    assert isinstance(target, Involution2d)
    inputs: list[Array] = []
    with target.register_forward_hook(lambda _, a, y: inputs.append(a)):
        model(x)
    (given,) = inputs
    return _record_layer(target, given)


def involution_names(model: Module) -> list[str]:
    """Return the names of the involution layers inside ``model``, in the order of its modules.

    Parameters
    ----------
    model : Module

    Examples
    --------
    >>> from involution_edu import nn
    >>> involution_names(nn.Sequential(nn.ReLU(), inv=nn.Involution2d(16)))
    ['inv']
    """
    modules = model.named_modules()
    return [name[:-1] for name, module in modules if name and isinstance(module, Involution2d)]


@dataclass(frozen=True, eq=False, kw_only=True)
class Gradients:
    """The gradients from ``dy`` back to ``dx`` along both paths; see `record_gradients`.

    Attributes
    ----------
    dy : ndarray, shape (N, C, H_out, W_out)
        As given.
    dkernel : ndarray, shape (N, G, K_h, K_w, H_out, W_out)
        dy times the window, summed over the channels of a group.
    dreduced : ndarray, shape (N, C // r, H_out, W_out)
        ``dkernel`` through the backward pass of span.
    dx_generate : ndarray, shape (N, C, H, W)
        ``dreduced`` through the backward pass of reduce: the path through the kernel.
    dx_apply : ndarray, shape (N, C, H, W)
        dy times the kernel: the path through the window.
    dx : ndarray, shape (N, C, H, W)
        The gradient returned by the layer: the sum of both.

    Examples
    --------
    >>> from involution_edu import nn
    >>> layer = nn.Involution2d(4, 3, groups=2, reduction=1, rng=0).eval()
    >>> x = dy = np.ones((1, 4, 5, 6), np.float32)
    >>> back = record_gradients(layer, x, dy)
    >>> back.dx.shape == back.dx_apply.shape == back.dx_generate.shape == x.shape
    True
    """

    dy: Array
    dkernel: Array
    dreduced: Array
    dx_generate: Array
    dx_apply: Array
    dx: Array


def record_gradients(layer: Involution2d, x: Array, dy: Array) -> Gradients:
    """Return all gradients of a backward pass of ``layer``; its parameters' ``grad`` is unchanged.

    Parameters
    ----------
    layer : Involution2d
        In evaluation mode.
    x : ndarray, shape (N, C, H, W)
    dy : ndarray, shape of ``layer(x)``

    Raises
    ------
    ValueError
        If the layer is in training mode.
    ArithmeticError
        If the ``dx`` of the layer is not dx_apply + dx_generate.

    Examples
    --------
    The path through the window alone is not the gradient:

    >>> from involution_edu import nn, viz
    >>> layer = nn.Involution2d(4, 3, groups=2, reduction=1, rng=0, dtype=float).eval()
    >>> x, dy = np.random.default_rng(0).standard_normal((2, 1, 4, 5, 6))
    >>> back = viz.record_gradients(layer, x, dy)
    >>> back.dkernel.shape, back.dreduced.shape
    ((1, 2, 3, 3, 5, 6), (1, 4, 5, 6))
    >>> np.allclose(back.dx, back.dx_apply), np.allclose(back.dx, back.dx_apply + back.dx_generate)
    (False, True)
    """
    trace = record(layer, x)
    kept = [parameter.grad.copy() for parameter in layer.parameters()]
    dvalue, dkernel = involution_backward(dy, trace.x, trace.kernel, **layer.options)
    layer.generate_kernel(x)  # so that span and reduce can run backward
    dreduced = layer.span_backward(dkernel)
    dx_generate = layer.reduce_backward(dreduced)
    layer(x)
    dx = layer.backward(dy)
    dx_apply = layer.project.backward(layer.pad.backward(dvalue))
    for parameter, grad in zip(layer.parameters(), kept, strict=True):
        parameter.grad[...] = grad
    agree("dx", dx, dx_apply + dx_generate, terms=dkernel[0, :, :, :, 0, 0].size)
    return Gradients(
        dy=dy, dkernel=dkernel, dreduced=dreduced, dx_generate=dx_generate, dx_apply=dx_apply, dx=dx
    )


def _record_layer(layer: Involution2d | EdgeDenoiser, x: Array) -> Trace:
    pool: Module = Sequential()
    span: Module
    groups, options = 1, dict[str, Any]()
    if isinstance(layer, EdgeDenoiser):
        given, value, softmax = layer.features(x), x, True
        reduce, span = layer.reduce, layer.span
    else:
        given, value, softmax = layer.crop(x), layer.pad(layer.project(x)), False
        pool, reduce, span = layer.pool, layer.conv1, layer.conv2.children()["conv"]
        groups, options = layer.groups, layer.options
    norm, statistics = reduce.children().get("bn"), {}
    if isinstance(norm, BatchNorm2d):
        statistics = {
            "mean": norm.running_mean.copy(),
            "std": np.sqrt(norm.running_var + norm.eps),
            "scale": norm.weight.data.copy(),
            "shift": norm.bias.data.copy(),
        }
    features, stages = pool(given), {}
    for name, module in reduce.children().items():
        stages[name] = features = module(features)
    weights = span.state_dict()
    trace = Trace(
        x=value,
        features=given,
        reduce_weight=reduce.state_dict()["conv.weight"].reshape(-1, given.shape[1]),
        statistics=statistics,
        stages=stages,
        span_weight=weights["weight"].reshape(-1, features.shape[1]),
        span_bias=weights["bias"],
        softmax=softmax,
        kernel=layer.generate_kernel(x),
        y=layer(x),
        geom=make_geometry(value.shape, groups, layer.window, **options),
    )
    trace.check()
    return trace
