"""PyTorch's files, new and old, and what programs store beside the weights."""

from __future__ import annotations

import argparse
import collections
import datetime
import pickle
import random
from pathlib import Path
from typing import Any

import checkpoint_files as files
import needs
import numpy as np
import pytest
from checkpoint_files import SIX, Call, Code, Name

import involution_edu as inv

WANT = SIX.reshape(2, 3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights"


def loaded(path: Path, data: bytes) -> dict[str, Any]:
    path.write_bytes(data)
    return inv.load_checkpoint(path)


class History:
    """As the logs of OpenMMLab's programs: unknown here."""

    def __init__(self) -> None:
        self.values = np.arange(3.0)


def beside(torch: Any = None) -> dict[Any, Any]:
    ours = {
        "scalar": np.float64(3),
        "options": argparse.Namespace(lr=0.1),
        "history": History(),
        "path": Path("x"),
        "time": datetime.datetime(2020, 1, 1),
        "lists": collections.defaultdict(list, {1: [2]}),
        "counts": collections.Counter("abca"),
        "names": {"a", "b"},
        "frozen": frozenset([1]),
        "random": (random.Random(0).getstate(), np.random.RandomState(0).get_state()),
        (1, 2): "a tuple as a key",
        1 << 70: None,
        "number": 1 << 40,
        "long": "é" * 5000,
    }
    if torch is None:
        return ours
    theirs = {
        "device": torch.device("cpu"),
        "state": torch.get_rng_state(),
        "dtype": torch.float32,
        "sparse": torch.eye(3).to_sparse(),
        "float8": torch.zeros(3).to(torch.float8_e4m3fn),
        "complex": torch.zeros(3, dtype=torch.complex64),
    }
    return {**ours, **theirs}


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_what_is_beside_the_weights_is_ignored(protocol: int, path: Path) -> None:
    content = {**beside(), "model": {"a": WANT}}
    np.testing.assert_array_equal(loaded(path, pickle.dumps(content, protocol))["a"], WANT)
    for name in ("scalar", "options", "history", "path", "counts", "names"):
        content = {"model": {"a": WANT, "b": beside()[name]}}
        with pytest.raises(inv.CheckpointError, match="its entry 'b' asks for '"):
            loaded(path, pickle.dumps(content, protocol))


def test_a_hostile_name_beside_the_weights_is_never_called(path: Path) -> None:
    touch = Call(Name("os system"), (f"touch {path}-RAN",))
    content = {"hooks": touch, "state_dict": {"a": files.torch_tensor()}}
    for data in (files.torch_file(content), files.old_torch_file(content)):
        assert loaded(path, data).keys() == {"a"}
    assert list(path.parent.iterdir()) == [path]


OLD = {"_use_new_zipfile_serialization": False}


@pytest.mark.parametrize(
    "options", [{}, OLD, {"pickle_protocol": 4}, {**OLD, "pickle_protocol": 4}]
)
def test_every_tensor_of_torch_has_its_numbers(options: dict[str, Any], path: Path) -> None:
    torch = needs.package("torch")
    base = torch.arange(24.0).reshape(4, 6)
    learned = torch.nn.Parameter(torch.ones(2))
    learned.note = "state"
    state = {
        "tied": base,
        "turned": base.T,
        "part": base[1:3, ::2],
        "expanded": torch.arange(3.0).expand(4, 3),
        "one": torch.tensor(2.0).expand(3, 3),
        "windows": torch.arange(6.0).unfold(0, 3, 1),
        "negative": torch._neg_view(torch.arange(3.0)),
        "learned": learned,
        "half": torch.arange(3).bfloat16(),
        **({} if "_use_new_zipfile_serialization" in options else {
            "unsigned": torch.arange(9).to(torch.uint16)[1::3],
            "long": torch.arange(3).to(torch.uint64),
        }),
    }  # fmt: skip
    others = beside(torch)
    if options.items() >= OLD.items():
        del others["complex"]
    torch.save({**others, "state_dict": state}, path, **options)
    got = inv.load_checkpoint(path)
    for name, tensor in state.items():
        want = tensor.detach().resolve_neg()
        want = (want.float() if want.dtype == torch.bfloat16 else want).numpy()
        np.testing.assert_array_equal(got[name], want, err_msg=name, strict=True)
        assert got[name].flags.writeable
    got["tied"][0, 1] = 99
    assert got["turned"][1, 0] == 99
    got["expanded"][0] = 99
    assert got["expanded"][1, 2] == 2


def test_files_without_checksums(path: Path) -> None:
    torch = needs.package("torch")
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save({"a": torch.arange(3.0)}, path)
    finally:
        torch.serialization.set_crc32_options(before)
    assert inv.load_checkpoint(path)["a"].tolist() == [0, 1, 2]


def with_view(view: Any) -> Any:
    """Return the tensor (2,) at the start of a part of the storage, as early versions stored it."""
    identity = ("storage", Name("torch FloatStorage"), "0", "cpu", 6, view)
    arguments = (files.Stored(identity), 0, (2,), (1,), False, None)
    return Call(Name("torch._utils _rebuild_tensor_v2"), arguments)


def test_old_files_of_torch(path: Path) -> None:
    np.testing.assert_array_equal(loaded(path, files.old_torch_file())["fc.weight"], WANT)
    part = loaded(path, files.old_torch_file({"a": with_view(("1", 3, 2))}))
    assert part["a"].tolist() == [3, 4]


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (files.old_torch_file()[:-1], "storage '0' has 23 bytes of 6 numbers; need 6 f4"),
        (files.old_torch_file(body=b""), "has 0 bytes of 6 numbers"),
        (files.old_torch_file(keys=()), "tensor 'fc.weight' has a storage of 0 bytes"),
        (files.old_torch_file(keys=("1",)), "KeyError"),
        (files.old_torch_file({"a": with_view(("1", 5, 2))}), "need a storage"),
        (files.old_torch_file({"a": with_view(("1", -1, 2))}), r"has shape \[-1, 2\]; need whole"),
        (files.old_torch_file({"a": with_view(("1", 3, 1))}), "need a view of its storage of 1"),
        (files.old_torch_file(count=-1), "asks for|whole numbers"),
        (files.torch_of(count=1 << 40), "need 1099511627776 f4"),
        (files.safetensors_of(shape=[1] * 65), "has 65 axes; need at most 64"),
    ],
)
def test_bad_storages_and_shapes(data: bytes, named: str, path: Path) -> None:
    with pytest.raises(inv.CheckpointError, match=named):
        loaded(path, data)


def test_large_ints_as_keys_do_not_collide(path: Path) -> None:
    keys = {i * ((1 << 61) - 1): None for i in range(1, 4)}
    content = {"model": {"a": WANT}, "beside": keys}
    assert loaded(path, pickle.dumps(content)).keys() == {"a"}
    with pytest.raises(inv.CheckpointError, match="has a int as a key; need str"):
        loaded(path, pickle.dumps(keys))


@pytest.mark.parametrize("code", ["L", "]", "}"])
def test_instructions_are_counted(code: str, path: Path) -> None:
    with pytest.raises(inv.CheckpointError, match=r"instruction"):
        loaded(path, files.pickled(Code(code.encode() * (1 << 19))))
