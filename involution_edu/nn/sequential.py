"""Modules in sequence."""

from __future__ import annotations

from ..arrays import Array
from .module import Module


class Sequential(Module):
    """Modules applied one after the other.

    Parameters
    ----------
    *modules, **named : Module
        Named "0", "1", ... or by their keyword; the positional ones come first.

    Examples
    --------
    >>> from involution_edu import nn
    >>> reduce = nn.Sequential(conv=nn.Conv2d(8, 2, bias=False), relu=nn.ReLU())
    >>> list(reduce.named_parameters())
    ['conv.weight']
    """

    def __init__(self, *modules: Module, **named: Module) -> None:
        for name, module in [*((str(i), m) for i, m in enumerate(modules)), *named.items()]:
            setattr(self, name, module)

    def forward(self, x: Array) -> Array:
        """Return the output of the last module."""
        for module in self.children().values():
            x = module(x)
        return x

    def backward(self, dy: Array) -> Array:
        """Return dx, by the backward passes of the modules from last to first."""
        for module in reversed(self.children().values()):
            dy = module.backward(dy)
        return dy
