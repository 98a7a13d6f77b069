"""The tables of instructions and warps of the CUDA versions, on their page and made again."""

from __future__ import annotations

import importlib
import re
from itertools import pairwise

import cuda_instructions
import needs
import pytest

from involution_edu.backends.cuda.versions import VERSIONS

PRESENT = cuda_instructions.disassembler() and needs.modules("cuda", "nvidia")


def page() -> str:
    return cuda_instructions.PAGE.read_text(encoding="utf-8")


def test_the_page_shows_that_each_version_needs_fewer_instructions() -> None:
    table, _, _ = page().partition(cuda_instructions.BEGIN)[2].partition("| registers |")
    rows = re.findall(r"^\| (v\d) \| (.*) \|$", table, re.MULTILINE)
    assert [name for name, _ in rows] == [version.name for version in VERSIONS]
    counts = [[float(n) if n != "-" else None for n in row.split(" | ")] for _, row in rows]
    for before, after in pairwise(counts[2:]):
        assert all(b and a and a < b for b, a in zip(before[:3], after[:3], strict=True))
    assert counts[4][3] == min(filter(None, (row[3] for row in counts)))


def test_the_longest_way_through_a_loop() -> None:
    """One side of each branch is counted, and an outer loop is not."""
    code = """
.L_1:
 /*0010*/ MOV R1, R2 ;
.L_2:
 /*0020*/ @P0 BRA `(.L_3) ;
 /*0030*/ FFMA R1, R2, R3, R1 ;
 /*0040*/ FFMA R1, R2, R3, R1 ;
 /*0050*/ BRA `(.L_4) ;
.L_3:
 /*0060*/ MOV R1, R2 ;
.L_4:
 /*0070*/ @P1 BRA `(.L_2) ;
 /*0080*/ @P2 BRA `(.L_1) ;
""".splitlines()
    (way,) = cuda_instructions.longest_ways(code)
    assert [line.split()[0] for line in way] == ["@P0", "FFMA", "FFMA", "BRA", "@P1"]
    assert cuda_instructions.instructions_for_each(code, ("FFMA",)) == 2.5
    assert cuda_instructions.instructions_for_each(code, ("STS",)) is None


@pytest.mark.parametrize(
    ("gpu", "threads", "registers", "shared", "warps"),
    [
        ("sm_90", 224, 128, 107008, 14),  # by registers and by memory
        ("sm_90", 112, 168, 20000, 12),  # by registers
        ("sm_75", 1024, 32, 0, 32),
        ("sm_89", 224, 128, 107008, 0),  # a block does not fit
    ],
)
def test_warps(gpu: str, threads: int, registers: int, shared: int, warps: int) -> None:
    assert cuda_instructions.warps_at_once(gpu, threads, registers, shared) == warps


def release() -> tuple[int, ...]:
    """Return the release of NVRTC; (0, 0) where it or nvdisasm is absent."""
    if not PRESENT:
        return 0, 0
    nvrtc = importlib.import_module("cuda.bindings.nvrtc")
    major, minor = nvrtc.nvrtcVersion()[1:]
    return major, minor


@needs.mark(
    "NVRTC 13.0 and nvdisasm",
    release() != (13, 0),
    "pip install 'cuda-toolkit[nvrtc,cudart]==13.0.*' nvidia-cuda-nvdisasm",
)
def test_the_page_is_what_the_compiler_makes() -> None:
    assert "\n".join(cuda_instructions.tables()) in page()
