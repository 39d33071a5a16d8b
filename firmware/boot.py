# First code on the chip. Every output stays where the board's resistors hold it: relay open, amplifier off.
