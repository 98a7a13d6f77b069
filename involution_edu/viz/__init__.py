"""Pictures of the operator at work. They compute nothing: each is drawn from a `Trace`."""

from .recording import (
    Gradients,
    involution_names,
    record,
    record_gradients,
    record_operator,
)
from .trace import OperatorTrace, Trace

__all__ = [
    "Gradients",
    "OperatorTrace",
    "Trace",
    "involution_names",
    "record",
    "record_gradients",
    "record_operator",
]
