"""Still pictures: matplotlib figures drawn from a `Trace`."""
