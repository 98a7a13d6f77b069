"""Traces in files: what is saved comes back, and what is no trace is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from involution_edu import nn
from involution_edu.viz import (
    OperatorTrace,
    Trace,
    load_trace,
    record,
    record_operator,
    save_trace,
)


def recorded(size: tuple[int, int] = (7, 9), **options: Any) -> Trace:
    layer = nn.Involution2d(**{"channels": 4, "kernel_size": 3, "rng": 3, **options}).eval()
    x = np.random.default_rng(4).standard_normal((2, layer.channels, *size)).astype(np.float32)
    return record(layer, x)


LAYERS: dict[str, dict[str, Any]] = {
    "two groups, reduced": {"channels": 8, "groups": 2},
    "stride 2": {"kernel_size": 7, "groups": 2, "stride": 2},
    "dilation 2, 3x5": {"kernel_size": (3, 5), "groups": 4, "dilation": 2},
    "more channels out": {"groups": 3, "out_channels": 6},
    "no batch norm": {"groups": 1, "sigma": "relu"},
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_saved_trace_comes_back(name: str, tmp_path: Path) -> None:
    whole = recorded(**LAYERS[name])
    for n, trace in enumerate((whole, whole.part(slice(0, 2), slice(1, 3)))):
        save_trace(tmp_path / f"{n}.npz", trace)
        loaded = load_trace(tmp_path / f"{n}.npz")
        assert isinstance(loaded, Trace)
        assert (loaded.geom, loaded.origin) == (trace.geom, trace.origin)
        for field in ("x", "kernel", "y", "reduce_weight", "span_weight", "span_bias"):
            assert_array_equal(getattr(loaded, field), getattr(trace, field))
        assert list(loaded.stages) == list(trace.stages)
        assert_array_equal(loaded.reduced, trace.reduced)
        assert loaded.statistics.keys() == trace.statistics.keys()
        loaded.check()


def test_a_part_makes_a_small_file(tmp_path: Path) -> None:
    trace = recorded((40, 50), groups=1)
    save_trace(tmp_path / "whole.npz", trace)
    save_trace(tmp_path / "part.npz", trace.part(slice(20, 21), slice(20, 21)))
    sizes = [(tmp_path / f"{name}.npz").stat().st_size for name in ("whole", "part")]
    assert sizes[0] > 100_000
    assert sizes[1] < 8_000


def small_trace() -> OperatorTrace:
    rng = np.random.default_rng(2)
    x, kernel = rng.standard_normal((1, 2, 5, 6)), rng.standard_normal((1, 1, 3, 3, 3, 3))
    return record_operator(x, kernel, stride=2, padding=1)


def test_a_run_of_the_operator_alone_is_saved_too(tmp_path: Path) -> None:
    trace = small_trace()
    save_trace(tmp_path / "a.npz", trace)
    loaded = load_trace(tmp_path / "a.npz")
    assert type(loaded) is OperatorTrace
    assert_array_equal(loaded.products(2, 1), trace.products(2, 1))


def test_files_that_hold_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with pytest.raises(FileNotFoundError):
        load_trace(path)
    save_trace(path, small_trace())
    with pytest.raises(FileExistsError, match="pass --force"):
        save_trace(path, small_trace())
    with pytest.raises(ValueError, match=r"path is a\.txt; need a name that ends in \.npz"):
        save_trace("a.txt", small_trace())
    good = dict(np.load(path))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError, match="holds no trace"):
        load_trace(path)
    path.write_text("not an archive")
    with pytest.raises(ValueError, match="holds no trace"):
        load_trace(path)
    for bad, reason in (
        ({"y": good["y"][:, :, :2]}, r"y has shape .*; need \(N, C, H_out, W_out\)"),
        ({"x": np.array([None])}, "allow_pickle=False"),
        ({"x": good["x"].astype(int)}, "x has dtype int64"),
        ({"stride": np.array([2, 0])}, r"stride\[1\] is 0"),
        ({"extra": good["x"]}, "it lacks 'reduce_weight'"),
    ):
        np.savez(path, **{**good, **bad})
        with pytest.raises(ValueError, match=f"holds no trace .*{reason}"):
            load_trace(path)
    np.savez(path, x=good["x"])
    with pytest.raises(ValueError, match="it lacks 'kernel'"):
        load_trace(path)
