"""The CUDA C++ source, the table of its versions, and an emulator that needs no GPU."""
