"""The exercises of the notebooks, and a check that names the mistake in an answer.

>>> from involution_edu import course
>>> def groups(C, G):
...     return [c % G for c in range(C)]
>>> course.check(groups)
Not yet: for groups(6, 2)
[1] is 1; need 0, and 1 more of 6 are wrong
The likely mistake: this is the order of the Keras example; here a group has adjacent channels.
"""

from ..arguments import ArgumentError
from . import counting, operators, relatives
from .exercise import Exercise, Function, Verdict, judge
from .figures import show

EXERCISES: dict[str, Exercise] = {
    exercise.name: exercise
    for module in (operators, relatives, counting)
    for exercise in vars(module).values()
    if isinstance(exercise, Exercise)
}


def check(answer: Function) -> Verdict:
    """Check a function against the exercise of its name; a notebook shows the verdict.

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


__all__ = ["EXERCISES", "Exercise", "Verdict", "check", "judge", "show"]
