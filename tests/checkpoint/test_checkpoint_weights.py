"""Weights as other programs wrap, name and store them, and models that they fit in part."""

from __future__ import annotations

import json
import os
import pickle
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import checkpoint_files as files
import numpy as np
import pytest
from checkpoint_files import SIX

import involution_edu as inv
from involution_edu import nn
from involution_edu.checkpoint import LoadReport
from involution_edu.checkpoint.pickles import read_pickle
from involution_edu.checkpoint.tensors import plan_of

WANT = SIX.reshape(2, 3)
ENTRIES: dict[str, Any] = {"constants.pkl": b""}
SCRIPTED = files.torch_file(**ENTRIES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def loaded(path: Path, data: bytes) -> dict[str, Any]:
    path.write_bytes(data)
    return inv.load_checkpoint(path)


# Wrappers and names.


@pytest.mark.parametrize(
    "wrapper", ["state_dict", "model_state_dict", "model", "net", "params", "weights", "ema"]
)
def test_wrappers(wrapper: str, path: Path) -> None:
    for content in (
        {wrapper: {"fc.weight": files.torch_tensor()}, "rng_state": files.torch_tensor()},
        {"ema": {wrapper: {"fc.weight": files.torch_tensor()}}},
        {"model": {"type": "RedNet"}, wrapper: {"fc.weight": files.torch_tensor()}},
    ):
        np.testing.assert_array_equal(loaded(path, files.torch_file(content))["fc.weight"], WANT)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("module._orig_mod.model.net.backbone.a", "a"),
        ("_orig_mod.module.module.fc.weight", "fc.weight"),
        ("model.head.module.fc.bias", "fc.bias"),
        ("head.fc.head.fc.weight", "fc.head.fc.weight"),
        ("head.weight", "head.weight"),
        ("neck.module.a", "neck.module.a"),
        ("model", "model"),
        ("modules.a", "modules.a"),
    ],
)
def test_prefixes(key: str, name: str, path: Path) -> None:
    assert list(loaded(path, files.safetensors_file({key: files.F32}))) == [name]


def test_a_model_keeps_prefixes_of_its_own(path: Path) -> None:
    model = nn.Sequential(backbone=nn.Linear(3, 2), head=nn.Linear(2, 2))
    state = {f"module.{name}": array + 1 for name, array in model.state_dict().items()}
    inv.save_checkpoint(path.with_suffix(".npz"), state)
    assert inv.load_weights(model, path.with_suffix(".npz")) == LoadReport()
    np.testing.assert_array_equal(model.state_dict()["head.bias"], state["module.head.bias"])


# Models that the weights fit in part.


def saved(path: Path, state: dict[str, Any]) -> Path:
    inv.save_checkpoint(path.with_suffix(".npz"), state)
    return path.with_suffix(".npz")


def test_weights_of_a_detector_fill_the_backbone(path: Path) -> None:
    model = files.small_model()
    own = model.state_dict()
    file = saved(path, {"backbone.fc.weight": own["fc.weight"] + 1, "rpn_head.bias": np.ones(2)})
    with pytest.raises(inv.CheckpointError) as caught:
        inv.load_weights(model, file)
    assert "1 of its 2 tensors fit (read without the prefix 'backbone.')" in str(caught.value)
    assert str(caught.value).endswith("which strict=False loads")
    report = inv.load_weights(model, file, strict=False)
    missing = ("fc.bias", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")
    assert report == LoadReport(missing, ("rpn_head.bias",), ())
    now = model.state_dict()
    np.testing.assert_array_equal(now.pop("fc.weight"), own["fc.weight"] + 1)
    assert all((now[name] == own[name]).all() for name in now)


def test_weights_of_other_classes_fill_the_rest(path: Path) -> None:
    file = saved(path, inv.models.small_rednet(7, rng=1).state_dict())
    model = inv.models.small_rednet(10, rng=0)
    report = inv.load_weights(model, file, strict=False)
    assert [name for name, *_ in report.reshaped] == ["fc.weight", "fc.bias"]
    assert report.reshaped[1][1:] == ((7,), (10,))
    assert not report.missing
    assert not report.surplus


@pytest.mark.parametrize("strict", [True, False])
def test_weights_of_another_network_are_named(strict: bool, path: Path) -> None:
    state = {"bert.embeddings\x1b[31m.weight": files.F32}
    path.write_bytes(files.safetensors_file(state))
    model = files.small_model()
    with pytest.raises(inv.CheckpointError, match="0 of its 1 tensors fit") as caught:
        inv.load_weights(model, path, strict=strict)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS"),
        (b"\n<!DOCTYPE html><html><body>404</body></html>", "a web page; the download has failed"),
        (b"<html>", "a web page"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
        (b"\x1f\x8b\x08", "packed by gzip"),
        (SCRIPTED, "a TorchScript archive"),
    ],
)
def test_files_of_other_kinds_are_named(data: bytes, named: str, path: Path) -> None:
    with pytest.raises(inv.CheckpointError, match=named):
        loaded(path, data)


# Paddle's layout.


def test_only_linear_layers_of_paddle_are_turned(path: Path) -> None:
    class Table(nn.Module):
        def __init__(self) -> None:
            self.weight = nn.Parameter(np.zeros((3, 2), np.float32))

    turned, kept = SIX.reshape(3, 2), SIX.reshape(3, 2)
    path.write_bytes(files.paddle_file({"fc.weight": turned, "table.weight": kept}))
    model = nn.Sequential(fc=nn.Linear(3, 2), table=Table())
    report = inv.load_weights(model, path, strict=False)
    assert report == LoadReport(missing=("fc.bias",))
    state = model.state_dict()
    np.testing.assert_array_equal(state["fc.weight"], turned.T)
    np.testing.assert_array_equal(state["table.weight"], kept)
    alone = loaded(path, files.paddle_file({"fc.weight": turned, "word_embedding.weight": kept}))
    assert [array.shape for array in alone.values()] == [(2, 3), (3, 2)]


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_of_any_order_and_protocol(protocol: int, path: Path) -> None:
    x = np.arange(5000.0).reshape(5, 10, 100)
    state = {
        "a": x,
        "b": x.T,
        "c": x.transpose(1, 0, 2),
        "d": x.transpose(1, 2, 0),
        "empty": x[:0],
        "scalar": x[0, 0, 0],
        "big-endian": x.astype(">f4"),
    }
    state["scalar"] = np.array(2.5)
    got = loaded(path, pickle.dumps(state, protocol))
    for name, want in state.items():
        np.testing.assert_array_equal(got[name], want, err_msg=name, strict=name != "big-endian")


# Writers.


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_bytes_do_not_depend_on_the_clock(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {"b": np.arange(3.0), "a": np.ones((2, 2), np.float32)}
    inv.save_checkpoint(tmp_path / f"now{suffix}", state)
    later: Callable[..., Any] = time.localtime
    monkeypatch.setattr(time, "localtime", lambda *_: later(2_000_000_000))
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    inv.save_checkpoint(tmp_path / f"later{suffix}", state)
    texts = [(tmp_path / f"{name}{suffix}").read_bytes() for name in ("now", "later")]
    assert texts[0] == texts[1]


def test_numbers_of_safetensors_begin_at_a_multiple_of_8(tmp_path: Path) -> None:
    for length in range(1, 10):
        inv.save_checkpoint(tmp_path / f"{length}.safetensors", {"a" * length: np.ones(2)})
        data = (tmp_path / f"{length}.safetensors").read_bytes()
        (header,) = struct.unpack_from("<Q", data)
        assert header % 8 == 0
        assert json.loads(data[8 : 8 + header])["a" * length]["data_offsets"] == [0, 16]


def test_empty_tensors_of_safetensors_may_stand_anywhere(path: Path) -> None:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [24, 24]}
    first = {"dtype": "F32", "shape": [0, 2], "data_offsets": [0, 0]}
    got = loaded(path, files.safetensors_file({"z": empty, "a": files.F32, "b": first}))
    assert {name: array.shape for name, array in got.items()} == {
        "b": (0, 2), "a": (2, 3), "z": (0,)
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name(path: Path) -> None:
    member = files.npy_file(files.npy_header())
    data = files.npz_file({"a.npy": member, "b.npy": member}).replace(b"b.npy", b"a.npy")
    with pytest.raises(inv.CheckpointError, match="two entries of one name"):
        loaded(path, data)


@pytest.mark.parametrize(
    ("raw", "code", "order", "want"),
    [
        (bytes([0, 0, 128, 63]), "f4", "<", [[1.0]]),
        (bytes([63, 128]), "bf16", ">", [[1.0]]),
    ],
)
def test_numbers_of_either_byte_order(raw: bytes, code: str, order: str, want: Any) -> None:
    got = plan_of(len(raw), lambda: raw, code, (1, 1), order=order).read()
    np.testing.assert_array_equal(got, np.array(want, np.float32), strict=True)


def test_pickles_end_where_they_stop() -> None:
    content = {"a": [1, 2.5, (None,)]}
    assert read_pickle(pickle.dumps(content, 4) + b"rest", {}) == (content, 37)
    unknown, _ = read_pickle(pickle.dumps(os.getcwd, 4), {})
    name = f"{os.name} getcwd"
    assert str(unknown) == f"asks for '{name}', which is no tensor nor plain container"
