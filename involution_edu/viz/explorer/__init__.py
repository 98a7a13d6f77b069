"""A page to explore a trace in a browser, and views for notebooks."""

from .page import Explorer
from .stepper import Stepper

__all__ = ["Explorer", "Stepper"]
