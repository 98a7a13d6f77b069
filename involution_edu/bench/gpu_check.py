"""Ten minutes on a GPU: all that is to be checked and measured there, in one command.

``python -m involution_edu.bench.gpu_check``, in a clone of the repository, checks first, and
measures only if all is right. Each step runs in a new process, which is ended when its time is
over. The record is written after each step; a second call keeps what was right in it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from hashlib import sha256
from pathlib import Path
from shutil import which
from typing import Any

from ..arguments import ArgumentError
from ..backends import cupy_raw
from ..backends.cuda.versions import cuda_source
from ..files import read_text_bounded, written_whole
from ..geometry import Geometry
from ..verify import doctor
from .contenders import one_line
from .derived import traffic
from .devices import Gpu
from .memory import in_new_process
from .presets import BOTH_PEERS, GPU_SHAPES, Preset, label
from .run import run_benchmark

LIMIT, SHORT = 600.0, 5.0  # seconds of all steps; with less than SHORT left, none begins
DTYPES, ROUNDS, PARALLEL = ("float32", "float16"), 5, ("-n", "8")
OPERATOR, NETWORKS = "tests/backends/test_gpu.py", "tests/nn/test_nn_gpu.py"
LAYERS, OUT = "tests/benchmarks/bench_gpu_layers.py", "docs/benchmarks-gpu.json"
TIMED = "batch_norm", "training_step", "one_launch_or_two"
SANITIZER = "compute-sanitizer", "--error-exitcode", "9", "--tool"
TOOLS = "memcheck", "racecheck", "initcheck"
COUNTERS = "ncu", "--csv", "--metrics", "dram__bytes.sum,lts__t_bytes.sum,gpu__time_duration.sum"
Outcome = dict[str, Any]  # "data"; "problems", a list; or "absent", the reason


def steps() -> list[tuple[Any, ...]]:
    """Return the name of each step, its seconds, whether it checks, a function, its arguments."""
    cases = [(geom, dtype) for geom in GPU_SHAPES for dtype in DTYPES]
    small, peers = ("-n", "0", "-k", "small_cases", OPERATOR), (("cupy",), BOTH_PEERS)
    return [
        ("versions", 20, True, machine),
        ("compiling", 120, True, run_pytest, (), *PARALLEL, "-k", "compiles", OPERATOR),
        ("a launch and a layer", 40, True, works),
        ("tests", 180, True, run_pytest, (), *PARALLEL, OPERATOR, NETWORKS),
        *((tool, 40, True, run_pytest, (*SANITIZER, tool), *small) for tool in TOOLS),
        *((f"{label(geom)}, {t}", 60, False, measure, geom, t) for geom, t in cases),
        ("counters", 60, False, run_pytest, COUNTERS, "-n", "0", "-k", "counted", LAYERS),
        *((n, 60, False, run_pytest, (), "-n", "0", "-s", "-k", n, LAYERS) for n in TIMED),
        *((f"PyTorch, {label(g)}, {t}", 60, False, measure, g, t, *peers) for g, t in cases),
    ]


def machine() -> Outcome:
    """Return the GPU, the versions of the libraries and a hash of the CUDA source."""
    import cupy

    release = ".".join(map(str, cupy.cuda.nvrtc.getVersion()))
    source = sha256(cuda_source().encode()).hexdigest()[:16]
    return {"data": {**asdict(Gpu().machine()), "NVRTC": release, "source": source}}


def works() -> Outcome:
    """Let `doctor` run the operator and a layer on both backends of a GPU."""
    found = doctor.examine().backends
    return {"problems": [f"{n}: {found[n]}" for n in ("cupy", "numba_cuda") if found[n]]}


def run_pytest(tool: Sequence[str], *options: str) -> Outcome:
    """Run tests marked gpu, of which none may be skipped; keep printed CSV and JSON, or the end."""
    if tool and which(tool[0]) is None:
        return {"absent": f"{tool[0]} is not installed"}
    command = [*tool, sys.executable, "-m", "pytest", "-q", "-rfEs", "-m", "gpu", *options]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    problems = [line for line in lines if line.startswith(("SKIPPED", "FAILED", "ERROR"))]
    if done.returncode and not problems:
        end = " ".join((done.stdout + done.stderr).split())[-300:]
        problems = [f"pytest ended with {done.returncode}: {end}"]
    data = [line for line in lines if line.startswith(('"', "{"))] or lines[-1:]
    return {"data": data, "problems": problems}


def measure(geom: Geometry, dtype: str, backends: Any = None, peers: Any = ()) -> Outcome:
    """Check and time versions on one shape, beside copies of its size and a large one."""
    gpu = Gpu(copied=[traffic(geom, dtype=dtype) // 2])
    plan, day = Preset((geom,), (dtype,), peers, rounds=ROUNDS, on_gpu=True), date.today()
    record = run_benchmark("gpu", backends=backends, date=day.isoformat(), device=gpu, plan=plan)
    wrong = [f"{a.backend} is wrong in {a.tensor}" for a in record.agreements if not a.agrees]
    return {"data": asdict(record), "problems": wrong}


def check_gpu(out: Path, *, force: bool = False, limit: float = LIMIT) -> bool:
    """Run all steps, a failed check the last, in ``limit`` seconds; return whether none failed."""
    end, kept = time.monotonic() + limit, out.exists() and not force
    before = json.loads(read_text_bounded(out, "out", 1 << 24, 1 << 20)) if kept else {}
    rows, wrong = dict(before), list[str]()
    for name, seconds, checks, function, *given in steps():
        start, found, row = time.monotonic(), Outcome(), before.get(name, {})
        if row.get("status") != "ok" or function is machine:
            status, left = "skipped", end - start
            why = "no time was left" if left < SHORT else ""
            if wrong and not checks:
                why = f"failed: {', '.join(wrong)}"
            elif not why:
                try:
                    found = in_new_process(function, *given, timeout=min(seconds, left))
                    why = found.get("absent") or "; ".join(found.get("problems", ()))
                    status = "absent" if "absent" in found else "failed" if why else "ok"
                except RuntimeError as error:
                    status, why = "failed", one_line(error)
            row = {"status": status, "seconds": round(time.monotonic() - start, 1), "why": why}
            row["data"] = found.get("data")
        known = before.get(name, {}).get("data")
        if function is machine and known and row["data"] not in (None, known):
            raise ArgumentError("out", f"is {out}, of another GPU or set-up", "another, or --force")
        wrong += [name] if checks and row["status"] == "failed" else []
        rows[name] = row
        with written_whole(out, force=True) as temporary:
            temporary.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        sys.stdout.write(f"{row['status']:8}{row['seconds']:6.1f} s  {name}  {row['why']}\n")
        sys.stdout.flush()
    return all(row["status"] != "failed" for row in rows.values())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check; return 0 if all is right, 1 if a step failed, 2 if it cannot run."""
    parser = ArgumentParser(prog="gpu_check", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("out", type=Path, nargs="?", default=OUT, help=f"the record ({OUT})")
    parser.add_argument("--force", action="store_true", help="begin anew, and replace the record")
    args = parser.parse_args(argv)
    try:
        if reason := cupy_raw.why_no_gpu():
            raise OSError(f"no GPU can be used: {reason}")
        return 0 if check_gpu(args.out, force=args.force) else 1
    except (OSError, ValueError) as error:
        sys.stderr.write(f"gpu_check: error: {error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
