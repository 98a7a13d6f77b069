"""The exercises of notebook 10: the gradient of the loss, and a step of the optimiser."""

from __future__ import annotations

import numpy as np

from ..arrays import Array
from .exercise import Cases, Exercise, table
from .operators import integers


def _cross_entropy_backward(logits: Array, labels: Array) -> Array:
    N, K = logits.shape
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    p = exp / exp.sum(axis=1, keepdims=True)
    one_hot = np.zeros((N, K))
    one_hot[np.arange(N), labels] = 1
    dlogits: Array = (p - one_hot) / N
    return dlogits


def _batches(rng: np.random.Generator) -> Cases:
    yield integers(rng, 2, 3), np.array([2, 0])
    for N, K in ((4, 5), (5, 3), (1, 4), (4, 4)):
        yield rng.standard_normal((N, K)), rng.integers(K, size=N)
    yield 300 * rng.standard_normal((3, 4)) + [[0], [2000], [4000]], np.array([0, 3, 3])


MEAN = "(p - one_hot) / N"
TOP, SUM = "logits.max(axis=1, keepdims=True)", "exp.sum(axis=1, keepdims=True)"
CROSS_ENTROPY_BACKWARD = Exercise(
    "cross_entropy_backward", "cross_entropy_backward(logits, labels) -> dlogits (N, K), for the loss -log softmax(logits)[label], "
    "the mean over the N images. Logits may be large.", _cross_entropy_backward, _batches,
    table(_cross_entropy_backward,
        (f"{MEAN} => (p - one_hot)", "the loss is the mean over the batch: divide by N."),
        ("p - one_hot => one_hot - p", "the sign is wrong: it is softmax minus one-hot."),
        ("p - one_hot => p", "subtract 1 from the softmax at the label of each image."),
        ("p - one_hot => p - 1", "subtract 1 at the label alone, not from every class."),
        ("p - one_hot => np.where(one_hot > 0, -1, p)", "= -1 overwrites the softmax: subtract, with -= 1."),
        ("p - one_hot => -one_hot", "only the one-hot is left: the softmax of all classes is missing."),
        ("p - one_hot => (p - 1) * one_hot", "every class has a gradient, not the label alone."),
        (f"{MEAN} => p - one_hot / N", "divide the whole difference by N, the softmax, too."),
        (f"{MEAN} => p / N - one_hot", "divide the whole difference by N, the one-hot, too."),
        ("[np.arange(N), labels] => [:, labels]", "p[:, labels] takes the columns of all labels in every row; use p[np.arange(N), labels]."),
        ("[np.arange(N), labels] = 1 => [...] = labels[:, None]", "subtract 1 in the label's column, not the label."),
        ("labels] = 1 => logits.argmax(1)] = 1", "subtract 1 at the label, not at the largest logit."),
        ("p - one_hot => np.where(one_hot > 0, -one_hot / p, 0)", "that is the gradient of -log p with respect to p; go on back through the softmax."),
        (f"{SUM} => exp.sum(axis=0)", "your sum runs over the images; it runs over the classes, axis 1."),
        (f"{TOP} => logits.max(0) ; {SUM} => exp.sum(0)", "your softmax runs over the images; it runs over the classes, axis 1."),
        (f"{SUM} => exp.sum()", "your sum runs over the whole batch; each image has its own, axis 1."),
        (f" - {TOP} => ", "exp overflows above 709: subtract the largest logit of each image first."),
        (f"{TOP} => logits.max()", "subtract each image's largest logit, not the batch's: exp gives 0, and 0 / 0."),
        (f"{TOP} => logits.max(0)", "the largest logit is that of each image (axis 1), not of each class."),
        (f" / {SUM} => ", "a softmax divides exp by its sum over the classes."),
        (f"np.exp(logits - {TOP}) => logits", "the softmax takes exp of the logits first."),
        (f"exp / {SUM} => np.log(exp / {SUM})", "that is the logarithm of the softmax; the gradient has the softmax itself."),
        (f"exp / {SUM} => 1 / (1 + np.exp(-logits))", "that is a sigmoid; a softmax divides exp by its sum."),
    ),
    ("image", "class"),
    lambda logits, labels: {"N": len(logits), "K": logits.shape[1]},
    lambda given, index: {"logits": given[0], "one-hot": np.eye(given[0].shape[1])[given[1]]},
)  # fmt: skip


def _sgd_step(w: Array, grad: Array, velocity: Array, lr: float, momentum: float) -> Array:
    new = momentum * velocity + grad
    return np.array([w - lr * new, new])


def _steps(rng: np.random.Generator) -> Cases:
    yield *(integers(rng, 3) for _ in range(3)), 0.25, 0.5
    for size, lr, momentum in ((5, 0.1, 0.9), (2, 0.05, 0.0), (4, 2.0, 0.8)):
        yield *(rng.standard_normal(size) for _ in range(3)), lr, momentum


NEW = "momentum * velocity + grad"
SGD_STEP = Exercise(
    "sgd_step", "sgd_step(w, grad, velocity, lr, momentum) -> w, velocity: new arrays, after a step down the gradient.", _sgd_step, _steps,
    table(_sgd_step,
        ("w - lr => w + lr", "the gradient points up the loss: subtract the step from w."),
        ("w - lr * new => grad - lr * new", "you moved the gradient; it is w that moves."),
        ("lr * new => lr * grad", "your step is lr * grad; it is lr times the new velocity."),
        ("lr * new => lr * velocity", "you moved w by the old velocity; compute the new one first."),
        ("lr * new => lr * (grad + momentum * new)", "that is Nesterov's step; here it is lr * the new velocity."),
        ("lr * new => lr * momentum * new", "momentum is no factor of the step, only of the old velocity."),
        ("- lr * new => - lr * grad - momentum * velocity", "lr multiplies all of the new velocity."),
        (f"{NEW} => velocity + grad", "multiply the old velocity by momentum."),
        (f"{NEW} => momentum * (velocity + grad)", "momentum multiplies the old velocity alone, not the gradient."),
        (f"{NEW} => velocity + momentum * grad", "momentum multiplies the old velocity, not the gradient."),
        ("+ grad => + (1 - momentum) * grad", "that is a running mean, as in Adam; here grad is added whole."),
        (f"{NEW} => (1 - momentum) * velocity + momentum * grad", f"that is a running mean; here it is {NEW}."),
        ("+ grad => + lr * grad", "lr is used twice, in the velocity and in the step; use it in the step alone."),
        ("+ grad => + lr * grad ; lr * new => new", "lr belongs to the step; the velocity adds up gradients alone."),
        ("+ grad => - lr * grad ; w - lr * new => w + new", "Keras has -lr in the velocity; here it is in the step."),
        (", new] => , velocity]", "return the new velocity, for the next step."),
        (", new] => , lr * new]", "return the velocity itself, without lr."),
        ("[w - lr * new, new] => w - lr * new", "return both, w and the velocity: return w, velocity."),
    ),
    ("result (0: w, 1: velocity)", "number"),
)  # fmt: skip
