"""Bad files of weights: an error of one line, no code run and an unchanged model."""

from __future__ import annotations

import os
import pickle
import re
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkpoint_files import (
    F32,
    SIX,
    Call,
    Name,
    Stored,
    assert_refused,
    npy_file,
    npy_header,
    npz_file,
    npz_of,
    paddle_file,
    paddle_of,
    pickled,
    safetensors_file,
    safetensors_of,
    small_model,
    torch_file,
    torch_of,
    torch_tensor,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import involution_edu as inv
from involution_edu.checkpoint.tensors import MAX_BYTES


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


SOUND = {
    "torch": torch_file(),
    "paddle": paddle_file({"fc.weight": SIX.reshape(3, 2)}),
    "safetensors": safetensors_file(),
    "npz": npz_file(),
}


WEIGHT = "tensor 'fc.weight'"
BAD = {
    "an empty file": (b"", "is no file of PyTorch, Paddle, safetensors or NumPy (.npz)"),
    "text": (b"import os; os.system('touch RAN')\n" * 20, "is no file of"),
    "one array": (npy_file(npy_header()), "is no file of"),
    "an empty zip file": (npz_file({}), "is no file of"),
    "PyTorch before 1.6": (
        pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2),
        "it is damaged or cut short",
    ),
    "PyTorch before 0.1.10": (bytes(257) + b"ustar\x0000" + bytes(300), "is of PyTorch before 0.1.10"),
    **{
        f"{name}, half of it": (data[: len(data) // 2], "cannot be loaded: ")
        for name, data in SOUND.items()
    },
    **{
        f"{name}, cut by a byte": (data[:-1], "cannot be loaded: ")
        for name, data in SOUND.items()
    },
    "a zip file without its end": (SOUND["npz"][:-9], "is a zip file cut short or damaged"),
    # PyTorch
    "compressed": (torch_file(compression=zipfile.ZIP_DEFLATED), "has compressed entries"),
    "a changed storage": (renamed(torch_file(), SIX.tobytes(), SIX.tobytes()[::-1]), "Bad CRC-32"),
    "an encrypted entry": (
        renamed(torch_file(), b"PK\1\2\x14\3\x14\0\0\0", b"PK\1\2\x14\3\x14\0\1\0"),
        "encrypted",
    ),
    "no storage": (torch_file(storages={}), "lacks 'archive/data/0'"),
    "a short storage": (torch_file(storages={"0": b"1234"}), f"{WEIGHT} has a storage of 4 bytes"),
    "a long storage": (torch_file(storages={"0": bytes(28)}), f"{WEIGHT} has a storage of 28 byte"),
    "a storage of another size": (torch_of(count=7), "has a storage of 24 bytes; need 7 f4"),
    "a storage outside": (torch_of(key="../../../etc/passwd"), "lacks 'archive/data/../../../etc"),
    "an unknown storage": (torch_of(storage="QInt8Storage"), "asks for 'torch QInt8Storage'"),
    "not a storage": (
        torch_file({"fc.weight": Call(Name("torch._utils _rebuild_tensor_v2"), (1, 0, (), ()))}),
        "makes a tensor of a int",
    ),
    "another persistent id": (torch_file({"fc.weight": Stored("os.system")}), "'os.system'; need"),
    "a view that overhangs": (torch_of(offset=1), f"{WEIGHT} has offset 1, shape (2, 3) and"),
    "a view from before": (torch_of(offset=-1), f"{WEIGHT} has shape [-1]; need whole numbers"),
    "negative strides": (torch_of(stride=(-3, 1)), f"{WEIGHT} has shape (-3, 1); need whole"),
    "strides that jump": (torch_of(stride=(1 << 40, 1)), "need a view of its storage of 6 numbers"),
    "a huge shape of nothing": (torch_of(size=(1 << 40, 0), stride=(1, 1)), "of another model"),
    "a stride too few": (torch_of(stride=(1,)), WEIGHT),
    "a shape of text": (torch_of(size="23"), f"{WEIGHT} has shape '23'; need whole numbers >= 0"),
    "a shape of fractions": (torch_of(size=(2, True)), f"{WEIGHT} has shape (2, True)"),
    "a list of tensors": (torch_file([torch_tensor()]), "holds a list; need a dict of tensors"),
    "a list inside": (torch_file({"fc.weight": [torch_tensor()]}), "entry 'fc.weight' is a list"),
    "a number among tensors": (
        torch_file({"fc.weight": torch_tensor(), "epoch": 3}),
        "entry 'epoch' is a int; need a tensor, or the tensors under 'state_dict'",
    ),
    "a number as a name": (torch_file({0: torch_tensor()}), "entry 0 is a Tensor; need"),
    "no tensors": (torch_file({"state_dict": {}}), "holds no tensor"),
    "one name twice": (
        torch_file({"fc.weight": torch_tensor(), "module.fc.weight": torch_tensor()}),
        "has two tensors for 'fc.weight', one of them 'module.fc.weight'",
    ),
    "two pickles": (
        renamed(torch_file(abcdef=b""), b"archive/abcdef", b"other/data.pkl"),
        "has more than one data.pkl",
    ),
    # Paddle
    "too few bytes": (paddle_of(raw=b"1234"), f"{WEIGHT} has 4 bytes; need 24 for f4 of shape (3"),
    "no bytes": (paddle_of(raw=Name("numpy ndarray")), WEIGHT),
    "a list of objects": (paddle_of(code="O8", raw=[None] * 6), "has the dtype 'O8'; need one of"),
    "complex numbers": (paddle_of(code="c8"), "has the dtype 'c8'; need one of numbers"),
    "a dtype of many": (paddle_of(code=[("a", "f4")]), "has the dtype [('a', 'f4')]"),
    "another byte order": (paddle_of(order="="), "has a dtype of state"),
    "a negative shape": (paddle_of(shape=(-3, -2)), f"{WEIGHT} has shape (-3, -2); need whole"),
    "another shape": (paddle_of(shape=(3, 3)), f"{WEIGHT} has 24 bytes; need 36"),
    "an array never filled": (
        pickled({"a": Call(Name("numpy.core.multiarray _reconstruct"), ())}),
        "tensor 'a' has no bytes",
    ),
    "a shape beyond counting": (paddle_of(shape=(1 << 60, 0)), WEIGHT),
    # safetensors
    "a header longer than the file": (safetensors_file(length=10_000), "header claims 10000 bytes"),
    "an oversized header": (
        safetensors_file(b"{" + b" " * (1 << 22)),
        "header claims 4194305 bytes; need at most 4194304",
    ),
    "a header of 2**63": (safetensors_file(length=1 << 63), "header claims 9223372036854775808"),
    "a header that is no JSON": (safetensors_file(b'{"a": }'), "JSONDecodeError"),
    "a header nested deeply": (safetensors_file(b'{"a":' * 100_000), "RecursionError"),
    "a header that is no text": (safetensors_file(b'{"\xff\xfe": 1}'), "UnicodeDecodeError"),
    "a header twice": (safetensors_file(b'{"a": 1, "a": 2}'), "has two entries of one name"),
    "an empty header": (safetensors_file({}, b""), "holds no tensor"),
    "an entry of text": (safetensors_file({"fc.weight": "F32"}), f"{WEIGHT} is 'F32'; need dtype"),
    "an unknown dtype": (safetensors_of(dtype="F8_E4M3"), f"{WEIGHT} has dtype 'F8_E4M3'; need"),
    "offsets from before": (safetensors_of(data_offsets=[-8, 16]), f"{WEIGHT} is"),
    "offsets in reverse": (safetensors_of(data_offsets=[24, 0]), f"{WEIGHT} is"),
    "one offset": (safetensors_of(data_offsets=[24]), f"{WEIGHT} is"),
    "offsets past the end": (safetensors_of(data_offsets=[0, 28]), "tensors end at byte 28; need 2"),
    "a gap": (
        safetensors_of(data_offsets=[4, 24], shape=[5]),
        f"{WEIGHT} begins at byte 4; need 0, the next",
    ),
    "an overlap": (
        safetensors_file({"fc.weight": F32, "b": {**F32, "data_offsets": [0, 24]}}),
        "begins at byte 0; need 24, the next",
    ),
    "bytes left over": (safetensors_file(body=bytes(28)), "tensors end at byte 24; need 28"),
    "too many numbers": (safetensors_of(shape=[3, 3]), f"{WEIGHT} has 24 bytes; need 36 for f4"),
    "a negative size": (safetensors_of(shape=[-2, -3]), f"{WEIGHT} has shape [-2, -3]; need whole"),
    "a fraction of a size": (safetensors_of(shape=[2.0, 3]), f"{WEIGHT} has shape [2.0, 3]; need"),
    # NumPy
    "an object array": (npz_of(npy_header("'|O'"), pickled([1])), f"{WEIGHT} has dtype object"),
    "an array of text": (npz_of(npy_header("'<U6'")), f"{WEIGHT} has dtype <U6; need one of"),
    "a header that is code": (npz_of("__import__('os').system('touch RAN')\n"), WEIGHT),
    "a header of many letters": (npz_of(f"'{'x' * 9000}'\n"), "Header is not a dictionary"),
    "a header of many signs": (npz_of(f"{'-' * 5000}1\n"), WEIGHT),
    "a header of nothing": (npz_of("\n"), WEIGHT),
    "an unknown version": (npz_of(npy_header(), version=b"\x09\0"), WEIGHT),
    "the third version": (npz_of(npy_header(), version=b"\3\0"), f"{WEIGHT} has version (3, 0)"),
    "a shape without bytes": (npz_of(npy_header(shape="(1099511627776,)")), f"{WEIGHT} has 24 byte"),
    "bytes after the array": (npz_of(npy_header(), bytes(28)), f"{WEIGHT} has 28 bytes; need 24"),
    "no npy": (npz_file({"setup.py": b"x"}), "has the entry 'setup.py'; need names that end in"),
    "a changed array": (
        renamed(npz_file(compression=zipfile.ZIP_STORED), SIX.tobytes(), bytes(24)),
        f"{WEIGHT} BadZipFile: Bad CRC-32",
    ),
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # where RAN would be
    return Path("weights.pth")


@pytest.mark.parametrize("wrong", BAD)
def test_bad_files(wrong: str, path: Path) -> None:
    data, named = BAD[wrong]
    path.write_bytes(data)
    assert_refused(path, named)


SPARSE = "needs a file system that keeps sparse files: run it on one"


@pytest.mark.parametrize(
    ("state", "named"),
    [
        ({"fc.weight": None}, "lacks fc.weight"),
        ({"fc.bias": None, "bn.running_var": None}, "lacks bn.running_var, fc.bias"),
        (dict.fromkeys(("fc.weight", "fc.bias", "bn.weight", "bn.bias")), "and 1 more;"),
        ({"fc.extra": np.ones(2)}, "has the unknown fc.extra"),
        ({"fc.weight": np.ones((3, 2, 1, 1))}, "'fc.weight'] has shape (3, 2, 1, 1); need"),
        ({"fc.weight": np.ones(6)}, "'fc.weight'] has shape (6,); need the shape in"),
        ({"bn.running_mean": np.ones(1)}, "'bn.running_mean'] has shape (1,)"),
        ({"bn.num_batches_tracked": np.ones(())}, "'bn.num_batches_tracked'] is float64; need"),
    ],
)
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_weights_of_another_model(
    state: dict[str, Any], named: str, suffix: str, tmp_path: Path
) -> None:
    whole = {name: np.asarray(array + 1) for name, array in small_model().state_dict().items()}
    changed = {name: array for name, array in {**whole, **state}.items() if array is not None}
    inv.save_checkpoint(tmp_path / f"w{suffix}", changed)
    assert_refused(tmp_path / f"w{suffix}", named)
    inv.save_checkpoint(tmp_path / f"sound{suffix}", whole)
    ours = small_model()
    inv.load_weights(ours, tmp_path / f"sound{suffix}")
    np.testing.assert_array_equal(ours.state_dict()["fc.weight"], whole["fc.weight"])


def test_counts_of_batches_may_be_absent(tmp_path: Path) -> None:
    ours = small_model()
    state = {name: np.asarray(array + 1) for name, array in ours.state_dict().items()}
    del state["bn.num_batches_tracked"]
    inv.save_checkpoint(tmp_path / "w.npz", state)
    inv.load_weights(ours, tmp_path / "w.npz")
    assert ours.state_dict()["bn.running_var"].tolist() == [2, 2]
    assert ours.state_dict()["bn.num_batches_tracked"] == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({}, None),
        ({"fc.weight": SIX.reshape(2, 3)}, "'fc.weight'] has shape (3, 2); need"),  # not turned
        ({"bn._mean": None, "bn.mean": SIX[:2]}, "lacks bn.running_mean"),
        ({"bn._variance": None, "bn.variance": SIX[:2]}, "lacks bn.running_var"),
    ],
)
def test_wrong_names_and_layouts_of_paddle(
    change: dict[str, Any], named: str | None, path: Path
) -> None:
    state = {
        "fc.weight": SIX.reshape(3, 2),
        **dict.fromkeys(("fc.bias", "bn.weight", "bn.bias", "bn._mean", "bn._variance"), SIX[:2]),
        **change,
    }
    path.write_bytes(paddle_file({name: a for name, a in state.items() if a is not None}))
    ours = inv.nn.Sequential(fc=inv.nn.Linear(3, 2, rng=0), bn=inv.nn.BatchNorm2d(2))
    if named is None:
        inv.load_weights(ours, path)
        np.testing.assert_array_equal(ours.state_dict()["fc.weight"], SIX.reshape(3, 2).T)
    else:
        with pytest.raises(inv.CheckpointError, match=re.escape(named)):
            inv.load_weights(ours, path)


def test_paths_without_a_regular_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"^path is .*no\.pth; there is no such file$"):
        inv.load_checkpoint(tmp_path / "no.pth")
    with pytest.raises(IsADirectoryError, match=r"^path is .*, a folder; need a file of weights$"):
        inv.load_checkpoint(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(
            inv.CheckpointError, match=r"pipe, a pipe or a device; need a regular file"
        ):
            inv.load_checkpoint(tmp_path / "pipe")


def test_a_file_too_large_is_not_read(path: Path) -> None:
    with path.open("wb") as file:
        try:
            file.truncate(MAX_BYTES + 1)
        except OSError:
            pytest.skip(SPARSE)
    assert_refused(path, f"of {MAX_BYTES + 1} bytes; need at most")


# What to damage, and what to wrap around it then: the checksums of zip files notice all else.
DAMAGED: dict[str, tuple[bytes, Callable[[bytes], bytes]]] = {
    **{name: (data, bytes) for name, data in SOUND.items()},
    "the pickle of torch": (pickled({"a": torch_tensor()}), torch_file),
    "the npy of npz": (npy_file(npy_header()), lambda raw: npz_file({"a.npy": raw})),
}


@pytest.mark.parametrize("kind", DAMAGED)
@settings(max_examples=200)
@given(data=st.data())
def test_damaged_files_are_errors_or_arrays(kind: str, data: st.DataObject) -> None:
    sound, wrap = DAMAGED[kind]
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        match data.draw(st.sampled_from(["change", "flip", "cut", "insert", "remove"])):
            case "change":
                damaged[at] = data.draw(st.integers(0, 255))
            case "flip":
                damaged[at] ^= 1 << data.draw(st.integers(0, 7))
            case "cut":
                del damaged[at + 1 :]
            case "insert":
                damaged[at:at] = data.draw(st.binary(min_size=1, max_size=9))
            case "remove":
                del damaged[at + 1 : at + data.draw(st.integers(2, 9))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights"
        path.write_bytes(wrap(bytes(damaged)))
        try:
            state = inv.load_checkpoint(path)
        except inv.CheckpointError:
            return
        assert all(isinstance(array, np.ndarray) for array in state.values())
