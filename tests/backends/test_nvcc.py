"""The CUDA source as a reader compiles it: by nvcc, in its own folder."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import needs

from involution_edu.backends.cuda import fused, versions
from involution_edu.backends.cuda.versions import TASKS, VERSIONS

FOLDER = Path(versions.__file__).parent
NAMES = [f"{task}_{version.name}" for task in TASKS for version in VERSIONS]
NAMES += [f"{fused.TASK}_{version.name}" for version in fused.VERSIONS]
nvcc = needs.mark("nvcc", shutil.which("nvcc") is None, "install the CUDA toolkit of NVIDIA")


@nvcc
def test_nvcc_compiles_every_version(tmp_path: Path) -> None:
    cubin = tmp_path / "involution.cubin"
    command = ["nvcc", "-std=c++17", "-arch=sm_90", "-cubin", "involution.cu", "-o"]
    subprocess.run([*command, str(cubin)], cwd=FOLDER, check=True)
    symbols = cubin.read_bytes()
    assert [name for name in NAMES if name.encode() not in symbols] == []


@nvcc
def test_every_header_compiles_alone(tmp_path: Path) -> None:
    for header in FOLDER.glob("*.cuh"):
        alone = tmp_path / f"{header.stem}.cu"
        alone.write_text(f'#include "{header}"\n')
        command = ["nvcc", "-std=c++17", "-arch=sm_90", "-cubin", "-o"]
        subprocess.run([*command, str(alone.with_suffix(".cubin")), str(alone)], check=True)


def test_the_loader_puts_every_header_in_once() -> None:
    source = versions.cuda_source()
    assert '#include "' not in source
    assert "#pragma once" not in source
    for header in FOLDER.glob("*.cuh"):
        last = header.read_text(encoding="utf-8").rstrip().rpartition("\n\n")[2]
        assert source.count(last) == 1, header.name
