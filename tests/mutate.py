"""Mutation score: plant one mistake at a time in a copy of the package and run the tests on it.

    python tests/mutate.py [--only PATTERN] [--jobs N] [--out FILE] [--again]

The mistakes are in ``tests/mutants/*.txt``. The working tree is never changed. Results are added to
FILE as they come, and those already in it are not run again; ``--again`` repeats the survivors.
The exit code is 1 if a mutant survives or cannot be tested.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
COPIED = (
    "involution_edu",
    "tests",
    "docs",
    "notebooks",
    "README.md",
    "CITATION.cff",
    "pyproject.toml",
)
PYTEST = ("-x", "-q", "-n", "0", "-p", "no:cacheprovider")
HEAVY = ("numba", "matplotlib.figure", "torch", "PIL.Image")  # imported once for all mutants
TIMEOUT = 120  # seconds of the processor, five times as many of the clock: a mutant may never end
CAUGHT, SURVIVED, EQUIVALENT, UNTESTED = "caught", "SURVIVED", "equivalent", "NOT TESTED"
OUTCOMES = {0: SURVIVED, 1: CAUGHT}  # by pytest's exit code


@dataclass(frozen=True)
class Mutant:
    """One mistake: ``old``, which is once in ``file``, becomes ``new``; ``tests`` should fail."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    equivalent: str = ""

    @property
    def key(self) -> str:
        """Its identity in the file of results."""
        return json.dumps(asdict(self))

    @property
    def source(self) -> str:
        """The source of its file in the working tree."""
        path = ROOT / self.file
        return path.read_text(encoding="utf-8") if path.is_file() else ""


def read(path: Path) -> Iterator[Mutant]:
    """Yield the mutants of a list.

    ``= FILE: TESTS`` begins the mutants of a file, ``# NAME`` a mutant; then come its lines ``- OLD``
    and ``+ NEW``, any number of each, and perhaps ``> TESTS`` instead of those of the file, and
    ``! REASON``, why no test can catch it.
    """
    file, tests = "", tuple[str, ...]()
    blocks: list[dict[str, Any]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        sign, text = line[:1], line[2:]
        if sign == "=":
            file, _, named = text.partition(": ")
            tests = tuple(named.split())
        elif sign == "#":
            blocks.append({"name": text, "file": file, "tests": tests, "-": [], "+": []})
        elif sign == ">":
            blocks[-1]["tests"] = tuple(text.split())
        elif sign == "!":
            blocks[-1]["equivalent"] = text
        elif sign:
            blocks[-1][sign].append(text)
    for block in blocks:
        old, new = ("\n".join(block.pop(sign)) for sign in "-+")
        yield Mutant(**block, old=old, new=new)


class Job:
    """Tests of one mutant, or of none, in a child process with a copy of the repository.

    The child is forked, so that the large libraries are imported only once.
    """

    clock = itertools.count(int((ROOT / "pyproject.toml").stat().st_mtime) + 1_000_000)

    def __init__(self, copy: Path, tests: tuple[str, ...], mutant: Mutant | None = None) -> None:
        self.copy, self.tests, self.mutant, self.start = copy, tests, mutant, time.monotonic()
        if mutant is not None:
            path = copy / mutant.file
            path.write_text(mutant.source.replace(mutant.old, mutant.new), encoding="utf-8")
            # Another time for every edit, or Python and Numba would run what they compiled before.
            os.utime(path, times=(stamp := next(self.clock), stamp))
        self.child = os.fork()
        if self.child == 0:
            code = 3  # pytest's for an internal error
            try:
                code = self._run()
            finally:
                sys.stdout.flush()
                os._exit(code)

    def _run(self) -> int:
        os.setsid()  # so that processes of the tests end with it
        resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT, TIMEOUT))
        os.chdir(self.copy)
        sys.path.insert(0, str(self.copy))
        os.environ["PYTHONPATH"] = str(self.copy)
        with (self.copy / "output.txt").open("w") as output:
            for stream in (sys.stdout, sys.stderr):
                os.dup2(output.fileno(), stream.fileno())
        return int(pytest.main([*PYTEST, *self.tests]))

    def ended(self) -> tuple[int, str] | None:
        """Return the exit code and the last line, and take the mutant back; None while it runs."""
        pid, status = os.waitpid(self.child, os.WNOHANG)
        late = pid == 0 and time.monotonic() - self.start > 5 * TIMEOUT
        if late:
            os.killpg(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
        elif pid == 0:
            return None
        if self.mutant is not None:
            shutil.copy2(ROOT / self.mutant.file, self.copy / self.mutant.file)
        if late:
            return 1, f"no end within {5 * TIMEOUT} s"
        lines = (self.copy / "output.txt").read_text(encoding="utf-8").splitlines()
        failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
        return os.waitstatus_to_exitcode(status), (failed or lines or [""])[-1][:160]


def run(
    jobs: int, work: Iterable[tuple[tuple[str, ...], Mutant | None]]
) -> Iterator[tuple[tuple[str, ...], Mutant | None, int, str]]:
    """Yield (tests, mutant, exit code, last line) of all of ``work`` as they end."""
    for module in HEAVY:
        with suppress(ImportError):
            importlib.import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        free, running = list[Path](), list[Job]()
        for job in range(jobs):
            free.append(Path(folder) / str(job))
            free[-1].mkdir()
            for name in COPIED:
                place = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
                place(ROOT / name, free[-1] / name)
        waiting = list(work)[::-1]
        while waiting or running:
            while waiting and free:
                running.append(Job(free.pop(), *waiting.pop()))
            time.sleep(0.02)
            for job_ in list(running):
                if (result := job_.ended()) is not None:
                    running.remove(job_)
                    free.append(job_.copy)
                    yield job_.tests, job_.mutant, *result


def main() -> int:
    """Run the mutants and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="those with this in file, name or list")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("mutants.jsonl"), help="file of results")
    parser.add_argument("--again", action="store_true", help="repeat all that was not caught")
    args = parser.parse_args()
    mutants = [
        mutant
        for path in sorted((ROOT / "tests" / "mutants").glob("*.txt"))
        for mutant in read(path)
        if args.only in f"{path.stem} {mutant.file} {mutant.name}"
    ]
    done: dict[str, tuple[str, str]] = {}
    if args.out.exists():
        for line in args.out.read_text(encoding="utf-8").splitlines():
            key, *result = json.loads(line)
            done[key] = result[0], result[1]
    kept = (CAUGHT,) if args.again else (CAUGHT, SURVIVED)
    done = {key: result for key, result in done.items() if result[0] in kept}
    todo: list[Mutant] = []
    for mutant in mutants:
        found = mutant.source.count(mutant.old)
        if mutant.equivalent:
            done[mutant.key] = EQUIVALENT, mutant.equivalent
        elif found != 1:
            done[mutant.key] = UNTESTED, f"its text is {found} times in {mutant.file}"
        elif mutant.key not in done:
            todo.append(mutant)
    with args.out.open("a", encoding="utf-8") as stream:
        results = run(args.jobs, [(mutant.tests, mutant) for mutant in todo])
        for number, (_, ended, code, line) in enumerate(results, 1):
            assert ended is not None
            crashed = code < 0  # by a signal, such as for a read beyond an array
            done[ended.key] = CAUGHT if crashed else OUTCOMES.get(code, UNTESTED), line
            stream.write(json.dumps([ended.key, *done[ended.key]]) + "\n")
            stream.flush()
            outcome = done[ended.key][0]
            print(f"{number}/{len(todo)} {outcome:10} {ended.file}: {ended.name}", flush=True)
    # A test that fails without a mutant catches nothing.
    used = {mutant.tests for mutant in todo if done[mutant.key][0] == CAUGHT}
    broken = {
        tests: line for tests, _, code, line in run(args.jobs, [(t, None) for t in used]) if code
    }
    return report(mutants, done, broken)


def report(
    mutants: list[Mutant], done: dict[str, tuple[str, str]], broken: dict[tuple[str, ...], str]
) -> int:
    """Print a row for each file, all mutants that were not caught, and the score."""
    counts: dict[str, dict[str, int]] = {}
    for mutant in mutants:
        row = counts.setdefault(mutant.file.removeprefix("involution_edu/"), {})
        row[done[mutant.key][0]] = row.get(done[mutant.key][0], 0) + 1
    columns = CAUGHT, SURVIVED, EQUIVALENT, UNTESTED
    print(f"\n{'file':36}" + "".join(f"{column:>12}" for column in columns))
    for file, row in counts.items():
        print(f"{file:36}" + "".join(f"{row.get(column, 0) or '':>12}" for column in columns))
    total = {column: sum(row.get(column, 0) for row in counts.values()) for column in columns}
    print(f"{'total':36}" + "".join(f"{number:>12}" for number in total.values()) + "\n")
    for mutant in mutants:
        outcome, line = done[mutant.key]
        if outcome in (SURVIVED, UNTESTED):
            print(f"{outcome}: {mutant.file}: {mutant.name} ({' '.join(mutant.tests)}: {line})")
    for tests, line in broken.items():
        print(f"Fails without a mutant: {' '.join(tests)}: {line}")
    countable = total[CAUGHT] + total[SURVIVED]
    print(f"Score: {total[CAUGHT]} of {countable}, {100 * total[CAUGHT] / max(countable, 1):.1f} %")
    return int(bool(total[SURVIVED] or total[UNTESTED] or broken))


if __name__ == "__main__":
    sys.exit(main())
