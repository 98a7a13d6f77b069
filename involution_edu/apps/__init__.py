"""Applications behind the commands and notebooks: demo, explore, classify."""
