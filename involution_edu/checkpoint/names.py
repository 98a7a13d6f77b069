"""From what a file holds to tensors under the names of the models here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import takewhile
from typing import Any

from ..arguments import quoted
from .pickles import Unknown
from .tensors import Fault, Tensor

# Where training programs put the weights; the first that holds tensors is used.
WRAPPERS = "state_dict", "model_state_dict", "model", "net", "params", "weights", "ema"
# What wrappers of modules put before the names: DataParallel, torch.compile, Lightning, detectors.
PREFIXES = "module", "_orig_mod", "model", "net", "backbone"
MAX_TENSORS = 20_000  # RedNet-152 has 1,301


def find_state(
    content: object, own: Collection[str], renamed: Mapping[str, str]
) -> tuple[dict[str, Tensor], str]:
    """Return the tensors by the names ``own`` of the model, if given, and where they were found."""
    if not isinstance(content, dict):
        what = content if isinstance(content, Unknown) else f"holds a {type(content).__name__}"
        raise Fault(f"it {what}; need a dict of tensors")
    dicts = list(_dicts(content, "", {id(content)}))
    with_tensors = (pair for pair in dicts if any(map(_tensor, pair[0].values())))
    found, wrapper = next(with_tensors, dicts[0])
    if len(found) > MAX_TENSORS:
        raise Fault(f"it has {len(found)} tensors; need at most {MAX_TENSORS}")
    state: dict[str, Tensor] = {}
    dropped = set()
    for key, value in found.items():
        if isinstance(key, Unknown):
            raise Fault(f"its pickle has {key.name}; need str")
        if isinstance(key, str) and (tensor := _tensor(value)):
            prefix, dot, last = key.rpartition(".")
            whole = prefix + dot + renamed.get(last, last)
            name = _plain_name(whole, own)
            if name in state:
                raise Fault(f"it has two tensors for {quoted(name)}, one of them {quoted(key)}")
            state[name] = tensor
            dropped.add(whole.removesuffix(name))
        elif key != "StructuredToParameterName@@":  # Paddle's second names
            what = value if isinstance(value, Unknown) else f"is a {type(value).__name__}"
            need = "need a tensor, or the tensors under 'state_dict'"
            raise Fault(f"its entry {quoted(key)} {what}; {need}")
    if not state:
        raise Fault("it holds no tensor")
    where = [f"under {quoted(wrapper)}"] if wrapper else []
    where += [f"without the prefix {quoted(prefix)}" for prefix in sorted(dropped - {""})[:2]]
    return state, f" (read {', '.join(where)})" if where else ""


def _dicts(content: Any, wrapper: str, seen: set[int]) -> Iterator[tuple[dict[Any, Any], str]]:
    """Yield the dicts in wrappers, the innermost first and each once, with the outermost wrapper."""
    for name in WRAPPERS:
        inner = content.get(name)
        if isinstance(inner, dict) and id(inner) not in seen:
            seen.add(id(inner))
            yield from _dicts(inner, wrapper or name, seen)
    yield content, wrapper


def _tensor(value: object) -> Tensor | None:
    if isinstance(value, tuple) and len(value) == 2:  # Paddle since 2.1: its name, the tensor
        value = value[1]
    return value if isinstance(value, Tensor) else None


def _plain_name(key: str, own: Collection[str]) -> str:
    """Drop as few prefixes as lead to one of the names ``own``, or all; head. only before fc."""
    parts = key.split(".", 9)  # at most eight prefixes
    begin = [*takewhile((*PREFIXES, "head").__contains__, parts[:-1])]
    count = len(begin) if parts[len(begin)] == "fc" else [*begin, "head"].index("head")
    shorter = [".".join(parts[start:]) for start in range(count + 1)]
    return next((name for name in shorter if name in own), shorter[-1])
