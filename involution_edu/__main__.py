"""``python -m involution_edu`` is the command ``involution-edu``."""

import sys

from .cli import main

sys.exit(main())
