"""Instructions, registers and warps of the CUDA versions, from what CUDA's compiler makes of them.

``python docs/_ext/cuda_instructions.py`` writes the tables of ``docs/explanation/cuda.md``. It needs
no GPU, only ``pip install cuda-bindings 'cuda-toolkit[nvrtc,cudart]==13.0.*' nvidia-cuda-nvdisasm``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from involution_edu.backends.cuda.versions import TASKS, VERSIONS, cuda_source, plan
from involution_edu.geometry import make_geometry

PAGE = Path(__file__).parents[1] / "explanation" / "cuda.md"
BEGIN, END = "<!-- made by docs/_ext/cuda_instructions.py -->", "<!-- end -->"
STAGE = make_geometry((64, 64, 56, 56), 4, 7)  # RedNet-50's first
FLOAT = np.dtype(np.float32)
# Of a multiprocessor: warps, bytes of shared memory, and of these for one block. Each has 65,536
# registers, of which a warp gets a multiple of 256, and keeps 1 KiB for each block from sm_80 on.
GPUS = {
    "sm_75": (32, 65536, 65536), "sm_80": (64, 167936, 166912),
    "sm_89": (48, 102400, 101376), "sm_90": (64, 233472, 232448),
}  # fmt: skip
PRODUCTS, COPIES = ("FFMA",), ("STS", "LDGSTS")


def disassembler() -> str | None:
    """Return the path of nvdisasm: on the PATH, or among the packages of NVIDIA."""
    if found := shutil.which("nvdisasm"):
        return found
    try:
        folders = import_module("nvidia").__path__
    except ImportError:
        return None
    files = (file for folder in folders for file in Path(folder).rglob("nvdisasm"))
    return next((str(file) for file in files), None)


@cache
def compiled(architecture: str) -> dict[str, tuple[int, list[str]]]:
    """Return the registers and the lines of machine code of each CUDA kernel of `STAGE`."""
    nvrtc: Any = import_module("cuda.bindings.nvrtc")
    (folder,) = {f.parent for f in _files("cuda_fp16.h") if f.parent.name == "include"}
    options = [f"--gpu-architecture={architecture}", "--std=c++17", f"--include-path={folder}"]
    options.append("--ptxas-options=-v")
    names = [plan(task, v, STAGE, FLOAT).name for v in VERSIONS for task in TASKS]
    _, program = nvrtc.nvrtcCreateProgram(cuda_source().encode(), b"involution.cu", 0, [], [])
    for name in names:
        nvrtc.nvrtcAddNameExpression(program, name.encode())
    nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
    log = b" " * nvrtc.nvrtcGetProgramLogSize(program)[1]
    nvrtc.nvrtcGetProgramLog(program, log)
    used = r"entry function '(\w+)'.*?Used (\d+) registers"
    registers = dict(re.findall(used, log.decode(), re.DOTALL))
    code = b" " * nvrtc.nvrtcGetCUBINSize(program)[1]
    nvrtc.nvrtcGetCUBIN(program, code)
    mangled = {n: nvrtc.nvrtcGetLoweredName(program, n.encode())[1].decode() for n in names}
    with NamedTemporaryFile(suffix=".cubin") as file:
        file.write(code)
        file.flush()
        command = [str(disassembler()), "-c", file.name]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.split(r"\n\s*\.section\s+\.text\.", text)[1:]
    sections = {re.split(r"[,\s:]", section)[0]: section.splitlines() for section in found}
    return {name: (int(registers[at]), sections[at]) for name, at in mangled.items()}


def _files(name: str) -> Iterator[Path]:
    for folder in import_module("nvidia").__path__:
        yield from Path(folder).rglob(name)


def longest_ways(lines: list[str]) -> Iterator[list[str]]:
    """Yield, for each innermost loop, the instructions on the longest way once through it."""
    labels: dict[str, int] = {}
    code: list[str] = []
    for line in lines:
        if label := re.match(r"(\.L_\w+):", line):
            labels[label[1]] = len(code)
        elif found := re.search(r"/\*[0-9a-f]{4,}\*/\s+(.*?);", line):
            code.append(found[1])
    target = {
        n: labels[found[1]]
        for n, line in enumerate(code)
        if "BRA" in line and (found := re.search(r"`\((\.L_\w+)\)", line)) and found[1] in labels
    }
    loops = sorted((to, n) for n, to in target.items() if to < n - 2)
    for first, last in loops:
        if any(first <= a and b <= last and (a, b) != (first, last) for a, b in loops):
            continue
        way = {first: [code[first]]}
        for n in range(first, last):
            if n not in way:
                continue
            jumps = [target[n]] if n < target.get(n, 0) <= last else []
            goes_on = n not in target or code[n].startswith("@")
            for following in jumps + [n + 1] * goes_on:
                if len(way[n]) >= len(way.get(following, [])):
                    way[following] = [*way[n], code[following]]
        yield way[last]


def instructions_for_each(lines: list[str], kinds: tuple[str, ...]) -> float | None:
    """Return the instructions for each one of ``kinds`` in the loop that has fewest."""
    found = []
    for way in longest_ways(lines):
        names = [re.sub(r"^@\S+\s+", "", line).split()[0].partition(".")[0] for line in way]
        if number := sum(name in kinds for name in names):
            found.append(len(way) / number)
    return min(found, default=None)


def warps_at_once(architecture: str, threads: int, registers: int, shared: int) -> int:
    """Return the warps of a multiprocessor that launches of such blocks fill, 0 if they fit none."""
    most, memory, of_block = GPUS[architecture]
    if shared > of_block:
        return 0
    warps, kept = -(-threads // 32), 1024 if architecture != "sm_75" else 0
    by_registers = 4 * (16384 // (-(-32 * registers // 256) * 256))  # in each of four parts
    return min(most // warps, by_registers // warps, memory // max(shared + kept, 1)) * warps


def tables() -> Iterator[str]:
    """Yield the lines of both tables."""
    newest = compiled("sm_90")
    yield "| version | forward | backward_input | backward_kernel | a number copied |"
    yield "|---|---|---|---|---|"
    for version in VERSIONS:
        plans = [plan(task, version, STAGE, FLOAT) for task in TASKS]
        cells = [instructions_for_each(newest[p.name][1], PRODUCTS) for p in plans]
        cells.append(instructions_for_each(newest[plans[0].name][1], COPIES))
        yield f"| {version.name} | " + " | ".join(f"{c:.2f}" if c else "-" for c in cells) + " |"
    yield ""
    yield f"| version | registers | {' | '.join(GPUS)} |"
    yield "|---|---|" + "---|" * len(GPUS)
    for version in VERSIONS:
        plans = [plan(task, version, STAGE, FLOAT) for task in TASKS]
        row = [" / ".join(str(newest[p.name][0]) for p in plans)]
        for gpu in GPUS:
            code = compiled(gpu)
            warps = (
                warps_at_once(gpu, p.block[0] * p.block[1], code[p.name][0], p.shared)
                for p in plans
            )
            row.append(" / ".join(str(w) if w else "-" for w in warps))
        yield f"| {version.name} | {' | '.join(row)} |"


def main() -> int:
    """Replace the tables of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "\n".join(tables())
    PAGE.write_text(f"{before}{BEGIN}\n\n{lines}\n\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
