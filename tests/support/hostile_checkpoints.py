"""Hostile files of weights, loaded in a process that records what they start, take and allocate.

``python tests/support/hostile_checkpoints.py`` loads the corpus and prints one line of JSON.
``--mutations 20000`` loads so many seeded mutations of a sound file of each format instead.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pickle
import random
import resource
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import checkpoint_files as files
import numpy as np
from checkpoint_files import Call, Code, Name, Stored, numpy_array, pickled, torch_file, torch_of

import involution_edu as inv

SECONDS, BYTES = 2.0, 160 << 20  # that a hostile file may take
FORBIDDEN = {
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.remove"),
    *("socket.connect", "socket.bind", "import", "exec", "ctypes.dlopen"),
}
MILLION = 1_000_000
# Functions that a pickle must not reach.
NAMES = (
    *("os system", "posix system", "nt system", "os popen", "os execv", "os remove", "os  system"),
    *("subprocess Popen", "subprocess call", "subprocess check_output", "pty spawn"),
    *("builtins eval", "builtins exec", "builtins open", "builtins getattr", "builtins compile"),
    *("builtins __import__", "__builtin__ eval", "__builtin__ apply", "operator attrgetter"),
    *("importlib import_module", "runpy run_path", "pickle loads", "marshal loads", "shelve open"),
    *("numpy load", "numpy fromfile", "numpy memmap", "numpy.testing._private.utils runstring"),
    *("torch load", "torch.hub load", "torch._utils _import_dotted_name", "torch.jit load"),
    *("collections OrderedDict.__class__", "numpy dtype.__init__", "functools partial"),
    *("webbrowser open", "urllib.request urlopen", "socket create_connection", "shutil rmtree"),
    *("ctypes CDLL", "code interact", "timeit timeit", "cProfile run", "asyncio run", "sys exit"),
)


def sound() -> dict[str, bytes]:
    """Return a small sound file of each format, and of each way to write a pickle."""
    six = files.SIX.reshape(2, 3)
    state: dict[str, Any] = {"fc.weight": six, "fc.bias": np.ones(2)}
    return {
        "torch": torch_file({"state_dict": {"fc.weight": files.torch_tensor()}, "epoch": 3}),
        "old torch": files.old_torch_file(),
        "paddle": files.paddle_file(state),
        **{f"paddle {protocol}": pickle.dumps(state, protocol) for protocol in (2, 4, 5)},
        "safetensors": files.safetensors_file(),
        "npz": files.npz_file(),
        "stored npz": files.npz_file(compression=zipfile.ZIP_STORED),
    }


def inner() -> dict[str, Any]:
    """Return what checksums of zip files guard, and how to wrap it anew."""
    return {
        "pickle of torch": (pickled({"a": files.torch_tensor()}), torch_file),
        "npy": (files.npy_file(files.npy_header()), lambda raw: files.npz_file({"a.npy": raw})),
    }


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """Return ``raw`` with up to four changes."""
    data = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data) or 1)
        match rng.randrange(6):
            case 0:
                data[at : at + 1] = rng.randbytes(1)
            case 1:
                del data[at + 1 :]
            case 2:
                data[at:at] = rng.randbytes(rng.randint(1, 9))
            case 3:
                del data[at : at + rng.randint(1, 9)]
            case 4:  # an integer of extreme size
                extreme = rng.choice(
                    [0, 1, 0x7F, 0x80, 0xFF, 1 << 31, (1 << 63) - 1, (1 << 64) - 1]
                )
                width = rng.choice([1, 2, 4, 8])
                data[at : at + width] = (extreme % (1 << 8 * width)).to_bytes(width, "little")
            case 5:  # a part of itself elsewhere
                start = rng.randrange(len(data) or 1)
                data[at:at] = data[start : start + rng.randint(1, 64)]
    return bytes(data)


def mutations(count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield ``count`` mutations of a file of each format."""
    for name, raw in sound().items():
        rng = random.Random(f"{seed} {name}")
        yield from ((f"{name}, mutation {i}", mutated(raw, rng)) for i in range(count))
    for name, (raw, wrap) in inner().items():
        rng = random.Random(f"{seed} {name}")
        yield from ((f"{name}, mutation {i}", wrap(mutated(raw, rng))) for i in range(count))


def corpus() -> Iterator[tuple[str, bytes]]:
    """Yield hostile files by name."""
    touch = ("touch RAN",)
    for name, (how, call) in itertools.product(NAMES, CALLS.items()):
        data = pickled({"a": call(Name(name), touch)})
        yield f"{name} by {how}", data
        yield f"{name} by {how}, in a zip file", torch_file(data)
        yield f"{name} by {how}, in an old file", files.old_torch_file(data)
    yield from bombs()
    yield from mutations(20, seed=1)


CALLS: dict[str, Any] = {
    "REDUCE": Call,
    "NEWOBJ": lambda function, arguments: Code(
        files.program(function) + files.program(arguments) + b"\x81"
    ),
    "OBJ": lambda function, arguments: Code(
        b"(" + files.program(function) + files.program(arguments[0]) + b"o"
    ),
    "a persistent id": lambda function, arguments: Stored((function, *arguments)),
}


def repeated(unit: bytes, times: int, before: bytes = b"", after: bytes = b"") -> bytes:
    return b"\x80\x04" + before + unit * times + after + b"."


def bombs() -> Iterator[tuple[str, bytes]]:
    """Yield small files that ask for much time or memory."""
    for axes in (65, 1000, 100_000, MILLION):
        yield f"safetensors of {axes} axes", files.safetensors_of(shape=[1] * axes)
        if axes < MILLION:
            yield f"torch of {axes} axes", torch_of(size=(1,) * axes, stride=(1,) * axes)
            yield f"paddle of {axes} axes", files.paddle_of(shape=(1,) * axes)
            yield (
                f"npz of {axes} axes",
                files.npz_of(files.npy_header(shape=f"({'1,' * axes})")[:65_000]),
            )
    for name, unit in {
        "lists": b"]", "dicts": b"}", "tuples": b"N\x85", "sets": b"\x8f", "marks": b"(",
        "ints": b"J\1\2\3\4", "floats": b"G12345678", "texts": b"\x8c\1a", "bytes": b"C\1a",
        "memos": b"N\x94", "dicts of one": b"}K\1Ns", "globals": b"cos\nsystem\n",
        "wide texts": b"\x8c\xff\xf0\x9f\x98\x80" + b"a" * 251,
        "astral text": b"X\0\0\1\0\xf0\x9f\x98\x80" + b"a" * 65_532,
    }.items():  # fmt: skip
        yield f"many {name}", repeated(unit, 8 * MILLION // len(unit))
    collide = b"".join(
        b"\x8a\x10" + (i * ((1 << 61) - 1)).to_bytes(16, "little") + b"N" for i in range(50_000)
    )
    yield "ints that collide", repeated(collide, 1, b"}(", b"u")
    yield (
        "an int of 40 MB",
        b"\x80\x04\x8b" + struct.pack("<I", 40 * MILLION) + b"\1" * 40 * MILLION + b".",
    )
    for size in (MILLION, 45 * MILLION):
        text = b"\x8d" + struct.pack("<Q", size) + b"a" * size
        yield (
            f"a dtype of {size} letters",
            b"\x80\x04}\x8c\1acnumpy\ndtype\n" + text + b"K\0K\1\x87Rs.",
        )
        yield f"a name of {size} letters", b"\x80\x04}" + text + b"Ns."
        yield f"an astral name of {size} letters", b"\x80\x04}" + text[:-4] + b"\xf0\x9f\x98\x80Ns."
        yield f"a global of {size} letters", b"\x80\x04c" + b"a" * size + b"\nb\n."
    twice = b")\x94" + b"h\0h\0\x86q\0" * 60
    yield "a tuple without end", b"\x80\x04}\x8c\1a" + twice + b"s."
    for dtype in ("|O", "<U1000000000", "V1000000000", "M8[ns]", "c16", "(1000,1000)f4"):
        yield f"npz of {dtype}", files.npz_of(files.npy_header(f"'{dtype}'"))
    for shape in (
        "(1 << 40,)",
        "(1073741824, 2)",
        "(-1,)",
        "(True, 2)",
        "(1e9,)",
        "(" * 2000,
        "1" * 5000,
    ):
        yield f"npz of shape {shape[:20]}", files.npz_of(files.npy_header(shape=shape))
    huge = b"\x93NUMPY\2\0" + struct.pack("<I", 180 * MILLION) + b" " * (180 * MILLION)
    yield "npy header of 180 MB", files.npz_file({"a.npy": huge})
    zeros = files.npy_file(files.npy_header(shape="(400000000,)")) + bytes(50 * MILLION)
    yield "50 MB of zeros for 1.6 GB", files.npz_file({"a.npy": zeros})
    for code in ("f8", "u2"):  # as uint16, Paddle's bfloat16
        half = numpy_array(np.zeros(1 << 18, code))
        many = Code(
            files.program(half)
            + b"q\0}("
            + b"".join(files.program(f"{i}") + b"h\0" for i in range(5000))
            + b"u"
        )
        yield f"one array of {code} 5,000 times", pickled(many)
    for count in (1 << 30, 1 << 40, (1 << 63) - 1):
        yield f"{count} numbers from one", torch_of(size=(count,), stride=(0,))
        yield f"a storage of {count}", torch_of(count=count)
        yield f"an old storage of {count}", files.old_torch_file(count=count)
    body = b'{"a":' + b"[" * MILLION
    for name, header in {
        "deep": body, "empty lists": b'{"a":[' + b"[]," * MILLION + b"0]}",
        "empty dicts": b'{"a":[' + b"{}," * MILLION + b"0]}", "a long int": b'{"a":' + b"9" * MILLION + b"}",
        "many names": json.dumps({f"{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(60_000)}).encode(),
    }.items():  # fmt: skip
        yield f"safetensors header of {name}", files.safetensors_file(header, b"")
    yield "50,000 entries", files.npz_file({f"{i}.npy": b"" for i in range(50_000)})
    dots = "module." * 100_000 + "fc.weight"
    yield "a name of many prefixes", files.safetensors_file({dots: files.F32})
    yield (
        "a name of many heads",
        files.safetensors_file({"head." * 100_000 + "fc.weight": files.F32}),
    )
    escape = {"\x1b[31mred\n\u202e": "F32"}
    yield "an escape sequence as a name", files.safetensors_file(escape)
    nest: Any = {"a": 1}
    for _ in range(3000):
        nest = {"model": nest}
    yield "wrappers nested deeply", pickled(Code(b"}\x8c\5model" * 3000 + b"N" + b"s" * 3000))


def main() -> int:
    """Load every file; return 0 if all gave arrays or a `CheckpointError`, within the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    path = Path(tempfile.mkdtemp()) / "weights"
    watching, events = False, list[str]()

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if watching and (
            event in FORBIDDEN or (event == "open" and arguments[1] not in ("r", "rb"))
        ):
            events.append(f"{event} {arguments[:2]!r:.80}")

    path.write_bytes(sound()["npz"])
    inv.load_checkpoint(path)  # imports what is imported late
    sys.addaudithook(hook)
    faults, count, slowest, refused = list[str](), 0, (0.0, ""), 0
    files_ = mutations(options.mutations, options.seed) if options.mutations else corpus()
    for name, data in files_:
        path.write_bytes(data)
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + BYTES + len(data)
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        start, watching = time.process_time(), True
        try:
            inv.load_checkpoint(path)
        except inv.CheckpointError as error:
            refused += 1
            text = str(error)
            if not text.isprintable() or len(text) > len(str(path)) + 400 or "MemoryError" in text:
                faults.append(f"{name}: {text[:200]!r}")
        except BaseException as error:  # noqa: BLE001 - any other error is what is looked for
            faults.append(f"{name}: {error!r:.200}")
        watching, seconds = False, time.process_time() - start
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        count += 1
        slowest = max(slowest, (seconds, name))
        if seconds > SECONDS:
            faults.append(f"{name}: {seconds:.1f} s")
    found = {
        "files": count,
        "refused": refused,
        "slowest": slowest,
        "faults": faults,
        "events": events,
    }
    print(json.dumps(found))
    return int(bool(faults or events))


if __name__ == "__main__":
    sys.exit(main())
