"""espeak-ng (GPL-3: run as a program): formant synthesis; accents × variants make hundreds of voices."""

from collections.abc import Sequence
from functools import lru_cache

from sourdine_board.mistake import Mistake

from ..store import Store
from .engine import Sound
from .program import answer, spoken
from .saying import Saying
from .voice import Voice

ACCENTS = {
    "en": ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc"),
    "fr": ("fr-fr", "fr-be", "fr-ch"),
}
PACE = 175  # words per minute, its usual
# variants that whisper, croak, or play a machine: no person who talks to a speaker sounds like that
NOBODY = {"whisper", "whisperf", "croak", "robosoft", "UniRobot", "UniversalRobot", "klatt6", "Demonic", "fast", "anikaRobot", "Mr"}  # fmt: skip


class Speaker:
    """See Engine. A voice is called ACCENT+VARIANT."""

    batch = 48

    def version(self, voice: Voice) -> str:
        if said := answer("espeak-ng", "--version"):
            return said.partition("Data at")[0].strip()
        raise Mistake("espeak-ng is not installed: apt install espeak-ng")

    def reads(self, saying: Saying) -> str:
        return saying.line.text

    def voices(self, language: str) -> list[Voice]:
        return [
            Voice("espeak", f"{accent}+{variant}", accent, _sex(variant))
            for variant in _variants()
            for accent in ACCENTS.get(language, ())
        ]

    def say(self, sayings: Sequence[Saying], store: Store) -> list[Sound]:
        return [self._say(saying) for saying in sayings]

    def _say(self, saying: Saying) -> Sound:
        pace = str(round(PACE * saying.speed))
        return spoken(["espeak-ng", "-v", saying.voice.name, "-s", pace, "-w", "{wav}", "--stdin"], saying.line.text)


@lru_cache
def _variants() -> list[str]:
    """Names of the variants there are, each as its file is called."""
    rows = answer("espeak-ng", "--voices=variant").splitlines()[1:]
    files = {row.partition("!v/")[2].split(" ")[0].strip() for row in rows if "!v/" in row}
    return sorted(name for name in files if name and not any(name.startswith(each) for each in NOBODY))


def _sex(variant: str) -> str:
    return variant[0] if variant[0] in "fm" and variant[1:].isdigit() else ""
