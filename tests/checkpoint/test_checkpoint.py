"""Files of weights: written and read here, and files of other programs."""

from __future__ import annotations

import json
import pickle
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import checkpoint_files as files
import needs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import involution_edu as inv
from involution_edu.arrays import Array

WANT = {"fc.weight": np.arange(6, dtype=np.float32).reshape(2, 3)}
DTYPES = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights"  # the content tells the format


def loaded(path: Path, data: bytes) -> dict[str, Any]:
    path.write_bytes(data)
    return inv.load_checkpoint(path)


def assert_same(got: dict[str, Any], want: dict[str, Any]) -> None:
    assert got.keys() == want.keys()
    for name, array in want.items():
        assert got[name].dtype == array.dtype, name
        np.testing.assert_array_equal(got[name], array, err_msg=name, strict=True)


arrays: st.SearchStrategy[Any] = st.sampled_from(DTYPES).flatmap(
    lambda code: hnp.arrays(np.dtype(code), hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
)
names = st.from_regex(r"[a-z_]{1,9}(\.[0-9a-zé_]{1,9}){0,3}", fullmatch=True)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@settings(max_examples=50)
@given(state=st.dictionaries(names, arrays, min_size=1, max_size=4), turn=st.booleans())
def test_what_is_saved_is_loaded(suffix: str, state: dict[str, Array], turn: bool) -> None:
    state = {name: array.T if turn else array for name, array in state.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"weights{suffix}"
        inv.save_checkpoint(path, state)
        got = inv.load_checkpoint(path)
        again = path.with_name(f"again{suffix}")
        inv.save_checkpoint(again, state)
        assert path.read_bytes() == again.read_bytes()
    prefixes = ("module.", "backbone.", "head.fc.")
    if not any(name.startswith(prefixes) for name in state):
        assert_same(got, state)
    assert all(array.flags.writeable for array in got.values())


def test_a_header_may_begin_like_a_pickle(path: Path) -> None:
    header = json.dumps({"fc.weight": files.F32}).encode()
    assert_same(loaded(path, files.safetensors_file(header.ljust(0x280))), WANT)  # "\x80\x02"


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_big_endian_numbers_and_odd_names_are_saved(suffix: str, tmp_path: Path) -> None:
    state: dict[str, Any] = {"file": np.arange(3, dtype=">f4"), "a/b": np.ones((2, 4))[:, ::-2]}
    inv.save_checkpoint(tmp_path / f"w{suffix}", state)
    assert_same(
        inv.load_checkpoint(tmp_path / f"w{suffix}"), {**state, "file": np.arange(3, dtype="<f4")}
    )


def test_saving_replaces_files_only_with_force(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    inv.save_checkpoint(path, {"a": np.zeros(2)})
    with pytest.raises(FileExistsError, match=r"w\.npz exists; pass --force"):
        inv.save_checkpoint(path, {"a": np.ones(2)})
    assert inv.load_checkpoint(path)["a"].sum() == 0
    inv.save_checkpoint(path, {"a": np.ones(2)}, force=True)
    assert inv.load_checkpoint(path)["a"].sum() == 2


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("w.pth", np.ones(2), r"path is .*w\.pth; need a name that ends in \.npz or \.safetensors"),
        ("w", np.ones(2), "path is .*w; need a name that ends in"),
        ("w.npz", [1.0], r"state\['a'\] is list; need a NumPy array of numbers"),
        ("w.npz", np.array([None]), r"state\['a'\] is object; need"),
        ("w.npz", np.array(["x"]), r"state\['a'\] is <U1; need"),
        ("w.safetensors", np.ones(2, complex), r"state\['a'\] is complex128; need"),
        ("w.safetensors", np.zeros(2, "f4,f4"), r"state\['a'\] is \[.*\]; need"),
    ],
)
def test_invalid_states_are_not_saved(name: str, value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        inv.save_checkpoint(tmp_path / name, {"a": value})
    assert not list(tmp_path.iterdir())


# The files that the other tests damage are sound.


@pytest.mark.parametrize(
    "data",
    [
        files.torch_file(),
        files.torch_file(folder="best model", byteorder=b"little"),
        files.torch_file({"state_dict": {"module.fc.weight": files.torch_tensor()}, "epoch": 3}),
        files.torch_file({"model": {"module.backbone.fc.weight": files.torch_tensor()}}),
        files.torch_file({"meta": {}, "state_dict": {"head.fc.weight": files.torch_tensor()}}),
        files.torch_file({"fc.weight": files.torch_tensor(offset=1, count=7)}, {"0": b"\0" * 4 + files.SIX.tobytes()}),
        files.torch_file(storages={"0": files.SIX.astype(">f4").tobytes()}, byteorder=b"big"),
        files.paddle_file({"fc.weight": WANT["fc.weight"].T}),
        files.pickled({"fc.weight": files.numpy_array(WANT["fc.weight"].T)}),
        files.pickled({"fc.weight": ("linear_0.w_0", files.numpy_array(WANT["fc.weight"].T))}),
        files.pickled({"fc.weight": files.numpy_array(WANT["fc.weight"].T.astype(">f4"), order=">")}),
        files.pickled({"fc.weight": files.numpy_array(WANT["fc.weight"], shape=(3, 2), fortran=True)}),
        files.safetensors_file(),
        files.safetensors_file({"fc.weight": files.F32, "__metadata__": {"format": "pt"}}),
        files.npz_file(),
        files.npz_file({"backbone.fc.weight.npy": files.npy_file(files.npy_header())}),
    ],
)  # fmt: skip
def test_sound_files(data: bytes, path: Path) -> None:
    assert_same(loaded(path, data), WANT)


def test_torch_tensors_are_views_of_their_storage(path: Path) -> None:
    content = {
        "a": files.torch_tensor(size=(3, 2), stride=(1, 3)),
        "b": files.torch_tensor(size=(2,), stride=(2,), offset=1),
        "c": files.torch_tensor(size=(), stride=(), offset=5),
        "d": files.torch_tensor(size=(0, 4), stride=(4, 1)),
    }
    got = loaded(path, files.torch_file(content))
    want = files.SIX.reshape(2, 3)
    assert_same(got, {"a": want.T, "b": files.SIX[1:5:2], "c": files.SIX[5], "d": np.ones((0, 4), "f4")})  # fmt: skip
    got["a"][1, 0] = 9  # tied weights stay tied
    assert got["b"][0] == 9


@pytest.mark.parametrize(
    ("bits", "value"),
    [(0x3F80, 1.0), (0xC049, -3.140625), (0x0001, 2.0**-133), (0x7F80, np.inf), (0x8000, -0.0)],
)
def test_bfloat16_becomes_float32(bits: int, value: float, path: Path) -> None:
    raw = np.array([bits], "<u2")
    header = {"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}
    tensor = files.torch_tensor(size=(1,), stride=(1,), storage="BFloat16Storage", count=1)
    for data in (
        files.safetensors_file(header, raw.tobytes()),
        files.torch_file({"a": tensor}, {"0": raw.tobytes()}),
        files.paddle_file({"a": raw}),  # Paddle hands it to NumPy as uint16
    ):
        assert_same(loaded(path, data), {"a": np.array([value], np.float32)})


def test_paddle_names_and_layout(path: Path) -> None:
    rng = np.random.default_rng(0)
    state = {
        "stem.0.conv.weight": rng.standard_normal((4, 3, 3, 3)),
        "stem.0.bn.weight": rng.standard_normal(4),
        "stem.0.bn._mean": rng.standard_normal(4),
        "stem.0.bn._variance": rng.random(4),
        "fc.weight": rng.standard_normal((4, 5)),
        "fc.bias": rng.standard_normal(5),
    }
    want = {
        **{name: state[name] for name in ("stem.0.conv.weight", "stem.0.bn.weight", "fc.bias")},
        "stem.0.bn.running_mean": state["stem.0.bn._mean"],
        "stem.0.bn.running_var": state["stem.0.bn._variance"],
        "fc.weight": state["fc.weight"].T,
    }
    assert_same(loaded(path, files.paddle_file(state)), want)
    for protocol in (2, 3, 4):  # by Python's own pickler, of NumPy's own arrays
        assert_same(loaded(path, pickle.dumps(state, protocol)), want)
        tuples = OrderedDict((name, ("param", array)) for name, array in state.items())
        assert_same(loaded(path, pickle.dumps(tuples, protocol)), want)


# What the real programs write.


def test_torch_reads_and_writes_the_same(path: Path) -> None:
    torch = needs.package("torch")
    path.write_bytes(files.torch_file())
    np.testing.assert_array_equal(torch.load(path)["fc.weight"].numpy(), WANT["fc.weight"])
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    content = {
        "plain": base,
        "module.turned": base.T,
        "part": base[1:3, ::2],
        "channels_last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "empty": torch.empty(0, 3),
        "scalar": torch.tensor(7),
        "learned": torch.nn.Parameter(torch.randn(3)),
        **{
            f"{dtype}": torch.arange(5).to(dtype)
            for dtype in (
                *(torch.float16, torch.float64, torch.bool, torch.uint8),
                *(torch.int8, torch.int16, torch.int32, torch.int64),
            )
        },
    }
    torch.save(
        {"state_dict": content, "meta": {"epoch": 1, "name": "x", "shape": base.shape}}, path
    )
    got = inv.load_checkpoint(path)
    want = {k.removeprefix("module."): v.detach().numpy() for k, v in content.items()}
    assert_same(got, want)
    torch.save({"a": base.bfloat16()}, path)
    assert_same(inv.load_checkpoint(path), {"a": base.bfloat16().float().numpy()})


def test_safetensors_reads_and_writes_the_same(tmp_path: Path) -> None:
    package = needs.package("safetensors.numpy")
    rng = np.random.default_rng(0)
    state = {code: (rng.random((3, 5)) * 9).astype(code) for code in DTYPES}
    state["scalar"], state["empty"] = np.array(2.5), np.ones((0, 3), np.float32)
    package.save_file(state, tmp_path / "theirs.safetensors", {"format": "np"})
    assert_same(inv.load_checkpoint(tmp_path / "theirs.safetensors"), state)
    inv.save_checkpoint(tmp_path / "ours.safetensors", state)
    assert_same(package.load_file(tmp_path / "ours.safetensors"), state)


def test_numpy_reads_and_writes_the_same(tmp_path: Path) -> None:
    state: dict[str, Any] = {code: np.ones((2, 3), code) for code in DTYPES}
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "theirs.npz", **state)
        assert_same(inv.load_checkpoint(tmp_path / "theirs.npz"), state)
    inv.save_checkpoint(tmp_path / "ours.npz", state)
    with np.load(tmp_path / "ours.npz") as theirs:
        assert_same(dict(theirs), state)


def test_a_torch_layer_gives_the_same_numbers_here(path: Path) -> None:
    torch = needs.package("torch")
    from torch_reference import TorchInvolution2d

    from involution_edu.geometry import make_geometry

    x = np.random.default_rng(1).standard_normal((2, 32, 7, 10)).astype(np.float32)
    theirs = TorchInvolution2d(
        make_geometry(x.shape, 2, (7, 7), (2, 2)), channels=32, reduction=4, sigma="bn-relu"
    )
    torch.manual_seed(0)
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    theirs(torch.tensor(x))  # moves the running statistics
    torch.save({"state_dict": theirs.state_dict()}, path)
    ours = inv.nn.Involution2d(32, stride=2, rng=0)
    inv.load_weights(ours, path)
    want = theirs.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours.eval()(x), want, atol=1e-6 * np.abs(want).max())
