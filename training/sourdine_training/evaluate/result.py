"""What a judgement found, for a page, a text and programs to tell."""

from dataclasses import asdict, dataclass, field
from typing import Any

from sourdine_training.evaluate.detectors import Costs

RATES = (0.5, 1.0, 2.0)  # false accepts per hour at which misses are stated
RARE, RARE_HOURS = 0.1, 30.0  # and this one where there are so many hours to know it by
SHIPPED = "as shipped"


@dataclass(frozen=True)
class Share:
    """So many of all, and the interval of that share."""

    count: float  # a mean over the ways to halve
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.count / self.of if self.of else 0.0


@dataclass(frozen=True)
class Rate:
    """False accepts in so many hours, and the interval of their rate."""

    count: float
    hours: float
    low: float
    high: float

    @property
    def per_hour(self) -> float:
        return self.count / self.hours if self.hours else 0.0


@dataclass(frozen=True)
class Point:
    """A detector at one setting."""

    label: str  # "as shipped", or the rate it was chosen for
    thresholds: tuple[float, float, float]  # lowest, median and highest that were chosen
    never: float  # share of the ways to halve in which no threshold kept to the rate: it counts as never waking
    misses: dict[str, Share]  # by condition
    false: Rate
    kinds: dict[str, Rate]
    confusables: Share
    missed: dict[str, dict[str, float]]  # by condition the clips, and how often
    woke: list[tuple[str, float, str, float]]  # recording, second in it, kind, how often
    latencies: list[float]  # seconds from a clean word's end, where that is sure


@dataclass(frozen=True)
class Judged:
    """One detector on one word. points has no entry for a rate that no threshold keeps to."""

    name: str
    word: str
    unit: str
    peer: bool  # somebody else's, to compare with
    costs: Costs
    points: dict[str, Point]
    curves: dict[str, list[tuple[float, float, float]]]  # by condition: false accepts per hour, misses, threshold


@dataclass
class Result:
    judged: list[Judged]
    hours: dict[str, float]  # of negatives, by kind
    clips: dict[str, int]  # positives by word
    sources: dict[str, float]  # hours by source
    notes: list[str] = field(default_factory=list)

    @property
    def rates(self) -> list[float]:
        return [*([RARE] if sum(self.hours.values()) >= RARE_HOURS else []), *RATES]


def as_json(result: Result) -> dict[str, Any]:
    """Everything, as result.json holds it."""
    return asdict(result)
