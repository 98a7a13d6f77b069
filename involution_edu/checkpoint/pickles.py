"""A reader of pickles that runs no code in them, unlike Python's unpickler.

A pickle is a program that may call any function. Here a stack machine runs only the instructions
needed for tensors and plain containers, and calls only the functions of a fixed table, all of
them in this package. Nothing is imported.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from typing import Any

from .tensors import Fault, quoted

Known = Mapping[str, object]
PUSHED = {
    "BINBYTES",
    "BINBYTES8",
    "BINFLOAT",
    "BININT",
    "BININT1",
    "BININT2",
    "BINSTRING",
    "BINUNICODE",
    "BINUNICODE8",
    "LONG1",
    "LONG4",
    "SHORT_BINBYTES",
    "SHORT_BINSTRING",
    "SHORT_BINUNICODE",
}
EMPTY: dict[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Settable:
    """An object that a pickle creates first and fills afterwards."""

    def set_state(self, state: Any) -> None:
        """Set the state given in the pickle; ignored by default."""


class OrderedDict(dict[object, object], Settable):
    """A dict; its state, PyTorch's versions of modules, is ignored."""


def ordered_dict() -> OrderedDict:
    """Stand in for collections.OrderedDict, which pickles create empty and fill afterwards."""
    return OrderedDict()


def plain_tuple(items: object) -> tuple[object, ...]:
    """Stand in for tuple, of a tuple: copies could fill the memory."""
    if not isinstance(items, tuple):
        raise Fault(f"its pickle makes a tuple of a {type(items).__name__}")
    return items


def read_pickle(
    data: bytes, known: Known, load: Callable[[object], object] | None = None
) -> object:
    """Return the object in the pickle ``data``.

    Parameters
    ----------
    data : bytes
    known : mapping of "module name" to object
        Replacements of the names in the pickle. It may call functions, with any arguments.
    load : callable, optional
        Returns the object of a persistent id, stored outside the pickle.

    Raises
    ------
    Fault
        If the pickle uses another name or instruction.
    Exception
        Of almost any type, if it is damaged.

    Examples
    --------
    >>> import os, pickle
    >>> read_pickle(pickle.dumps({"a": [1, 2.5, (None,)]}), {})
    {'a': [1, 2.5, (None,)]}
    >>> read_pickle(pickle.dumps(os.getcwd), {})
    Traceback (most recent call last):
        ...
    involution_edu.checkpoint.tensors.Fault: its pickle asks for 'posix getcwd', which is no tensor nor plain container
    """
    return _Machine(known, load).run(data)


class _Machine:
    def __init__(self, known: Known, load: Callable[[object], object] | None) -> None:
        self.known, self.load = known, load
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def run(self, data: bytes) -> object:
        for instruction, argument, _ in pickletools.genops(data):
            if instruction.name == "STOP":
                return self.stack.pop()
            self.step(instruction.name, argument)
        raise Fault("its pickle has no end")

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME":
                pass
            case _ if name in PUSHED:
                stack.append(argument)
            case _ if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case _ if name in EMPTY:
                stack.append(EMPTY[name]())
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self.since_mark()))
            case _ if name in TUPLES:
                stack.append(tuple(self.top(TUPLES[name])))
            case "APPEND" | "APPENDS":
                items = self.top(1) if name == "APPEND" else self.since_mark()
                self.of_kind(list).extend(items)
            case "SETITEM" | "SETITEMS":
                items = self.top(2) if name == "SETITEM" else self.since_mark()
                self.set_items(items)
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case "GLOBAL":
                stack.append(self.lookup(argument))
            case "STACK_GLOBAL":
                stack.append(self.lookup(" ".join(self.top(2))))
            case "REDUCE":
                function, arguments = self.top(2)
                if not callable(function):  # all callables are from the table
                    raise Fault(f"its pickle calls a {type(function).__name__}")
                if not isinstance(arguments, tuple):
                    raise Fault(f"its pickle calls with a {type(arguments).__name__}")
                stack.append(function(*arguments))
            case "BUILD":
                (state,) = self.top(1)
                self.of_kind(Settable).set_state(state)
            case "BINPERSID" if self.load is not None:
                stack.append(self.load(stack.pop()))
            case _:
                raise Fault(f"its pickle has the instruction {name}, which no tensor needs")

    def lookup(self, name: str) -> object:
        if name not in self.known:
            raise Fault(
                f"its pickle asks for {quoted(name)}, which is no tensor nor plain container"
            )
        return self.known[name]

    def top(self, count: int) -> list[Any]:
        """Pop ``count`` values."""
        if len(self.stack) < count:
            raise Fault("its pickle takes from an empty stack")
        values = self.stack[-count:]
        del self.stack[-count:]
        return values

    def since_mark(self) -> list[Any]:
        mark = self.marks.pop()
        values = self.stack[mark:]
        del self.stack[mark:]
        return values

    def of_kind(self, kind: type) -> Any:
        """Return the last value without popping it."""
        if not isinstance(self.stack[-1], kind):
            raise Fault(f"its pickle fills a {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    def set_items(self, items: list[Any]) -> None:
        target = self.of_kind(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str | int):  # the hash of nested tuples may take forever
                raise Fault(f"its pickle has a {type(key).__name__} as a key; need str or int")
            target[key] = value
