"""``.safetensors``: the length of a header, the header in JSON, and the bytes of all tensors.

Its package is not used: it accepts two entries of one name, and its errors name no tensor.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from functools import partial
from io import SEEK_END
from pathlib import Path
from typing import Any

from ..arguments import quoted
from .tensors import ITEMSIZE, Fault, Numbers, Source, Tensor, plan_of

MAX_JSON_HEADER = 1 << 22  # bytes; that of RedNet-152 has 160,000
DTYPES = {"BF16": "bf16", "BOOL": "b1"}  # of safetensors
DTYPES |= {f"{code[0].upper()}{8 * n}": code for code, n in ITEMSIZE.items() if code[0] in "fiu"}


def read_safetensors(file: Source) -> dict[str, Tensor]:
    """Return the tensors by name; their numbers are read when they are made into arrays."""
    (length,) = struct.unpack("<Q", file.part(0, 8))
    begin = 8 + length
    if (size := file.seek(0, SEEK_END) - begin) < 0 or length > MAX_JSON_HEADER:
        raise Fault(f"its header claims {length} bytes; need at most {MAX_JSON_HEADER}, all there")
    header = json.loads(str(file.part(8, length), "utf-8"), object_pairs_hook=_unique)
    if not isinstance(header, dict):
        raise Fault(f"its header is a {type(header).__name__}; need an object")
    header.pop("__metadata__", None)
    tensors: dict[str, Tensor] = {}
    end = 0
    entries = [_entry(name, entry) for name, entry in header.items()]
    for start, stop, name, code, shape in sorted(entries, key=lambda entry: entry[:2]):
        if start != end:
            raise Fault(f"tensor {quoted(name)} begins at byte {start}; need {end}, the next")
        get = partial(file.part, begin + start, stop - start)
        tensors[name] = Tensor(partial(plan_of, stop - start, get, code, shape))
        end = stop
    if end != size:
        raise Fault(f"its tensors end at byte {end}; need {size}, the end of the file")
    return tensors


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    items = dict(pairs)
    if len(items) < len(pairs):
        raise Fault("its header has two entries of one name")
    return items


def _entry(name: str, entry: Any) -> tuple[int, int, str, str, Any]:
    match entry:
        case {"dtype": str(dtype), "shape": shape, "data_offsets": [int(start), int(stop)]}:
            if dtype not in DTYPES:
                need = f"need one of {', '.join(sorted(DTYPES))}"
                raise Fault(f"tensor {quoted(name)} has dtype {quoted(dtype)}; {need}")
            if 0 <= start <= stop:
                return start, stop, name, DTYPES[dtype], shape
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
