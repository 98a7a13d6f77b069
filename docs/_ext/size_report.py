"""Lines of the package by folder, beside the budgets in pyproject.toml.

``python docs/_ext/size_report.py`` prints the table. A folder over its budget is marked; only a
total over its budget ends with exit code 1.
"""

from __future__ import annotations

import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIXES = {".py", ".cu", ".cuh", ".h", ".js", ".css", ".html"}
TOP = "top"  # the files beside the folders


def lines_by_folder(package: Path) -> Counter[str]:
    """Return the lines of source of each folder of a package, and of the files beside them."""
    lines: Counter[str] = Counter()
    for path in package.rglob("*"):
        if path.suffix in SUFFIXES and path.is_file():
            parts = path.relative_to(package).parts
            folder = parts[0] if len(parts) > 1 else TOP
            lines[folder] += len(path.read_text(encoding="utf-8").splitlines())
    return lines


def budgets(pyproject: Path) -> tuple[int, dict[str, int]]:
    """Return the budget of the total and those of the folders."""
    table = tomllib.loads(pyproject.read_text(encoding="utf-8"))["tool"]["size-report"]
    return table["total"], table["folders"]


def report(lines: Mapping[str, int], total: int, folders: Mapping[str, int]) -> tuple[str, bool]:
    """Return the table, and whether the total is within its budget."""
    used = sum(lines.values())
    rows = [(name, lines.get(name, 0), folders.get(name, 0)) for name in {**folders, **lines}]
    rows.append(("total", used, total))
    text = [f"{'folder':12}{'lines':>8}{'budget':>8}"]
    text += [
        f"{name:12}{count:8,}{budget:8,}{f'  {count - budget:,} over' if count > budget else ''}"
        for name, count, budget in rows
    ]
    return "\n".join(text), used <= total


def main() -> int:
    """Print the report; return 1 if the total is over its budget."""
    text, within = report(
        lines_by_folder(ROOT / "involution_edu"), *budgets(ROOT / "pyproject.toml")
    )
    print(text)  # noqa: T201 - what this script is for
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
