"""Pieces of the phrase: what is heard when somebody begins it, breaks off, or says one word of it."""

import itertools
from collections.abc import Iterator
from functools import lru_cache

from .language import vocabulary
from .line import Line
from .near import COMMONEST, FILLERS, neighbourhood, respell, units
from .phones import VOWELS, split
from .phrase import Phrase

SHORTEST = 3  # phones of a piece that is heard as anything
SHORTER = 0.7  # of the phrase's phones: no real word that is called a piece has more


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
    """(text, IPA): beginnings and ends by syllable, of whole and words, in the two usual readings; what is hardly
    heard ("ə", "sə") is none."""
    for ipa in phrase.variants[:2]:
        cut = [(syllable, word) for word, said in enumerate(ipa.split()) for syllable in syllables(said)]
        for size in range(len(cut) - 1, 0, -1):
            for run in (cut[:size], cut[-size:], *(cut[at : at + size] for at in range(1, len(cut) - size))):
                said = " ".join(
                    "".join(syllable for syllable, _ in group)
                    for _, group in itertools.groupby(run, key=lambda piece: piece[1])
                )
                if len(split(said)) >= SHORTEST:
                    yield respell(said, phrase.language.code), said


def _within(phrase: Phrase) -> Iterator[str]:
    """Real words, clearly shorter than the phrase, that are within it: as it is spelled ("jar", "dine"), then about as
    a run of its phones sounds."""
    for word in phrase.text.split():
        runs = [word[at : at + size] for size in range(len(word), 2, -1) for at in range(len(word) - size + 1)]
        yield from (run for run in runs if run in neighbourhood(phrase.language.code).sounds)
    near = neighbourhood(phrase.language.code, COMMONEST)
    found: dict[str, float] = {}
    for phones in phrase.phones[:2]:
        for size in range(SHORTEST, max(SHORTEST, round(SHORTER * len(phones))) + 1):
            for at in range(len(phones) - size + 1):
                for text, apart in near.nearest(phones[at : at + size], 20):
                    if FILLERS < len(text) and len(near.sounds[text]) <= size and apart < 0.4 * size:
                        found[text] = min(found.get(text, 9.0), apart / size)
    yield from sorted(found, key=lambda text: (found[text], text))


def _words(phrase: Phrase) -> Iterator[str]:
    """Single words, runs of words, and words in another order."""
    words = phrase.text.split()
    for size in range(len(words) - 1, 0, -1):
        for at in range(len(words) - size + 1):
            yield " ".join(words[at : at + size])
    for order in itertools.islice(itertools.permutations(words), 1, 8):
        yield " ".join(order)


def _called(phrase: Phrase) -> Iterator[str]:
    """Other names after the first word, other openers before the last, and every word twice."""
    words = phrase.text.split()
    book = vocabulary(phrase.language)
    openers = [words[0]] if len(words) > 1 else book["greetings"]
    for at, name in enumerate(book["names"]):
        yield f"{openers[at % len(openers)]} {name}"
    for word in words:
        yield f"{word} {word}"
    if len(words) > 1:
        yield from (f"{opener} {words[-1]}" for opener in book["greetings"] if opener != words[0])


@lru_cache(maxsize=8)
def _all(phrase: Phrase) -> tuple[Line, ...]:
    """Every piece: the phrase's own words first, then real words and made-up pieces in turn."""
    code = phrase.language.code
    pieces = list(dict.fromkeys(_pieces(phrase)))
    worded, real, called = (
        [Line(text, "partial", code) for text, fine in zip(texts, phrase.others(texts), strict=True) if fine]
        for texts in (list(dict.fromkeys(texts)) for texts in (_words(phrase), _within(phrase), _called(phrase)))
    )
    # both as it is said and as an engine reads it that takes text only
    apart = phrase.apart([split(said) for _, said in pieces]) & phrase.others([text for text, _ in pieces])
    cut = [Line(text, "partial", code, said) for (text, said), fine in zip(pieces, apart, strict=True) if fine]
    turns = itertools.zip_longest(real[::4], cut, real[1::4], real[2::4], called, real[3::4])
    told = dict.fromkeys(line for turn in turns for line in turn if line is not None)
    return tuple(dict.fromkeys([*worded, *told]))


def partials(phrase: Phrase, count: int) -> list[Line]:
    """Up to `count` pieces, none of which is within phrase.margin of the phrase or holds it."""
    return list(_all(phrase)[:count])
