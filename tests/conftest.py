from hypothesis import settings

# Derandomized: the same examples on every machine, so that a failure can be run again.
settings.register_profile("reproducible", derandomize=True, deadline=None, max_examples=400)
settings.load_profile("reproducible")
