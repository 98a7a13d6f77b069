"""Parts that several dense networks share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from numpy.typing import DTypeLike

from ...arguments import ArgumentError, Rng
from ...arrays import Array
from ...nn import BatchNorm2d, Conv2d, Module, Parameter, ReLU, Sequential
from ...nn.arguments import as_features
from ..residual import Bottleneck, ResidualNetwork

# Names of parameters of the stem and of the first stage, which detectors leave as they are.
FROZEN = tuple(f"backbone.{name}." for name in ("stem", "conv1", "bn1", "layer1"))


def conv_module(
    in_channels: int,
    channels: int,
    kernel_size: int = 1,
    *,
    stride: int = 1,
    norm: bool = False,
    relu: bool = True,
    rng: Rng,
    dtype: DTypeLike,
) -> Sequential:
    """Return a convolution ``conv``, with ``bn`` or else a bias, and ReLU."""
    options: dict[str, Any] = {"stride": stride, "padding": kernel_size // 2, "bias": not norm}
    conv = Conv2d(in_channels, channels, kernel_size, **options, rng=rng, dtype=dtype)
    after: dict[str, Module] = {"bn": BatchNorm2d(channels, dtype=dtype)} if norm else {}
    if relu:
        after["activate"] = ReLU()
    return Sequential(conv=conv, **after)


class Shared:
    """The layers of a module applied to several inputs: it keeps the arrays of each pass."""

    def __init__(
        self, owner: Module, forward: Callable[[Array], Array], backward: Callable[[Array], Array]
    ) -> None:
        self.layers = [module for _, module in owner.named_modules() if module is not owner]
        self.functions = forward, backward
        self.kept: list[list[dict[str, Any]]] = []

    def forward(self, inputs: Sequence[Array]) -> list[Array]:
        """Return the output for every input."""
        outputs = []
        for x in inputs:
            outputs.append(self.functions[0](x))
            self.kept.append([_kept(layer) for layer in self.layers])
        return outputs

    def backward(self, gradients: Sequence[Array]) -> list[Array]:
        """Return dx for the gradient of every output."""
        dinputs = []
        for kept, dy in zip(self.kept, gradients, strict=True):
            for layer, values in zip(self.layers, kept, strict=True):
                vars(layer).update(values)
            dinputs.append(self.functions[1](dy))
        return dinputs


def _kept(layer: Module) -> dict[str, Any]:
    return {name: vars(layer)[name] for name in ("_saved", "_reductions") if name in vars(layer)}


class DenseNetwork(Module):
    """The common part of networks on the features of a backbone.

    Parameters
    ----------
    backbone : ResidualNetwork
        Its classifier is removed.
    first : int
        The first stage, from 1, whose features are used.
    stride : int
        Pixels of the image for each pixel of the first stage; it doubles with every stage.

    Attributes
    ----------
    frozen : tuple of str
        Prefixes of the names of parameters that training leaves as they are, as in mmdet: frozen
        stages get no gradients, and `train` leaves them, and the batch normalisations of the whole
        backbone, in evaluation mode. ``model.frozen = ()`` and ``train()`` train everything.

    Examples
    --------
    >>> from involution_edu import models
    >>> model = models.dense.RetinaNet(models.small_resnet(1, 3, rng=0), 2, channels=16, rng=0)
    >>> len(model.parameters()), len(model.trainable_parameters())
    (71, 56)
    """

    frozen: tuple[str, ...] = ()

    def __init__(self, backbone: ResidualNetwork, stride: int = 4, first: int = 1) -> None:
        stages = [name for name in backbone.children() if name.startswith("layer")]
        self._names, self.stride = tuple(stages[first - 1 :]), stride << (first - 1)
        for name in "fc", "avgpool":
            vars(backbone).pop(name, None)
        self.backbone = backbone
        self.in_channels = [_out_channels(backbone, name) for name in self._names]
        self.train()

    def train(self, mode: bool = True) -> Self:
        """Put all modules but the frozen ones in training mode; return this network."""
        super().train(mode)
        for name, module in self.named_modules():
            fixed = name.startswith("backbone.") and isinstance(module, BatchNorm2d)
            if self.frozen and (fixed or name.startswith(self.frozen)):
                module.training = False
        return self

    def _frozen_stages(self) -> list[str]:
        names = "stem", *(n for n in self.backbone.children() if n.startswith("layer"))
        return [name for name in names if f"backbone.{name}.".startswith(self.frozen or "\0")]

    def trainable_parameters(self) -> list[Parameter]:
        """Return the parameters that training changes: those outside the frozen stages."""
        named = self.named_parameters().items()
        return [p for name, p in named if not name.startswith(self.frozen or "\0")]

    def features(self, x: Array) -> Any:
        """Return the features of the used stages, the finest first."""
        x, coarsest = as_features(x), self.stride << (len(self._names) - 1)
        if min(x.shape[2:]) < coarsest:
            need = f"at least {coarsest} rows and columns, the stride of the coarsest level"
            raise ArgumentError("x", f"has shape {x.shape}", need)
        found = self.backbone.features(x, self._frozen_stages())
        return [found[name] for name in self._names]

    def features_backward(self, gradients: Sequence[Array]) -> Array:
        """Return dx for the gradients of `features`, or the gradient of the last frozen stage."""
        named = dict(zip(self._names, gradients, strict=True))
        return self.backbone.features_backward(named, self._frozen_stages())

    def loss(self, x: Array, targets: Any) -> dict[str, float]:
        """Return the losses by name, and keep what `loss_backward` needs."""
        raise TypeError(f"{type(self).__name__} has no loss(); a DenseNetwork must define it")

    def loss_backward(self) -> Array:
        """Add the gradients of the sum of the losses; return dx, as `features_backward`."""
        raise TypeError(f"{type(self).__name__} has no loss_backward(); it must define it")


def _out_channels(backbone: ResidualNetwork, name: str) -> int:
    blocks = list(backbone.children()[name].children().values())
    last = blocks[-1]
    assert isinstance(last, Bottleneck)
    return len(last.conv3.weight.data)
