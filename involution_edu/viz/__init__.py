"""Pictures of the operator at work, each drawn from a recorded `Trace`; they compute nothing."""

from .recording import Gradients, involution_names, record, record_gradients, record_operator
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
