"""Pieces of the phrase: what is heard when somebody begins it, breaks off, or says one word of it."""

import itertools
from collections.abc import Iterator

from .language import vocabulary
from .line import Line
from .near import respell, units
from .phones import VOWELS, split
from .phrase import Phrase


def syllables(ipa: str) -> list[str]:
    """One word's IPA cut before the consonant that precedes each vowel after the first."""
    pieces: list[str] = []
    for unit in units(ipa):
        phone = split(unit)
        vowel = bool(phone) and phone[0] in VOWELS
        if vowel and pieces and any(p in VOWELS for p in split(pieces[-1])):
            kept = units(pieces[-1])
            onset = kept.pop() if len(kept) > 1 and split(kept[-1])[0] not in VOWELS else ""
            pieces[-1] = "".join(kept)
            pieces.append(onset + unit)
        elif pieces:
            pieces[-1] += unit
        else:
            pieces.append(unit)
    return pieces


def _pieces(phrase: Phrase) -> Iterator[tuple[str, str]]:
    """(text, IPA): beginnings and ends by syllable, of whole and words, in the two usual readings."""
    for ipa in phrase.variants[:2]:
        cut = [(syllable, word) for word, said in enumerate(ipa.split()) for syllable in syllables(said)]
        for size in range(len(cut) - 1, 0, -1):
            for run in (cut[:size], cut[-size:], *(cut[at : at + size] for at in range(1, len(cut) - size))):
                said = " ".join(
                    "".join(syllable for syllable, _ in group)
                    for _, group in itertools.groupby(run, key=lambda piece: piece[1])
                )
                yield respell(said, phrase.language.code), said


def _words(phrase: Phrase) -> Iterator[str]:
    """Single words, runs of words, words in another order, and other names after the first word."""
    words = phrase.text.split()
    for size in range(len(words) - 1, 0, -1):
        for at in range(len(words) - size + 1):
            yield " ".join(words[at : at + size])
    for order in itertools.islice(itertools.permutations(words), 1, 8):
        yield " ".join(order)
    book = vocabulary(phrase.language)
    openers = [words[0]] if len(words) > 1 else book["greetings"]
    for at, name in enumerate(book["names"]):
        yield f"{openers[at % len(openers)]} {name}"
    for word in words:
        yield f"{word} {word}"
    if len(words) > 1:
        yield from (f"{opener} {words[-1]}" for opener in book["greetings"] if opener != words[0])


def partials(phrase: Phrase, count: int) -> list[Line]:
    """Up to `count` pieces, none of which is within phrase.margin of the phrase or holds it."""
    code = phrase.language.code
    texts = [text for text in dict.fromkeys(_words(phrase)) if not phrase.spelled(text)]
    pieces = list(dict.fromkeys(_pieces(phrase)))
    apart = phrase.apart(phrase.sounds(texts))
    worded = [Line(text, "partial", code) for text, fine in zip(texts, apart, strict=True) if fine]
    # both as it is said and as an engine reads it that takes text only
    apart = phrase.apart([split(said) for _, said in pieces]) & phrase.apart(
        phrase.sounds([text for text, _ in pieces])
    )
    cut = [Line(text, "partial", code, said) for (text, said), fine in zip(pieces, apart, strict=True) if fine]
    turns = itertools.zip_longest(worded, cut)
    return [line for turn in turns for line in turn if line is not None][:count]
