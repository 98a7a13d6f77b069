"""Files of weights: PyTorch, Paddle, safetensors and NumPy; no code in a file is run."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from ..arguments import ArgumentError, WrongTypeError, quoted
from ..files import written_whole
from ..nn import Linear, Module
from . import tensors
from .names import find_state
from .npz import read_npz, write_npz
from .paddle import PADDLE, RENAMED, turned
from .pickles import read_pickle
from .pytorch import OLD_MAGIC, read_old_torch, read_torch
from .safetensors import read_safetensors, write_safetensors
from .tensors import ITEMSIZE, Fault, Numbers, Source, Tensor, arrays_of, named, shortened

__all__ = ["CheckpointError", "LoadReport", "load_checkpoint", "load_weights", "save_checkpoint"]

MAX_DIRECTORY = 1 << 21  # bytes of the list of entries of a zip file, at least 46 for each
# First bytes, in lower case, of files that are taken for weights, and what they are.
OTHERS: dict[bytes | tuple[bytes, ...], str] = {
    b"version https://git-lfs": "a pointer of Git LFS, not the file; fetch it with git lfs pull",
    (b"<!doctype html", b"<html"): "a web page; the download has failed",
    b"\x89hdf": "an HDF5 file, as Keras writes; save the weights as .npz there",
    b"\x1f\x8b": "packed by gzip; unpack it first",
    b"": "no file of PyTorch, Paddle, safetensors or NumPy (.npz)",
}
WRITERS = {".npz": write_npz, ".safetensors": write_safetensors}


class CheckpointError(ArgumentError):
    """A file whose weights cannot be used; the message names the file and its defect.

    Examples
    --------
    >>> import involution_edu as inv
    >>> try:
    ...     inv.load_checkpoint(inv.__file__)
    ... except inv.CheckpointError as error:
    ...     print(str(error).partition("loaded: ")[2])
    it is no file of PyTorch, Paddle, safetensors or NumPy (.npz)
    """


@dataclass(frozen=True)
class LoadReport:
    """Names of the tensors that `load_weights` left out.

    Attributes
    ----------
    missing : tuple of str
        Names of the model that the file lacks, which keep their values.
    surplus : tuple of str
        Names of the file that the model lacks.
    reshaped : tuple of (str, shape in the file, shape in the model)
        Tensors of another shape, which keep their values.

    Examples
    --------
    >>> import involution_edu as inv
    >>> inv.checkpoint.LoadReport(missing=("fc.bias",)).missing
    ('fc.bias',)
    """

    missing: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Numbers]:
    """Return the arrays of a file of weights, by their names in `involution_edu.models`.

    The format is detected from the content: PyTorch's since 0.1.10, safetensors, ``.npz``, or a
    pickle, read as Paddle's. Neither PyTorch nor Paddle is needed. No code in a file is run: a
    name in a pickle that is no tensor nor plain container is never called.

    - The weights are all there is, or stand under ``state_dict``, ``model_state_dict``, ``model``,
      ``net``, ``params``, ``weights`` or ``ema``; what stands beside them is ignored.
    - The prefixes ``module.``, ``_orig_mod.``, ``model.``, ``net.`` and ``backbone.`` are dropped,
      and ``head.`` before ``fc.``.
    - Paddle's ``_mean`` and ``_variance`` become ``running_mean`` and ``running_var``, and weights
      (in, out) become (out, in), but for those of layers called embeddings: the file does not say
      which layers are linear. `load_weights` asks the model instead.
    - bfloat16 becomes float32; the other dtypes are kept. Tensors that share memory in a PyTorch
      file share it here.

    Parameters
    ----------
    path : str or path

    Returns
    -------
    state : dict of str to ndarray

    Raises
    ------
    FileNotFoundError, IsADirectoryError, PermissionError
        If there is no readable file.
    CheckpointError
        If the file is damaged, has another format, or it or its arrays exceed 1 GiB.

    Examples
    --------
    >>> load_checkpoint("missing.pth")
    Traceback (most recent call last):
        ...
    FileNotFoundError: path is missing.pth; there is no such file
    """
    with _tensors(path) as (state, _):
        return arrays_of(state)


def load_weights(model: Module, path: str | os.PathLike[str], strict: bool = True) -> LoadReport:
    """Load the weights of a file into ``model``, which is unchanged after any error.

    The names are read as by `load_checkpoint`, but prefixes that the model itself has are kept.

    Parameters
    ----------
    model : Module
    path : str or path
    strict : bool
        Whether the file must have every parameter and buffer of the model and no other; only
        ``num_batches_tracked``, which affects no result, may be absent. If False, what has the
        name and shape of the model's is loaded, such as a backbone, and the rest is kept.

    Returns
    -------
    report : LoadReport
        What was left out; empty if ``strict``.

    Raises
    ------
    OSError, CheckpointError
        As `load_checkpoint`; and if a tensor is missing, surplus or of another shape, or, if not
        ``strict``, no tensor fits.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import involution_edu as inv
    >>> path = Path(tempfile.mkdtemp()) / "linear.npz"
    >>> inv.save_checkpoint(path, {"weight": np.ones((2, 3)), "bias": np.zeros(2)})
    >>> model = inv.nn.Linear(3, 2)
    >>> report = inv.load_weights(model, path)
    >>> model(np.ones((1, 3), np.float32))
    array([[3., 3.]], dtype=float32)

    Weights of another model are an error, unless what fits is enough:

    >>> other = inv.nn.Sequential(fc=inv.nn.Linear(3, 2), last=inv.nn.Linear(2, 2))
    >>> inv.save_checkpoint(path, {"fc.weight": np.ones((2, 3)), "fc.bias": np.zeros(3)}, force=True)
    >>> try:
    ...     inv.load_weights(other, path)
    ... except inv.CheckpointError as error:
    ...     print(str(error).partition("model: ")[2])
    state lacks last.bias, last.weight; need the names of state_dict(); 1 of its 2 tensors fit,
    which strict=False loads
    >>> inv.load_weights(other, path, strict=False)
    LoadReport(missing=('last.weight', 'last.bias'), surplus=(), reshaped=(('fc.bias', (3,), (2,)),))
    """
    own = model.state_dict()
    linear = {f"{prefix}weight" for prefix, m in model.named_modules() if isinstance(m, Linear)}
    with _tensors(path, own, linear) as (state, read_from):
        shapes = {name: named(name, state[name].plan).shape for name in own if name in state}
        fitting = {name: state[name] for name in shapes if shapes[name] == own[name].shape}
        arrays = arrays_of(state if strict else fitting)
    absent = [name for name in own if name not in state]
    missing = [name for name in absent if name.rpartition(".")[2] != "num_batches_tracked"]
    kept = set(absent).difference(missing) if strict else own.keys() - fitting.keys()
    hint = f"{len(fitting)} of its {len(state)} tensors fit{read_from}"
    hint += ", which strict=False loads" if fitting and strict else ""
    try:
        if not fitting and not strict:
            raise ArgumentError("state", f"has no tensor such as {quoted(next(iter(own)))}")
        model.load_state_dict({**arrays, **{name: own[name] for name in kept}})
    except (TypeError, ValueError) as error:
        got = f"is {path}, which is of another model: {shortened(str(error))}; {hint}"
        raise CheckpointError("path", got) from error
    return LoadReport(
        tuple(missing),
        tuple(name for name in state if name not in own),
        tuple((name, shapes[name], own[name].shape) for name in shapes if name not in fitting),
    )


def save_checkpoint(
    path: str | os.PathLike[str], state: Mapping[str, Numbers], *, force: bool = False
) -> None:
    """Write arrays to a file, completely or not at all.

    Parameters
    ----------
    path : str or path
        Ends in ``.npz`` or ``.safetensors``.
    state : mapping of str to ndarray
        As returned by `Module.state_dict`.
    force : bool
        Replace a file that exists.

    Raises
    ------
    OSError
        If the file exists or cannot be written.
    TypeError, ValueError
        If the name has another ending, or a value of ``state`` is no array of numbers.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import involution_edu as inv
    >>> path = Path(tempfile.mkdtemp()) / "layer.safetensors"
    >>> inv.save_checkpoint(path, inv.nn.Conv2d(4, 2, rng=0).state_dict())
    >>> {name: array.shape for name, array in inv.load_checkpoint(path).items()}
    {'weight': (2, 4, 1, 1), 'bias': (2,)}
    """
    path = Path(path)
    if path.suffix not in WRITERS:
        raise ArgumentError("path", f"is {path}", f"a name that ends in {' or '.join(WRITERS)}")
    for name in state:
        item: object = state[name]
        if not isinstance(item, np.ndarray) or item.dtype.str[1:] not in ITEMSIZE:
            kind = getattr(item, "dtype", type(item).__name__)
            raise WrongTypeError(f"state[{quoted(name)}]", f"is {kind}", "a NumPy array of numbers")
    with written_whole(path, force=force) as temporary:
        WRITERS[path.suffix](temporary, state)


@contextmanager
def _tensors(
    path: str | os.PathLike[str], own: Collection[str] = (), linear: Collection[str] | None = None
) -> Iterator[tuple[dict[str, Tensor], str]]:
    """Yield the tensors of a file, not read yet, and where they were; name the file in any error."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path is {path}; there is no such file")
    if path.is_dir():
        raise IsADirectoryError(f"path is {path}, a folder; need a file of weights")
    if not path.is_file():  # reading a pipe would wait for its writer
        raise CheckpointError("path", f"is {path}, a pipe or a device", "a regular file")
    if (size := path.stat().st_size) > tensors.MAX_BYTES:
        raise CheckpointError("path", f"is {path}, of {size} bytes", f"at most {tensors.MAX_BYTES}")
    with Source(path.open("rb", buffering=0)) as file:
        try:
            content, paddle = _object(file)
            state, read_from = find_state(content, own, RENAMED if paddle else {})
            yield turned(state, linear) if paddle else state, read_from
        except Exception as error:  # decoders of zip, JSON and NumPy raise almost all on damage
            got = f"is {path}, which cannot be loaded: {shortened(error)}"
            raise CheckpointError("path", got) from error


def _object(file: Source) -> tuple[object, bool]:
    """Return what a file of any format holds, and whether it is Paddle's."""
    head = file.part(0, 1000)
    if head.startswith(b"PK\3\4"):
        file.limit = MAX_DIRECTORY  # `zipfile` finds a longer one cut short
        try:
            archive = ZipFile(file)
        except BadZipFile as error:
            raise Fault(f"it is a zip file cut short or damaged ({error})") from error
        file.limit = most = tensors.MAX_BYTES
        if (total := sum(info.file_size for info in archive.infolist())) > most:  # may overlap
            raise Fault(f"it unpacks to {total} bytes; need at most {most}")
        pickles = {n for n in archive.namelist() if n.count("/") == 1 and n.endswith("/data.pkl")}
        if len(pickles) > 1:
            raise Fault("it has more than one data.pkl")
        return read_torch(archive, *pickles) if pickles else read_npz(archive), False
    if OLD_MAGIC in head[:32]:
        return read_old_torch(file.part(0)), False
    if head[257:262] == b"ustar":
        raise Fault("it is of PyTorch before 0.1.10; torch.load it and torch.save it anew")
    if head[8:9] == b"{":  # before pickles: the length of a header may begin like one
        return read_safetensors(file), False
    if head.startswith(b"\x80"):
        return read_pickle(file.part(0), PADDLE)[0], True
    start = head.lstrip().lower()
    raise Fault(f"it is {next(what for begin, what in OTHERS.items() if start.startswith(begin))}")
