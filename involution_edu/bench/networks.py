"""Whole networks: a RedNet of this package beside PyTorch's with the authors' unfold layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import models, nn
from ..arrays import Array
from ..cases import scaled_error
from ..models.rednet import BLOCKS
from ..verify.compare import Agreement
from .check import agreement
from .contenders import threads, torch_unavailable
from .memory import in_new_process, memory_unavailable, steady_rise
from .presets import INFERENCE, OURS, Networks
from .record import NetworkMeasurement
from .timing import Stopwatch, processor_clock

THEIRS = "torch eager"
Labels = NDArray[np.signedinteger[Any]]
SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
MAX_TURNS = 3  # maximum: a training step of PyTorch takes many seconds
CHECKED = 64, 96  # rows and columns of the images on which every gradient is compared
# Of a whole network in float64 and in float32, where rounding is multiplied by every block.
TOLERANCE = {DOUBLE: 1e-9, SINGLE: 1e-4}
LR, MOMENTUM, DECAY, SMOOTHING = 1e-3, 0.9, 1e-4, 0.1


@dataclass(frozen=True, slots=True)
class Network:
    """One contender: ``infer(x)`` gives logits, ``step(x, labels)`` the loss of a training step.

    A step sets gradients to zero, runs forward and backward, and updates the weights by SGD.
    ``gradients()`` are those of the last step, by name.
    """

    infer: Callable[[Array], Array]
    step: Callable[[Array, Labels], float]
    gradients: Callable[[], dict[str, Array]]


def make_rednet(depth: int, dtype: Any) -> models.ResidualNetwork:
    """Return a RedNet with statistics typical of mid-training.

    In a new one every block passes its input on unchanged, and the running statistics belong to
    no image: the numbers would grow from block to block.
    """
    model = models.rednet(depth, rng=0, dtype=dtype)
    norms = {name: m for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    for name, norm in norms.items():
        if name.endswith("bn3."):
            norm.weight.data[...] = 0.2
        norm.momentum = 1.0
    model(images(2, CHECKED, dtype))
    for norm in norms.values():
        norm.momentum = 0.1
    return model


def images(count: int, size: tuple[int, int], dtype: Any = np.float32) -> Array:
    """Return random images."""
    return np.random.default_rng(0).standard_normal((count, 3, *size)).astype(dtype)


def ours(depth: int, dtype: Any) -> Network:
    """Return the network of this package, on the backend that "auto" selects."""
    model = make_rednet(depth, dtype)
    criterion = nn.CrossEntropy(SMOOTHING)
    optimizer = nn.SGD(model.parameters(), LR, momentum=MOMENTUM, nesterov=True, weight_decay=DECAY)

    def infer(x: Array) -> Array:
        with nn.no_grad():
            return model.eval()(x)

    def step(x: Array, labels: Labels) -> float:
        model.train().zero_grad()
        loss = float(criterion(model(x), labels))
        model.backward(criterion.backward())
        optimizer.step()
        return loss

    def gradients() -> dict[str, Array]:
        return {name: p.grad for name, p in model.named_parameters().items()}

    return Network(infer, step, gradients)


def theirs(depth: int, dtype: Any) -> Network:
    """Return the network in PyTorch, with the same weights."""
    import torch
    from torch.nn import functional

    from .torch_networks import rednet

    torch.set_num_threads(threads())
    model = rednet(BLOCKS[depth])
    state = {
        name: torch.from_numpy(a) for name, a in make_rednet(depth, dtype).state_dict().items()
    }
    if dtype == np.float64:
        model.double()
    model.load_state_dict(state)
    optimizer = torch.optim.SGD(
        model.parameters(), LR, momentum=MOMENTUM, nesterov=True, weight_decay=DECAY
    )

    def infer(x: Array) -> Array:
        with torch.inference_mode():
            logits: Array = model.eval()(torch.from_numpy(x)).numpy()
        return logits

    def step(x: Array, labels: Labels) -> float:
        optimizer.zero_grad()
        logits = model.train()(torch.from_numpy(x))
        loss = functional.cross_entropy(logits, torch.from_numpy(labels), label_smoothing=SMOOTHING)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    def gradients() -> dict[str, Array]:
        return {name: p.grad.numpy() for name, p in model.named_parameters()}

    return Network(infer, step, gradients)


Make = Callable[[int, Any], Network]  # of depth and dtype
CONTENDERS: dict[str, Make] = {OURS: ours, THEIRS: theirs}


def measure(
    plan: Networks, rounds: int, step: Callable[[str], None]
) -> tuple[list[Agreement], list[NetworkMeasurement], dict[str, str]]:
    """Compare both networks, then time them in turns if they agree.

    Returns
    -------
    agreements, measurements, absent
        ``absent`` has the reason if PyTorch or the memory is missing.
    """
    absent: dict[str, str] = {}
    if (reason := torch_unavailable()) is not None:
        absent[THEIRS] = f"{reason}; so RedNet-{plan.depth} was not checked"
    agreements = [] if absent else _check(plan)
    if (no_memory := memory_unavailable()) is not None:
        absent["memory"] = no_memory
    step(f"checking {plan.label}")
    correct = all(a.agrees for a in agreements)
    names = [name for name in CONTENDERS if correct and name not in absent]
    memory: dict[str, list[int]] = {}
    for name in CONTENDERS:
        if name in names and no_memory is None:
            memory[name] = in_new_process(network_memory, name, plan)
        step(f"memory of {plan.label}: {name}")
    networks = {name: CONTENDERS[name](plan.depth, SINGLE) for name in names}
    found = []
    for number, (count, task) in enumerate(plan.cases):
        calls = {name: _call(network, plan, count, task) for name, network in networks.items()}
        watches = {name: Stopwatch([call], processor_clock) for name, call in calls.items()}
        for _ in range(min(rounds, MAX_TURNS)):
            for watch in watches.values():
                watch.turn()
            step(f"timing {plan.label}: {task}, images: {count}")
        for name, watch in watches.items():
            size = memory[name][number] if name in memory else None
            ms = 1e3 * watch.shortest
            found.append(NetworkMeasurement(plan.label, count, task, name, ms, watch.calls, size))
    return agreements, found, absent


def steps(plan: Networks, rounds: int) -> int:
    """Return how often `measure` calls ``step``."""
    return 1 + len(CONTENDERS) + min(rounds, MAX_TURNS) * len(plan.cases)


def _call(network: Network, plan: Networks, count: int, task: str) -> Callable[[], Any]:
    x, labels = images(count, (plan.size, plan.size)), np.arange(count)
    return (lambda: network.infer(x)) if task == INFERENCE else (lambda: network.step(x, labels))


def _check(plan: Networks) -> list[Agreement]:
    """Compare logits in float32; in float64, on small images, a training step as well."""
    x, small, labels = images(1, (plan.size, plan.size)), images(2, CHECKED, DOUBLE), np.arange(2)
    mine, theirs = (_numbers(make, plan.depth, x, small, labels) for make in CONTENDERS.values())
    found = []
    for (dtype, tensor), tensors in mine.items():
        errors = {
            f"RedNet-{plan.depth} {name}".rstrip(): scaled_error(a, theirs[dtype, tensor][name])
            for name, a in tensors.items()
        }
        found.append(agreement(OURS, THEIRS, str(dtype), tensor, TOLERANCE[dtype], errors))
    return found


def _numbers(
    make: Make, depth: int, x: Array, small: Array, labels: Labels
) -> dict[tuple[np.dtype[Any], str], dict[str, Array]]:
    logits = make(depth, SINGLE).infer(x)
    network = make(depth, DOUBLE)
    return {
        (SINGLE, "logits"): {"": logits},
        (DOUBLE, "logits"): {"": network.infer(small)},
        (DOUBLE, "loss"): {"": np.asarray(network.step(small, labels))},
        (DOUBLE, "gradients"): network.gradients(),
        (DOUBLE, "logits after a step"): {"": network.infer(small)},
    }


def network_memory(name: str, plan: Networks) -> list[int]:
    """Return the bytes that each of the cases needs beside the weights and the images."""
    network = CONTENDERS[name](plan.depth, SINGLE)
    network.step(images(2, CHECKED), np.arange(2))  # compiles, starts threads, makes gradients
    network.infer(images(1, CHECKED))
    return [steady_rise(_call(network, plan, *case)) for case in plan.cases]
