"""The commands of ``involution-edu``: a module each, and one table.

To add one, write a module with its `Command` and add that to `COMMANDS`. Whatever is heavy is
imported in its ``run``, for every start of the program imports this table.
"""

from . import (
    ablate,
    animate,
    bench,
    classify,
    compare,
    complexity,
    demo,
    doctor,
    explore,
    gradcheck,
    notebooks,
    train,
)
from .command import Command

COMMANDS: tuple[Command, ...] = (
    demo.COMMAND,
    animate.COMMAND,
    explore.COMMAND,
    compare.COMMAND,
    gradcheck.COMMAND,
    complexity.COMMAND,
    classify.COMMAND,
    bench.COMMAND,
    train.COMMAND,
    ablate.COMMAND,
    doctor.COMMAND,
    notebooks.COMMAND,
)
