"""What the house has to know of a language: who speaks it, and how it is read."""

import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sourdine_board.mistake import Mistake


@dataclass(frozen=True)
class Accent:
    """A way to say what was read: rules (pattern, replacement) over IPA, applied in order."""

    name: str
    rules: tuple[tuple[str, str], ...]
    base: int = 0  # which of the language's own readings it starts from

    def __call__(self, ipa: str) -> str:
        for pattern, replacement in self.rules:
            ipa = re.sub(pattern, replacement, ipa)
        return ipa


@dataclass(frozen=True)
class Language:
    """A voice list and a phonemiser; the rest of the house asks for nothing else."""

    code: str  # ISO 639-1, as wordfreq has it
    name: str
    voices: tuple[str, ...]  # "engine/name" patterns as fnmatch takes them, best first
    letters: str  # what a phrase may be spelled with, beside space, apostrophe and hyphen
    read: Callable[[Sequence[str]], list[str]] = field(repr=False)  # texts -> IPA, one each
    readings: Callable[[str], list[str]] = field(repr=False)  # a phrase -> the language's own readings, usual first
    lexicon: Callable[[], dict[str, str]] = field(repr=False)  # common words, most frequent first -> IPA
    accents: tuple[Accent, ...] = ()  # plausible ways to say a reading, likely first

    def check(self, phrase: str) -> str:
        """The phrase in lower case with single spaces.

        Raises Mistake: nothing to say, digits, signs, or letters that the language does not have.
        """
        words = phrase.lower().replace("’", "'").split()
        if not words:
            raise Mistake("the phrase is empty: say what to listen for, like “hey sourdine”")
        wrong = sorted({c for word in words for c in word if c not in self.letters + "'-"})
        if any(c.isdigit() for c in wrong):
            raise Mistake(f"“{phrase}” holds digits: spell the numbers out, as they are said")
        if wrong:
            raise Mistake(
                f"“{phrase}” holds {' '.join(wrong)}, which {self.name} does not read: spell it as it is said"
            )
        if len(words) > 6:
            raise Mistake(f"“{phrase}” has {len(words)} words: a wake word has one to four")
        if any(not any(c in self.letters for c in word) for word in words):
            raise Mistake(f"“{phrase}” holds a word without letters: spell it as it is said")
        return " ".join(words)

    def pronounce(self, phrase: str) -> list[str]:
        """IPA of `phrase`, most usual first, each once: the readings, then every accent of them."""
        readings = list(dict.fromkeys(self.readings(self.check(phrase))))
        said = [accent(readings[min(accent.base, len(readings) - 1)]) for accent in self.accents]
        return list(dict.fromkeys(tidy(ipa) for ipa in readings + said))


def tidy(ipa: str) -> str:
    """Single spaces, and no mark of stress or length that stands twice or nowhere."""
    ipa = re.sub(r"([ˈˌ])[ˈˌ]+", r"\1", ipa)
    ipa = re.sub(r"ː+", "ː", ipa)
    return re.sub(r"\s+", " ", ipa).strip()


@lru_cache(maxsize=1)
def languages() -> dict[str, Language]:
    """The languages there are, by code."""
    from .english import ENGLISH
    from .french import FRENCH

    return {language.code: language for language in (ENGLISH, FRENCH)}


def language(code: str) -> Language:
    """The language called `code`; raises Mistake when there is none."""
    try:
        return languages()[code]
    except KeyError:
        known = ", ".join(f"{each.code} ({each.name})" for each in languages().values())
        raise Mistake(f"no language called {code!r}: there are {known}") from None


@lru_cache(maxsize=4)
def vocabulary(language: Language) -> dict[str, Any]:
    """Word lists and templates of a language: its .toml beside this module."""
    return tomllib.loads((Path(__file__).parent / f"{language.name.lower()}.toml").read_text(encoding="utf-8"))
