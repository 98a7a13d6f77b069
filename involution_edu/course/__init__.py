"""The exercises of the notebooks, and the check that says what is wrong with an answer.

>>> from involution_edu import course
>>> def groups(C, G):
...     return [c % G for c in range(C)]
>>> course.check(groups)
Not yet: for groups(6, 2)
[1] is 1; need 0, and 1 more of 6 are wrong
The likely mistake: that is the order of the Keras example; here the channels of a group are neighbours.
>>> def groups(C, G):
...     return [c // (C // G) for c in range(C)]
>>> course.check(groups)
Right: groups gives the right answer in all 4 cases.
"""

from ..arguments import ArgumentError
from . import counting, operators, relatives
from .exercise import Exercise, Function, Mistake, Verdict, judge
from .figures import show

EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for module in (operators, relatives, counting)
    for exercise in vars(module).values()
    if isinstance(exercise, Exercise)
}


def check(answer: Function) -> Verdict:
    """Hold a function against the exercise of its name; the verdict shows itself in a notebook.

    Parameters
    ----------
    answer : function
        Named as in `EXERCISES`.

    Returns
    -------
    verdict : Verdict

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
    Right: groups gives the right answer in all 4 cases.
    """
    name = getattr(answer, "__name__", repr(answer))
    if name not in EXERCISES:
        raise ArgumentError("answer", f"is named {name}", f"one of {', '.join(EXERCISES)}")
    return judge(EXERCISES[name], answer)


__all__ = ["EXERCISES", "Exercise", "Mistake", "Verdict", "check", "judge", "show"]
