"""Pictures of the operator at work. They compute nothing: each is drawn from a `Trace`."""

from .recording import (
    Gradients,
    involution_names,
    record,
    record_gradients,
    record_operator,
)
from .trace import OperatorTrace, Trace
from .trace_file import load_trace, save_trace

__all__ = [
    "Gradients",
    "OperatorTrace",
    "Trace",
    "involution_names",
    "load_trace",
    "record",
    "record_gradients",
    "record_operator",
    "save_trace",
]
