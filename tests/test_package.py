"""The package as installed: quick to import, complete, typed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import needs
import pytest

import involution_edu as inv
from involution_edu.backends import on_numpy_arrays
from involution_edu.course import notebooks

ROOT = Path(__file__).parent.parent
HEAVY = ("numba", "cupy", "matplotlib", "PIL")
# numba.cuda is no extra: it comes with Numba, though only its newer home can compile for new GPUs.
EXTRAS = (
    "torch", "cupy", "sklearn", "skimage", "mlxtend", "joblib", "dask", "distributed",
    "safetensors", "playwright", "IPython", "nbclient", "nbconvert", "scipy",
)  # fmt: skip


def python(code: str, folder: Path) -> str:
    """Run code in a folder, isolated from the user's settings; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], check=False, capture_output=True, text=True, cwd=folder
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_is_quick(tmp_path: Path) -> None:
    """Time the import, NumPy's included, in a new interpreter: the fastest of five.

    CPU time, so that other processes of the tests do not count.
    """
    code = (
        "import time; start = time.process_time(); import involution_edu; "
        "print(time.process_time() - start)"
    )
    assert min(float(python(code, tmp_path)) for _ in range(5)) < 0.3


def test_import_is_light(tmp_path: Path) -> None:
    code = f"import sys, involution_edu; print([m for m in {HEAVY} if m in sys.modules])"
    assert python(code, tmp_path) == "[]"


def test_every_module_can_be_imported_without_the_extras(tmp_path: Path) -> None:
    code = f"""
import pkgutil, sys
from importlib import import_module
sys.path.insert(0, {str(Path(inv.__file__).parents[1])!r})  # the package under test
for extra in {EXTRAS}:
    sys.modules[extra] = None  # its import raises ImportError
import involution_edu
for module in pkgutil.walk_packages(involution_edu.__path__, "involution_edu."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
"""
    assert python(code, tmp_path) == ""


def test_public_names_exist() -> None:
    assert sorted(inv.__all__) == sorted(set(inv.__all__))
    for name in inv.__all__:
        assert getattr(inv, name).__doc__


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build the sdist, and the wheel from it, without the network."""
    for tool in ("build", "hatchling", "pip"):
        needs.package(tool)
    folder = tmp_path_factory.mktemp("dist")
    command = ["build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(
        [sys.executable, "-m", *command], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return {"sdist": sdist, "wheel": wheel}


def test_wheel_contains_only_the_package(distributions: dict[str, Path]) -> None:
    with zipfile.ZipFile(distributions["wheel"]) as wheel:
        names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"involution_edu", f"involution_edu-{inv.__version__}.dist-info"}
    present = {path.relative_to(ROOT).as_posix() for path in source_files()}
    present |= {f"involution_edu/course/files/{path.name}" for path in notebooks.paths()}
    assert {name for name in names if name.startswith("involution_edu/")} == present
    assert any(name.endswith("licenses/LICENSE") for name in names)


def source_files() -> list[Path]:
    package = (ROOT / "involution_edu").rglob("*")
    return [path for path in package if path.is_file() and "__pycache__" not in path.parts]


def test_sdist_can_be_built_and_tested_from(distributions: dict[str, Path]) -> None:
    with tarfile.open(distributions["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"LICENSE", "README.md", "CITATION.cff", "pyproject.toml"} <= names
    assert {"tests/conftest.py", "involution_edu/py.typed"} <= names


def test_installed_wheel_runs_from_another_folder(
    distributions: dict[str, Path], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    install = ["pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    done = subprocess.run(
        [sys.executable, "-m", *install, str(distributions["wheel"])],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    assert done.returncode == 0, done.stderr
    code = f"""
import sys
sys.path.insert(0, {str(site)!r})
from importlib.metadata import version
from importlib.resources import files
import numpy as np
import involution_edu as inv
print(inv.__file__)
print(version("involution-edu") == inv.__version__)
print(files("involution_edu").joinpath("py.typed").is_file())
x, kernel = np.arange(4.0).reshape(1, 1, 2, 2), np.ones((1, 1, 3, 3, 2, 2))
from involution_edu.backends import on_numpy_arrays
from involution_edu.course import notebooks
for name, reason in on_numpy_arrays().items():
    if reason is None:
        print(name, inv.involution(x, kernel, backend=name).ravel().tolist())
"""
    file, same_version, typed, *rungs = python(code, tmp_path).splitlines()
    assert Path(file).is_relative_to(site)
    assert (same_version, typed) == ("True", "True")
    sums = [6.0, 6.0, 6.0, 6.0]  # every 3x3 window sees the whole 2x2 image: 0 + 1 + 2 + 3
    assert rungs == [f"{n} {sums}" for n, why in on_numpy_arrays().items() if why is None]


def test_pre_commit_and_the_dev_group_name_the_same_versions() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    group = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = dict(line.split("==") for line in group["dependency-groups"]["dev"])
    found = dict(
        re.findall(r"github\.com/\S*?(import-linter|mypy|ruff|rumdl)\S*\s+rev: v(\S+)", hooks)
    )
    assert found == pinned
