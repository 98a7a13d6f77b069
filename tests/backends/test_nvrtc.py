"""The CUDA source through CUDA's own compiler, which needs no GPU: no spills, few registers."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import needs
import numpy as np
import pytest

from involution_edu.backends.cuda import fused
from involution_edu.backends.cuda.versions import (
    STORAGE,
    TASKS,
    VERSIONS,
    all_names,
    cuda_source,
)

INSTALL = "pip install cuda-bindings 'cuda-toolkit[nvrtc,cudart]'"
ARCHITECTURES = ("sm_80", "sm_90")
COUNTED = ((12, 9), (13, 0), (13, 5))  # releases of NVRTC that the registers were counted with
# Spills 32 bytes there: a kernel for float64 whose entries are made from shared memory.
SPILLING = "generate_and_apply_v2<double, 7>"
MAX_REGISTERS = 255  # of any thread: CUDA's limit


def absent() -> str | None:
    """Return None, or why nothing can be compiled here."""
    try:
        nvrtc = importlib.import_module("cuda.bindings.nvrtc")
        nvrtc.nvrtcVersion()
        if headers() is None:
            return f"CUDA's headers are not installed: {INSTALL}"
    except (ImportError, RuntimeError) as error:
        return f"no NVRTC ({error}): {INSTALL}"
    return None


def headers() -> Path | None:
    """Return the folder of cuda_fp16.h inside the installed packages of NVIDIA."""
    nvidia: ModuleType = importlib.import_module("nvidia")
    found = (
        file.parent for root in nvidia.__path__ for file in Path(root).glob("*/include/cuda_fp16.h")
    )
    return next(found, None)


def release() -> tuple[int, int]:
    nvrtc: Any = importlib.import_module("cuda.bindings.nvrtc")
    _, major, minor = nvrtc.nvrtcVersion()
    return major, minor


REASON = absent()
pytestmark = needs.mark("NVRTC, CUDA's compiler", REASON, REASON)
# Another release hands out registers otherwise: its numbers say nothing about the source.
counted = needs.mark(
    "NVRTC 12.9, 13.0 or 13.5",
    REASON is None and release() not in COUNTED,
    "pip install 'cuda-toolkit[nvrtc,cudart]==13.0.*'",
)


def compiled(source: str, names: list[str], architecture: str) -> tuple[str, dict[str, str]]:
    """Return the compiler's log, and the mangled name of each C++ name."""
    nvrtc: Any = importlib.import_module("cuda.bindings.nvrtc")
    options = [
        f"--gpu-architecture={architecture}",
        "--std=c++17",
        "--ptxas-options=-v",
        f"--include-path={headers()}",
    ]
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"involution.cu", 0, [], [])
    for name in names:
        nvrtc.nvrtcAddNameExpression(program, name.encode())
    (result,) = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    buffer = b" " * size
    nvrtc.nvrtcGetProgramLog(program, buffer)
    log = buffer.decode()
    assert result == nvrtc.nvrtcResult.NVRTC_SUCCESS, log
    lowered = {
        name: nvrtc.nvrtcGetLoweredName(program, name.encode())[1].decode() for name in names
    }
    nvrtc.nvrtcDestroyProgram(program)
    return log, lowered


def resources(log: str, mangled: str) -> tuple[int, int]:
    """Return the registers of a thread and the bytes it spills, from what ptxas reports."""
    _, found, report = log.partition(f"Compiling entry function '{mangled}' ")
    assert found, f"{mangled} is not in the log"
    report = report.partition("Compiling entry function")[0]
    registers = re.search(r"Used (\d+) registers", report)
    spills = re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", report)
    assert registers, report
    assert spills, report
    return int(registers[1]), int(spills[1]) + int(spills[2])


KERNELS = [
    (task, version)
    for tasks, versions in ((TASKS, VERSIONS), ((fused.TASK,), fused.VERSIONS))
    for task in tasks
    for version in versions
]


@counted
@pytest.mark.parametrize("dtype", STORAGE, ids=str)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_nothing_spills_and_registers_are_few(architecture: str, dtype: np.dtype[Any]) -> None:
    """Few enough, in float32, for as many blocks at once as the table of versions counts on."""
    most = {
        name: version.registers if dtype == np.float32 else MAX_REGISTERS
        for task, version in KERNELS
        for name in all_names(task, version, dtype)
    }
    log, lowered = compiled(cuda_source(), list(most), architecture)
    found = {name: resources(log, mangled) for name, mangled in lowered.items()}
    spills = {name: spilled for name, (_, spilled) in found.items() if spilled}
    assert spills.keys() <= {SPILLING}
    assert {name: used for name, (used, _) in found.items() if used > most[name]} == {}


@counted
def test_a_spill_is_seen() -> None:
    """As many blocks at once as leave a thread 32 registers."""
    source = cuda_source()
    fault = source.replace("AT_ONCE<T, 2>", "8")
    assert fault != source
    log, lowered = compiled(fault, ["forward_v3<float, 7>"], "sm_90")
    assert resources(log, lowered["forward_v3<float, 7>"])[1] > 0


def test_any_release_compiles_it() -> None:
    names = [f"{task}_v4<__half, 7>" for task in TASKS]
    assert list(compiled(cuda_source(), names, ARCHITECTURES[-1])[1]) == names


def test_a_mistake_is_refused() -> None:
    with pytest.raises(AssertionError, match='identifier "__syncthread" is undefined'):
        compiled(
            cuda_source().replace("__syncthreads()", "__syncthread()"),
            ["forward_v2<float, 3>"],
            "sm_80",
        )
