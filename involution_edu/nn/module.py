"""Modules, their parameters and their forward hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, Self

from ..arguments import as_choice, check_shape
from ..arrays import Array, array_module, as_numpy, check_array, check_current
from ..backends import select
from .arguments import copy_state


class Parameter:
    """A learned array and its gradient.

    Parameters
    ----------
    data : ndarray
        The values; an optimiser changes them in place.

    Attributes
    ----------
    grad : ndarray, shape and dtype of ``data``
        Every ``backward`` adds to it; `Module.zero_grad` sets it back to zero.

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import nn
    >>> w = nn.Parameter(np.array([1.0, 2.0]))
    >>> w.grad += 3 * w.data
    >>> w.grad
    array([3., 6.])
    """

    def __init__(self, data: Array) -> None:
        self.data = data
        self.grad = array_module(data).zeros(data.shape, data.dtype)

    def __repr__(self) -> str:
        return f"Parameter(shape={self.data.shape}, dtype={self.data.dtype})"


_saving: ContextVar[bool] = ContextVar("involution_edu_saving", default=True)


@contextmanager
def no_grad() -> Iterator[None]:
    """Disable saving of arrays for backward inside the ``with`` block.

    Each intermediate array is freed as soon as the next module has read it, and ``backward``
    raises. The mode of the modules stays as it is: BatchNorm still needs ``eval()`` to use its
    running statistics.

    Examples
    --------
    >>> import numpy as np
    >>> from involution_edu import nn
    >>> relu = nn.ReLU()
    >>> with nn.no_grad():
    ...     y = relu(np.ones((1, 2)))
    >>> relu.backward(y)
    Traceback (most recent call last):
        ...
    RuntimeError: ReLU.backward() needs a forward pass first, outside no_grad(): call the layer
    """
    token = _saving.set(False)
    try:
        yield
    finally:
        _saving.reset(token)


ForwardHook = Callable[[Any, Array, Array], object]  # of the module, x and y


class HookHandle(AbstractContextManager["HookHandle"]):
    """A registered forward hook; as a context manager it removes the hook at the end."""

    def __init__(self, module: Module, hook: ForwardHook) -> None:
        self.module, self.hook = module, hook

    def remove(self, *_: object) -> None:
        """Stop calling the hook."""
        self.module._hooks = tuple(handle for handle in self.module._hooks if handle is not self)

    __exit__ = remove


class Module:
    """A function with parameters: ``forward`` computes it, ``backward`` its gradient.

    A subclass sets parameters and other modules as attributes; `save` keeps the arrays that its
    backward pass needs, and `saved` returns them. Only the last forward pass is kept, and nothing
    if it raised. Arrays are not copied: neither the input nor the output of a module may be changed
    in place before its backward pass. A copy or pickle of a module holds its parameters and
    buffers, but neither kept arrays nor hooks.

    Attributes
    ----------
    training : bool
        Whether it is in training mode; `train` and `eval` set it, here and in all modules below.

    Examples
    --------
    A layer y = scale * x, with its gradient by hand:

    >>> import numpy as np
    >>> from involution_edu import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         self.scale = nn.Parameter(np.array(3.0))
    ...     def forward(self, x):
    ...         y = self.scale.data * x
    ...         self.save(y, x)
    ...         return y
    ...     def backward(self, dy):
    ...         dy, x = self.saved(dy)
    ...         self.scale.grad += (dy * x).sum()
    ...         return self.scale.data * dy
    >>> layer = Scale()
    >>> layer(np.array([1.0, 2.0]))
    array([3., 6.])
    >>> layer.backward(np.array([1.0, 10.0]))
    array([ 3., 30.])
    >>> layer.scale.grad
    array(21.)
    """

    training = True
    # Attributes that hold arrays which are stored with the weights but not learned.
    buffer_names: tuple[str, ...] = ()
    _saved: tuple[tuple[int, ...], Array, tuple[Any, ...]] | None = None
    _hooks: tuple[HookHandle, ...] = ()

    def __call__(self, x: Array) -> Array:
        """Return ``forward(x)`` and call the forward hooks."""
        self._forget()  # else backward would use the arrays of an earlier x if this pass raises
        y = self.forward(x)
        for handle in self._hooks:
            handle.hook(self, x, y)
        return y

    def register_forward_hook(self, hook: ForwardHook) -> HookHandle:
        """Call ``hook(module, x, y)`` after each call of this module, until the handle's `remove`.

        In ``with module.register_forward_hook(hook):``, it is removed at the end of the block.
        """
        handle = HookHandle(self, hook)
        self._hooks = (*self._hooks, handle)
        return handle

    def forward(self, x: Array) -> Array:
        """Return the output for ``x``."""
        raise TypeError(f"{type(self).__name__} has no forward(); a Module must define it")

    def backward(self, dy: Array) -> Array:
        """Return dx for ``dy`` and add the gradient of every parameter to its ``grad``."""
        raise TypeError(f"{type(self).__name__} has no backward(); a Module must define it")

    def save(self, y: Array, *values: Any) -> None:
        """Keep ``values`` for the backward pass of the output ``y``; nothing in `no_grad`."""
        like = array_module(y).empty(0, y.dtype)  # the dtype and device of y, without its memory
        self._saved = (y.shape, like, values) if _saving.get() else None

    def saved(self, dy: Array) -> tuple[Any, ...]:
        """Return ``dy``, checked against the output, and the values of `save`, if there are any."""
        name = type(self).__name__
        if self._saved is None:
            need = "a forward pass first, outside no_grad(): call the layer"
            raise RuntimeError(f"{name}.backward() needs {need}")
        shape, like, values = self._saved
        dy = check_array("dy", dy, gpu=True, like=like, owner="the output")
        check_current("dy", dy)
        check_shape("dy", dy, shape, f"the shape of the output of {name}")
        return dy, *values

    def _forget(self) -> None:
        """Drop the arrays kept for backward, here and in all modules below."""
        self._saved = None
        for child in self.children().values():
            child._forget()

    def __getstate__(self) -> dict[str, Any]:
        """Return the attributes that copies and pickles keep."""
        return {name: item for name, item in vars(self).items() if name not in ("_saved", "_hooks")}

    def children(self) -> dict[str, Module]:
        """Return the modules that are attributes of this one, by name."""
        return {name: item for name, item in vars(self).items() if isinstance(item, Module)}

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Yield this module and all below it, with their dotted names ending in a dot."""
        yield prefix, self
        for name, child in self.children().items():
            yield from child.named_modules(f"{prefix}{name}.")

    def named_parameters(self) -> dict[str, Parameter]:
        """Return every parameter below this module by its dotted name."""
        return {name: owner for name, owner, _ in self._arrays() if isinstance(owner, Parameter)}

    def parameters(self) -> list[Parameter]:
        """Return every parameter below this module, one that is shared only once."""
        return list(dict.fromkeys(self.named_parameters().values()))

    def zero_grad(self) -> None:
        """Set every gradient to zero."""
        for parameter in self.parameters():
            parameter.grad[...] = 0

    def train(self, mode: bool = True) -> Self:
        """Put this module and all below it in training mode; return it."""
        for _, module in self.named_modules():
            module.training = mode
        return self

    def eval(self) -> Self:
        """Put this module and all below it in evaluation mode; return it."""
        return self.train(False)

    def to(self, kind: str) -> Self:
        """Move all parameters, gradients and buffers into "numpy" or "cupy" arrays; return self.

        CuPy arrays are put on the current GPU; the layers then take and return CuPy arrays, and
        this GPU must be the current one when they are called. Arrays kept for backward are
        dropped. An optimiser made before keeps its own arrays where they were. Without a GPU to
        compute on, nothing is moved and `BackendUnavailable` says why.
        """
        as_choice("kind", kind, ("numpy", "cupy"))
        move = as_numpy
        if kind == "cupy":
            select("cupy", "cupy")  # raises with the reason if it cannot run
            import cupy

            move = cupy.asarray
        holders = [(owner, name) for _, owner, name in self._arrays()]
        holders += [(parameter, "grad") for parameter in self.parameters()]
        moved = [move(getattr(owner, name)) for owner, name in holders]
        for (owner, name), array in zip(holders, moved, strict=True):
            setattr(owner, name, array)
        self._forget()
        return self

    def _arrays(self) -> Iterator[tuple[str, Parameter | Module, str]]:
        """Yield every parameter and buffer: its dotted name, and the object and attribute."""
        for prefix, module in self.named_modules():
            for name, item in vars(module).items():
                if isinstance(item, Parameter):
                    yield prefix + name, item, "data"
                elif name in module.buffer_names:
                    yield prefix + name, module, name

    def _state(self) -> dict[str, Array]:
        return {name: getattr(owner, attribute) for name, owner, attribute in self._arrays()}

    def state_dict(self) -> dict[str, Array]:
        """Return a copy of every parameter and buffer by its dotted name, as NumPy arrays."""
        return {name: as_numpy(array).copy() for name, array in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy ``state`` into the parameters and buffers: all of it, or nothing if it does not fit.

        It needs every name of `state_dict`, with the same shape and a dtype that can be cast.
        """
        copy_state(state, self._state())
