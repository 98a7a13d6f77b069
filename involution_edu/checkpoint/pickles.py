"""A reader of pickles that runs no code in them, unlike Python's unpickler.

A pickle is a program that may call any function. Here a stack machine runs only the instructions
needed for tensors and containers, and calls only the functions of a fixed table, all of them in
this package. Nothing is imported: any other name stands for an `Unknown`, which is never called.
"""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable, Mapping
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
LENGTHS = {"1": "<B", "4": "<I", "8": "<Q"}  # by the last letter of what the length is of
MADE: dict[str, Callable[[], object]] = {
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_SET": lambda: Unknown("builtins set"),
    "EMPTY_TUPLE": tuple,
    "NEWFALSE": lambda: False,
    "NEWTRUE": lambda: True,
    "NONE": lambda: None,
}
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
    """A dict, created empty; its state, PyTorch's versions of modules, is ignored."""

    def __init__(self) -> None:
        super().__init__()


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

    >>> import os, pickle
    >>> read_pickle(pickle.dumps({"a": [1, 2.5, (None,)]}, 4), {})
    ({'a': [1, 2.5, (None,)]}, 37)
    >>> print(read_pickle(pickle.dumps(os.getcwd, 4), {})[0])
    asks for 'posix getcwd', which is no tensor nor plain container
    """
    machine, at = _Machine(known, load), start
    for _ in range(MAX_INSTRUCTIONS):
        operation = OPERATIONS.get(data[at]) if at < len(data) else None
        if operation is None:
            raise Fault(f"its pickle has no instruction at byte {at}; it is damaged or cut short")
        argument, at = _argument(data, at + 1, operation)
        if operation.name == "STOP":
            return machine.stack.pop(), at
        machine.step(operation.name, argument)
    raise Fault(f"its pickle has more than {MAX_INSTRUCTIONS} instructions; need no more")


def _argument(data: bytes, at: int, operation: Any) -> tuple[Any, int]:
    """Return the argument of an instruction, and its end; many bytes are not copied."""
    kind = "" if operation.arg is None else operation.arg.name
    if kind in FORMATS:
        return struct.unpack_from(FORMATS[kind], data, at)[0], at + operation.arg.n
    if operation.name == "GLOBAL":
        middle = data.index(b"\n", at, at + MAX_NAME)
        end = data.index(b"\n", middle + 1, middle + MAX_NAME)
        return str(data[at:end], "utf-8").replace("\n", " "), end + 1
    if kind[-1:] not in LENGTHS:
        return None, at
    form = LENGTHS[kind[-1]]
    (length,) = struct.unpack_from(form, data, at)
    at += struct.calcsize(form)
    raw = memoryview(data)[at : at + length]
    if len(raw) < length:
        raise Fault("its pickle is cut short")
    argument: object = raw
    if kind.startswith("long"):
        if length > MAX_LONG:
            raise Fault(f"its pickle has an int of {length} bytes; need at most {MAX_LONG}")
        argument = int.from_bytes(raw, "little", signed=True)
    elif kind.startswith("string") and length <= MAX_NAME:  # text of Python 2
        argument = str(raw, "latin1")
    elif kind.startswith("unicode"):
        argument = str(raw, "utf-8", "surrogatepass") if length <= MAX_NAME else Text(raw)
    return argument, at + length


class _Machine:
    def __init__(self, known: Known, load: Callable[[object], object] | None) -> None:
        self.known, self.load = known, load
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

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
            case _ if name in MADE:
                stack.append(MADE[name]())
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
            case "GLOBAL" | "STACK_GLOBAL":
                asked = argument if name == "GLOBAL" else " ".join(self.top(2))
                stack.append(self.known[asked] if asked in self.known else Unknown(asked))
            case "REDUCE" | "NEWOBJ" | "NEWOBJ_EX":
                self.call(*self.top(3 if name == "NEWOBJ_EX" else 2)[:2])
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

    def call(self, function: Any, arguments: Any) -> None:
        if isinstance(function, Unknown):
            self.stack.append(function)
        elif not callable(function):  # all callables are from the table
            raise Fault(f"its pickle calls a {type(function).__name__}")
        elif not isinstance(arguments, tuple):
            raise Fault(f"its pickle calls with a {type(arguments).__name__}")
        else:
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
