"""The exercises of notebook 10: the gradient of the loss, and a step of the optimiser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arrays import Array
from .exercise import Cases, Exercise, table
from .operators import integers

Part = Callable[..., Any]


def _cross_entropy_backward(
    logits: Array, labels: Array, *, axis: int | None = 1,
    target: Part = lambda labels, K: np.eye(K)[labels],
    top: Part = lambda logits: logits.max(1, keepdims=True),
    combine: Part = lambda p, t, n: (p - t) / n,
) -> Array:  # fmt: skip
    numbers = np.exp(logits - top(logits))
    p = numbers / numbers.sum(axis, keepdims=True)
    return np.asarray(combine(p, target(labels, p.shape[1]), len(p)))


def _batches(rng: np.random.Generator) -> Cases:
    yield integers(rng, 2, 3), np.array([2, 0])
    for N, K in ((4, 5), (5, 3), (1, 4), (4, 4)):
        yield rng.standard_normal((N, K)), rng.integers(K, size=N)
    yield 300 * rng.standard_normal((3, 4)) + [[0], [2000], [4000]], np.array([0, 3, 3])


CROSS_ENTROPY_BACKWARD = Exercise(
    "cross_entropy_backward",
    "cross_entropy_backward(logits, labels) -> dlogits (N, K), for the loss -log softmax(logits)[label], "
    "the mean over the N images. Logits may be large.",
    _cross_entropy_backward,
    _batches,
    table(
        _cross_entropy_backward,
        ("sum over the batch", {"combine": lambda p, t, n: p - t}, "the loss is the mean over the batch: divide by N."),
        ("sign", {"combine": lambda p, t, n: (t - p) / n}, "the sign is wrong: it is softmax minus one-hot."),
        ("no one-hot", {"target": lambda labels, K: 0}, "that is softmax / N: subtract 1 at the label of each image."),
        ("only the one-hot", {"combine": lambda p, t, n: -t / n}, "the softmax of all classes is missing."),
        ("whole p", {"combine": lambda p, t, n: p - t / n}, "divide the whole difference by N, the softmax too."),
        ("whole one-hot", {"combine": lambda p, t, n: p / n - t}, "divide the whole difference by N, the one-hot too."),
        ("labels", {"target": lambda labels, K: labels[:, None]}, "subtract 1 at the label's column, not the label."),
        ("label only", {"combine": lambda p, t, n: (p - 1) * t / n}, "every class has a gradient, not the label alone."),
        ("all labels", {"target": lambda labels, K: np.eye(K)[labels].max(0)}, "p[:, labels] is every row; use p[np.arange(N), labels]."),
        ("slope of log", {"combine": lambda p, t, n: np.where(t > 0, -t / p / n, 0)},
         "that is the gradient of -log p with respect to p; go on back through the softmax."),
        ("over images", {"axis": 0}, "your softmax runs over the images; it runs over the classes, axis 1."),
        ("over everything", {"axis": None}, "the sum runs over the whole batch; each image has its own, axis 1."),
        ("no maximum", {"top": lambda z: 0}, "exp overflows above 709: first subtract the largest logit of each image."),
        ("one maximum", {"top": np.max}, "subtract each image's own maximum, not the batch's: exp gives 0, and 0 / 0."),
        ("not divided", lambda z, labels: (np.exp(z - z.max(1, keepdims=True)) - np.eye(z.shape[1])[labels]) / len(z),
         "a softmax divides exp by its sum over the classes."),
    ),
    ("image", "class"),
    lambda logits, labels: {"N": len(logits), "K": logits.shape[1]},
    lambda given, index: {"logits": given[0], "one-hot": np.eye(given[0].shape[1])[given[1]]},
)  # fmt: skip


def _sgd_step(
    w: Array, grad: Array, velocity: Array, lr: float, momentum: float, *,
    speed: Part = lambda v, grad, lr, m: m * v + grad,
    step: Part = lambda new, old, grad, lr, m: lr * new,
    result: Part = lambda w, step, new, old: (w - step, new),
) -> Array:  # fmt: skip
    new = speed(velocity, grad, lr, momentum)
    return np.stack(result(w, step(new, velocity, grad, lr, momentum), new, velocity))


def _steps(rng: np.random.Generator) -> Cases:
    yield *(integers(rng, 3) for _ in range(3)), 0.25, 0.5
    for size, lr, momentum in ((5, 0.1, 0.9), (2, 0.05, 0.0), (4, 2.0, 0.8)):
        yield *(rng.standard_normal(size) for _ in range(3)), lr, momentum


SGD_STEP = Exercise(
    "sgd_step",
    "sgd_step(w, grad, velocity, lr, momentum) -> w, velocity: new arrays, after a step down the gradient.",
    _sgd_step,
    _steps,
    table(
        _sgd_step,
        ("upwards", {"result": lambda w, step, new, old: (w + step, new)}, "a gradient points up: subtract the step from w."),
        ("no velocity", {"step": lambda new, old, grad, lr, m: lr * grad}, "the step is lr * the new velocity, not lr * grad."),
        ("old velocity", {"step": lambda new, old, grad, lr, m: lr * old}, "you moved w by the old velocity; use the new one."),
        ("of both", {"speed": lambda v, grad, lr, m: m * (v + grad)}, "momentum multiplies the old velocity, not the gradient."),
        ("mean", {"speed": lambda v, grad, lr, m: m * v + (1 - m) * grad}, "add grad whole, not (1 - momentum) * grad."),
        ("lr twice", {"speed": lambda v, grad, lr, m: m * v + lr * grad}, "lr is used twice: not in the velocity, too."),
        ("lr in velocity", {"speed": lambda v, grad, lr, m: m * v + lr * grad, "step": lambda new, *others: new},
         "lr belongs to the step, w - lr * velocity; the velocity adds up gradients alone."),
        ("no factor", {"speed": lambda v, grad, lr, m: v + grad}, "multiply the old velocity by momentum."),
        ("momentum late", {"step": lambda new, old, grad, lr, m: lr * m * new}, "momentum is not a factor of the step."),
        ("minus", {"speed": lambda v, grad, lr, m: m * v - grad}, "add the gradient to the velocity; subtract the step."),
        ("no gradient", {"speed": lambda v, grad, lr, m: m * v}, "the gradient is not added to the velocity."),
        ("Keras", lambda w, grad, v, lr, m: np.stack([w + m * v - lr * grad, m * v - lr * grad]), "-lr belongs to the step here, not to the velocity."),
        ("Nesterov", {"step": lambda new, old, grad, lr, m: lr * (grad + m * new)}, "Nesterov's step; here it is lr * velocity."),
        ("gradient", lambda w, grad, *a: _sgd_step(grad, grad, *a), "you moved the gradient; it is w that moves."),
        ("old returned", {"result": lambda w, step, new, old: (w - step, old)}, "return the new velocity, for the next step."),
        ("step for velocity", {"result": lambda w, step, new, old: (w - step, step)}, "return the velocity itself, without lr."),
        ("w alone", lambda *a: _sgd_step(*a)[0], "return both, w and the velocity: return w, velocity."),
    ),
    ("result (0: w, 1: velocity)", "number"),
)  # fmt: skip
