"""What every engine can do, and where each is."""

import importlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sourdine_board.mistake import Mistake

from ..store import Store
from .voice import Voice

if TYPE_CHECKING:
    from .saying import Saying

Sound = tuple[np.ndarray, int]  # samples float32 mono, −1…1; their rate in hertz
ENGINES = ("kokoro", "hibari", "piper", "flite", "festival", "espeak")


class Engine(Protocol):
    """Speaks. Made without an argument, in whichever process; loads what it needs when it first speaks."""

    batch: int  # sayings that are best handed over at once

    def version(self, voice: Voice) -> str:
        """What its sound depends on beside what it is asked. Raises Mistake, with what to do, when it is missing."""
        ...

    def reads(self, saying: "Saying") -> str:
        """What it will make sound of: phonemes or text, told apart."""
        ...

    def voices(self, language: str) -> list[Voice]:
        """Who can speak this language, best first; none when it is missing."""
        ...

    def say(self, sayings: Sequence["Saying"], store: Store) -> list[Sound]:
        """The sound of each, without warps, whatever else is in the batch. Raises Unspoken or Unmade."""
        ...


class Unspoken(Exception):
    """This engine does not say this line, now or ever; its text is the reason."""


class Unmade(Exception):
    """Something came between: a program was killed, or took too long. It may well succeed another time."""


@lru_cache
def engine(name: str) -> Engine:
    """The engine called `name`, one in each process. Raises Mistake for a name that is none."""
    if name not in ENGINES:
        raise Mistake(f"no engine called {name!r}: there are {', '.join(ENGINES)}")
    return importlib.import_module(f".{name}", __package__).Speaker()
