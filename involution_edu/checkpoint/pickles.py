"""A reader of pickles, which are programs that may call any function; and the tensors in them.

Unlike Python's, it runs only the instructions needed for tensors and containers, imports nothing,
and calls only functions of this package in a fixed table; other names are never called.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .tensors import Fault, quoted

Load = Callable[[object], object] | None
MAX_INSTRUCTIONS = 1 << 18  # RedNet-152 and the state of its optimiser take 60,000
MAX_NAME = 255  # bytes; longer text stays packed, as its characters could take four bytes each
MAX_LONG = 16  # bytes of an int
OPERATIONS = {ord(operation.code): operation for operation in pickletools.opcodes}
FORMATS = {"uint1": "<B", "uint2": "<H", "int4": "<i", "uint4": "<I", "uint8": "<Q", "float8": ">d"}
# The instructions that push their argument.
PUSHED = re.compile("(SHORT_)?BIN(BYTES|FLOAT|INT|STRING|UNICODE)|BYTEARRAY8|LONG[14]")
# The values that an instruction pops; any other pops all since the last mark.
POPPED = {"APPEND": 1, "BUILD": 1, "NEWOBJ": 2, "NEWOBJ_EX": 3, "REDUCE": 2, "SETITEM": 2}
POPPED |= {"STACK_GLOBAL": 2, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Settable:
    """An object that a pickle creates first and gives its state afterwards."""

    state: Any = None


@dataclass(eq=False)
class Unknown(Settable):
    """An inert placeholder for a name outside the table and for all that a pickle makes with it."""

    name: str

    def __str__(self) -> str:
        return f"asks for {quoted(self.name)}, which is no tensor nor plain container"


@dataclass(eq=False)
class Text:
    """A long text in UTF-8, such as the numbers of an array in pickles of protocol 2."""

    raw: memoryview

    def __len__(self) -> int:
        return int(np.count_nonzero(np.frombuffer(self.raw, np.int8) > -65))  # starts of characters

    def __bytes__(self) -> bytes:
        # The characters of Latin-1 begin with bytes up to 0xC3 in UTF-8.
        if np.frombuffer(self.raw, np.uint8).max() > 0xC3:
            raise Fault("has text instead of bytes")
        return str(self.raw, "utf-8").encode("latin1")

    def __repr__(self) -> str:
        return repr(str(self.raw[:MAX_NAME], "utf-8", "replace"))


CONSTANTS = {"EMPTY_TUPLE": (), "NEWFALSE": False, "NEWTRUE": True, "NONE": None}
CONSTANTS["EMPTY_SET"] = Unknown("builtins set")


class OrderedDict(dict[object, object], Settable):
    """A dict, created empty; its state, PyTorch's versions of modules, is ignored."""

    def __init__(self) -> None:
        super().__init__()


def first(value: object, *_: object) -> object:
    """Stand in for functions that would copy or wrap their first argument: copies add up."""
    return value


def plain_tuple(items: object) -> object:
    """Stand in for tuple, of a tuple: copies could fill the memory."""
    if not isinstance(items, tuple | Unknown):
        raise Fault(f"its pickle makes a tuple of a {type(items).__name__}")
    return items


def read_pickle(
    data: bytes, known: Mapping[str, object], load: Load = None, at: int = 0
) -> tuple[Any, int]:
    """Return the object in the pickle at byte ``at``, and its end; only ``known`` is called."""
    machine = _Machine(known, load)  # any arguments may come; ``load`` gets persistent ids
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
    if kind[-1:] not in ("1", "4", "8"):  # bytes of the length that stands before the argument
        return None, at
    start = at + int(kind[-1])
    length = int.from_bytes(data[at:start], "little")
    raw = memoryview(data)[start : start + length]
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
    return argument, start + length


class _Machine:
    def __init__(self, known: Mapping[str, object], load: Load) -> None:
        self.known, self.load = known, load
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(self.memo[argument])
            case _ if PUSHED.match(name):
                stack.append(argument)
            case _ if name in CONSTANTS:
                stack.append(CONSTANTS[name])
            case "EMPTY_DICT" | "EMPTY_LIST":
                stack.append({} if name == "EMPTY_DICT" else [])
            case "FROZENSET":
                stack[self.marks.pop() :] = [Unknown("builtins frozenset")]
            case "PROTO" | "FRAME":
                pass
            case "MARK":
                self.marks.append(len(stack))
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(self.popped(name)))
            case "APPEND" | "APPENDS" | "ADDITEMS":
                self.fill(list, list.extend, self.popped(name))
            case "SETITEM" | "SETITEMS":
                self.fill(dict, _set_items, self.popped(name))
            case "GLOBAL" | "STACK_GLOBAL":
                asked = argument if name == "GLOBAL" else " ".join(self.popped(name))
                stack.append(self.known.get(asked, Unknown(asked)))
            case "REDUCE" | "NEWOBJ" | "NEWOBJ_EX" | "OBJ":
                function, *given = self.popped(name)
                stack.append(_called(function, tuple(given) if name == "OBJ" else given[0]))
            case "BUILD":
                (state,) = self.popped(name)
                self.fill(Settable, lambda target, state: vars(target).update(state=state), state)
            case "BINPERSID" if self.load is not None:
                stack.append(self.load(stack.pop()))
            case _:
                raise Fault(f"its pickle has the instruction {name}, which no tensor needs")

    def popped(self, name: str) -> list[Any]:
        """Pop what the instruction takes."""
        start = len(self.stack) - POPPED[name] if name in POPPED else self.marks.pop()
        if start < 0:
            raise Fault("its pickle takes from an empty stack")
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def fill(self, kind: type, change: Callable[[Any, Any], object], items: Any) -> None:
        """Change the last value, without popping it."""
        target = self.stack[-1]
        if not isinstance(target, kind | Unknown):
            raise Fault(f"its pickle fills a {type(target).__name__}")
        if not isinstance(target, Unknown):
            change(target, items)


def _called(function: Any, arguments: Any) -> object:
    if isinstance(function, Unknown):
        return function
    if not callable(function):  # all callables are from the table
        raise Fault(f"its pickle calls a {type(function).__name__}")
    if not isinstance(arguments, tuple):
        raise Fault(f"its pickle calls with a {type(arguments).__name__}")
    return function(*arguments)


def _set_items(target: dict[object, object], items: list[Any]) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        # The hash of nested tuples may take forever, and large ints can be made to collide.
        small = isinstance(key, int) and abs(key) < 1 << 31
        plain = small or isinstance(key, str | float | None)
        target[key if plain else Unknown(f"a {type(key).__name__} as a key")] = value
