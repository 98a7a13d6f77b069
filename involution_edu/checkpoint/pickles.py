"""A reader of pickles that runs no code in them, unlike Python's unpickler.

A pickle is a program that may call any function. Here a stack machine runs only the instructions
needed for tensors and containers, and calls only the functions of a fixed table, all of them in
this package. Nothing is imported: any other name stands for an `Unknown`, which is never called.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .tensors import Fault, quoted

Known = Mapping[str, object]
MAX_INSTRUCTIONS = 1 << 18  # RedNet-152 and the state of its optimiser take 60,000
MAX_NAME = 255  # bytes; longer text stays packed, as its characters could take four bytes each
MAX_LONG = 16  # bytes of an int
OPERATIONS = {ord(operation.code): operation for operation in pickletools.opcodes}
FORMATS = {"uint1": "<B", "uint2": "<H", "int4": "<i", "uint4": "<I", "uint8": "<Q", "float8": ">d"}
# Format of the length of an argument, by pickletools' code for it.
LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: "<B",
    pickletools.TAKEN_FROM_ARGUMENT4: "<I",
    pickletools.TAKEN_FROM_ARGUMENT4U: "<I",
    pickletools.TAKEN_FROM_ARGUMENT8U: "<Q",
}
EMPTY: dict[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": lambda: Unknown("builtins set"),
    "EMPTY_TUPLE": tuple,
}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# How the instructions begin that push their argument.
PUSHED = (
    *("BINBYTES", "BINFLOAT", "BININT", "BINSTRING", "BINUNICODE", "BYTEARRAY"),
    *("LONG1", "LONG4", "SHORT_BIN"),
)


class Settable:
    """An object that a pickle creates first and fills afterwards."""

    def set_state(self, state: Any) -> None:
        """Set the state given in the pickle; ignored by default."""


@dataclass(eq=False)
class Unknown(Settable):
    """What a name outside the table stands for, and all that a pickle would make with it."""

    name: str

    def __str__(self) -> str:
        return f"asks for {quoted(self.name)}, which is no tensor nor plain container"


@dataclass(eq=False)
class Text:
    """A long text in UTF-8, such as the numbers of an array in pickles of protocol 2."""

    raw: memoryview

    def __len__(self) -> int:
        return int(np.count_nonzero(np.frombuffer(self.raw, np.int8) > -65))  # starts of characters

    def encode(self, encoding: str) -> bytes:
        """Return the bytes in Latin-1, whose characters begin with bytes up to 0xC3 in UTF-8."""
        if np.frombuffer(self.raw, np.uint8).max() > 0xC3:
            raise Fault("has text instead of bytes")
        return str(self.raw, "utf-8").encode(encoding)

    def __repr__(self) -> str:
        return repr(str(self.raw[:MAX_NAME], "utf-8", "replace"))


class OrderedDict(dict[object, object], Settable):
    """A dict; its state, PyTorch's versions of modules, is ignored."""


def ordered_dict() -> OrderedDict:
    """Stand in for collections.OrderedDict, which pickles create empty and fill afterwards."""
    return OrderedDict()


def plain_tuple(items: object) -> object:
    """Stand in for tuple, of a tuple: copies could fill the memory."""
    if not isinstance(items, tuple | Unknown):
        raise Fault(f"its pickle makes a tuple of a {type(items).__name__}")
    return items


def read_pickle(
    data: bytes, known: Known, load: Callable[[object], object] | None = None, start: int = 0
) -> tuple[Any, int]:
    """Return the object in the pickle at ``start``, and where the pickle ends.

    ``known`` replaces the names in the pickle, "module name", which may call these functions with
    any arguments. ``load`` returns the object of a persistent id, stored outside the pickle.
    Raises `Fault`, or an exception of almost any type if the pickle is damaged.

    Examples
    --------
    >>> import os, pickle
    >>> read_pickle(pickle.dumps({"a": [1, 2.5, (None,)]}, 4), {})
    ({'a': [1, 2.5, (None,)]}, 37)
    >>> print(read_pickle(pickle.dumps(os.getcwd, 4), {})[0])
    asks for 'posix getcwd', which is no tensor nor plain container
    """
    return _Machine(known, load).run(data, start)


def _instructions(data: bytes, at: int) -> Iterator[tuple[str, Any, int]]:
    """Yield name, argument and end of each instruction; arguments of many bytes are not copied."""
    view = memoryview(data)
    for _ in range(MAX_INSTRUCTIONS):
        operation = OPERATIONS.get(view[at]) if at < len(view) else None
        if operation is None:
            raise Fault(f"its pickle has no instruction at byte {at}; it is damaged or cut short")
        argument: Any = None
        at += 1
        if operation.arg is not None:
            kind, size = operation.arg.name, operation.arg.n
            if kind in FORMATS:
                (argument,) = struct.unpack_from(FORMATS[kind], view, at)
                at += size
            elif size in LENGTHS:
                (length,) = struct.unpack_from(LENGTHS[size], view, at)
                at += struct.calcsize(LENGTHS[size])
                argument = _decoded(kind, view[at : at + length], length)
                at += length
            elif operation.name == "GLOBAL":
                end = data.index(b"\n", data.index(b"\n", at, at + MAX_NAME) + 1, at + MAX_NAME)
                argument = str(view[at:end], "utf-8").replace("\n", " ")
                at = end + 1
        yield operation.name, argument, at
    raise Fault(f"its pickle has more than {MAX_INSTRUCTIONS} instructions; need no more")


def _decoded(kind: str, raw: memoryview, length: int) -> object:
    if len(raw) < length:
        raise Fault("its pickle is cut short")
    if kind.startswith("long"):
        if length > MAX_LONG:
            raise Fault(f"its pickle has an int of {length} bytes; need at most {MAX_LONG}")
        return int.from_bytes(raw, "little", signed=True)
    if kind.startswith("string") and length <= MAX_NAME:  # text of Python 2
        return str(raw, "latin1")
    if kind.startswith("unicode"):
        return str(raw, "utf-8", "surrogatepass") if length <= MAX_NAME else Text(raw)
    return raw


class _Machine:
    def __init__(self, known: Known, load: Callable[[object], object] | None) -> None:
        self.known, self.load = known, load
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def run(self, data: bytes, start: int) -> tuple[Any, int]:
        for name, argument, end in _instructions(data, start):
            if name == "STOP":
                return self.stack.pop(), end
            self.step(name, argument)
        raise AssertionError  # _instructions ends with an error

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "BINPUT" | "LONG_BINPUT":
                self.memo[argument] = stack[-1]
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case _ if name.startswith(PUSHED):
                stack.append(argument)
            case _ if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case _ if name in EMPTY:
                stack.append(EMPTY[name]())
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE":
                stack.append(tuple(self.since_mark()))
            case "FROZENSET":
                self.since_mark()
                stack.append(Unknown("builtins frozenset"))
            case _ if name in TUPLES:
                stack.append(tuple(self.top(TUPLES[name])))
            case "APPEND" | "APPENDS" | "ADDITEMS":
                items = self.top(1) if name == "APPEND" else self.since_mark()
                self.fill(list, list.extend, items)
            case "SETITEM" | "SETITEMS":
                items = self.top(2) if name == "SETITEM" else self.since_mark()
                self.fill(dict, _set_items, items)
            case "GLOBAL":
                stack.append(self.lookup(argument))
            case "STACK_GLOBAL":
                stack.append(self.lookup(" ".join(self.top(2))))
            case "REDUCE" | "NEWOBJ":
                self.call(*self.top(2))
            case "NEWOBJ_EX":
                self.call(*self.top(3)[:2])
            case "OBJ":
                function, *arguments = self.since_mark()
                self.call(function, tuple(arguments))
            case "BUILD":
                (state,) = self.top(1)
                self.fill(Settable, lambda target, state: target.set_state(state), state)
            case "BINPERSID" if self.load is not None:
                stack.append(self.load(stack.pop()))
            case _:
                raise Fault(f"its pickle has the instruction {name}, which no tensor needs")

    def lookup(self, name: str) -> object:
        return self.known[name] if name in self.known else Unknown(name)

    def call(self, function: Any, arguments: Any) -> None:
        if isinstance(function, Unknown):
            self.stack.append(function)
            return
        if not callable(function):  # all callables are from the table
            raise Fault(f"its pickle calls a {type(function).__name__}")
        if not isinstance(arguments, tuple):
            raise Fault(f"its pickle calls with a {type(arguments).__name__}")
        self.stack.append(function(*arguments))

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

    def fill(self, kind: type, change: Callable[[Any, Any], object], items: Any) -> None:
        """Change the last value, without popping it."""
        target = self.stack[-1]
        if not isinstance(target, kind | Unknown):
            raise Fault(f"its pickle fills a {type(target).__name__}")
        if not isinstance(target, Unknown):
            change(target, items)


def _set_items(target: dict[object, object], items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        # The hash of nested tuples may take forever, and large ints can be made to collide.
        small = isinstance(key, int) and abs(key) < 1 << 31
        plain = small or isinstance(key, str | float | None)
        target[key if plain else Unknown(f"a {type(key).__name__} as a key")] = value
