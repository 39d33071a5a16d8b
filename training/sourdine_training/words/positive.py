"""The phrase, said as people say it."""

from math import log2

from .line import Line
from .phrase import Phrase

# Punctuation moves the voice: how much rarer each is than none, in halvings.
ENDINGS = {"": 0.0, ".": 0.9, "!": 1.3, ",": 1.6, "?": 2.2}


def _paused(phrase: Phrase, count: int) -> list[Line]:
    """Up to `count` lines of a phrase of several words with a pause between them: "hey, sourdine"; it needs one."""
    if " " not in phrase.text:
        return []
    told = [(ipa, ending) for ipa in phrase.variants[:2] for ending in ("", ".", "!")]
    return [
        Line(phrase.text.replace(" ", ", ") + ending, "positive", phrase.language.code, ipa.replace(" ", ", ") + ending)
        for ipa, ending in told[:count]
    ]


def positives(phrase: Phrase, count: int, respelt: tuple[str, ...] = (), paused: int = 0) -> list[Line]:
    """Up to `count` lines: every pronunciation, the usual ones with more intonations; the most plausible come first.

    The order depends on the phrase alone, so that a larger count extends a smaller one. `respelt` are spellings for
    engines that take text only, in turn with the phrase's own. The last lines give way to up to `paused` of the phrase
    with a pause in it, one in ten at most: as many lines as without, so that voices say the others as without.
    """
    texts = (phrase.text, *respelt)
    told = [
        (log2(1 + rank) + rarer, rank, ending)
        for rank in range(len(phrase.variants))
        for ending, rarer in ENDINGS.items()
    ]
    lines = [
        Line(texts[place % len(texts)] + ending, "positive", phrase.language.code, phrase.variants[rank] + ending)
        for place, (_, rank, ending) in enumerate(sorted(told)[:count])
    ]
    last = _paused(phrase, min(paused, len(lines) // 10))
    return [*lines[: len(lines) - len(last)], *last]
