"""Parameters and operations of a network, counted by walking through it.

Images are sent through the network, but none of them: a batch of N = 0. So every layer sees and
gives the shapes that it would, at no cost, and what is counted is what really runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np

from .arguments import WrongTypeError
from .arrays import Array, array_module
from .backends import use_backend
from .models import Bottleneck, KernelDenoiser, ResidualNetwork
from .nn import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    GlobalAvgPool2d,
    Involution2d,
    Linear,
    MaxPool2d,
    Module,
    Parameter,
    ReLU,
    Sequential,
)

Shape = tuple[int, ...]
Run = tuple[Shape, Shape]  # of input and output, without N


@dataclass(frozen=True, slots=True)
class LayerCost:
    """One layer, for one image.

    Attributes
    ----------
    name, kind : str
        Its dotted name in the network, and its class.
    shape : tuple of int
        Of its output, without N.
    parameters : int
        Numbers that it learns, itself and not below it.
    macs : int
        Products that are added up: each a multiply and an add.
    operations : int
        ``macs``, and as many as layers without products have numbers: two for each that
        `BatchNorm2d` is given (scale, shift), one for each that `ReLU` or a pooling is given,
        one for each output with a bias.

    Examples
    --------
    A pixel of 16 channels costs a 1x1 convolution to 4 channels 64 products, and it has 6 x 9 of them:

    >>> from involution_edu import nn
    >>> (layer,) = count(nn.Conv2d(16, 4), (16, 6, 9)).layers
    >>> layer.shape, layer.macs == 64 * 6 * 9, layer.operations - layer.macs  # of the bias
    ((4, 6, 9), True, 216)
    """

    name: str
    kind: str
    shape: Shape
    parameters: int
    macs: int
    operations: int


@dataclass(frozen=True, slots=True)
class Complexity:
    """All layers of a network, in the order of its modules, for one image of shape ``image``.

    Attributes
    ----------
    image : tuple of int
        Shape of the input without N.
    layers : tuple of LayerCost

    Examples
    --------
    A 7x7 involution in the place of a 3x3 convolution, both of 64 channels:

    >>> from involution_edu import nn
    >>> for layer in nn.Conv2d(64, 64, 3, padding=1, bias=False), nn.Involution2d(64, 7):
    ...     cost = count(layer, (64, 8, 9))
    ...     cost.parameters, cost.macs
    (36864, 2654208)
    (4388, 525312)
    """

    image: Shape
    layers: tuple[LayerCost, ...]

    @property
    def parameters(self) -> int:
        """Of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """Of all layers."""
        return sum(layer.macs for layer in self.layers)

    @property
    def operations(self) -> int:
        """Of all layers."""
        return sum(layer.operations for layer in self.layers)


def count(model: Module, image: Shape = (3, 224, 224)) -> Complexity:
    """Return the parameters and operations of ``model`` for one image.

    The model is run on no images, so it needs a new forward pass before the next ``backward``.

    Parameters
    ----------
    model : Module
        Made of the layers of `involution_edu.nn`.
    image : tuple of int
        Shape of the input without N: (C, H, W).

    Raises
    ------
    TypeError
        If the model has a layer whose operations are not known here.
    ValueError
        If the model does not take such images.

    Examples
    --------
    A 3 x 3 convolution of stride 2 gives 8 x 4 x 5 numbers from 27 products each, and a bias:

    >>> from involution_edu import nn
    >>> cost = count(nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 7, 9))
    >>> cost.parameters, cost.macs, cost.operations
    (224, 4320, 4480)

    An involution has, beside the convolutions that make its kernels, K_h*K_w products for each
    number of its output:

    >>> [(a.name, a.macs) for a in count(nn.Involution2d(16, 3), (16, 5, 6)).layers if a.macs]
    [('', 4320), ('conv1.conv', 1920), ('conv2.conv', 1080)]
    """
    layers = {name.rstrip("."): module for name, module in model.named_modules()}
    for name, module in layers.items():
        if not isinstance(module, CONTAINERS) and type(module) not in COSTS:
            known = ", ".join(sorted(kind.__name__ for kind in COSTS))
            raise WrongTypeError(
                "model",
                f"has {name!r}, a {type(module).__name__}",
                f"layers whose operations are known: {known}",
            )
    like = next((p.data for p in model.parameters()), np.empty(0, np.float32))
    on_numpy = array_module(like) is np
    with _watched(layers) as runs, use_backend("shifts" if on_numpy else "auto"):  # none compiled
        model(array_module(like).zeros((0, *image), like.dtype))
    return Complexity(
        image,
        tuple(
            _cost(name, module, runs.get(name, []))
            for name, module in layers.items()
            if type(module) in COSTS
        ),
    )


@contextmanager
def _watched(layers: Mapping[str, Module]) -> Iterator[dict[str, list[Run]]]:
    """Yield the shapes of the inputs and outputs of every layer, by name, filled as they run."""
    runs: dict[str, list[Run]] = {}

    def watched(name: str, forward: Callable[[Array], Array]) -> Callable[[Array], Array]:
        def run(x: Array) -> Array:
            y = forward(x)
            runs.setdefault(name, []).append((x.shape[1:], y.shape[1:]))
            return y

        return run

    for name, module in layers.items():
        vars(module)["forward"] = watched(name, module.forward)  # in front of the method
    try:
        yield runs
    finally:
        for module in layers.values():
            vars(module).pop("forward", None)


def _cost(name: str, module: Module, runs: Sequence[Run]) -> LayerCost:
    costs = [COSTS[type(module)](module, *run) for run in runs]
    macs = sum(products for products, _ in costs)
    return LayerCost(
        name,
        type(module).__name__,
        runs[-1][1] if runs else (),
        sum(item.data.size for item in vars(module).values() if isinstance(item, Parameter)),
        macs,
        macs + sum(others for _, others in costs),
    )


def _conv(layer: Conv2d, x: Shape, y: Shape) -> tuple[int, int]:
    return layer.weight.data.size * math.prod(y[1:]), math.prod(y) if layer.bias else 0


def _linear(layer: Linear, x: Shape, y: Shape) -> tuple[int, int]:
    return layer.weight.data.size, math.prod(y) if layer.bias else 0


def _involution(layer: Involution2d | KernelDenoiser, x: Shape, y: Shape) -> tuple[int, int]:
    return math.prod(y) * math.prod(layer.window), 0  # what makes its kernels is counted below it


def _numbers(times: int, layer: Module, x: Shape, y: Shape) -> tuple[int, int]:
    return 0, times * math.prod(x)


# Products and other operations of a layer, of the shapes (without N) of its input and output.
COSTS: dict[type[Module], Callable[..., tuple[int, int]]] = {
    Conv2d: _conv,
    Linear: _linear,
    Involution2d: _involution,
    KernelDenoiser: _involution,
    BatchNorm2d: partial(_numbers, 2),
    **dict.fromkeys((ReLU, AvgPool2d, MaxPool2d, GlobalAvgPool2d), partial(_numbers, 1)),
}
# Their operations are those of what is inside; additions of shortcuts are not counted.
CONTAINERS = Sequential, Bottleneck, ResidualNetwork


def change(ours: float, theirs: float) -> float:
    """Return by how many per cent ``ours`` is above ``theirs``; negative if it is below.

    Examples
    --------
    >>> change(1.5, 2.0)
    -25.0
    """
    return 100 * (ours / theirs - 1)
