"""The benchmark: compare every contender with a reference, then time the correct ones.

`run.run_benchmark` makes a `record.Record`; ``text`` and ``plots`` show one. The processor and the
GPU share this code and differ in their `devices.Device` alone.
"""
