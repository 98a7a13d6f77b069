"""``.safetensors``: the length of a header, the header in JSON, then the bytes of all tensors.

The header gives the dtype, shape and first and last byte of each tensor; the tensors must cover
the bytes after the header without gap or overlap. The package of this name is not used: it
accepts two entries of one name, and its errors do not name the tensor.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from .tensors import ITEMSIZE, Fault, Numbers, Tensor, plan_of, quoted

DTYPES = {
    "BF16": "bf16",
    "BOOL": "b1",
    **{f"{code[0].upper()}{8 * size}": code for code, size in ITEMSIZE.items() if code[0] in "fiu"},
}
METADATA = "__metadata__"
MAX_HEADER = 1 << 22  # bytes; that of RedNet-152 has 160,000


def read_safetensors(data: bytes) -> dict[str, Tensor]:
    """Return the tensors by name."""
    (length,) = struct.unpack_from("<Q", data)
    if length > min(MAX_HEADER, len(data) - 8):
        raise Fault(
            f"its header claims {length} bytes; need at most {MAX_HEADER}, and not more than "
            f"the {len(data) - 8} that follow"
        )
    header = json.loads(str(data[8 : 8 + length], "utf-8"), object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise Fault(f"its header is a {type(header).__name__}; need an object")
    header.pop(METADATA, None)
    numbers = memoryview(data)[8 + length :]
    tensors: dict[str, Tensor] = {}
    end = 0
    for name, start, stop, code, shape in sorted(
        (_entry(name, entry) for name, entry in header.items()), key=lambda entry: entry[1:3]
    ):
        if start != end:
            raise Fault(f"tensor {quoted(name)} begins at byte {start}; need {end}, the next")
        raw = numbers[start:stop]
        tensors[name] = Tensor(partial(plan_of, len(raw), raw.tobytes, code, shape))
        end = stop
    if end != len(numbers):
        raise Fault(f"its tensors end at byte {end}; need {len(numbers)}, the end of the file")
    return tensors


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) < len(pairs):
        raise Fault("its header has two entries of one name")
    return items


def _entry(name: str, entry: Any) -> tuple[str, int, int, str, Any]:
    match entry:
        case {"dtype": str(dtype), "shape": shape, "data_offsets": [int(start), int(stop)]}:
            if dtype not in DTYPES:
                raise Fault(
                    f"tensor {quoted(name)} has dtype {quoted(dtype)}; need one of "
                    f"{', '.join(sorted(DTYPES))}"
                )
            if 0 <= start <= stop:
                return name, start, stop, DTYPES[dtype], shape
    raise Fault(f"tensor {quoted(name)} is {quoted(entry)}; need dtype, shape and two data_offsets")


def write_safetensors(path: Path, state: Mapping[str, Numbers]) -> None:
    """Write ``state``, the tensors in the order of ``state``."""
    names = {code: name for name, code in DTYPES.items()}
    little = {name: array.astype(array.dtype.newbyteorder("<")) for name, array in state.items()}
    header: dict[str, Any] = {}
    end = 0
    for name, array in little.items():
        offsets = [end, end := end + array.nbytes]
        code = names[array.dtype.str[1:]]
        header[name] = {"dtype": code, "shape": array.shape, "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # aligns the numbers
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in little.values():
            file.write(array.tobytes())
