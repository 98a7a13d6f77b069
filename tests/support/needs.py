"""Skip tests that need something absent here. Every reason reads "needs X: do Y".

The summary at the end of a run counts them by reason, see ``conftest.py``.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from typing import Any

import pytest

from involution_edu.backends import available_backends, cupy_raw
from involution_edu.backends.cuda import emulator

TEST, TRAIN, CLUSTER = (f"pip install -e '.[{extra}]'" for extra in ("test", "train", "cluster"))
# The module to import: (its name, the command that installs it).
PACKAGES = {
    "torch": ("PyTorch", "pip install torch==2.13.0"),
    "cupy": ("CuPy", "pip install -e '.[cuda13]'"),
    "sklearn": ("scikit-learn", TRAIN),
    "skimage": ("scikit-image", TRAIN),
    "mlxtend": ("mlxtend", TRAIN),
    "pycocotools": ("pycocotools", TRAIN),
    "joblib": ("joblib", CLUSTER),
    "distributed": ("Dask's distributed", CLUSTER),
    "safetensors": ("safetensors", TEST),
    "build": ("build", TEST),
    "pip": ("pip", "python -m ensurepip"),
    "hatchling": ("hatchling", TEST),
    "nbformat": ("nbformat", TEST),
    "nbconvert": ("nbconvert", TEST),
}


def package(module: str) -> Any:
    """Import an optional package's module and return it, or skip the test."""
    __tracebackhide__ = True  # it is the caller that is skipped
    name, install = PACKAGES[module.partition(".")[0]]
    return pytest.importorskip(module, reason=f"needs {name}: {install}")


def mark(what: str, lacking: object, fix: object) -> pytest.MarkDecorator:
    """Return a mark that skips a test if something is lacking."""
    return pytest.mark.skipif(bool(lacking), reason=f"needs {what}: {fix}")


def modules(*names: str) -> bool:
    """Return whether modules are installed; nothing is imported."""
    return all(importlib.util.find_spec(name) is not None for name in names)


CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
NO_BACKEND = available_backends()
NO_COMPILER = emulator.unavailable()

torch = mark("PyTorch", not modules("torch"), PACKAGES["torch"][1])
numba = mark("Numba", NO_BACKEND["numba"], NO_BACKEND["numba"])
compiler = mark("a C++ compiler", NO_COMPILER, NO_COMPILER)
browser = mark(
    "Playwright and Chromium",
    CHROMIUM is None or not modules("playwright"),
    "pip install -e '.[browser]' && apt-get install chromium",
)
axe = mark("axe", not modules("axe_playwright_python"), "pip install -e '.[browser]'")
ffmpeg = mark("ffmpeg", shutil.which("ffmpeg") is None, "apt-get install ffmpeg")
jupyter = mark("Jupyter", not modules("nbclient", "ipykernel"), TEST)
docs = mark(
    "the documentation's tools",
    not modules("sphinx", "myst_nb", "pydata_sphinx_theme", "numpydoc", "latex2mathml"),
    "pip install -e '.[docs]'",
)
linux = mark("Linux", sys.platform != "linux", "run it there")
posix = mark("a POSIX system", os.name != "posix", "run it there")


def gpu_for(backend: str) -> pytest.MarkDecorator:
    """Return a mark that skips a test of a GPU's backend where CuPy sees no GPU.

    Where it sees one, a backend that cannot run is a failure of the test, and not a skip.
    """
    reason = NO_BACKEND[backend] and cupy_raw.why_no_gpu()
    return mark("an NVIDIA GPU", reason, reason)


def skip_file_without_gpu() -> None:
    """Skip the test file being imported, as one, where neither backend of a GPU can run."""
    __tracebackhide__ = True
    if reason := cupy_raw.why_no_gpu():
        pytest.skip(f"needs an NVIDIA GPU: {reason}", allow_module_level=True)
