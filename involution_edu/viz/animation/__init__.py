"""Animations: frames drawn from a `Trace`, and the files they are written to."""
