"""Pictures of the operator at work. They compute nothing: each is drawn from a `Trace`."""

from .trace import Trace, record

__all__ = ["Trace", "record"]
