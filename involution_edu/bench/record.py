"""The record of a run of the benchmark, which can be written as JSON and read again."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from ..arguments import ArgumentError
from ..geometry import Geometry
from ..verify.compare import Agreement


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine on which a record was measured."""

    processor: str
    cores: int
    threads: int
    system: str
    python: str
    versions: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Peak:
    """A peak rate of the machine in 10⁹ bytes or operations a second, by several methods."""

    name: str
    methods: dict[str, float]

    @property
    def method(self) -> str:
        """The fastest method."""
        return max(self.methods, key=lambda method: self.methods[method])

    @property
    def value(self) -> float:
        """The rate of the fastest method."""
        return max(self.methods.values())


@dataclass(frozen=True, slots=True)
class Measurement:
    """The time of one task of one contender on one shape."""

    shape: str  # of a whole network: that of its images
    dtype: str
    contender: str
    task: str  # "both" is the forward pass and both gradients
    ms: float  # the shortest of ``calls`` times
    calls: int
    memory: int | None  # bytes beside operands and results; of a network, weights and images


@dataclass(frozen=True, slots=True)
class Scaling:
    """Times of a forward pass along ``axis``, which scale about with its power ``exponent``."""

    axis: str
    contender: str
    values: tuple[int, ...]
    ms: tuple[float, ...]
    exponent: float | None
    theory: int


@dataclass(frozen=True, slots=True)
class Record:
    """The measurements of one run; `involution_edu.bench.text.Report` prints it."""

    date: str
    preset: str
    seconds: float
    background_load: float | None  # cores that other processes kept busy
    machine: Machine
    peaks: tuple[Peak, ...]
    shapes: dict[str, Geometry]
    agreements: tuple[Agreement, ...]
    measurements: tuple[Measurement, ...]
    scaling: tuple[Scaling, ...]
    absent: dict[str, str]  # the reason for each contender, or column, that is missing
    networks: tuple[Measurement, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every contender gave the right numbers."""
        return all(agreement.agrees for agreement in self.agreements)

    def peak(self, name: str) -> float:
        """Return the peak called "copy" or "multiply-add"; NaN if it was not measured."""
        return next((peak.value for peak in self.peaks if peak.name == name), math.nan)


def from_json(text: str) -> Record:
    """Return the record whose data, written by ``bench --out``, is in ``text``; ValueError if that is no record."""
    try:
        record: Record = _decoded(Record, json.loads(text))
    except (KeyError, TypeError, AttributeError) as error:
        raise ArgumentError("record", f"is not one of this benchmark: {error!r}") from error
    return record


def _decoded(kind: Any, data: Any) -> Any:
    """Return plain data as a ``kind``: a dataclass, tuple or dict of others; null is infinity."""
    if is_dataclass(kind):
        kinds = get_type_hints(kind)
        return kind(**{f.name: _decoded(kinds[f.name], data[f.name]) for f in fields(kind)})  # type: ignore[operator]
    if get_origin(kind) is tuple:
        return tuple(_decoded(get_args(kind)[0], value) for value in data)
    if get_origin(kind) is dict:
        return {key: _decoded(get_args(kind)[1], value) for key, value in data.items()}
    return math.inf if kind is float and data is None else data
