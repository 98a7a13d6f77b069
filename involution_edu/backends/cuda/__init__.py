"""The CUDA C++ source, the table of its versions, and what runs it without a GPU."""
