"""The benchmark: check, then time, beside the limits of the machine measured in the same run.

`run.run` makes a `record.Record`; ``text``, ``page`` and ``plots`` show one.
"""
