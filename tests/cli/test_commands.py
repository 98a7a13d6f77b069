"""Every option of a command reaches the function of the library."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from commands import code_of

from involution_edu.cli.command import Message, as_json

# Command line, the library's function, its positional arguments and those by name.
CALLS: dict[str, tuple[str, tuple[Any, ...], dict[str, Any]]] = {
    "demo a.png --out there --force --seed 4 --pixel 5 6": (
        "apps.demo.run",
        (Path("a.png"),),
        {"out_dir": Path("there"), "force": True, "seed": 4, "pixel": (5, 6)},
    ),
    "demo": (
        "apps.demo.run",
        (None,),
        {"out_dir": Path(), "force": False, "seed": 0, "pixel": None},
    ),
    "explore a.png --model rednet26 --layer stem.1 --weights w.npz --out o.html --force --size 9 "
    "--seed 4": (
        "apps.explore.run",
        (Path("a.png"),),
        {
            "model": "rednet26",
            "layer": "stem.1",
            "path": Path("w.npz"),
            "out": Path("o.html"),
            "force": True,
            "size": 9,
            "seed": 4,
        },
    ),
    "classify a.png --model resnet26 --weights w.npz --labels l.txt --out o.png --force": (
        "apps.classify.classify",
        (Path("a.png"), "resnet26", Path("w.npz")),
        {"labels": Path("l.txt"), "out": Path("o.png"), "force": True},
    ),
    "compare --backends loops numba": ("verify.compare.compare", (["loops", "numba"],), {}),
    "gradcheck --backends loops numba": (
        "verify.gradcheck.check_all",
        (["loops", "numba"],),
        {},
    ),
    "train digits --networks resnet --seeds 3 4 --epochs 5 --out there --resume": (
        "training.runs.run_task",
        ("digits",),
        {
            "networks": ["resnet"],
            "seeds": [3, 4],
            "epochs": 5,
            "out_dir": Path("there"),
            "resume": True,
            "force": False,
        },
    ),
    "train digits --force": (
        "training.runs.run_task",
        ("digits",),
        {
            "networks": None,
            "seeds": [0],
            "epochs": None,
            "out_dir": Path("trained-digits"),
            "resume": False,
            "force": True,
        },
    ),
}


@pytest.mark.parametrize("line", CALLS)
def test_every_option_reaches_the_library(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called, positional, named = CALLS[line]
    module, _, name = called.rpartition(".")
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []

    def library(*args: Any, **kwargs: Any) -> Message:
        calls.append((args, kwargs))
        return Message("done", {})

    monkeypatch.setattr(importlib.import_module(f"involution_edu.{module}"), name, library)
    assert code_of(line.split()) == 0
    ((args, kwargs),) = calls
    kwargs.pop("progress", None)
    assert args[: len(positional)] == positional
    assert not [argument for argument in args[len(positional) :] if not callable(argument)]
    assert kwargs == named


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_json_has_no_number_that_is_not_finite(number: float) -> None:
    result = Message("text", {"a": [1.5, (number, {"b": number})]}, ok=False)
    text = " ".join(as_json(result).split())
    assert text == '{ "ok": false, "a": [ 1.5, [ null, { "b": null } ] ] }'


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "²"])
def test_a_seed_is_a_whole_number(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(["demo", f"--seed={text}"]) == 2
    assert f"{text!r} is not a whole number >= 0" in capsys.readouterr().err
