"""Optimisers, gradient clipping and the learning-rate schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import cos, pi, sqrt

import numpy as np

from ..arguments import ArgumentError, as_int, as_number
from ..arrays import Array, array_module, as_numpy
from .arguments import copy_state
from .module import Parameter


class Optimizer:
    """The common part of `SGD` and `Adam`: parameters, and arrays of state for each of them.

    Parameters
    ----------
    parameters : sequence of Parameter
    lr, weight_decay : float
        At least 0. ``weight_decay`` times the parameter is added to its gradient.

    Attributes
    ----------
    lr : float
        The learning rate of the next step; a schedule such as `warmup_cosine` may set it.
    state : dict of lists of ndarrays
        For each name in ``state_names`` an array per parameter, zero at the start.

    Examples
    --------
    A subclass defines `update`, here the sign of the gradient:

    >>> import numpy as np
    >>> from involution_edu import nn
    >>> class SignDescent(nn.Optimizer):
    ...     def update(self, gradient):
    ...         return np.sign(gradient)
    >>> w = nn.Parameter(np.array([1.0, 1.0]))
    >>> w.grad[...] = [0.001, -50]
    >>> SignDescent([w], lr=0.1, weight_decay=0).step()
    >>> w.data
    array([0.9, 1.1])
    """

    state_names: tuple[str, ...] = ()

    def __init__(self, parameters: Sequence[Parameter], lr: float, weight_decay: float) -> None:
        self.parameters = list(parameters)
        self.lr, self.weight_decay = as_number("lr", lr), as_number("weight_decay", weight_decay)
        self.steps = 0
        data: list[Array] = [parameter.data for parameter in self.parameters]
        self.state = {n: [array_module(a).zeros_like(a) for a in data] for n in self.state_names}

    def step(self) -> None:
        """Subtract lr * update from every parameter, in place."""
        self.steps += 1
        for number, parameter in enumerate(self.parameters):
            gradient = parameter.grad
            if self.weight_decay:
                gradient = gradient + self.weight_decay * parameter.data
            state = [self.state[name][number] for name in self.state_names]
            parameter.data -= self.lr * self.update(gradient, *state)

    def update(self, gradient: Array, *state: Array) -> Array:
        """Return the update of a parameter, without the learning rate; change ``state`` in place."""
        raise TypeError(f"{type(self).__name__} has no update(); an Optimizer must define it")

    def _state(self) -> dict[str, Array]:
        arrays = {f"{name}.{n}": a for name, of in self.state.items() for n, a in enumerate(of)}
        return {"steps": np.array(self.steps), **arrays}

    def state_dict(self) -> dict[str, Array]:
        """Return a copy of the state and the number of steps, as NumPy arrays."""
        return {name: as_numpy(array).copy() for name, array in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Array]) -> None:
        """Copy the arrays of `state_dict` into this optimiser: all, or nothing if one does not fit."""
        own = self._state()
        if "steps" in state and np.min(as_numpy(state["steps"])) < 0:
            raise ArgumentError("state['steps']", f"is {state['steps']}", "an int >= 0")
        copy_state(state, own)
        self.steps = int(own["steps"])


class SGD(Optimizer):
    """Stochastic gradient descent with momentum.

    .. code-block:: text

        g = grad + weight_decay * w
        v = momentum * v + g
        w = w - lr * v                          or, with nesterov, w - lr * (g + momentum * v)

    Parameters
    ----------
    parameters : sequence of Parameter
    lr : float
    momentum : float
        0 to 1.
    nesterov : bool
        Use Nesterov's momentum: the gradient is applied one step of momentum ahead.
    weight_decay : float

    References
    ----------
    Sutskever et al., ICML 2013: momentum and Nesterov's variant in this form.

    Examples
    --------
    >>> w = Parameter(np.array([1.0]))
    >>> w.grad[...] = 0.5
    >>> optimizer = SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):  # v = 0.5, then 0.95
    ...     optimizer.step()
    >>> w.data.round(6)
    array([0.855])
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float,
        *,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        self.momentum, self.nesterov = as_number("momentum", momentum, 1), nesterov
        if nesterov and not momentum:
            raise ArgumentError("momentum", "is 0", "more than 0 with nesterov")
        self.state_names = ("velocity",) if momentum else ()
        super().__init__(parameters, lr, weight_decay)

    def update(self, gradient: Array, *state: Array) -> Array:
        """Return the gradient, the new velocity, or with nesterov g + momentum * v."""
        if not state:
            return gradient
        (velocity,) = state
        velocity *= self.momentum
        velocity += gradient
        return gradient + self.momentum * velocity if self.nesterov else velocity


class Adam(Optimizer):
    """Adam: the step of each number is scaled by the size of its past gradients.

    .. code-block:: text

        g = grad + weight_decay * w
        m = b1 * m + (1 - b1) * g;   v = b2 * v + (1 - b2) * g^2
        w = w - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)        t: steps so far

    Parameters
    ----------
    parameters : sequence of Parameter
    lr : float
    betas : (float, float)
        b1 and b2, from 0 to below 1.
    eps, weight_decay : float

    References
    ----------
    Kingma and Ba, ICLR 2015, arXiv:1412.6980, algorithm 1.

    Examples
    --------
    >>> w = Parameter(np.array([1.0]))
    >>> w.grad[...] = 0.5
    >>> Adam([w], lr=0.1, eps=0.0).step()  # the first step has the size lr
    >>> w.data
    array([0.9])
    """

    state_names = ("mean", "square")

    def __init__(
        self,
        parameters: Sequence[Parameter],
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        first, second = betas
        self.betas = as_number("betas[0]", first, 1), as_number("betas[1]", second, 1)
        if 1 in self.betas:
            raise ArgumentError("betas", f"is {betas}", "numbers below 1")
        self.eps = as_number("eps", eps)
        super().__init__(parameters, lr, weight_decay)

    def update(self, gradient: Array, *state: Array) -> Array:
        """Return the mean gradient over the root of the mean square, both bias-corrected."""
        (mean, square), (first, second) = state, self.betas
        mean *= first
        mean += (1 - first) * gradient
        square *= second
        square += (1 - second) * (gradient * gradient)
        root = array_module(square).sqrt(square)
        root /= sqrt(1 - second**self.steps)
        root += self.eps
        ratio: Array = mean / root
        ratio /= 1 - first**self.steps
        return ratio


def clip_grad_norm(parameters: Sequence[Parameter], max_norm: float) -> float:
    """Scale the gradients of all parameters so that their joint norm is at most ``max_norm``.

    Parameters
    ----------
    parameters : sequence of Parameter
        Their gradients are changed in place.
    max_norm : float
        At least 0.

    Returns
    -------
    norm : float
        Their joint Euclidean norm before.

    Examples
    --------
    >>> w = Parameter(np.zeros(2))
    >>> w.grad[...] = [3, 4]
    >>> clip_grad_norm([w], max_norm=1)
    5.0
    >>> w.grad
    array([0.6, 0.8])
    """
    max_norm = as_number("max_norm", max_norm)
    squares = [(p.grad * p.grad).sum() for p in parameters]  # read at once, to wait but once
    norm = sqrt(sum(as_numpy(array_module(squares[0]).stack(squares)).tolist() if squares else ()))
    if norm > max_norm:
        for parameter in parameters:
            parameter.grad *= max_norm / norm
    return norm


def warmup_cosine(step: int, *, base_lr: float, warmup_steps: int, total_steps: int) -> float:
    """Return the learning rate of a step: a linear warm-up, then half a cosine down to 0.

    .. code-block:: text

        step < warmup:  base_lr * (step + 1) / warmup
        later:          base_lr * (1 + cos(pi * (step - warmup) / (total - warmup))) / 2

    Parameters
    ----------
    step : int
        From 0.
    base_lr : float
        The highest rate, reached at the last step of the warm-up.
    warmup_steps, total_steps : int
        The total includes the warm-up.

    Raises
    ------
    ValueError
        If ``step`` is not below the total, or the warm-up is not shorter than the total.

    References
    ----------
    Loshchilov and Hutter, ICLR 2017, arXiv:1608.03983: the cosine. Goyal et al., 2017,
    arXiv:1706.02677: the warm-up.

    Examples
    --------
    >>> schedule = {"base_lr": 0.8, "warmup_steps": 2, "total_steps": 6}
    >>> [round(warmup_cosine(step, **schedule), 3) for step in range(6)]
    [0.4, 0.8, 0.8, 0.683, 0.4, 0.117]
    """
    total_steps = as_int("total_steps", total_steps)
    warmup_steps = as_int("warmup_steps", warmup_steps, 0)
    if warmup_steps >= total_steps:
        raise ArgumentError("warmup_steps", f"is {warmup_steps}", f"less than {total_steps} in all")
    if not 0 <= step < total_steps:
        raise ArgumentError("step", f"is {step}", f"0 to {total_steps - 1}")
    if step < warmup_steps:
        return base_lr * (step + 1) / warmup_steps
    share = (step - warmup_steps) / (total_steps - warmup_steps)
    return base_lr * (1 + cos(pi * share)) / 2
