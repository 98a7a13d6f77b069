"""Checks: every backend against the reference, gradients against differences, the installation."""
