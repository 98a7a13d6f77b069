"""Recording refuses what is a little wrong, and parts of a trace hold the right groups."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import involution_edu as inv
from involution_edu import models, nn
from involution_edu.arrays import Array
from involution_edu.cases import TOLERANCE
from involution_edu.nn import involution2d
from involution_edu.viz import Trace, record, record_operator, recording


def operands(dtype: Any) -> tuple[Array, Array]:
    """Return positive operands, so that sums are as large as their products together."""
    rng = np.random.default_rng(0)
    return (
        rng.uniform(1, 2, (1, 4, 5, 6)).astype(dtype),
        rng.uniform(1, 2, (1, 2, 3, 3, 5, 6)).astype(dtype),
    )


def layer_trace(dtype: Any = np.float64) -> Trace:
    layer = nn.Involution2d(12, 3, groups=4, reduction=2, rng=1, dtype=dtype).eval()
    x = np.random.default_rng(2).standard_normal((2, 12, 6, 7)).astype(dtype)
    return record(layer, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_three_times_the_tolerance_is_too_much(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    factor = 1.0

    def off(x: Array, kernel: Array, **options: Any) -> Array:
        y = inv.involution(x, kernel, **options)
        y[0, 1, 2, 3] *= factor
        y[0, 3, 4, 5] *= factor
        return y

    x, kernel = operands(dtype)
    x[0, 1, 1:4, 2:5] = x[0, 3, 3:, 4:] = 2  # the largest sums of their groups
    kernel[0, :, :, :, 2, 3] = kernel[0, :, :, :, 4, 5] = 4.5
    monkeypatch.setattr(recording, "involution", off)
    record_operator(x, kernel)
    factor = 1 + 3 * TOLERANCE[np.dtype(dtype)]
    with pytest.raises(ArithmeticError, match=r"y is .* away from the sum of its recorded"):
        record_operator(x, kernel)


def test_three_times_the_tolerance_is_too_much_for_a_kernel() -> None:
    trace = layer_trace()
    trace.check()
    for name in ("kernel", "y"):
        wrong = getattr(trace, name).copy()
        largest = np.unravel_index(np.abs(wrong).argmax(), wrong.shape)
        wrong[largest] *= 1 + 1e-10
        with pytest.raises(ArithmeticError, match=rf"^{name} is .* away"):
            replace(trace, **{name: wrong}).check()


def swapped(x: Array, kernel: Array, **options: Any) -> Array:
    return inv.involution(x, np.ascontiguousarray(kernel.swapaxes(2, 3)), **options)


def interleaved(x: Array, kernel: Array, **options: Any) -> Array:
    """Apply kernel c % G to channel c, as the Keras example does."""
    C, G = x.shape[1], kernel.shape[1]
    own = np.ascontiguousarray(kernel[:, [c % G for c in range(C)]])
    return inv.involution(x, own, **options)


def zeros(x: Array, kernel: Array, **options: Any) -> Array:
    return np.zeros_like(inv.involution(x, kernel, **options))


@pytest.mark.parametrize("fault", [swapped, interleaved, zeros])
def test_a_fault_is_found_on_both_ways_to_a_trace(
    fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "involution", fault)
    with pytest.raises(ArithmeticError, match=r"y is .* away"):
        record_operator(*operands(np.float32))
    monkeypatch.setattr(involution2d, "involution", fault)
    with pytest.raises(ArithmeticError, match=r"y is .* away"):
        layer_trace()


GROUPS = [slice(0, 1), slice(1, 2), slice(1, 3), slice(-1, None), slice(None), slice(-3, -1)]


@pytest.mark.parametrize("groups", GROUPS, ids=str)
def test_a_part_of_any_groups(groups: slice) -> None:
    trace = layer_trace()
    rows, columns = slice(1, 4), slice(2, 7)
    part = trace.part(rows, columns, groups)
    chosen = list(range(4))[groups]
    channels = [3 * g + r for g in chosen for r in range(3)]
    taps = [9 * g + k for g in chosen for k in range(9)]
    assert (part.geom.G, part.geom.C, part.origin) == (len(chosen), len(channels), (1, 2))
    padded = np.pad(trace.x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    assert_array_equal(part.x, padded[:, channels, 1:6, 2:9])
    assert_array_equal(part.y, trace.y[:, channels, rows, columns])
    assert_array_equal(part.kernel, trace.kernel[:, chosen, :, :, rows, columns])
    assert_array_equal(part.span_weight, trace.span_weight[taps])
    assert_array_equal(part.span_bias, trace.span_bias[taps])
    for name, stage in trace.stages.items():
        assert_array_equal(part.stages[name], stage[:, :, rows, columns])
    part.check()
    for i, j in ((0, 0), (2, 4)):
        assert_array_equal(part.products(i, j), trace.products(i + 1, j + 2)[:, chosen])
    again = part.part(slice(None), slice(None), slice(0, 1))
    assert_array_equal(again.y, trace.y[:, channels[:3], rows, columns])
    again.check()


def edge_trace() -> tuple[models.EdgeDenoiser, Array, Trace]:
    model = models.EdgeDenoiser((3, 5), channels=(9, 6), reduced=5, rng=0, dtype=float).eval()
    x = np.random.default_rng(1).standard_normal((2, 3, 8, 9))
    return model, x, record(model, x)


def test_a_layer_with_features_and_a_softmax_is_recorded() -> None:
    model, x, trace = edge_trace()
    assert_array_equal(trace.x, x)
    assert_array_equal(trace.y, model(x))
    assert_array_equal(trace.kernel, model.generate_kernel(x))
    assert_array_equal(trace.features, model.features(x))
    reduced = np.einsum("oc,nchw->nohw", trace.reduce_weight, trace.features)
    np.testing.assert_allclose(trace.stages["conv"], reduced, rtol=1e-12)
    spanned = np.exp(np.einsum("oc,nchw->nohw", trace.span_weight, trace.reduced))
    spanned *= np.exp(trace.span_bias)[:, np.newaxis, np.newaxis]
    spanned = (spanned / spanned.sum(axis=1, keepdims=True)).reshape(trace.kernel.shape)
    np.testing.assert_allclose(trace.kernel, spanned, rtol=1e-12)
    assert trace.softmax
    assert trace.statistics == {}


def test_a_wrong_kernel_after_a_softmax_is_found() -> None:
    trace = edge_trace()[2]
    wrong = trace.kernel.copy()
    wrong[0, 0, 1, 2, 3, 4] *= 1 + 1e-9
    with pytest.raises(ArithmeticError, match=r"^kernel is .* away"):
        replace(trace, kernel=wrong).check()
    with pytest.raises(ArithmeticError, match=r"^kernel is .* away"):
        replace(trace, softmax=False).check()


def test_a_part_has_the_features_of_its_pixels() -> None:
    trace = edge_trace()[2]
    part = trace.part(slice(1, 4), slice(2, 7))
    part.check()
    assert_array_equal(part.features, trace.features[:, :, 1:4, 2:7])
    layer = nn.Involution2d(4, 3, groups=2, stride=2, rng=1, dtype=float).eval()
    trace = record(layer, np.random.default_rng(2).standard_normal((1, 4, 7, 9)))
    part = trace.part(slice(1, 4), slice(2, 5))
    assert_array_equal(part.features, trace.features[:, :, 2:, 4:])
    assert_array_equal(layer.reduce(part.features), part.reduced)
