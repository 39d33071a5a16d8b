"""The phrase itself: how it is said, and whether something else is too like it to be called another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from .language import Language, language
from .phones import VOWELS, Crowd, distance, split

# Phone distance within which something is still the phrase, to ears in a noisy room; and for each phone of it, where that
# is more. Real words are said clearly by their own right, so they may come nearer than what is made up.
MARGIN, PER_PHONE = 0.85, 0.1
MADE_UP, MADE_UP_PER_PHONE = 1.1, 0.15
ALIKE = 0.36  # phone distance of s and z, t and d, and closer
INSIDE = 0.2  # the same, for the phrase found somewhere within longer speech


@dataclass(frozen=True)
class Phrase:
    """A checked phrase of one language. Raises Mistake from `of` when it cannot be said."""

    text: str  # lower case, single spaces
    language: Language

    @classmethod
    def of(cls, text: str, code: str) -> "Phrase":
        """The phrase `text` in the language called `code`."""
        return cls(language(code).check(text), language(code))

    @cached_property
    def variants(self) -> list[str]:
        """IPA, most usual first."""
        return self.language.pronounce(self.text)

    @cached_property
    def phones(self) -> list[tuple[str, ...]]:
        """The variants as phones, each once."""
        return list(dict.fromkeys(split(ipa) for ipa in self.variants))

    def margin(self, made_up: bool = False) -> float:
        """Phone distance within which something is still the phrase."""
        least, each = (MADE_UP, MADE_UP_PER_PHONE) if made_up else (MARGIN, PER_PHONE)
        return max(least, each * len(self.phones[0]))

    def apart(self, sequences: Sequence[tuple[str, ...]], made_up: bool = False) -> np.ndarray:
        """Which sequences of phones are clearly not the phrase: bool [N].

        False when a whole sequence is within the margin of a pronunciation, or holds one almost exactly.
        """
        if not len(sequences):
            return np.zeros(0, bool)
        crowd = Crowd([_run(sequence) for sequence in sequences])
        good = np.ones(len(sequences), bool)
        for phones in map(_run, self.phones):
            good &= crowd.distances(phones) >= self.margin(made_up)
            good &= crowd.distances(phones, inside=True) >= INSIDE
        return good

    def spelled(self, text: str) -> bool:
        """Whether the phrase's letters stand in `text`, whatever the spaces."""
        return _letters(self.text) in _letters(text)

    def sound(self, text: str) -> tuple[str, ...]:
        """The phones of `text`."""
        return self.sounds([text])[0]

    def sounds(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """The phones of each text, word by word from the lexicon; words that it lacks are read alone."""
        known = _sounds(self.language.code)
        words = [_words(text) for text in texts]
        lacking = list(dict.fromkeys(word for each in words for word in each if word not in known))
        known.update(zip(lacking, map(split, self.language.read(lacking)), strict=True))
        return [tuple(phone for word in each for phone in known[word]) for each in words]


def _run(phones: tuple[str, ...]) -> tuple[str, ...]:
    """`phones` as they run together: of two like consonants in a row ("haze sourdine") the second is heard."""
    kept = (a for a, b in pairwise((*phones, "")) if a in VOWELS or b in VOWELS or not b or distance(a, b) > ALIKE)
    return tuple(kept)


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalpha())


def _words(text: str) -> list[str]:
    spaced = "".join(c if c.isalpha() or c == "'" else " " for c in text.lower().replace("’", "'"))
    return [word for word in spaced.split() if word.strip("'")]


@lru_cache(maxsize=4)
def _sounds(code: str) -> dict[str, tuple[str, ...]]:
    """Phones by word; grows as texts are read."""
    return {word: split(ipa) for word, ipa in language(code).lexicon().items()}
