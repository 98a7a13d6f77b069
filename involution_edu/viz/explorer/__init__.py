"""Page to explore a trace in a browser."""

from .page import explorer

__all__ = ["explorer"]
