"""Whole networks: a RedNet of this package beside PyTorch's with the authors' unfold layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from .. import models, nn
from ..arrays import Array
from ..cases import scaled_error
from ..models.rednet import BLOCKS
from ..verify.compare import Agreement
from .check import Check
from .contenders import Contender, Job, make_operands, one_line, threads, torch_unavailable
from .memory import steady_rise
from .presets import DOUBLE, INFERENCE, OURS, SINGLE, THEIRS, TRAINING, Batch
from .timing import Call

MAX_TURNS = 3  # maximum: a training step of PyTorch takes many seconds
CHECKED = 64, 96  # rows and columns of the images on which every gradient is compared
# Of a whole network in float64 and in float32, where rounding is multiplied by every block.
TOLERANCE = {DOUBLE: 1e-9, SINGLE: 1e-4}
LR, SMOOTHING = 1e-3, 0.1
SGD: dict[str, Any] = {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}


@dataclass(frozen=True, slots=True)
class Network:
    """A network of this package or of PyTorch."""

    infer: Callable[[Array], Array]  # of x: the logits
    step: Callable[[Array, Any], float]  # of x and labels: the loss before a step of SGD
    gradients: Callable[[], dict[str, Array]]  # of the last step, by name


def make_rednet(depth: int, dtype: Any) -> models.ResidualNetwork:
    """Return a RedNet with statistics typical of mid-training."""
    # In a new one every block passes its input on unchanged, and the running statistics belong to
    # no image: the numbers would grow from block to block.
    model = models.rednet(depth, rng=0, dtype=dtype)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for name, norm in norms.items():
        if name.endswith("bn3."):
            norm.weight.data[...] = 0.2
        norm.momentum = 1.0
    model(make_operands(Batch(depth, CHECKED, 2, TRAINING), dtype)[0])
    for norm in norms.values():
        norm.momentum = 0.1
    return model


def ours(depth: int, dtype: Any) -> Network:
    """Return the network of this package, on the backend that "auto" selects."""
    model = make_rednet(depth, dtype)
    criterion = nn.CrossEntropy(SMOOTHING)
    optimizer = nn.SGD(model.parameters(), LR, **SGD)

    def infer(x: Array) -> Array:
        with nn.no_grad():
            return model.eval()(x)

    def step(x: Array, labels: Any) -> float:
        model.train().zero_grad()
        loss = float(criterion(model(x), labels))
        model.backward(criterion.backward())
        optimizer.step()
        return loss

    parameters = model.named_parameters()
    return Network(infer, step, lambda: {name: p.grad for name, p in parameters.items()})


def theirs(depth: int, dtype: Any) -> Network:
    """Return the network in PyTorch, with the same weights."""
    import torch
    from torch.nn import functional

    from .torch_networks import rednet

    torch.set_num_threads(threads())
    model = rednet(BLOCKS[depth])
    if dtype == np.float64:
        model.double()
    state = make_rednet(depth, dtype).state_dict()
    model.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()})
    optimizer = torch.optim.SGD(model.parameters(), LR, **SGD)

    def infer(x: Array) -> Array:
        with torch.inference_mode():
            logits: Array = model.eval()(torch.from_numpy(x)).numpy()
        return logits

    def step(x: Array, labels: Any) -> float:
        optimizer.zero_grad()
        logits = model.train()(torch.from_numpy(x))
        loss = functional.cross_entropy(logits, torch.from_numpy(labels), label_smoothing=SMOOTHING)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    parameters = dict(model.named_parameters())
    return Network(infer, step, lambda: {name: p.grad.numpy() for name, p in parameters.items()})


Make = Callable[[int, Any], Network]  # of depth and dtype
CONTENDERS: dict[str, Make] = {OURS: ours, THEIRS: theirs}


def contender(name: str, depth: int) -> Contender:
    """Return a contender for every `Batch`, its network made."""
    network = CONTENDERS[name](depth, SINGLE)

    def prepare(operands: Sequence[Any], batch: Batch) -> Job:
        x, labels = operands
        if batch.task == INFERENCE:
            return {INFERENCE: partial(network.infer, x)}
        return {TRAINING: partial(network.step, x, labels)}

    return Contender(name, prepare, (INFERENCE, TRAINING), may_fail=name == THEIRS)


def compare(batch: Batch) -> tuple[list[str], list[Agreement], dict[str, str]]:
    """Return the contenders to be timed, their errors, and the reason if PyTorch is missing."""
    theirs, reason = {}, torch_unavailable()
    if reason is None:
        try:
            theirs = _numbers(CONTENDERS[THEIRS], batch)
        except Exception as error:  # noqa: BLE001 - reported, as of any peer
            reason = f"fails with {one_line(error)}"
    if reason is not None:
        return [OURS], [], {THEIRS: f"{reason}; so RedNet-{batch.depth} was not checked"}
    check, mine = Check(), _numbers(CONTENDERS[OURS], batch)
    for (dtype, tensor), tensors in mine.items():
        key = OURS, THEIRS, str(dtype), tensor, TOLERANCE[dtype]
        for name, a in tensors.items():
            off = scaled_error(a, theirs[dtype, tensor][name])
            check.add(*key, shape=f"RedNet-{batch.depth} {name}".rstrip(), error=off)
    return [] if check.refused() else list(CONTENDERS), check.agreements(), {}


def _numbers(make: Make, batch: Batch) -> dict[tuple[np.dtype[Any], str], dict[str, Array]]:
    """Return logits in float32; in float64, on small images, those of a training step as well."""
    x, _ = make_operands(replace(batch, images=1), SINGLE)
    small, labels = make_operands(replace(batch, images=2, size=CHECKED), DOUBLE)
    logits, network = make(batch.depth, SINGLE).infer(x), make(batch.depth, DOUBLE)
    return {
        (SINGLE, "logits"): {"": logits},
        (DOUBLE, "logits"): {"": network.infer(small)},
        (DOUBLE, "loss"): {"": np.asarray(network.step(small, labels))},
        (DOUBLE, "gradients"): network.gradients(),
        (DOUBLE, "logits after a step"): {"": network.infer(small)},
    }


def network_memory(name: str, batches: Sequence[Batch]) -> list[dict[str, int]]:
    """Return the bytes that each of the batches needs beside the weights and the images."""
    made = contender(name, depth := batches[0].depth)

    def call(batch: Batch) -> Call:
        return made.job(make_operands(batch, SINGLE), batch)[batch.task]

    for count, task in ((2, TRAINING), (1, INFERENCE)):  # compiles, starts threads
        call(Batch(depth, CHECKED, count, task))()
    return [{batch.task: steady_rise(call(batch))} for batch in batches]
