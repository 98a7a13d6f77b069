"""Ctrl-C while the command line still imports its packages: the default action, no traceback.

The package imports this first. As a library, it leaves Python's handler in place.
"""

import signal
import sys
from pathlib import PurePath

# The first argument is "-m" while ``python -m`` imports the package of its module.
program = PurePath(*getattr(sys, "argv", [])[:1]).stem
ours = program == "involution-edu" or (program == "-m" and "involution_edu" in sys.orig_argv)
if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until `cli.main` begins
