"""Parameters and operations of a network, counted layer by layer.

An empty batch (N = 0) is run through the network, so every layer takes and returns the shapes of
a real batch, at no cost, and exactly what runs is counted.
"""

from __future__ import annotations

import math
from contextlib import ExitStack

import numpy as np

from .. import nn
from ..arguments import WrongTypeError
from ..arrays import Array, array_module
from ..backends import use_backend
from .costs import CONTAINERS, COSTS
from .report import IMAGENET_SIZE, Complexity, LayerCost, Savings, Shape, change

__all__ = ["IMAGENET_SIZE", "Complexity", "LayerCost", "Savings", "change", "count"]


def count(
    model: nn.Module, image: Shape = (3, IMAGENET_SIZE, IMAGENET_SIZE), name: str | None = None
) -> Complexity:
    """Return the parameters and operations of ``model`` for one image.

    The model is run on an empty batch, so it needs a new forward pass before the next ``backward``.

    Parameters
    ----------
    model : Module
        Made of the layers of `involution_edu.nn`.
    image : tuple of int
        Shape of the input without N: (C, H, W).
    name : str, optional
        Name of the model in the result; its class if not given.

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

    An involution has K_h*K_w products for each number of its output; the convolutions inside
    generate its kernels:

    >>> [(a.name, a.macs) for a in count(nn.Involution2d(16, 3), (16, 5, 6)).layers if a.macs]
    [('', 4320), ('conv1.conv', 1920), ('conv2.conv', 1080)]
    """
    names: dict[nn.Module, str] = {}  # a module that is used under several names is one layer
    for path, module in model.named_modules():
        names.setdefault(module, path.rstrip("."))
    for module, path in names.items():
        if not isinstance(module, CONTAINERS) and type(module) not in COSTS:
            known = ", ".join(sorted(kind.__name__ for kind in COSTS))
            need = f"layers whose operations are known: {known}"
            raise WrongTypeError("model", f"has {path!r}, a {type(module).__name__}", need)
    calls: dict[nn.Module, list[tuple[Shape, Shape]]] = {module: [] for module in names}
    repeated = {
        names[module]: module.calls_per_image
        for module in names
        if hasattr(module, "calls_per_image")
    }

    def record(module: nn.Module, x: Array, y: Array) -> None:
        calls[module].append((x.shape[1:], y.shape[1:]))

    like = next((p.data for p in model.parameters()), np.empty(0, np.float32))
    with ExitStack() as stack:
        # "shifts" needs no compilation.
        stack.enter_context(use_backend("shifts" if array_module(like) is np else "auto"))
        for module in names:
            if type(module) in COSTS:
                stack.enter_context(module.register_forward_hook(record))
        model(array_module(like).zeros((0, *image), like.dtype))
    layers = []
    for module, path in names.items():
        if (cost := COSTS.get(type(module))) is not None:
            counts = [cost(module, *shapes) for shapes in calls[module]]
            times = math.prod(n for head, n in repeated.items() if path.startswith(f"{head}."))
            macs = times * sum(products for products, _ in counts)
            own = [item for item in vars(module).values() if isinstance(item, nn.Parameter)]
            size = sum(p.data.size for p in own)
            operations = macs + times * sum(n for _, n in counts)
            shape = calls[module][-1][1] if calls[module] else ()
            layers.append(LayerCost(path, type(module).__name__, shape, size, macs, operations))
    frozen = tuple(getattr(model, "frozen", ()))
    return Complexity(name or type(model).__name__, image, tuple(layers), frozen, repeated)
