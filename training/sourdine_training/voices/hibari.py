"""hibari (Apache-2.0): one voice, taught by Kokoro's af_heart, fifty times faster than it."""

import importlib.metadata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from sourdine_board.mistake import Mistake

from ..store import Store
from .engine import Sound, Unspoken
from .saying import Saying
from .voice import Voice

HEART = Voice("hibari", "heart", "en-us", "f")  # of its voices, the one that is in the package


class Speaker:
    """See Engine."""

    batch = 32

    def version(self, voice: Voice) -> str:
        try:
            return _version()
        except importlib.metadata.PackageNotFoundError:
            raise Mistake("hibari is not installed: pip install -e '.[train]' in the checkout") from None

    def reads(self, saying: Saying) -> str:
        line = saying.line
        return f"/{line.phonemes}/" if line.phonemes else f"{line.language}: {line.text}"

    def voices(self, language: str) -> list[Voice]:
        return [HEART] if language == "en" else []

    def say(self, sayings: Sequence[Saying], store: Store) -> list[Sound]:
        return [self._say(saying, _load()) for saying in sayings]

    def _say(self, saying: Saying, hibari: Any) -> Sound:
        line = saying.line
        parts = [line.phonemes] if line.phonemes else hibari.phonemize(line.text)
        samples = [hibari.from_phonemes(part, saying.speed, saying.seed) for part in parts]
        if not samples:
            raise Unspoken("hibari reads nothing in it")
        return np.concatenate(samples), hibari.sample_rate


@lru_cache(maxsize=1)
def _version() -> str:
    return importlib.metadata.version("hibari-tts")


@lru_cache(maxsize=1)
def _load() -> Any:
    from hibari import Hibari

    return Hibari("heart", threads=1)
