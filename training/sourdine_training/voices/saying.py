"""One line as one voice says it."""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

from ..store import digest, key
from ..words.line import Line
from .voice import Voice

FORMAT = 1  # of a clip: how it is resampled, trimmed and stored; a change makes every clip anew


@dataclass(frozen=True)
class Saying:
    """A line, a voice, and how. All numbers neutral but speed and seed is `plain`, which warps are made from."""

    line: Line
    voice: Voice
    speed: float = 1.0  # of the engine's own pace
    pitch: float = 0.0  # semitones
    formants: float = 1.0  # × their frequency: below 1 is a longer throat
    breath: float = 0.0  # 0…1, how much of the voiced sound is turned to breath
    tempo: float = 1.0  # × the pace, after the engine
    seed: int = 0  # what an engine makes of it is its own affair; 0 is its most usual
    intonation: float = 1.0  # × how far the melody strays from its mean: below 1 is bored, above is excited

    @property
    def plain(self) -> "Saying":
        """The same without warps."""
        return replace(self, pitch=0.0, formants=1.0, breath=0.0, tempo=1.0, intonation=1.0)

    @property
    def warped(self) -> bool:
        """Whether there is anything to warp."""
        return self.warp != (0.0, 1.0, 0.0, 1.0, 1.0)

    @property
    def warp(self) -> tuple[float, float, float, float, float]:
        """pitch, formants, breath, tempo, intonation: what warp() takes."""
        return self.pitch, self.formants, self.breath, self.tempo, self.intonation

    @cached_property
    def key(self) -> str:
        """Of the clip: all that its sound depends on, and nothing else (not the kind, nor a mix's name).

        Raises Mistake when the engine is missing, for its version is a part.
        """
        from .engine import engine

        made_by = engine(self.voice.engine)
        who = [list(part) for part in self.voice.mix] or self.voice.name.rpartition("/")[2]
        plain = key("clip", FORMAT, self.voice.engine, made_by.version(self.voice), made_by.reads(self), who,
                    float(self.speed), int(self.seed))  # fmt: skip
        if not self.warped:
            return plain
        return key("warp", FORMAT, _vocoder(), plain, [float(each) for each in self.warp])


@lru_cache
def _vocoder() -> str:
    """Of the code that warps: its clips cost little, and follow it. Plain ones cost much, and follow FORMAT."""
    return digest(Path(__file__).with_name("warp.py"))
