"""The exercises of the training step: their right answers are those of the package."""

from __future__ import annotations

import numpy as np

from involution_edu.course import EXERCISES, notebooks
from involution_edu.nn import SGD, CrossEntropy, Parameter


def test_the_gradient_of_the_loss_is_that_of_the_package() -> None:
    exercise = EXERCISES["cross_entropy_backward"]
    for logits, labels in exercise.cases(np.random.default_rng(1)):
        loss = CrossEntropy()
        loss(logits, labels)
        np.testing.assert_allclose(exercise.right(logits, labels), loss.backward(), atol=1e-15)


def test_the_step_is_that_of_the_package_also_the_second() -> None:
    exercise = EXERCISES["sgd_step"]
    for w, grad, _, lr, momentum in exercise.cases(np.random.default_rng(1)):
        parameter, velocity = Parameter(w.copy()), np.zeros_like(w)
        optimizer = SGD([parameter], lr, momentum=momentum)
        for factor in (1, -3):
            parameter.grad[...] = factor * grad
            optimizer.step()
            w, velocity = exercise.right(w, factor * grad, velocity, lr, momentum)
            np.testing.assert_allclose(parameter.data, w)


def test_the_stored_training_says_whose_functions_it_used() -> None:
    """Nothing is solved in the repository's copy, and a reader must not think otherwise."""
    (path,) = (path for path in notebooks.paths() if path.name.startswith("10_"))
    stored = path.read_text(encoding="utf-8")
    for name in ("cross_entropy_backward", "sgd_step"):
        assert f"{name}: yours is not right yet, so the package's is used" in stored
        assert f"{name}: yours\\n" not in stored
