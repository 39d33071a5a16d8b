"""Words: what is to be said, how it is pronounced, and whether it is a good thing to listen for."""

from .language import Language, language, languages
from .line import KINDS, Line, Options
from .lines import lines
from .verdict import Verdict, verdict

__all__ = ["KINDS", "Language", "Line", "Options", "Verdict", "language", "languages", "lines", "pronounce", "verdict"]


def pronounce(text: str, language: str = "en") -> list[str]:
    """IPA of `text`, most usual first: misaki's alphabet in English, espeak-ng's elsewhere."""
    from .phrase import Phrase

    return Phrase.of(text, language).variants
