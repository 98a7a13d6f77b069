"""What a run of the benchmark found: a record that goes to JSON and comes back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..arguments import ArgumentError
from ..geometry import Geometry
from ..verify.compare import Agreement


@dataclass(frozen=True, slots=True)
class Machine:
    """What the numbers were measured on."""

    processor: str
    cores: int
    threads: int
    system: str
    python: str
    versions: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Limit:
    """What the machine can do: the best of several ways, in 10⁹ bytes or operations a second."""

    name: str
    ways: dict[str, float]

    @property
    def way(self) -> str:
        """The way that reached it."""
        return max(self.ways, key=lambda way: self.ways[way])

    @property
    def value(self) -> float:
        """The limit: the best that any way reached."""
        return self.ways[self.way]


@dataclass(frozen=True, slots=True)
class Row:
    """One contender on one shape.

    ``task`` is "forward" or "both", the forward pass with both gradients. ``ms`` is the shortest
    of ``calls`` times in milliseconds; ``memory`` is bytes beside operands and results.
    """

    shape: str
    contender: str
    task: str
    ms: float
    calls: int
    memory: int | None


@dataclass(frozen=True, slots=True)
class NetworkRow:
    """One network on a batch of ``images``: the shortest of ``calls`` times, and its memory.

    ``memory`` is bytes beside weights and images, with what stays for a backward pass.
    """

    network: str
    images: int
    task: str
    contender: str
    ms: float
    calls: int
    memory: int | None


@dataclass(frozen=True, slots=True)
class Growth:
    """How the time of a forward pass grows along ``axis``: about with its power ``exponent``."""

    axis: str
    contender: str
    values: tuple[int, ...]
    ms: tuple[float, ...]
    exponent: float | None
    theory: int


@dataclass(frozen=True, slots=True)
class Record:
    """One run: what was measured, nothing derived.

    ``others`` is how many cores other processes kept busy meanwhile, if that is known; ``absent``
    says why a contender, or a column, is not there.
    """

    date: str
    preset: str
    seconds: float
    others: float | None
    machine: Machine
    limits: tuple[Limit, ...]
    shapes: dict[str, Geometry]
    agreements: tuple[Agreement, ...]
    rows: tuple[Row, ...]
    growths: tuple[Growth, ...]
    absent: dict[str, str]
    networks: tuple[NetworkRow, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every contender gave the right numbers."""
        return all(agreement.agrees for agreement in self.agreements)

    def limit(self, name: str) -> Limit:
        """Return the limit called "copy" or "multiply-add"."""
        return next(limit for limit in self.limits if limit.name == name)


def geometry_from(fields: Mapping[str, Any]) -> Geometry:
    """Return the geometry whose ``asdict`` went through JSON, where pairs became lists."""
    return Geometry(**_with_tuples(fields))


def from_json(text: str) -> Record:
    """Return the record that ``asdict`` and JSON made text of; other keys are passed over.

    Raises
    ------
    ValueError
        If the text is no JSON, or no record.
    """
    try:
        data = json.loads(text)
        return Record(
            date=data["date"],
            preset=data["preset"],
            seconds=data["seconds"],
            others=data["others"],
            machine=Machine(**data["machine"]),
            limits=tuple(Limit(**fields) for fields in data["limits"]),
            shapes={name: geometry_from(fields) for name, fields in data["shapes"].items()},
            agreements=tuple(_agreement(fields) for fields in data["agreements"]),
            rows=tuple(Row(**fields) for fields in data["rows"]),
            growths=tuple(Growth(**_with_tuples(fields)) for fields in data["growths"]),
            absent=data["absent"],
            networks=tuple(NetworkRow(**fields) for fields in data.get("networks", ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ArgumentError("record", f"is not one of this benchmark: {error!r}") from error


def _agreement(fields: Mapping[str, Any]) -> Agreement:
    error = fields["error"]
    return Agreement(**{**fields, "error": math.inf if error is None else error})


def _with_tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
