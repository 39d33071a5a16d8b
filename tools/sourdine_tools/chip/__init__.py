"""The chip without a chip: its machine code run under qemu, counted, and timed by a model of its pipeline."""
