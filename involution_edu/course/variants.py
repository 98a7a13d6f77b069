"""Variants of a right answer: pieces of its source exchanged, by hand or one after the other."""

from __future__ import annotations

import ast
import copy
import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import combinations, permutations, product
from textwrap import dedent
from typing import Any

Function = Callable[..., Any]
OPERATORS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub, ast.Mult),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div, ast.FloorDiv, ast.MatMult),
    ast.Div: (ast.FloorDiv, ast.Mult),
    ast.FloorDiv: (ast.Div, ast.Mod, ast.Mult),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult, ast.BitXor),
    ast.MatMult: (ast.Mult,),
}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
}
METHODS = {"sum": "mean", "mean": "sum", "maximum": "minimum", "max": "min", "min": "max"}
ONE = ast.Constant(1)
MAX_TEXT = 40  # characters of a piece of code in a sentence


@lru_cache
def source_of(function: Function) -> str:
    """Return the source of a function without its indentation."""
    return dedent(inspect.getsource(function))


def _made(code: Any, function: Function) -> Function:
    names = dict(function.__globals__)
    exec(code, names)  # noqa: S102 - the source is a function of this package
    made: Function = names[function.__name__]
    return made


@lru_cache(maxsize=4096)
def _patched(function: Function, changes: tuple[tuple[str, str], ...]) -> Function | None:
    """Return the function with pieces of its source replaced; None if one is not there once."""
    text = source_of(function)
    for old, new in changes:
        if text.count(old) != 1:
            return None
        text = text.replace(old, new)
    return _made(compile(text, function.__name__, "exec"), function)


@dataclass(frozen=True, slots=True)
class Patched:
    """A function with pieces of its source replaced: "old => new", several with " ; " between."""

    function: Function
    changes: str

    def made(self) -> Function | None:
        """Return the function, or None if a piece does not occur exactly once."""
        pairs = (change.split(" => ") for change in self.changes.split(" ; "))
        return _patched(self.function, tuple((old, new) for old, new in pairs))

    def __call__(self, *arguments: Any) -> Any:
        """Return the result of the changed function."""
        made = self.made()
        if made is None:
            raise ValueError(f"{self.changes} does not fit {source_of(self.function)}")
        return made(*arguments)


def begun(function: Function, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what the first assignments of a function store, up to its first loop."""
    names: dict[str, Any] = {}
    for line in getattr(ast.parse(source_of(function)).body[0], "body", []):
        if not isinstance(line, ast.Assign):
            break
        code = compile(ast.Module([line], []), function.__name__, "exec")
        exec(code, {**function.__globals__, **arguments}, names)  # noqa: S102 - as in _made
    return names


def variants(function: Function) -> Iterator[tuple[Function, Callable[[], str]]]:
    """Yield functions with one small change of the source, each with a function that tells it."""
    tree = ast.parse(source_of(function))
    definition = tree.body[0]
    if not isinstance(definition, ast.FunctionDef):
        return  # a lambda
    definition.returns, arguments = None, definition.args.args
    for argument in arguments:
        argument.annotation = None  # not shown
    stored = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    names = {*(a.arg for a in arguments), *(n.id for n in stored)}
    for change in _changes(definition, sorted(names)):
        with change:
            try:
                code = compile(ast.fix_missing_locations(tree), function.__name__, "exec")
            except (SyntaxError, TypeError, ValueError):
                continue
        yield _made(code, function), partial(_told, change, definition)


@dataclass
class _Change:
    """A new value for a field of a node, in place for as long as it is entered."""

    node: Any
    field: str
    new: Any
    text: str = ""

    def __enter__(self) -> None:
        self.old = getattr(self.node, self.field)
        setattr(self.node, self.field, self.new)

    def __exit__(self, *_: object) -> None:
        setattr(self.node, self.field, self.old)


def _told(change: _Change, definition: ast.FunctionDef) -> str:
    """Describe a change by the piece of code around it."""
    if change.text:
        return change.text
    shown, old = change.node, getattr(change.node, change.field)
    if isinstance(shown, ast.stmt):
        return f"{_quoted(change.new)} where {_quoted(old)} is right."
    above = {part: node for node in ast.walk(definition) for part in ast.iter_child_nodes(node)}
    if isinstance(shown, ast.Tuple) and not isinstance(above[shown], ast.Subscript):
        parts = [pair for pair in zip(old, change.new, strict=False) if pair[0] is not pair[1]]
        if len(parts) == 1 and len(old) == len(change.new):
            return f"{_quoted(parts[0][1])} where {_quoted(parts[0][0])} is right."
    while isinstance(up := above[shown], (ast.expr, ast.comprehension, ast.arguments)) and (
        isinstance(shown, ast.Slice)
        or (isinstance(shown, ast.Tuple) and isinstance(up, ast.Subscript))
        or (len(ast.unparse(up)) <= MAX_TEXT and not isinstance(up, ast.Tuple))
    ):
        shown = up
    right = _quoted(shown)
    with change:
        return f"{_quoted(shown)} where {right} is right."


def _changes(definition: ast.FunctionDef, names: list[str]) -> Iterator[_Change]:
    nodes = [*ast.walk(definition)]
    tuples = [
        n.slice for n in nodes if isinstance(n, ast.Subscript) and isinstance(n.slice, ast.Tuple)
    ]
    indices = {ast.unparse(e): e for t in tuples for e in t.elts if isinstance(e, ast.BinOp)}
    yield from _moved(definition)
    for node in reversed(nodes[1:]):  # what is deepest in the loops comes first
        for field, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                for new in _others(value, names):
                    yield _Change(node, field, new)
            elif isinstance(value, list) and not isinstance(node, ast.stmt):
                for parts in _lists(value, names):
                    yield _Change(node, field, parts)
                for k, index in product(
                    range(len(value)), indices.values() if node in tuples else ()
                ):
                    yield _Change(node, field, [*value[:k], index, *value[k + 1 :]])
    loads = Counter(n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load))
    for old, name in permutations(names, 2):
        if loads[old] > 1:
            renamed = [
                _Exchange({old: name}).visit(copy.deepcopy(line)) for line in definition.body
            ]
            yield _Change(definition, "body", renamed, f"`{name}` where `{old}` is right.")


def _quoted(node: ast.AST) -> str:
    """Return the code of a node as a piece of text, a tuple without its brackets."""
    code = ast.unparse(node).strip()
    return f"`{code[1:-1]}`" if isinstance(node, ast.Tuple) else f"`{code}`"


def _lists(parts: list[Any], names: list[str]) -> Iterator[list[Any]]:
    """Yield lists with one part changed or left out, and with two parts exchanged."""
    for k, part in enumerate(parts):
        others: list[Any] = [other() for other in COMPARISONS.get(type(part), ())]
        for other in others or (_others(part, names) if isinstance(part, ast.expr) else ()):
            yield [*parts[:k], other, *parts[k + 1 :]]
        if len(parts) > 1:
            yield [*parts[:k], *parts[k + 1 :]]
    for a, b in combinations(range(len(parts)), 2):
        exchanged = list(parts)
        exchanged[a], exchanged[b] = parts[b], parts[a]
        yield exchanged


def _others(node: ast.expr, names: list[str]) -> Iterator[ast.expr]:
    """Yield expressions that may stand by mistake where this one is right."""
    match node:
        case ast.Name(id=old, ctx=ast.Load()) if old in names:
            yield from (ast.BinOp(node, sign, ONE) for sign in (ast.Add(), ast.Sub()))
            yield from (ast.Name(name, ast.Load()) for name in names if name != old)
        case ast.Constant(value=int(value)):
            yield from (ast.Constant(other) for other in (value - 1, value + 1))
        case ast.BinOp(left=left, op=op, right=right):
            yield left
            yield right
            yield from (ast.BinOp(left, new(), right) for new in OPERATORS.get(type(op), ()))
            if not isinstance(op, (ast.Add, ast.Mult)):
                yield ast.BinOp(right, op, left)
                if isinstance(left, ast.BinOp):  # brackets left out: a + b / c, a / b * c
                    yield ast.BinOp(left.left, left.op, ast.BinOp(left.right, op, right))
                if isinstance(right, ast.BinOp):
                    yield ast.BinOp(ast.BinOp(left, op, right.left), right.op, right.right)
            used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & set(names)
            for m, n in combinations(sorted(used), 2):
                yield _Exchange({m: n, n: m}).visit(copy.deepcopy(node))
        case ast.UnaryOp(operand=operand):
            yield operand
        case ast.IfExp(body=body):
            yield body
        case ast.Compare(left=left, ops=ops, comparators=[first, *more]) if more:
            yield ast.Compare(first, ops[1:], more)
            yield ast.Compare(left, ops[:1], [first])
        case ast.Call(func=ast.Name(id="range"), args=[*start, stop]):
            yield ast.Call(node.func, [*start, ast.BinOp(stop, ast.Sub(), ONE)], [])
            yield ast.Call(node.func, [ONE, stop], [])
        case ast.Call(func=ast.Attribute(value=value, attr=attr), args=arguments):
            yield from (
                arguments[:1] if isinstance(value, ast.Name) and value.id == "np" else [value]
            )
            if attr in METHODS:
                other = ast.Attribute(value, METHODS[attr], ast.Load())
                yield ast.Call(other, arguments, node.keywords)


class _Exchange(ast.NodeTransformer):
    """Names that are read, replaced by others."""

    def __init__(self, other: dict[str, str]) -> None:
        self.other = other

    def visit_Name(self, node: ast.Name) -> ast.Name:
        stored = isinstance(node.ctx, ast.Store)
        return node if stored else ast.Name(self.other.get(node.id, node.id), node.ctx)


def _moved(definition: ast.FunctionDef) -> Iterator[_Change]:
    """Yield statements left out, in another loop, or with = for +=."""
    *first, last = definition.body
    for node in ast.walk(definition):
        body: list[ast.stmt] = (
            node.body if isinstance(node, (ast.For, ast.If, ast.FunctionDef)) else []
        )
        if isinstance(node, ast.For):
            inside = f"is inside the loop over {ast.unparse(node.target)}; it belongs"
            yield _Change(
                node, "body", [*body, last], f"`{ast.unparse(last)}` {inside} after the loop."
            )
            for line in first:
                if isinstance(line, ast.Assign):
                    text = f"`{ast.unparse(line)}` {inside} before the loop."
                    yield _Change(node, "body", [line, *body], text)
        if isinstance(node, ast.If):
            text = f"the test `{ast.unparse(node.test)}` is missing."
            yield _Change(node, "test", ast.Constant(True), text)
        for k, line in enumerate(body):
            if isinstance(line, ast.AugAssign):
                stored: ast.stmt = ast.Assign([line.target], line.value, lineno=0)
                taken = ast.AugAssign(line.target, ast.Sub(), line.value)
                for other, sign in ((stored, "="), (taken, "-=")):
                    text = f"`{ast.unparse(line.target)} {sign}` where `+=` is right."
                    yield _Change(node, "body", [*body[:k], other, *body[k + 1 :]], text)
            if len(body) > 1 and not isinstance(line, (ast.For, ast.Return)):
                text = f"`{ast.unparse(line)}` is missing."
                yield _Change(node, "body", [*body[:k], *body[k + 1 :]], text)
