"""Confusables: what is nearly the phrase and must not wake anything."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np

from .english import PHONES as ENGLISH_PHONES
from .language import language, vocabulary
from .line import Line
from .phones import CONSONANTS, STRESS, VOWELS, Crowd, distance, presence, split
from .phrase import OF_MADE_UP, Phrase

EDITS = 120  # how many edits of a phrase there are at most: real words are what is said around it
COMMONEST = 12000  # pairs are made of as many words
FAR = 1.6  # phone distance beyond the margin from which on a word is just another word
FILLERS = 2  # letters of words that are sighs or hardly heard, "uh", "a": together with another they are no pair
_FRENCH = ("a", "e", "i", "o", "u", "y", "ø", "œ", "ɛ", "ɔ", "ə", "ɑ̃", "ɛ̃", "ɔ̃", *"bdfjklmnpstvwzɡɲʁʃʒ")
INVENTORY = {"en": ENGLISH_PHONES, "fr": _FRENCH}
# How a phone is spelled for engines that take text only: roughly, and never as the phrase itself.
_LETTERS = {
    "A": "ay", "I": "igh", "O": "oh", "Q": "oh", "W": "ow", "Y": "oy", "i": "ee", "u": "oo", "ɪ": "ih", "ʊ": "uh",
    "ɛ": "eh", "æ": "a", "ə": "uh", "ʌ": "uh", "ɜ": "ur", "ɑ": "ah", "ɔ": "aw", "ɒ": "o", "a": "a", "ɐ": "a",
    "ɡ": "g", "ɹ": "r", "ʁ": "r", "ɾ": "r", "T": "t", "j": "y", "ʃ": "sh", "ʒ": "zh", "ʤ": "j", "ʧ": "ch", "θ": "th",
    "ð": "th", "ŋ": "ng", "x": "h", "ʋ": "v", "ʔ": "t",
}  # fmt: skip
_LETTRES = {
    "a": "a", "e": "é", "i": "i", "o": "o", "u": "ou", "y": "u", "ø": "eu", "œ": "eu", "ɛ": "è", "ɔ": "o", "ə": "e",
    "ɑ̃": "an", "ɛ̃": "in", "ɔ̃": "on", "œ̃": "un", "j": "y", "ɡ": "gu", "ɲ": "gn", "ʁ": "r", "ʃ": "ch", "ʒ": "j",
}  # fmt: skip


def respell(ipa: str, code: str) -> str:
    """Letters that read about like `ipa`."""
    letters = _LETTRES if code == "fr" else _LETTERS
    return " ".join("".join(letters.get(phone, phone) for phone in split(word)) for word in ipa.split())


def tail(ipa: str) -> tuple[str, ...]:
    """The phones of `ipa` from its last stressed vowel on; all of it when none is marked."""
    return split(ipa[max(ipa.rfind(mark) for mark in STRESS) + 1 :])


class Neighbourhood:
    """The `most` commonest words of a language by sound."""

    def __init__(self, code: str, most: int):
        told = {word: ipa for word, ipa in language(code).lexicon().items() if len(word) > 1 or word in "aiày"}
        self.sounds = {word: split(ipa) for word, ipa in itertools.islice(told.items(), most) if split(ipa)}
        self.words = list(self.sounds)  # the most frequent first
        self._tails = Crowd([tail(told[word]) for word in self.words])
        self._crowd = Crowd(list(self.sounds.values()))
        self._reversed = Crowd([phones[::-1] for phones in self.sounds.values()])
        # a word a thousand times rarer counts as 0.3 further
        self._rare = 0.1 * np.log10(np.arange(len(self.words)) + 10.0)

    def _best(self, apart: np.ndarray, count: int) -> list[tuple[str, float]]:
        order = np.argsort(apart + self._rare, kind="stable")[:count]
        return [(self.words[at], float(apart[at])) for at in order]

    def nearest(self, phones: tuple[str, ...], count: int) -> list[tuple[str, float]]:
        """The `count` words that sound most like `phones`: (word, phone distance)."""
        return self._best(self._crowd.distances(phones), count)

    def rhymes(self, ipa: str, count: int) -> list[tuple[str, float]]:
        """The `count` words that sound most like `ipa` from the stressed vowel on: (word, phone distance of that)."""
        return self._best(self._tails.distances(tail(ipa)), count)

    def halves(self, phones: tuple[str, ...], count: int) -> list[tuple[list[tuple[str, float]], ...]]:
        """What is nearest to either part of `phones`, cut after each phone but the last."""
        left = self._crowd.beginnings(phones)[:-1]
        right = self._reversed.beginnings(phones[::-1])[-2::-1]
        return [(self._best(a, count), self._best(b, count)) for a, b in zip(left, right, strict=True)]


@lru_cache(maxsize=4)
def neighbourhood(code: str, most: int = 40000) -> Neighbourhood:
    """The neighbourhood of the language called `code`."""
    return Neighbourhood(code, most)


def _words(phrase: Phrase) -> Iterator[str]:
    """Real words like the phrase; of several words, one is replaced by what is like it."""
    code, words = phrase.language.code, phrase.text.split()
    far = phrase.margin() + FAR
    for word, apart in neighbourhood(code).nearest(phrase.phones[0], 400):
        if apart < far:
            yield word
    if len(words) > 1:
        kin = [
            [word for word, apart in neighbourhood(code).nearest(phrase.sound(each), 250) if apart < far]
            for each in words
        ]
        for rank in range(250):
            for place in reversed(range(len(words))):
                if rank < len(kin[place]) and kin[place][rank] != words[place] and len(kin[place][rank]) > FILLERS:
                    yield " ".join([*words[:place], kin[place][rank], *words[place + 1 :]])


def pairs(phrase: Phrase, near: Neighbourhood, width: int) -> list[tuple[float, str, str]]:
    """Two words that together sound like the phrase, nearest first, one of each sound: (phone distance, one, two).

    The phrase is cut at every place; `width` words like either part are combined.
    """
    told: dict[tuple[str, ...], tuple[float, str, str]] = {}
    for phones in phrase.phones[:2]:
        for left, right in near.halves(phones, width):
            for (one, a), (two, b) in itertools.product(left, right):
                sound = near.sounds[one] + near.sounds[two]
                told[sound] = min(told.get(sound, (9.0, "", "")), (round(a + b, 3), one, two))
    return sorted(told.values())


def _pairs(phrase: Phrase) -> Iterator[str]:
    """Pairs of words, none of which comes too often or is a filler."""
    used: Counter[str] = Counter()
    for _, one, two in pairs(phrase, neighbourhood(phrase.language.code, COMMONEST), 60):
        if max(used[one], used[f" {two}"]) < 4 and min(len(one), len(two)) > FILLERS:
            used.update((one, f" {two}"))
            yield f"{one} {two}"


def _rhymes(phrase: Phrase) -> Iterator[str]:
    """Words that end about as the phrase ends, in turn with words that begin as it begins."""
    near = neighbourhood(phrase.language.code)
    begins = {phones[:3] for phones in phrase.phones[:3]}
    starts = (word for word, phones in near.sounds.items() if phones[:3] in begins and len(phones) > 4)
    rhymes = (word for word, apart in near.rhymes(phrase.variants[0], 80) if apart < 1.5)
    for pair in itertools.islice(itertools.zip_longest(rhymes, starts), 80):
        yield from filter(None, pair)


def units(ipa: str) -> list[str]:
    """`ipa` in pieces that may be exchanged: phones with their length and the stress before them, and spaces."""
    return re.findall(f"[{STRESS}]?[^{STRESS} ]\u0303?ː?| ", ipa)


@lru_cache(maxsize=4)
def _neighbours(code: str) -> frozenset[tuple[str, str]]:
    """Which phones follow each other within the words of a language; "" is a word's edge."""
    common = itertools.islice(neighbourhood(code).sounds.values(), 12000)
    return frozenset(pair for phones in common for pair in itertools.pairwise(("", *phones, "")))


def _sayable(ipa: str, code: str) -> bool:
    known = _neighbours(code)
    return all(pair in known for word in ipa.split() for pair in itertools.pairwise(("", *split(word), "")))


def _edits(phrase: Phrase) -> Iterator[str]:
    """IPA of the phrase with two or three phones exchanged, dropped or put in, beyond the margin and up to FAR from it;
    drawn by chance from the phrase alone, nearer ones more often."""
    code = phrase.language.code
    vowels = [phone for phone in INVENTORY[code] if phone in VOWELS]
    consonants = [phone for phone in INVENTORY[code] if phone in CONSONANTS]
    starts, least = [units(ipa) for ipa in phrase.variants[:2]], OF_MADE_UP * phrase.margin()
    for draws in np.random.default_rng([*phrase.text.encode(), 1]).random((8000, 10)):
        ipa, cost = list(starts[int(draws[0] * len(starts))]), 0.0
        for where, what, which in draws[1:4], draws[4:7], draws[7:10]:
            places = [at for at, unit in enumerate(ipa) if split(unit)]
            at = places[int(where * len(places))]
            mark, phone = ipa[at][0] if ipa[at][0] in STRESS else "", split(ipa[at])[0]
            if what < 0.75 or len(places) < 3:
                kin = vowels if phone in VOWELS else consonants
                other = kin[int(which * len(kin))]
                cost += distance(phone, other)
                ipa[at] = mark + other
            elif phone in CONSONANTS:
                cost += presence(phone)
                del ipa[at]
            else:
                extra = consonants[int(which * len(consonants))]
                cost += presence(extra)
                ipa.insert(at + (what < 0.88), extra)
            if cost > least:
                break
        if least <= cost <= least + FAR / 2:
            yield "".join(ipa)


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _real(phrase: Phrase, texts: Iterable[str]) -> list[Line]:
    texts = _once(texts)
    return [
        Line(text, "near", phrase.language.code) for text, fine in zip(texts, phrase.others(texts), strict=True) if fine
    ]


@lru_cache(maxsize=8)
def _all(phrase: Phrase) -> tuple[Line, ...]:
    """Every confusable that can be made, likest first: real words, pairs of words, edits, what others listen to,
    rhymes."""
    code = phrase.language.code
    edits = [ipa for ipa in _once(_edits(phrase)) if _sayable(ipa, code)]
    good = phrase.apart([split(ipa) for ipa in edits], OF_MADE_UP)
    edits = [ipa for ipa, fine in zip(edits, good, strict=True) if fine][:EDITS]
    # an engine that takes text only must not read an edit's letters as the phrase either
    read = phrase.apart(phrase.sounds([respell(ipa, code) for ipa in edits]))
    edited = [Line(respell(ipa, code), "near", code, ipa) for ipa, fine in zip(edits, read, strict=True) if fine]
    known = vocabulary(phrase.language)["wake"]
    words, paired, others, rhymes = (
        _real(phrase, texts) for texts in (_words(phrase), _pairs(phrase), known, _rhymes(phrase))
    )
    turns = itertools.zip_longest(words[::2], paired, words[1::2], edited, others, rhymes)
    return tuple(dict.fromkeys(line for turn in turns for line in turn if line is not None))


def nears(phrase: Phrase, count: int) -> list[Line]:
    """Up to `count` confusables, none of which is within phrase.margin of a pronunciation or holds one."""
    return list(_all(phrase)[:count])
