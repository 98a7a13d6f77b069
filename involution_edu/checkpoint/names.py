"""From what a file holds to a state dict under the names of the models here."""

from __future__ import annotations

from collections.abc import Mapping

from .tensors import Fault, Tensor, quoted

WRAPPERS = ("state_dict", "model", "model_state_dict")  # where training programs put the weights
# DataParallel's; those of classifiers and detectors in the authors' programs.
PREFIXES = {"module.": "", "backbone.": "", "head.fc.": "fc."}
NAME_TABLE = "StructuredToParameterName@@"  # Paddle's second names, as a dict among the tensors


def find_state(content: object) -> dict[str, Tensor]:
    """Return the tensors by name, out of the dict that may be wrapped around them."""
    if not isinstance(content, dict):
        raise Fault(f"it holds a {type(content).__name__}; need a dict of tensors")
    wrapped = [content[name] for name in WRAPPERS if isinstance(content.get(name), dict)]
    state = {}
    for key, value in (wrapped or [content])[0].items():
        if key == NAME_TABLE:
            continue
        if isinstance(value, tuple) and len(value) == 2:  # Paddle since 2.1: its name, the tensor
            value = value[1]
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise Fault(
                f"its entry {quoted(key)} is a {type(value).__name__}; need a tensor, or the "
                f"tensors under {' or '.join(map(repr, WRAPPERS))}"
            )
        state[key] = value
    if not state:
        raise Fault("it holds no tensor")
    return state


def without_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state`` under the names that the models here use."""
    plain: dict[str, Tensor] = {}
    for key, tensor in state.items():
        name = key
        for prefix, replacement in PREFIXES.items():
            if name.startswith(prefix):
                name = replacement + name.removeprefix(prefix)
        if name in plain:
            raise Fault(f"it has two tensors for {quoted(name)}, one of them {quoted(key)}")
        plain[name] = tensor
    return plain
