"""Training: data, tasks, the training loop, runs over seeds, and ablations."""
