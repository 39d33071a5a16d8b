"""The phrase itself: how it is said, and whether something else is too like it to be called another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from .language import Language, language
from .phones import Crowd, split

MARGIN = 0.7  # phone distance: nearer than this to any pronunciation, and nobody can tell whether it was said
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

    def apart(self, sequences: Sequence[tuple[str, ...]], margin: float = MARGIN) -> np.ndarray:
        """Which sequences of phones are clearly not the phrase: bool [N].

        False when a whole sequence is within `margin` of a pronunciation, or holds one almost exactly.
        """
        if not len(sequences):
            return np.zeros(0, bool)
        crowd = Crowd(list(sequences))
        good = np.ones(len(sequences), bool)
        for phones in self.phones:
            good &= crowd.distances(phones) >= margin
            good &= crowd.distances(phones, inside=True) >= INSIDE
        return good

    def spelled(self, text: str) -> bool:
        """Whether the phrase's letters stand in `text`, whatever the spaces."""
        return _letters(self.text) in _letters(text)

    def sound(self, text: str) -> tuple[str, ...]:
        """The phones of `text`, word by word from the lexicon; a word that it lacks is read alone."""
        words = "".join(c if c.isalpha() or c in "'-" else " " for c in text.lower()).replace("-", " ").split()
        return tuple(phone for word in words for phone in _sound(self.language.code, word))


def _letters(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalpha())


@lru_cache(maxsize=65536)
def _sound(code: str, word: str) -> tuple[str, ...]:
    known = language(code).lexicon().get(word)
    return split(known if known is not None else language(code).read([word])[0])
