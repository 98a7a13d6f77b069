"""Programs that several commands and the notebooks call: demo, explore, classify."""
