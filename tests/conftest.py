from pathlib import Path

from hypothesis import settings

# Derandomized: the same examples on every machine, so that a failure can be run again.
settings.register_profile("reproducible", derandomize=True, deadline=None, max_examples=400)
settings.load_profile("reproducible")

# Doctests stand in the package. What is no test here is a helper, and may need PyTorch.
HERE = Path(__file__).parent
collect_ignore = [path.name for path in HERE.glob("*.py") if not path.name.startswith("test_")]
