"""The phrase itself: how it is said, and whether something else is too like it to be called another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np

from .language import Language, language
from .phones import VOWELS, Crowd, distance, split

# Phone distance within which something is still the phrase, to ears in the next room or used to another accent; and for
# each phone of it, where that is more. A net that is told otherwise learns to doubt people. A change of one phone is 1 at
# most, so more than one has to change; common words are known by themselves, so they may come nearer.
MARGIN, PER_PHONE = 1.55, 0.24
OF_MADE_UP = 1.2  # times the margin: what is no word at all is heard as the next best word
OF_COMMON, OF_COMMON_PER_PHONE = 1.15, 0.15
INSIDE = 0.75  # the share of the margin that holds for what is found somewhere within
COMMON = 3.0  # zipf of a common word: once in a million
ALIKE = 0.36  # phone distance of s and z, t and d, and closer


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

    def margin(self, common: bool = False) -> float:
        """Phone distance within which something is still the phrase; within which a common word is."""
        least, each = (OF_COMMON, OF_COMMON_PER_PHONE) if common else (MARGIN, PER_PHONE)
        return max(least, each * len(self.phones[0]))

    def likeness(self, sequences: Sequence[tuple[str, ...]]) -> tuple[np.ndarray, np.ndarray]:
        """Phone distances [N], [N]: of each sequence from the nearest pronunciation, and of what is most like one within
        it; the first, never less than the second, is not looked for where the second is beyond any margin."""
        if not len(sequences):
            return np.zeros(0), np.zeros(0)
        runs, said = [_run(sequence) for sequence in sequences], dict.fromkeys(map(_run, self.phones))
        crowd = Crowd(runs)
        within = np.min([crowd.distances(phones, inside=True) for phones in said], axis=0)
        whole, near = within.copy(), np.flatnonzero(within < OF_MADE_UP * self.margin())
        if len(near):
            crowd = Crowd([runs[at] for at in near])
            whole[near] = np.min([crowd.distances(phones) for phones in said], axis=0)
        return whole, within

    def apart(self, sequences: Sequence[tuple[str, ...]], times: float = 1.0) -> np.ndarray:
        """Which sequences of phones nobody takes for the phrase, nor anything within them: bool [N], by so many times
        the margin."""
        whole, within = self.likeness(sequences)
        return (whole >= times * self.margin()) & (within >= times * INSIDE * self.margin())

    def others(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts may be called something else, as lines by themselves: bool [N].

        False for what is or holds the phrase, or is it but for a letter, which an engine may read as it likes. Common
        words have a margin of their own, whole and within.
        """
        whole, within = self.likeness(self.sounds(texts))
        margin = np.array([self.margin(self._common(text)) for text in texts])
        spelled = np.array([self.spelled(text) or self._misspelled(text) for text in texts], bool)
        return (whole >= margin) & (within >= INSIDE * margin) & ~spelled

    def clear(self, texts: Sequence[str]) -> np.ndarray:
        """Which texts are speech that does not hold the phrase: bool [N].

        A common word whose whole is beyond its margin stays ("election" for "alexa", though it begins alike); what
        comes nearer together with its neighbours does not ("a lexus"), unless all of them are common and it is beyond
        the margin of such ("to fourteen" for "hey sourdine").
        """
        whole, within = self.likeness(self.sounds(texts))
        good = (whole >= self.margin()) & (within >= INSIDE * self.margin())
        for at in map(int, np.flatnonzero(~good)):
            words = _words(texts[at])
            common = [word for word in words if self._common(word)]
            alone, inside = self.likeness(self.sounds(common))
            known = inside[alone >= self.margin(common=True)]
            least = self.margin(common=True) if len(common) == len(words) else np.inf
            good[at] = within[at] >= known.min(initial=least) - 1e-4
        return good & ~np.array([self.spelled(text) for text in texts], bool)

    def _common(self, text: str) -> bool:
        """Whether `text` is one common word."""
        from wordfreq import zipf_frequency

        return " " not in text and zipf_frequency(text, self.language.code) > COMMON

    def spelled(self, text: str) -> bool:
        """Whether the phrase's letters stand in `text`, whatever the spaces."""
        return _letters(self.text) in _letters(text)

    def _misspelled(self, text: str) -> bool:
        """Whether `text` is the phrase without one of its letters."""
        letters = _letters(self.text)
        return _letters(text) in {letters[:at] + letters[at + 1 :] for at in range(len(letters))}

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
