"""Ordinary speech: sentences and commands by templates, none of which holds the phrase."""

import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np

from .language import Language, vocabulary
from .line import Line
from .phrase import Phrase

COMMON = 8000  # {word} goes through this many of the commonest words
_SLOT = re.compile(r"\{(\w+)\}")
_BLOCK = 256


class Grammar:
    """Templates that fill themselves, always the same for the same seed."""

    def __init__(
        self, slots: dict[str, list[str]], fixes: dict[str, str], words: Sequence[str], rng: np.random.Generator
    ):
        self._slots, self._fixes, self._words, self._rng = slots, fixes, words, rng
        self._coming: Iterator[int] = iter(())

    def pick(self, options: Sequence[str]) -> str:
        return options[int(self._rng.integers(len(options)))]

    def _word(self) -> str:
        """The next common word: every one comes once before any comes twice."""
        at = next(self._coming, None)
        if at is None:
            self._coming = iter(self._rng.permutation(len(self._words)).tolist())
            at = next(self._coming)
        return self._words[at]

    def fill(self, template: str) -> str:
        """`template` with every slot filled."""
        while slot := _SLOT.search(template):
            name = slot.group(1)
            choice = self._word() if name == "word" else self.pick(self._slots[name])
            template = template[: slot.start()] + choice + template[slot.end() :]
        for wrong, right in self._fixes.items():
            template = re.sub(wrong, right, template)
        return template


def _grammar(language: Language, *seed: int, **more: list[str]) -> Grammar:
    book = vocabulary(language)
    slots = {**book["slots"], "names": book["names"], "greetings": book["greetings"], **more}
    words = [word for word in language.lexicon() if len(word) > 2][:COMMON]
    return Grammar(slots, book["fixes"], words, np.random.default_rng(seed))


def _clear(phrase: Phrase, drawn: Iterator[str]) -> Iterator[str]:
    """The different texts of `drawn` that do not hold the phrase; ends when `drawn` has nothing new left."""
    seen: set[str] = set()
    while True:
        block = list(dict.fromkeys(text for text in itertools.islice(drawn, _BLOCK) if text not in seen))
        if not block:
            return
        seen.update(block)
        yield from (text for text, fine in zip(block, phrase.clear(block), strict=True) if fine)


def running(phrase: Phrase, count: int, halves: Sequence[str], seed: int) -> list[Line]:
    """Up to `count` sentences around `halves` (parts of the phrase, words like it), never around the phrase."""
    grammar = _grammar(phrase.language, seed, 2, *phrase.text.encode(), x=list(halves))
    carriers = vocabulary(phrase.language)["carriers"]
    drawn = (grammar.fill(grammar.pick(carriers)) for _ in itertools.count())
    texts = itertools.islice(_clear(phrase, drawn), count)
    return [Line(text, "running", phrase.language.code) for text in texts]


def speech(phrase: Phrase, count: int, seed: int) -> list[Line]:
    """Up to `count` ordinary sentences and commands; every third is made of any common words, of which every one comes
    once before any comes twice.

    They are the same for every phrase, so that voices say them once for all; one that holds the phrase gives its place
    to another.
    """
    texts = list(itertools.islice(_ordinary(phrase.language, seed, 3), count))
    spare = _clear(phrase, _ordinary(phrase.language, seed, 4))
    fit = [text if fine else next(spare) for text, fine in zip(texts, phrase.clear(texts), strict=True)]
    return [Line(text, "speech", phrase.language.code) for text in fit]


def _ordinary(language: Language, *seed: int) -> Iterator[str]:
    """Different sentences without end."""
    grammar, book = _grammar(language, *seed), vocabulary(language)
    turns = itertools.cycle((book["speech"], book["speech"], book["words"]))
    seen: set[str] = set()
    for templates in turns:
        text = grammar.fill(grammar.pick(templates))
        if text not in seen:
            seen.add(text)
            yield text
