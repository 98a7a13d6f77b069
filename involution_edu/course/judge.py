"""The check of an answer: run it on every case, and explain the first wrong result."""

from __future__ import annotations

import copy
import linecache
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from textwrap import fill
from types import FrameType
from typing import Any

import numpy as np

from . import inputs, mechanisms
from .compare import difference, first_wrong, fits, same
from .exercise import Arguments, Exercise, Function, Verdict, both
from .variants import variants

PACKAGE = __name__.partition(".")[0]
MAX_LINES = 300_000  # in one case; loops over all pixels take 20,000
# What an exception's text says, and what to look for.
ERRORS = {
    "out of bounds": "An index went beyond the array: is the edge tested, and each index on its axis?",
    "could not be broadcast": "The shapes do not fit: print both before this line. Was a slice cut off at "
    "the edge (pad first), or is an axis missing (add it with [:, None, None])?",
    "matmul: Input operand": "@ adds up along the last axis of one and the last but one of the other: print "
    "both shapes. einsum adds up along any axis; * multiplies element by element.",
    "shapes": "The shapes do not fit: print them before this line.",
    "cannot reshape": "A reshape keeps the number of elements: print the shape before this line.",
    "too many indices": "The array has fewer axes than the index: print its shape.",
    "integer": "/ gives a float, even if it divides evenly: use //.",
    "read-only": "Windows are a view of x, which cannot be written to: work on a copy.",
    "is not defined": "Only the arguments, and what is defined above, have a name here.",
    "not associated with a value": "It is read before anything is stored in it: start with 0.",
    "positional argument": "Keep the arguments that the exercise names, in that order.",
    "by zero": "The divisor is 0 in this case: which argument makes it so?",
    "recursion": "The function calls itself, without an end.",
    "NoneType": "Something on this line is None: a function without a return, perhaps.",
    "ellipsis": "Replace the ... by your code.",
    "truth value of an array": "`and`, `or`, `not` and `if` take one truth value: use &, |, ~ on arrays, or "
    ".any() and .all().",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an answer in one case, or its exception."""

    arguments: Arguments
    want: Any
    got: Any = None
    error: BaseException | None = None
    changed: str | None = None  # the name of the argument that it wrote to

    @property
    def right(self) -> bool:
        """Whether the result is the right one."""
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
    with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):  # the verdict says it
        outcomes = [_run(exercise, answer, arguments) for arguments in cases]
        for outcome in outcomes:
            if not outcome.right or outcome.changed:
                return _explained(exercise, answer, outcome, outcomes)
        if exercise.quick is not None:
            large, limit = exercise.quick
            try:
                _limited(answer, copy.deepcopy(large), limit)
            except _TooManyLinesError:
                text = (
                    f"Not yet: the numbers of {exercise.name} are right, but it loops over pixels: "
                    f"more than {limit:,} lines of Python ran{_call(exercise, large)}"
                    "\nLet NumPy do all pixels of one tap at once: two loops, over u and v."
                )
                return Verdict(False, text, exercise, large)
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


class _TooManyLinesError(BaseException):  # not caught by an answer's `except Exception`
    pass


def _limited(answer: Function, arguments: Arguments, limit: int) -> Any:
    """Return the result of an answer; stop it after so many lines of Python."""
    count = 0

    def watch(*_: Any) -> Any:
        nonlocal count
        count += 1
        if count > limit:
            raise _TooManyLinesError(f"after {limit:,} lines of Python: a loop does not end")
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        return answer(*arguments)
    finally:
        sys.settrace(before)


def _run(exercise: Exercise, answer: Function, arguments: Arguments) -> Outcome:
    want, given = exercise.right(*copy.deepcopy(arguments)), copy.deepcopy(arguments)
    try:
        got = _limited(answer, given, MAX_LINES)
    except (Exception, _TooManyLinesError) as error:  # noqa: BLE001 - a learner's code may raise anything
        return Outcome(arguments, want, error=error)
    parameters = zip(exercise.parameters, given, arguments, strict=True)
    changed = (name for name, after, before in parameters if not same(after, before))
    return Outcome(arguments, want, got, changed=next(changed, None))


def _explained(
    exercise: Exercise, answer: Function, outcome: Outcome, outcomes: list[Outcome]
) -> Verdict:
    """Return the verdict on an answer that is wrong in the case ``outcome``."""
    index = None
    if outcome.error is not None:
        lines = [*_raised(answer, outcome.error), *hints(exercise, outcomes)]
    elif outcome.got is None or outcome.got is Ellipsis:
        lines = [_nothing(answer)]
    elif outcome.right:
        lines = [f"it changed its argument {outcome.changed}; work on a copy"]
    else:
        index = first_wrong(outcome.got, outcome.want)
        lines = [difference(outcome.got, outcome.want), *hints(exercise, outcomes)]
        if outcome.changed:
            lines.append(f"It also changed its argument {outcome.changed}; work on a copy.")
        if exercise.picture is not None and index is not None:
            lines.append(f"To see this case: course.check({exercise.name}).show()")
    text = "\n".join([f"Not yet:{_call(exercise, outcome.arguments)}", *lines])
    return Verdict(False, text, exercise, outcome.arguments, outcome.got, outcome.want, index)


def _nothing(answer: Function) -> str:
    code = getattr(answer, "__code__", None)
    if "print" in getattr(code, "co_names", ()):
        return "it returned None: print only shows a result; hand it back with return"
    if code is not None and (code.co_names or code.co_nlocals > code.co_argcount + 1):
        return "it returned None: is there a return, and is it reached?"
    return "it returned nothing yet"


def _call(exercise: Exercise, arguments: Arguments) -> str:
    def text(name: str, argument: Any) -> str:
        return (
            f"{name} {argument.shape}" if isinstance(argument, np.ndarray) else f"{name}={argument}"
        )

    return fill(f" for {exercise.name}({', '.join(map(text, exercise.parameters, arguments))})", 88)


def _raised(answer: Function, error: BaseException) -> Iterator[str]:
    """Yield what was raised, the last line of the answer's file that led to it, and a hint."""
    stopped = isinstance(error, _TooManyLinesError)
    yield f"it was stopped {error}" if stopped else f"it raised {type(error).__name__}: {error}"
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


def hints(exercise: Exercise, outcomes: list[Outcome]) -> Iterator[str]:
    """Yield what is likely to be wrong: known mistakes first, then what can be said in general."""
    known = [o for o in outcomes if o.error is None and o.got is not None]
    wrong = next((o for o in known if not o.right), None)
    if wrong is None:  # every wrong case raised: what raises the same, word for word
        yield from _known(exercise, outcomes)
        return
    if fits(wrong.got, wrong.want):  # another shape, as where a slice is cut off, is like an error
        known = [o for o in known if fits(o.got, o.want)]
    cases = [(o.arguments, o.got, o.want) for o in known]
    several = np.ndim(wrong.want) > 1  # one number may be equal by chance
    ways: list[Callable[[], Iterable[str]]] = [
        lambda: _known(exercise, [wrong, *outcomes]),
        lambda: mechanisms.describe(exercise, cases) if several else (),
        lambda: _variant(exercise, [wrong, *outcomes]),
        lambda: _known(exercise, [wrong, *known]),
        lambda: _variant(exercise, [wrong, *known]) if len(known) < len(outcomes) else (),
        lambda: inputs.describe(exercise, cases) if several else (),
        lambda: _two(exercise, [wrong, *known]),
        lambda: mechanisms.describe(exercise, cases),
        lambda: inputs.describe(exercise, cases),
        lambda: (
            _known(exercise, [wrong], "In this case the numbers are those of a known mistake")
            if several
            else ()
        ),
        lambda: mechanisms.where(exercise, cases),
    ]
    yield from next(filter(None, (list(way()) for way in ways)), [])


def _explains(answer: Function, outcomes: list[Outcome]) -> bool:
    """Return whether a wrong answer gives, or raises, what the learner's did in these cases."""
    raised = all(case.right or case.error for case in outcomes)  # nothing else to go by
    for case in outcomes:
        try:
            got = answer(*copy.deepcopy(case.arguments))
        except Exception as error:  # noqa: BLE001 - a mistake need not work in every case
            if case.error is None or (raised and str(error) != str(case.error)):
                return False
        else:
            if case.error is not None or not same(case.got, got):
                return False
    return True


def _known(
    exercise: Exercise, outcomes: list[Outcome], title: str = "The likely mistake"
) -> list[str]:
    """Return the mistakes in the table of an exercise that explain these outcomes."""
    hints = dict.fromkeys(m.hint for m in exercise.mistakes if _explains(m.answer, outcomes))
    if len(hints) < 2:
        return [f"{title}: {hint}" for hint in hints]
    return [f"{title}, one of these, which give the same numbers:", *(f"- {h}" for h in hints)]


def _variant(exercise: Exercise, outcomes: list[Outcome]) -> Iterator[str]:
    """Yield the first change of the right answer's source that explains these outcomes."""
    for function, told in variants(exercise.right):
        if _explains(function, outcomes):
            yield f"The likely mistake: {told()}"
            return


def _two(exercise: Exercise, outcomes: list[Outcome]) -> Iterator[str]:
    """Yield two mistakes of the table that explain these outcomes together."""
    for pair in combinations(exercise.mistakes, 2):
        answer = both(*pair)
        if answer is not None and _explains(answer, outcomes):
            yield "Two mistakes at once, it seems:"
            yield from (f"- {mistake.hint}" for mistake in pair)
            return
