"""From what a file holds to a state dict under the names of the models here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import takewhile
from typing import Any

from .pickles import Unknown
from .tensors import Fault, Tensor, quoted

# Where training programs put the weights; the first that holds tensors is used.
WRAPPERS = "state_dict", "model_state_dict", "model", "net", "params", "weights", "ema"
# What wrappers of modules put before the names: DataParallel, torch.compile, Lightning, detectors.
PREFIXES = "module", "_orig_mod", "model", "net", "backbone"
MAX_PREFIXES = 8
MAX_TENSORS = 20_000  # RedNet-152 has 1,301
NAME_TABLE = "StructuredToParameterName@@"  # Paddle's second names, as a dict among the tensors


def find_state(content: object) -> tuple[dict[str, Tensor], str]:
    """Return the tensors by name, and the wrapper around them, or ""."""
    if not isinstance(content, dict):
        what = content if isinstance(content, Unknown) else f"holds a {type(content).__name__}"
        raise Fault(f"it {what}; need a dict of tensors")
    dicts = list(_dicts(content, "", {id(content)}))
    with_tensors = (pair for pair in dicts if any(map(_tensor, pair[0].values())))
    found, wrapper = next(with_tensors, dicts[0])
    if len(found) > MAX_TENSORS:
        raise Fault(f"it has {len(found)} tensors; need at most {MAX_TENSORS}")
    state = {}
    for key, value in found.items():
        tensor = _tensor(value)
        if isinstance(key, Unknown):
            raise Fault(f"its pickle has {key.name}; need str")
        if isinstance(key, str) and tensor is not None:
            state[key] = tensor
        elif key != NAME_TABLE:
            what = value if isinstance(value, Unknown) else f"is a {type(value).__name__}"
            need = "need a tensor, or the tensors under 'state_dict'"
            raise Fault(f"its entry {quoted(key)} {what}; {need}")
    if not state:
        raise Fault("it holds no tensor")
    return state, wrapper


def _dicts(
    content: dict[Any, Any], wrapper: str, seen: set[int]
) -> Iterator[tuple[dict[Any, Any], str]]:
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


def plain_names(
    state: Mapping[str, Tensor], own: Collection[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """Drop as few prefixes as lead to one of the names ``own``, or all; return those dropped."""
    plain: dict[str, Tensor] = {}
    for key, tensor in state.items():
        shorter = _without_prefixes(key)
        name = next((name for name in shorter if name in own), shorter[-1])
        if name in plain:
            raise Fault(f"it has two tensors for {quoted(name)}, one of them {quoted(key)}")
        plain[name] = tensor
    dropped = {key.removesuffix(name) for key, name in zip(state, plain, strict=True)}
    return plain, sorted(dropped - {""})


def _without_prefixes(key: str) -> list[str]:
    """Return the name with 0, 1, ... prefixes dropped; ``head.`` only before ``fc.``."""
    parts = key.split(".", MAX_PREFIXES + 1)
    known = list(takewhile(PREFIXES.__contains__, parts[:-1]))
    with_head = list(takewhile((*PREFIXES, "head").__contains__, parts[:-1]))
    count = len(with_head if parts[len(with_head)] == "fc" else known)
    return [".".join(parts[start:]) for start in range(count + 1)]
