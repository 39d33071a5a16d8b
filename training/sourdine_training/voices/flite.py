"""flite (BSD-like): four voices from recordings, run as a program."""

from collections.abc import Sequence

from sourdine_board.mistake import Mistake

from ..store import Store
from .engine import Sound
from .program import answer, spoken
from .saying import Saying
from .voice import Voice

VOICES = tuple(
    Voice("flite", name, "en-us", sex) for name, sex in (("slt", "f"), ("rms", "m"), ("awb", "m"), ("kal16", "m"))
)


class Speaker:
    """See Engine."""

    batch = 24

    def version(self, voice: Voice) -> str:
        if said := answer("flite", "--version"):
            return next(line for line in said.splitlines() if "version" in line).strip()
        raise Mistake("flite is not installed: apt install flite")

    def reads(self, saying: Saying) -> str:
        return saying.line.text

    def voices(self, language: str) -> list[Voice]:
        return list(VOICES) if language == "en" else []

    def say(self, sayings: Sequence[Saying], store: Store) -> list[Sound]:
        return [self._say(saying) for saying in sayings]

    def _say(self, saying: Saying) -> Sound:
        stretch = f"duration_stretch={1 / saying.speed:.4f}"
        return spoken(["flite", "-voice", saying.voice.name, "--setf", stretch, "-t", saying.line.text, "-o", "{wav}"])
