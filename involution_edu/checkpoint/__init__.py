"""Files of weights: PyTorch, Paddle, safetensors and NumPy; no code in a file is run.

>>> import tempfile
>>> from pathlib import Path
>>> from involution_edu import nn
>>> trained, other = (nn.Involution2d(16, kernel_size=3, rng=seed) for seed in (0, 1))
>>> path = Path(tempfile.mkdtemp()) / "layer.safetensors"
>>> save_checkpoint(path, trained.state_dict())
>>> load_weights(other, path)
>>> bool((other.conv1.conv.weight.data == trained.conv1.conv.weight.data).all())
True
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from ..arguments import ArgumentError, WrongTypeError
from ..files import written_whole
from ..nn import Module
from .names import find_state, without_prefixes
from .npz import read_npz, write_npz
from .paddle import as_torch, read_paddle
from .safetensors import read_safetensors, write_safetensors
from .tensors import ITEMSIZE, MAX_BYTES, MAX_MESSAGE, Fault, Numbers, Tensor, quoted
from .torch_zip import is_pickle, read_torch

__all__ = ["CheckpointError", "load_checkpoint", "load_weights", "save_checkpoint"]

BEFORE_1_6 = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")  # first bytes of PyTorch's older files
WRITERS = {".npz": write_npz, ".safetensors": write_safetensors}


class CheckpointError(ArgumentError):
    """A file whose weights cannot be used; the message names the file and its defect.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import involution_edu as inv
    >>> path = Path(tempfile.mkdtemp()) / "notes.pth"
    >>> _ = path.write_text("no weights at all")
    >>> try:
    ...     inv.load_checkpoint(path)
    ... except inv.CheckpointError as error:
    ...     print(str(error).partition("loaded: ")[2])
    it is no file of PyTorch since 1.6, Paddle, safetensors or NumPy (.npz)
    """


def load_checkpoint(path: str | os.PathLike[str]) -> dict[str, Numbers]:
    """Return the arrays of a file of weights, by their names in `involution_edu.models`.

    The format is detected from the content: PyTorch's zip format (since 1.6), safetensors,
    ``.npz``, or a pickle, read as Paddle's. Neither PyTorch nor Paddle is needed. No code in a
    file is run: a pickle of more than tensors and plain containers is refused. PyTorch's older
    formats are not read; load such a file with PyTorch and save it again with ``torch.save``.

    - Of a dict with ``state_dict``, ``model`` or ``model_state_dict``, only that entry is read.
    - The prefixes ``module.`` and ``backbone.`` are dropped, and ``head.fc.`` becomes ``fc.``.
    - Paddle's ``_mean`` and ``_variance`` become ``running_mean`` and ``running_var``, and the
      weight of its linear layers (in, out) becomes (out, in).
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
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path is {path}; there is no such file")
    if path.is_dir():
        raise IsADirectoryError(f"path is {path}, a folder; need a file of weights")
    if not path.is_file():  # reading a pipe would wait for its writer
        raise CheckpointError("path", f"is {path}, a pipe or a device", "a regular file")
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(
            "path", f"is {path}, of {path.stat().st_size} bytes", f"at most {MAX_BYTES}"
        )
    data = path.read_bytes()
    try:
        return _arrays(without_prefixes(_tensors(data)))
    except Exception as error:
        # The decoders of zip files, JSON and NumPy headers raise almost any exception on damage.
        raise CheckpointError(
            "path", f"is {path}, which cannot be loaded: {_message(error)}"
        ) from error


def load_weights(model: Module, path: str | os.PathLike[str]) -> None:
    """Load the weights of a file into ``model``, which is unchanged after any error.

    The file must have every parameter and buffer of the model and no other. Only
    ``num_batches_tracked`` of batch normalisation, which affects no result, may be absent.

    Parameters
    ----------
    model : Module
    path : str or path

    Raises
    ------
    OSError, CheckpointError
        As `load_checkpoint`; and if a tensor is missing, surplus or of another shape.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import involution_edu as inv
    >>> path = Path(tempfile.mkdtemp()) / "linear.npz"
    >>> inv.save_checkpoint(path, {"weight": np.ones((2, 3)), "bias": np.zeros(2)})
    >>> model = inv.nn.Linear(3, 2)
    >>> inv.load_weights(model, path)
    >>> model(np.ones((1, 3), np.float32))
    array([[3., 3.]], dtype=float32)

    Weights of another model are an error:

    >>> try:
    ...     inv.load_weights(inv.nn.Linear(3, 5), path)
    ... except inv.CheckpointError as error:
    ...     print(str(error).partition("model: ")[2])
    state['weight'] has shape (2, 3); need the shape in state_dict() = (5, 3)
    """
    state = load_checkpoint(path)
    for name, array in model.state_dict().items():
        if name.rpartition(".")[2] == "num_batches_tracked":
            state.setdefault(name, array)
    try:
        model.load_state_dict(state)
    except (TypeError, ValueError) as error:
        raise CheckpointError("path", f"is {path}, which is of another model: {error}") from error


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


def _tensors(data: bytes) -> dict[str, Tensor]:
    """Return the tensors of a file of any format, not read yet."""
    if data.startswith(b"PK\3\4"):
        try:
            archive = ZipFile(BytesIO(data))
        except BadZipFile as error:
            raise Fault(f"it is a zip file cut short or damaged ({error})") from error
        total = sum(info.file_size for info in archive.infolist())  # entries may overlap
        if total > MAX_BYTES:
            raise Fault(f"it unpacks to {total} bytes; need at most {MAX_BYTES}")
        if any(map(is_pickle, archive.namelist())):
            return find_state(read_torch(archive))
        return find_state(read_npz(archive))
    if data.startswith(BEFORE_1_6) or data[257:262] == b"ustar":
        raise Fault("it is of PyTorch before 1.6; load it there and torch.save it with a newer one")
    if data[8:9] == b"{":  # before pickles: the length of a header may begin like one
        return find_state(read_safetensors(data))
    if data.startswith(b"\x80"):
        return as_torch(find_state(read_paddle(data)))
    raise Fault("it is no file of PyTorch since 1.6, Paddle, safetensors or NumPy (.npz)")


def _arrays(state: Mapping[str, Tensor]) -> dict[str, Numbers]:
    arrays: dict[str, Numbers] = {}
    total = 0
    for name, tensor in state.items():
        try:
            arrays[name] = tensor.array()
        except Exception as error:
            raise Fault(f"tensor {quoted(name)} {_message(error)}") from error
        total += arrays[name].nbytes
        if total > MAX_BYTES:
            raise Fault(f"it unpacks to more than {MAX_BYTES} bytes; need no more")
    return arrays


def _message(error: Exception) -> str:
    """Return the message of a `Fault`, or type and message of another exception."""
    text = f"{error}" if isinstance(error, Fault) else f"{type(error).__name__}: {error}"
    line = " ".join(text.split())
    return line if len(line) <= MAX_MESSAGE else f"{line[:MAX_MESSAGE]}..."
