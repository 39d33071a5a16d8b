"""Ordinary speech: sentences and commands by templates, none of which holds the phrase."""

import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np

from .language import vocabulary
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


def _grammar(phrase: Phrase, seed: int, kind: int, **more: list[str]) -> Grammar:
    book = vocabulary(phrase.language)
    slots = {**book["slots"], "names": book["names"], "greetings": book["greetings"], **more}
    words = [word for word in phrase.language.lexicon() if len(word) > 2][:COMMON]
    return Grammar(slots, book["fixes"], words, np.random.default_rng([seed, kind, *phrase.text.encode()]))


def _clear(phrase: Phrase, drawn: Iterator[str], kind: str, count: int) -> list[Line]:
    """The first `count` different texts of `drawn` that do not hold the phrase; fewer when `drawn` runs dry."""
    texts: dict[str, None] = {}
    seen: set[str] = set()
    for _ in range(20 + 4 * count // _BLOCK):
        block = [text for text in itertools.islice(drawn, _BLOCK) if text not in seen and not phrase.spelled(text)]
        seen.update(block)
        good = phrase.apart(phrase.sounds(block))
        texts.update(dict.fromkeys(text for text, fine in zip(block, good, strict=True) if fine))
        if len(texts) >= count:
            break
    return [Line(text, kind, phrase.language.code) for text in itertools.islice(texts, count)]


def running(phrase: Phrase, count: int, halves: Sequence[str], seed: int) -> list[Line]:
    """Up to `count` sentences around `halves` (parts of the phrase, words like it), never around the phrase."""
    grammar = _grammar(phrase, seed, 2, x=list(halves))
    carriers = vocabulary(phrase.language)["carriers"]
    return _clear(phrase, (grammar.fill(grammar.pick(carriers)) for _ in itertools.count()), "running", count)


def speech(phrase: Phrase, count: int, seed: int) -> list[Line]:
    """Up to `count` ordinary sentences and commands; every third is made of any common words, of which every one comes
    once before any comes twice."""
    grammar, book = _grammar(phrase, seed, 3), vocabulary(phrase.language)
    turns = itertools.cycle((book["speech"], book["speech"], book["words"]))
    return _clear(phrase, (grammar.fill(grammar.pick(templates)) for templates in turns), "speech", count)
