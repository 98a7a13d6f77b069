"""Checks of backends against the reference, of gradients, and of the installation."""
