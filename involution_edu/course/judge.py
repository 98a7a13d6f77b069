"""The check of an answer: run it on every case, and explain the first wrong result."""

from __future__ import annotations

import copy
import linecache
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from textwrap import fill
from types import FrameType
from typing import Any

import numpy as np

from . import inputs, mechanisms
from .compare import difference, first_wrong, same
from .exercise import Arguments, Exercise, Function, Mistake, Verdict, both

PACKAGE = __name__.partition(".")[0]
# What an exception's text says, and what to look for.
ERRORS = {
    "out of bounds": "An index went beyond the array: is the edge tested, and each index on its axis?",
    "could not be broadcast": "The shapes do not fit. At the edge a slice is cut off: pad first.",
    "matmul: Input operand": "@ is a matrix product; * multiplies element by element.",
    "shapes": "The shapes do not fit: print them before this line.",
    "cannot reshape": "A reshape keeps the number of elements: print the shape before this line.",
    "too many indices": "The array has fewer axes than the index: print its shape.",
    "interpreted as an integer": "/ gives a float, even if it divides evenly: use //.",
    "slice indices must be integers": "/ gives a float, even if it divides evenly: use //.",
    "only integers, slices": "/ gives a float, even if it divides evenly: use //.",
    "read-only": "Windows are a view of x, which cannot be written to: work on a copy.",
    "is not defined": "Only the arguments, and what is defined above, have a name here.",
    "not associated with a value": "It is read before anything is stored in it: start with 0.",
    "positional argument": "Keep the arguments that the exercise names, in that order.",
    "division by zero": "The divisor is 0 in this case: which argument makes it so?",
    "modulo by zero": "The divisor is 0 in this case: which argument makes it so?",
    "recursion": "The function calls itself, without an end.",
    "NoneType": "Something on this line is None: a function without a return, perhaps.",
    "ellipsis": "Replace the ... by your code.",
}


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The result of an answer in one case, or its exception."""

    arguments: Arguments
    want: Any
    got: Any = None
    error: Exception | None = None
    changed: str | None = None  # the name of the argument that it wrote to

    @property
    def right(self) -> bool:
        return self.error is None and same(self.got, self.want)


def judge(exercise: Exercise, answer: Function, *, seed: int = 0) -> Verdict:
    """Call ``answer`` once on every case, and explain the first wrong result.

    The text gives the arguments (arrays by their shapes), the index of the first wrong number with
    both values or the line that raised, and what is likely to be the mistake.

    Parameters
    ----------
    exercise : Exercise
    answer : callable
        Of any name, with the arguments of the exercise.
    seed : int
        Of the cases.

    Returns
    -------
    verdict : Verdict

    Examples
    --------
    >>> from involution_edu import course
    >>> judge(course.EXERCISES["groups"], lambda C, G: [c * G // C + 1 for c in range(C)])
    Not yet: for groups(C=4, G=2)
    [0] is 1; need 0, and 3 more of 4 are wrong
    The likely mistake: groups are counted from 0.
    """
    cases = exercise.cases(np.random.default_rng(seed))
    with np.errstate(all="ignore"):  # the verdict says it
        outcomes = [_run(exercise, answer, arguments) for arguments in cases]
        for outcome in outcomes:
            if not outcome.right or outcome.changed:
                return _explained(exercise, answer, outcome, outcomes)
        if exercise.quick is not None and _lines(answer, *exercise.quick) > exercise.quick[1]:
            text = (
                f"Not yet: the numbers of {exercise.name} are right, but it loops over pixels: more "
                f"than {exercise.quick[1]:,} lines of Python ran{_call(exercise, exercise.quick[0])}"
                "\nLet NumPy do all pixels of one tap at once: two loops, over u and v."
            )
            return Verdict(False, text, exercise, exercise.quick[0])
    text = f"Right: {exercise.name} gives the right answer in all {len(outcomes)} cases."
    return Verdict(True, text, exercise)


def calls_package(exercise: Exercise, answer: Function) -> str | None:
    """Return the name of the first function of this package that an answer calls, or None."""
    called: list[str] = []
    own = _file(answer)

    def watch(frame: FrameType, event: str, _: Any) -> None:
        module = frame.f_globals.get("__name__", "").partition(".")[0]
        if (
            event == "call"
            and module == PACKAGE
            and frame.f_code.co_filename not in (own, __file__)
        ):
            called.append(frame.f_code.co_name)

    arguments = copy.deepcopy(next(exercise.cases(np.random.default_rng(0))))
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        answer(*arguments)
    finally:
        sys.setprofile(before)
    return called[0] if called else None


def _file(answer: Function) -> str:
    """Return the file of a function, or the name that a notebook gives to its cell."""
    return str(getattr(getattr(answer, "__code__", None), "co_filename", ""))


class _TooManyLinesError(Exception):
    pass


def _lines(answer: Function, arguments: Arguments, limit: int) -> int:
    """Count the lines of Python that run in the answer's own file, up to one beyond a limit."""
    count, file = 0, _file(answer)

    def watch(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if frame.f_code.co_filename != file:
            return None
        if event == "line":
            count += 1
            if count > limit:
                raise _TooManyLinesError
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        answer(*copy.deepcopy(arguments))
    except _TooManyLinesError:
        pass
    finally:
        sys.settrace(before)
    return count


def _run(exercise: Exercise, answer: Function, arguments: Arguments) -> _Outcome:
    want, given = exercise.right(*copy.deepcopy(arguments)), copy.deepcopy(arguments)
    try:
        got = answer(*given)
    except Exception as error:  # noqa: BLE001 - the learner's code may raise anything
        return _Outcome(arguments, want, error=error)
    parameters = zip(exercise.parameters, given, arguments, strict=True)
    changed = (name for name, after, before in parameters if not same(after, before))
    return _Outcome(arguments, want, got, changed=next(changed, None))


def _explained(
    exercise: Exercise, answer: Function, outcome: _Outcome, outcomes: list[_Outcome]
) -> Verdict:
    """Return the verdict on an answer that is wrong in the case ``outcome``."""
    index = None
    if outcome.error is not None:
        lines = [*_raised(answer, outcome.error), *_hints(exercise, outcome, outcomes)]
    elif outcome.got is None or outcome.got is Ellipsis:
        lines = ["it returned nothing yet"]
    elif outcome.right:
        lines = [f"it changed its argument {outcome.changed}; work on a copy"]
    else:
        index = first_wrong(outcome.got, outcome.want)
        lines = [difference(outcome.got, outcome.want), *_hints(exercise, outcome, outcomes)]
        if exercise.picture is not None and index is not None:
            lines.append(f"To see this case: course.check({exercise.name}).show()")
    text = "\n".join([f"Not yet:{_call(exercise, outcome.arguments)}", *lines])
    return Verdict(False, text, exercise, outcome.arguments, outcome.got, outcome.want, index)


def _call(exercise: Exercise, arguments: Arguments) -> str:
    def text(name: str, argument: Any) -> str:
        return (
            f"{name} {argument.shape}" if isinstance(argument, np.ndarray) else f"{name}={argument}"
        )

    return fill(f" for {exercise.name}({', '.join(map(text, exercise.parameters, arguments))})", 88)


def _raised(answer: Function, error: Exception) -> Iterator[str]:
    """Yield what was raised, the last line of the answer's file that led to it, and a hint."""
    yield f"it raised {type(error).__name__}: {error}"
    file, trace, line = _file(answer), error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            code = linecache.getline(file, trace.tb_lineno, trace.tb_frame.f_globals).strip()
            line = f"in line {trace.tb_lineno}: {code}" if code else ""
        trace = trace.tb_next
    if line:
        yield line
    text = str(error)
    yield from [hint for sign, hint in ERRORS.items() if sign in text][:1]


def _hints(exercise: Exercise, outcome: _Outcome, outcomes: list[_Outcome]) -> Iterator[str]:
    """Yield what is likely to be wrong: known mistakes first, then what can be said in general."""
    known = [o for o in outcomes if o.error is None and o.got is not None]
    if all(o.right for o in known):
        return
    if found := [m for m in exercise.mistakes if _explains(m.answer, known)]:
        yield from _listed("The likely mistake", found)
        return
    wrong = [o for o in known if not o.right]
    for pair in combinations(exercise.mistakes, 2):
        answer = both(*pair)
        if answer is not None and _explains(answer, [wrong[0], *known]):
            yield "Two mistakes at once, it seems:"
            yield from (f"- {mistake.hint}" for mistake in pair)
            return
    cases = [(o.arguments, o.got, o.want) for o in known]
    if sentence := mechanisms.describe(exercise, cases) or inputs.describe(exercise, cases):
        yield sentence
        return
    several = np.size(wrong[0].want) > 1  # one number may be equal by chance
    if several and (found := [m for m in exercise.mistakes if _explains(m.answer, wrong[:1])]):
        yield from _listed("In this case the numbers are those of a known mistake", found)
    elif sentence := mechanisms.where(exercise, cases):
        yield sentence


def _explains(answer: Function, outcomes: list[_Outcome]) -> bool:
    """Return whether a wrong answer gives what the learner's gave in all these cases."""
    try:
        return all(same(o.got, answer(*copy.deepcopy(o.arguments))) for o in outcomes)
    except Exception:  # noqa: BLE001 - a mistake need not work in every case
        return False


def _listed(title: str, found: list[Mistake]) -> Iterator[str]:
    hints = dict.fromkeys(mistake.hint for mistake in found)
    if len(hints) == 1:
        yield f"{title}: {found[0].hint}"
    else:
        yield f"{title}, one of these, which give the same numbers:"
        yield from (f"- {hint}" for hint in hints)
