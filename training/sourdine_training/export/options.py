"""What may be chosen when a net is exported."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    rate: float = 0.5  # false accepts per hour that the cutoffs are for
    rates: tuple[float, ...] = (0.5, 1.0, 2.0)  # of the table
    windows: tuple[int, ...] = (1, 2, 3)  # probabilities in the sliding window, 30 ms each: what is tried
    centre: float = 0.65  # probability near which the cutoffs for `rate` are brought, where steps are fine
    early: int = 60  # features before a word's end from which on a wake is a wake for it
    late: int = 100  # features after it
    calibration: int = 256  # windows with the word that give the ranges of a net that has none
