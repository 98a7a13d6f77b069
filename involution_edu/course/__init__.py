"""The exercises of the notebooks, and a check that names the mistake in an answer.

>>> from involution_edu import course
>>> def groups(C, G):
...     return [c % G for c in range(C)]
>>> course.check(groups)
Not yet: for groups(C=4, G=2)
[1] is 1; need 0, and 1 more of 4 are wrong
The likely mistake: this is the order of the Keras example; here a group has adjacent channels.

To add an exercise, write in a module of its subject (`operators`, `generator`, `gradients`,
`relatives`, `counting`, `machines`) the right answer as a learner may, cases, and `Exercise(...)`
with a `table` of mistakes: rows ("old code => new code", "what to tell"). `groups` in `counting` is a
short example. An exercise is named as its function; the name goes into a notebook's cell.

`judge` runs an answer and looks for the mistake: rows of the table, one or two; each small change of
the right answer's source (`variants`); how the numbers differ (`mechanisms`, `layout`); other arguments that
give them (`inputs`). `windows` has the rows that all loops over windows share, `simulated` checks CUDA
kernels, `compare` and `figures` show results, `notebooks` copies and runs the notebooks.
"""

from dataclasses import replace

from ..arguments import ArgumentError
from . import counting, dense, descent, generator, gradients, machines, operators, relatives
from .example import HandSized, hand_sized
from .exercise import Exercise, Function, Verdict
from .figures import show
from .judge import calls_package, judge
from .simulated import LAUNCHES, Score
from .simulated import check as check_cuda

EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for module in (operators, generator, gradients, relatives, counting, machines, descent, dense)
    for exercise in vars(module).values()
    if isinstance(exercise, Exercise)
}


def check(answer: Function) -> Verdict | Score:
    """Check a function against the exercise of its name; a notebook shows the verdict.

    An answer that is right, but calls this package for it, does not pass.

    Parameters
    ----------
    answer : function
        Named as in `EXERCISES`.

    Returns
    -------
    verdict : Verdict or Score
        A Score for a CUDA kernel, which runs in a simulator.

    Raises
    ------
    ValueError
        If there is no exercise of that name.

    Examples
    --------
    >>> from involution_edu import course
    >>> def groups(C, G):
    ...     return [c * G // C for c in range(C)]
    >>> course.check(groups)
    Right: groups gives the right answer in all 5 cases.
    """
    name = getattr(answer, "__name__", repr(answer))
    if name in LAUNCHES:
        return check_cuda(answer)
    if name not in EXERCISES:
        raise ArgumentError("answer", f"is named {name}", f"one of {', '.join(EXERCISES)}")
    exercise = EXERCISES[name]
    verdict = judge(exercise, answer)
    if verdict.ok and (called := calls_package(exercise, answer)):
        text = (
            f"Not yet: the numbers are right, but {called} of this package makes them; write it out"
        )
        return replace(verdict, ok=False, text=text)
    return verdict


__all__ = [
    "EXERCISES",
    "Exercise",
    "HandSized",
    "Verdict",
    "check",
    "hand_sized",
    "judge",
    "show",
]
