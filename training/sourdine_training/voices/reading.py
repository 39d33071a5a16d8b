"""Lines as phonemes, for the engines that are given phonemes."""

import re
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from sourdine_board.mistake import Mistake

from ..words.line import Line
from .program import answer


def phonemes(line: Line, british: bool) -> str:
    """The line's own, or the reading of its text: by hibari in English, by espeak-ng elsewhere, clause by clause."""
    if line.phonemes:
        return line.phonemes
    if line.language == "en":
        return _english(british)(line.text)
    from ..words.language import language

    clauses = [clause for clause in re.split(r"[,;:.!?]+", line.text) if clause.strip()]
    mark = line.text.rstrip()[-1:] if line.text.rstrip()[-1:] in ".!?" else ""
    return ", ".join(language(line.language).read(clauses)) + mark


def reads(line: Line, british: bool) -> str:
    """What phonemes() depends on. Raises Mistake when it needs a program that is missing."""
    if line.phonemes:
        return f"/{line.phonemes}/"
    if line.language == "en":
        return f"en-{'gb' if british else 'us'} by hibari {_hibari()}: {line.text}"
    program = answer("espeak-ng", "--version").partition("Data at")[0].strip()
    if not program:
        raise Mistake("espeak-ng reads this language and is not installed: apt install espeak-ng")
    return f"{line.language} by {program}: {line.text}"


@lru_cache
def _hibari() -> str:
    return version("hibari-tts")


@lru_cache
def _english(british: bool) -> Any:
    from hibari.g2p import G2P

    return G2P(british=british)
