"""Bad arguments: the error names the argument, what it got and what it needs, in one line."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from checks import RUNGS

import involution_edu as inv
from involution_edu.arguments import MAX_INT, ArgumentError, WrongTypeError
from involution_edu.cases import AWKWARD
from involution_edu.geometry import make_geometry


class Tensor:
    """A stand-in for a framework's tensor: it has a shape and a dtype, but is not a NumPy array."""

    shape, dtype, ndim = (1, 4, 5, 6), np.dtype(np.float64), 4

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.ones(self.shape)


def floats(*shape: int) -> Any:
    return np.ones(shape)


X, KERNEL, DY = floats(1, 4, 5, 6), floats(1, 2, 3, 3, 5, 6), floats(1, 4, 5, 6)
FOUR_AXES = r"need 4 axes \(N, C, H, W\)"
KERNEL_SHAPE = r"need \(N, G, K_h, K_w, H_out, W_out\) = "
DY_SHAPE = r"need \(N, C, H_out, W_out\) = \(1, 4, 5, 6\)"
INT, NATURAL = "need an int >= 1", "need an int >= 0"
NUMPY, FLOATS = "need a NumPy or CuPy array", "need float32 or float64"
PAIR = r"need one int or a pair \(rows, columns\)"
MASKED = r"is a masked array; need one without a mask, such as a\.filled\(0\)"
NO_PIXEL = "need at least one channel, one row and one column"
DIVISOR = "need a divisor of the C = 4 channels of x"

# Changed arguments, the exception, and the pattern of its message after the name of the argument,
# the first key. The rest is x (1, 4, 5, 6), kernel (1, 2, 3, 3, 5, 6) and dy (1, 4, 5, 6), float64.
BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    # x: type and dtype
    ({"x": None}, TypeError, f"is a NoneType; {NUMPY}"),
    ({"x": X.tolist()}, TypeError, f"is a list; {NUMPY}"),
    ({"x": 1.5}, TypeError, f"is a float; {NUMPY}"),
    ({"x": Tensor()}, TypeError, rf"is a test_bad_input\.Tensor; {NUMPY}"),
    ({"x": memoryview(X)}, TypeError, f"is a memoryview; {NUMPY}"),
    ({"x": np.float64(1)}, TypeError, rf"is a numpy\.float64; {NUMPY}"),
    ({"x": np.ma.masked_less(X, 0)}, TypeError, MASKED),
    ({"x": X.astype(int)}, TypeError, f"has dtype int64; {FLOATS}"),
    ({"x": X.astype(np.uint8)}, TypeError, f"has dtype uint8; {FLOATS}"),
    ({"x": X.astype(bool)}, TypeError, f"has dtype bool; {FLOATS}"),
    ({"x": X.astype(np.float16)}, TypeError, f"has dtype float16; {FLOATS}"),
    ({"x": X.astype(np.longdouble)}, TypeError, rf"has dtype {np.dtype('g')}; {FLOATS}"),
    ({"x": X.astype(complex)}, TypeError, f"has dtype complex128; {FLOATS}"),
    ({"x": X.astype(object)}, TypeError, f"has dtype object; {FLOATS}"),
    ({"x": X.astype(str)}, TypeError, rf"has dtype <U32; {FLOATS}"),
    ({"x": X.astype("M8[s]")}, TypeError, rf"has dtype datetime64\[s\]; {FLOATS}"),
    ({"x": np.zeros(X.shape, "f8,f8")}, TypeError, rf"has dtype \[\(.*\)\]; {FLOATS}"),
    # x: shape
    ({"x": np.array(1.0)}, ValueError, rf"has shape \(\); {FOUR_AXES}"),
    ({"x": X[0]}, ValueError, rf"has shape \(4, 5, 6\); {FOUR_AXES}"),
    ({"x": X[None]}, ValueError, rf"has shape \(1, 1, 4, 5, 6\); {FOUR_AXES}"),
    ({"x": X[:, :0]}, ValueError, rf"has shape \(1, 0, 5, 6\); {NO_PIXEL}"),
    ({"x": X[:, :, :0]}, ValueError, rf"has shape \(1, 4, 0, 6\); {NO_PIXEL}"),
    ({"x": X[..., :0]}, ValueError, rf"has shape \(1, 4, 5, 0\); {NO_PIXEL}"),
    # kernel
    ({"kernel": None}, TypeError, f"is a NoneType; {NUMPY}"),
    ({"kernel": KERNEL.tolist()}, TypeError, f"is a list; {NUMPY}"),
    ({"kernel": np.ma.array(KERNEL)}, TypeError, MASKED),
    ({"kernel": KERNEL.astype(int)}, TypeError, f"has dtype int64; {FLOATS}"),
    (
        {"kernel": KERNEL.astype(np.float32)},
        TypeError,
        "has dtype float32; need float64, the dtype of x",
    ),
    (
        {"kernel": KERNEL[0]},
        ValueError,
        r"has shape \(2, 3, 3, 5, 6\); need 6 axes \(N, G, K_h, K_w, H_out, W_out\)",
    ),
    (
        {"kernel": floats(3, 2, 3, 3, 5, 6)},
        ValueError,
        rf"has shape \(3, .*\); {KERNEL_SHAPE}\(1, 2, 3, 3, 5, 6\)",
    ),
    (
        {"kernel": floats(1, 2, 3, 3, 6, 5)},
        ValueError,
        rf"has shape \(.*, 6, 5\); {KERNEL_SHAPE}\(1, 2, 3, 3, 5, 6\)",
    ),
    ({"kernel": floats(1, 3, 3, 3, 5, 6)}, ValueError, f"has G = 3 groups; {DIVISOR}"),
    ({"kernel": floats(1, 8, 3, 3, 5, 6)}, ValueError, f"has G = 8 groups; {DIVISOR}"),
    ({"kernel": floats(1, 0, 3, 3, 5, 6)}, ValueError, f"has G = 0 groups; {DIVISOR}"),
    (
        {"kernel": floats(1, 2, 0, 3, 5, 6)},
        ValueError,
        rf"'s window\[0\] is 0; {INT}",
    ),
    (
        {"kernel": floats(1, 2, 3, 0, 5, 6)},
        ValueError,
        rf"'s window\[1\] is 0; {INT}",
    ),
    (
        {"kernel": floats(1, 2, 7, 3, 5, 6), "padding": 0},
        ValueError,
        "has a window that spans 7 x 3 pixels; need at most the 5 x 6 of the padded image .*",
    ),
    (
        {"kernel": KERNEL, "padding": 0, "dilation": (1, 3)},
        ValueError,
        "has a window that spans 3 x 7 pixels; need at most the 5 x 6 of the padded image .*",
    ),
    (
        {"kernel": KERNEL, "stride": 2},
        ValueError,
        rf"has shape \(1, 2, 3, 3, 5, 6\); {KERNEL_SHAPE}\(1, 2, 3, 3, 3, 3\)",
    ),
    (
        {"kernel": KERNEL, "padding": "valid"},
        ValueError,
        rf"has shape \(1, 2, 3, 3, 5, 6\); {KERNEL_SHAPE}\(1, 2, 3, 3, 3, 4\)",
    ),
    (
        {"kernel": KERNEL, "padding": 10**5},
        ValueError,
        rf"has shape \(1, 2, 3, 3, 5, 6\); {KERNEL_SHAPE}\(.*, 200003, 200004\)",
    ),
    # stride, dilation
    ({"stride": 0}, ValueError, f"is 0; {INT}"),
    ({"stride": -2}, ValueError, f"is -2; {INT}"),
    ({"stride": (2, 0)}, ValueError, rf"\[1\] is 0; {INT}"),
    ({"stride": (0, 2)}, ValueError, rf"\[0\] is 0; {INT}"),
    ({"stride": (1, 2, 3)}, ValueError, rf"is \(1, 2, 3\); {PAIR}"),
    ({"stride": ()}, ValueError, rf"is \(\); {PAIR}"),
    ({"stride": 2.0}, TypeError, rf"is 2\.0; {INT}"),
    ({"stride": float("nan")}, TypeError, f"is nan; {INT}"),
    ({"stride": True}, TypeError, f"is True; {INT}"),
    ({"stride": (1, np.True_)}, TypeError, rf"\[1\] is np\.True_; {INT}"),
    ({"stride": "2"}, TypeError, f"is '2'; {INT}"),
    ({"stride": None}, TypeError, f"is None; {INT}"),
    ({"stride": np.array([1, 2])}, TypeError, rf"is array\(\[1, 2\]\); {INT}"),
    ({"stride": np.eye(2, dtype=int)}, TypeError, rf"is array\(\[\[1, 0\], \[0, 1\]\]\); {INT}"),
    ({"stride": 10**20}, ValueError, rf"is {10**20}; need an int <= {MAX_INT}"),
    ({"dilation": 0}, ValueError, f"is 0; {INT}"),
    ({"dilation": (1, -1)}, ValueError, rf"\[1\] is -1; {INT}"),
    ({"dilation": 1.5}, TypeError, rf"is 1\.5; {INT}"),
    ({"dilation": [1, 1, 1]}, ValueError, rf"is \[1, 1, 1\]; {PAIR}"),
    # padding
    (
        {"padding": (2**31 - 1, 2**27 - 1), "dilation": (2**31 // 3, 2**26)},
        ValueError,
        r"is \(2147483647, 134217727\); need less, for x would have .*",
    ),
    ({"padding": -1}, ValueError, f"is -1; {NATURAL}"),
    ({"padding": (0, -1)}, ValueError, rf"\[1\] is -1; {NATURAL}"),
    (
        {"padding": "full"},
        ValueError,
        'is \'full\'; need "same", "valid", an int or a pair of ints',
    ),
    ({"padding": "SAME"}, ValueError, "is 'SAME'; need \"same\".*"),
    ({"padding": b"same"}, TypeError, f"is b'same'; {NATURAL}"),
    ({"padding": None}, TypeError, f"is None; {NATURAL}"),
    ({"padding": 0.5}, TypeError, rf"is 0\.5; {NATURAL}"),
    ({"padding": ("same", "same")}, TypeError, rf"\[0\] is 'same'; {NATURAL}"),
    ({"padding": ((1, 1), (1, 1))}, TypeError, rf"\[0\] is \(1, 1\); {NATURAL}"),
    (
        {"padding": "same", "kernel": floats(1, 2, 2, 4, 5, 6)},
        ValueError,
        'is "same" with a window of 2 x 4; need odd sizes for it: .*',
    ),
    # backend
    (
        {"backend": "cudnn"},
        ValueError,
        "is 'cudnn'; need 'auto' or one of 'loops', 'windows', 'shifts', 'numba'.*",
    ),
    ({"backend": "Loops"}, ValueError, "is 'Loops'; need 'auto' or one of .*"),
    ({"backend": None}, ValueError, "is None; need 'auto' or one of .*"),
    ({"backend": "two\nlines"}, ValueError, r"is 'two\\nlines'; need 'auto' or one of .*"),
    # dy
    ({"dy": None}, TypeError, f"is a NoneType; {NUMPY}"),
    ({"dy": 1.0}, TypeError, f"is a float; {NUMPY}"),
    ({"dy": np.ma.array(DY)}, TypeError, MASKED),
    ({"dy": DY.astype(int)}, TypeError, f"has dtype int64; {FLOATS}"),
    ({"dy": DY.astype(np.float32)}, TypeError, "has dtype float32; need float64, the dtype of x"),
    ({"dy": DY[0]}, ValueError, rf"has shape \(4, 5, 6\); {DY_SHAPE}"),
    ({"dy": np.array(1.0)}, ValueError, rf"has shape \(\); {DY_SHAPE}"),
    ({"dy": DY.transpose(0, 1, 3, 2)}, ValueError, rf"has shape \(1, 4, 6, 5\); {DY_SHAPE}"),
    ({"dy": DY[:, :1]}, ValueError, rf"has shape \(1, 1, 5, 6\); {DY_SHAPE}"),
]


def name_of(case: tuple[dict[str, Any], type[Exception], str]) -> str:
    argument, value = next(iter(case[0].items()))
    # An address, as repr may show it, would differ between the processes of a parallel run.
    plain = isinstance(value, bool | int | float | str | tuple | list | np.generic | None)
    return f"{argument}: {repr(value)[:30] if plain else case[2][:60]}"


@pytest.mark.parametrize("case", BAD, ids=name_of)
def test_bad_arguments(case: tuple[dict[str, Any], type[Exception], str]) -> None:
    changes, exception, pattern = case
    arguments = {"x": X, "kernel": KERNEL, "dy": DY, **changes}
    with pytest.raises(exception) as caught:
        inv.involution_backward(**arguments)
    check_message(caught.value, exception, next(iter(changes)), pattern)

    if "dy" not in changes:  # the forward pass says the same
        del arguments["dy"]
        with pytest.raises(exception) as forward:
            inv.involution(**arguments)
        assert str(forward.value) == str(caught.value)


def test_a_matrix_has_too_few_axes() -> None:
    with pytest.warns(PendingDeprecationWarning, match="matrix subclass"):
        matrix = np.asmatrix(X[0, 0])
    with pytest.raises(ValueError, match=rf"^x has shape \(5, 6\); {FOUR_AXES}$"):
        inv.involution(matrix, KERNEL)


def check_message(error: Exception, exception: type[Exception], name: str, pattern: str) -> None:
    message = str(error)
    assert isinstance(error, exception)
    assert type(error) is (WrongTypeError if exception is TypeError else ArgumentError)
    assert "\n" not in message
    assert "; need " in message
    start = name if pattern[0] in "'\\" else f"{name} "  # "kernel's", "stride[0]"
    assert re.fullmatch(start + pattern, message), message


RIGHT = AWKWARD["plain 3x3"]  # (2, 4, 6, 5), 2 groups
BAD_GEOMETRY: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("N", {"N": 1.0}, TypeError, rf"is 1\.0; {NATURAL}"),
    ("N", {"N": -1}, ValueError, f"is -1; {NATURAL}"),
    ("C", {"C": None}, TypeError, f"is None; {NATURAL}"),
    ("H", {"H": np.eye(2)}, TypeError, rf"is array\(\[\[1\., 0\.\], \[0\., 1\.\]\]\); {NATURAL}"),
    ("W", {"W": True}, TypeError, f"is True; {NATURAL}"),
    ("G", {"G": "2"}, TypeError, f"is '2'; {NATURAL}"),
    ("G", {"G": -2}, ValueError, f"is -2; {NATURAL}"),
    ("x", {"C": 0}, ValueError, rf"has shape \(2, 0, 6, 5\); {NO_PIXEL}"),
    ("x", {"W": 0}, ValueError, rf"has shape \(2, 4, 6, 0\); {NO_PIXEL}"),
    ("kernel", {"G": 3}, ValueError, f"has G = 3 groups; {DIVISOR}"),
    ("kernel", {"G": 0}, ValueError, f"has G = 0 groups; {DIVISOR}"),
    ("window", {"window": 3}, TypeError, r"is 3; need a pair of ints \(rows, columns\)"),
    ("window", {"window": (0, 3)}, ValueError, rf"\[0\] is 0; {INT}"),
    ("stride", {"stride": (0, 1)}, ValueError, rf"\[0\] is 0; {INT}"),
    ("stride", {"stride": [1, 1]}, TypeError, r"is \[1, 1\]; need a pair of ints .*"),
    ("stride", {"stride": (1.0, 1)}, TypeError, rf"\[0\] is 1\.0; {INT}"),
    ("dilation", {"dilation": (1,)}, ValueError, rf"is \(1,\); {PAIR}"),
    ("padding", {"padding": "same"}, TypeError, f"is 'same'; {NATURAL}"),
    ("padding", {"padding": (-1, 1)}, ValueError, rf"\[0\] is -1; {NATURAL}"),
    ("kernel", {"window": (9, 3)}, ValueError, "has a window that spans 9 x 3 pixels; need .*"),
]


@pytest.mark.parametrize(("name", "changes", "exception", "pattern"), BAD_GEOMETRY)
def test_bad_geometry(
    name: str, changes: dict[str, Any], exception: type[Exception], pattern: str
) -> None:
    with pytest.raises(exception) as caught:
        replace(RIGHT, **changes)
    check_message(caught.value, exception, name, pattern)


def test_use_backend_refuses_before_its_block() -> None:
    with pytest.raises(ValueError, match=r"^backend is 'cudnn'; need"), inv.use_backend("cudnn"):
        pytest.fail("the block must not start")


@pytest.mark.parametrize(
    "pair", [2, np.int64(2), np.uint8(2), np.array(2), (2, 2), [2, 2], (np.int32(2), 2)], ids=repr
)
@pytest.mark.parametrize("backend", RUNGS)
def test_any_integer_type_is_accepted(backend: str, pair: Any) -> None:
    kernel = floats(1, 2, 3, 3, 3, 3)
    options = {"stride": pair, "dilation": pair, "padding": pair, "backend": backend}
    expected = inv.involution(X, kernel, stride=2, dilation=2, padding=2, backend="loops")
    np.testing.assert_array_equal(inv.involution(X, kernel, **options), expected)
    dx, dkernel = inv.involution_backward(DY[:, :, :3, :3], X, kernel, **options)
    assert (dx.shape, dkernel.shape) == (X.shape, kernel.shape)


@pytest.mark.parametrize("stride", [6, 7, 1000, MAX_INT])
@pytest.mark.parametrize("backend", RUNGS)
def test_a_stride_larger_than_the_image_leaves_one_output(backend: str, stride: int) -> None:
    geom = make_geometry((1, 4, 5, 6), 2, 3, stride)
    assert geom.y_shape == (1, 4, 1, 1)
    dx, dkernel = inv.involution_backward(
        DY[..., :1, :1], X, floats(*geom.kernel_shape), stride=stride, backend=backend
    )
    assert dx.sum() == 4 * 4  # channels times the pixels in the corner's window
    assert dkernel.sum() == 4 * 4
