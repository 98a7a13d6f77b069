"""Compiled code kept on disk, checked before it is used.

Numba raises in every later call if a file of its cache is damaged. Here it is compiled again.
"""

from __future__ import annotations

import logging
import pickle
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.serialize import dumps

LOG = logging.getLogger("involution_edu")


class _WithChecksum(CompileResultCacheImpl):
    """Numba's form of compiled code in a file, and its checksum: damaged machine code never runs."""

    def reduce(self, data: Any) -> tuple[bytes, bytes]:
        code = dumps(super().reduce(data))
        return sha256(code).digest(), code

    def rebuild(self, target_context: Any, reduced_data: tuple[bytes, bytes]) -> Any:
        checksum, code = reduced_data
        if sha256(code).digest() != checksum:
            raise ValueError("the checksum differs")
        return super().rebuild(target_context, pickle.loads(code))


class KeptCode(FunctionCache):
    """The cache of one function, also out of date when the file ``included`` has changed."""

    _impl_class = _WithChecksum

    def __init__(self, function: Any, included: str) -> None:
        super().__init__(function)
        stamp = self._cache_file._source_stamp
        self._cache_file._source_stamp = (stamp, Path(included).stat().st_mtime)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the code for the types ``sig``, or None to have it compiled."""
        try:
            found = super().load_overload(sig, target_context)
            if found is None or found.signature.args == tuple(sig):
                return found
            reason = f"it is for {found.signature}"  # two processes have written at once
        except Exception as error:  # noqa: BLE001 - a damaged pickle raises anything
            reason = f"{type(error).__name__}: {error}"
        LOG.warning("compiled code in %s is damaged (%s): compiling again", self.cache_path, reason)
        with suppress(OSError):
            self.flush()
        return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Write the code to the disk; if that fails, say so and go on without."""
        try:
            super().save_overload(sig, data)
        except Exception as error:  # noqa: BLE001 - the code runs without being kept
            LOG.warning("compiled code cannot be kept in %s (%s)", self.cache_path, error)
