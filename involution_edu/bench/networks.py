"""Whole networks: a RedNet of this package beside PyTorch's with the authors' unfold layer.

The same PyTorch network is also compiled by PyTorch, ONNX Runtime and OpenVINO, for inference.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from io import BytesIO
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
from .presets import COMPILED, DOUBLE, INFERENCE, OURS, SINGLE, THEIRS, TRAINING, Batch

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
    # Of x and labels: the loss before a step of SGD. None for a network that only infers.
    step: Callable[[Array, Any], float] | None = None
    gradients: Callable[[], dict[str, Array]] | None = None  # of the last step, by name


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
    folded: list[nn.Module] = []  # the network for inference, made once for the current weights

    def infer(x: Array) -> Array:
        if not folded:
            folded.append(nn.fold_batch_norm(model, x[:1]))
        with nn.no_grad():
            return folded[0](x)

    def step(x: Array, labels: Any) -> float:
        folded.clear()
        model.train().zero_grad()
        loss = float(criterion(model(x), labels))
        model.backward(criterion.backward())
        optimizer.step()
        return loss

    parameters = model.named_parameters()
    return Network(infer, step, lambda: {name: p.grad for name, p in parameters.items()})


def torch_model(depth: int, dtype: Any) -> Any:
    """Return the network in PyTorch, with the same weights."""
    import torch

    from .torch_networks import rednet

    torch.set_num_threads(threads())
    model = rednet(BLOCKS[depth])
    if dtype == np.float64:
        model.double()
    state = make_rednet(depth, dtype).state_dict()
    model.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()})
    return model


def theirs(depth: int, dtype: Any, *, compiled: bool = False) -> Network:
    """Return the network as PyTorch runs it, eager or ``compiled``."""
    import torch
    from torch.nn import functional

    model = torch_model(depth, dtype)
    optimizer = torch.optim.SGD(model.parameters(), LR, **SGD)
    # One function for each task and size: switching the mode would compile it anew.
    run = torch.compile(model, dynamic=False) if compiled else model
    logits_of = torch.compile(lambda x: model(x), dynamic=False) if compiled else model

    def infer(x: Array) -> Array:
        model.eval()
        with torch.inference_mode():
            logits: Array = logits_of(torch.from_numpy(x)).numpy()
        return logits

    def step(x: Array, labels: Any) -> float:
        optimizer.zero_grad()
        model.train()
        logits = run(torch.from_numpy(x))
        loss = functional.cross_entropy(logits, torch.from_numpy(labels), label_smoothing=SMOOTHING)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    parameters = dict(model.named_parameters())
    return Network(infer, step, lambda: {name: p.grad.numpy() for name, p in parameters.items()})


def in_onnxruntime(depth: int, dtype: Any) -> Network:
    """Return the network of PyTorch in ONNX Runtime, exported anew for each shape of images."""
    import onnxruntime
    import torch

    model, options = torch_model(depth, dtype).eval(), onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()

    @cache
    def session(shape: tuple[int, ...]) -> Any:
        file, images = BytesIO(), torch.zeros(shape)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter with fewer dependencies is deprecated
            torch.onnx.export(model, (images,), file, dynamo=False, input_names=["x"])
        return onnxruntime.InferenceSession(file.getvalue(), options)

    return Network(lambda x: session(x.shape).run(None, {"x": x})[0])


def in_openvino(depth: int, dtype: Any) -> Network:
    """Return the network of PyTorch in OpenVINO, converted anew for each shape of images."""
    import openvino
    import torch

    model = torch_model(depth, dtype).eval()
    # Where the processor has bfloat16, the default is to round to it.
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    settings["INFERENCE_NUM_THREADS"] = str(threads())

    @cache
    def compiled(shape: tuple[int, ...]) -> Any:
        graph = openvino.convert_model(model, example_input=torch.zeros(shape), input=shape)
        return openvino.compile_model(graph, "CPU", settings)

    return Network(lambda x: compiled(x.shape)(x)[0])


Make = Callable[[int, Any], Network]  # of depth and dtype
PEERS: dict[str, Make] = {
    COMPILED: partial(theirs, compiled=True),
    "onnxruntime": in_onnxruntime,
    "openvino": in_openvino,
}
CONTENDERS: dict[str, Make] = {OURS: ours, THEIRS: theirs}


def contender(name: str, depth: int) -> Contender:
    """Return a contender for every `Batch`, its network made."""
    network = {**CONTENDERS, **PEERS}[name](depth, SINGLE)

    def prepare(operands: Sequence[Any], batch: Batch) -> Job:
        x, labels = operands
        if batch.task == INFERENCE:
            return {INFERENCE: partial(network.infer, x)}
        return {TRAINING: partial(network.step, x, labels)} if network.step else {}

    return Contender(name, prepare, (INFERENCE, TRAINING), may_fail=name != OURS)


def compare(batch: Batch) -> tuple[list[str], list[Agreement], dict[str, str]]:
    """Return the contenders to be timed, their errors, and the reasons why peers are missing."""
    eager, reason = {}, torch_unavailable()
    if reason is None:
        try:
            eager = _numbers(CONTENDERS[THEIRS], batch)
        except Exception as error:  # noqa: BLE001 - reported, as of any peer
            reason = f"fails with {one_line(error)}"
    if reason is not None:
        checked = f"{reason}; so RedNet-{batch.depth} was not checked"
        return [OURS], [], {THEIRS: checked, **dict.fromkeys(PEERS, reason)}
    check, mine = Check(), _numbers(CONTENDERS[OURS], batch)
    key = SINGLE, "logits"
    for name, make in PEERS.items():
        try:
            x, _ = make_operands(replace(batch, images=1), SINGLE)
            logits = make(batch.depth, SINGLE).infer(x)
        except Exception as error:  # noqa: BLE001
            check.absent[name] = f"fails with {one_line(error)}"
        else:
            off = scaled_error(logits, eager[key][""])
            check.add(name, THEIRS, "float32", "logits", TOLERANCE[SINGLE], shape="", error=off)
    for (dtype, tensor), tensors in mine.items():
        key_of_error = OURS, THEIRS, str(dtype), tensor, TOLERANCE[dtype]
        for name, a in tensors.items():
            off = scaled_error(a, eager[dtype, tensor][name])
            check.add(*key_of_error, shape=f"RedNet-{batch.depth} {name}".rstrip(), error=off)
    refused = check.refused()
    names = (
        [] if OURS in refused else [name for name in (*CONTENDERS, *PEERS) if name not in refused]
    )
    return names, check.agreements(), check.absent


def _numbers(make: Make, batch: Batch) -> dict[tuple[np.dtype[Any], str], dict[str, Array]]:
    """Return logits in float32; in float64, on small images, those of a training step as well."""
    x, _ = make_operands(replace(batch, images=1), SINGLE)
    small, labels = make_operands(replace(batch, images=2, size=CHECKED), DOUBLE)
    logits, network = make(batch.depth, SINGLE).infer(x), make(batch.depth, DOUBLE)
    assert network.step is not None
    assert network.gradients is not None
    return {
        (SINGLE, "logits"): {"": logits},
        (DOUBLE, "logits"): {"": network.infer(small)},
        (DOUBLE, "loss"): {"": np.asarray(network.step(small, labels))},
        (DOUBLE, "gradients"): network.gradients(),
        (DOUBLE, "logits after a step"): {"": network.infer(small)},
    }


def network_memory(name: str, batches: Sequence[Batch]) -> list[dict[str, int]]:
    """Return the bytes that each of the batches needs beside the weights and the images."""
    made = contender(name, batches[0].depth)

    def calls(batch: Batch) -> Job:
        return made.job(make_operands(batch, SINGLE), batch)

    found = []
    for batch in batches:
        for call in calls(replace(batch, size=CHECKED)).values():
            call()  # compiles, starts threads, makes or drops what the task needs
        found.append({task: steady_rise(call) for task, call in calls(batch).items()})
    return found
