"""Whether a phrase is a good thing to listen for, said before anybody trains on it."""

from dataclasses import dataclass
from math import log10

from .language import language, vocabulary
from .near import neighbourhood, pairs
from .phones import PLOSIVES, VOWELS, syllables
from .phrase import Phrase

GOOD = 50  # a phrase that scores less is not advised
SAME = 0.15  # phone distance within which two spellings are one phrase: "okay", "ok"
RARER = 0.4
KNOWN = 8000  # rivals are looked for among as many of the commonest words
IDIOM = 5.0  # zipf of what everybody says every day
_SYLLABLES = {1: 0.0, 2: 0.4, 3: 0.85, 4: 1.0, 5: 1.0, 6: 0.8}  # more are tiring to say
_LOUD = PLOSIVES | frozenset("szʃʒ")  # short or bright sounds, which stand out of noise
_WEIGHTS = {"length": 0.3, "rarity": 0.3, "distance": 0.25, "sounds": 0.15}


@dataclass(frozen=True)
class Verdict:
    """What may be expected of a phrase."""

    phrase: str
    ok: bool  # advised: it scores GOOD or better
    refused: bool  # too short to be told from other talk: not trained unless forced
    score: int  # 0 hopeless … 100
    reasons: tuple[str, ...]  # plain sentences, the weightiest first
    alternatives: tuple[tuple[str, int], ...]  # (phrase, score), better ones only, best first
    sounds_like: tuple[str, ...]  # common words and pairs of words, likest first


def zipf(text: str, code: str) -> float:
    """How common `text` is: log10 of its uses in a thousand million words, words taken as independent. 7 "the",
    4 once an hour of talk, below 2 hardly ever."""
    from wordfreq import word_frequency

    if text in vocabulary(language(code))["idioms"]:
        return IDIOM
    chances = [max(word_frequency(word, code), 1e-9) for word in text.split()]
    # words that stand together do so ten times oftener than chance has it
    return max(0.0, 9.0 + sum(map(log10, chances)) + (len(chances) - 1))


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))


def _rivals(phrase: Phrase) -> list[tuple[float, str]]:
    """(distance, text) of what sounds like the phrase; rare texts count as further, RARER for a tenth of the uses."""
    code, near = phrase.language.code, neighbourhood(phrase.language.code, KNOWN)
    told = near.nearest(phrase.phones[0], 60) + [(f"{one} {two}", apart) for apart, one, two in pairs(phrase, near, 6)]
    told = [(text, apart) for text, apart in told if not phrase.spelled(text) and apart > SAME]
    return sorted((apart + RARER * max(0.0, 6.0 - zipf(text, code)), text) for text, apart in told)


def _marks(phrase: Phrase) -> tuple[dict[str, float], list[tuple[float, str]], list[str]]:
    """(mark 0…1 by name, rivals, reasons)."""
    code, ipa = phrase.language.code, phrase.variants[0]
    count, common, rivals = syllables(ipa), zipf(phrase.text, code), _rivals(phrase)
    phones = phrase.phones[0]
    vowels, loud = {phone for phone in phones if phone in VOWELS}, [phone for phone in phones if phone in _LOUD]
    nearest_apart, nearest_text = rivals[0] if rivals else (9.0, "")
    marks = {
        "length": _SYLLABLES.get(count, 0.6),
        "rarity": _clip((5.5 - common) / 4.0),
        "distance": _clip((nearest_apart - 0.8) / 2.2),
        "sounds": 0.5 * _clip((len(vowels) - 1) / 2) + 0.5 * _clip(len(loud) / 3),
    }
    said = {
        "length": f"It has {count} syllable{'s' * (count != 1)}; "
        + ("that is good." if 3 <= count <= 5 else "three to five are best."),
        "rarity": "It is hardly ever said by chance."
        if common < 2
        else f"It is said by chance: about {_often(common)} in ordinary talk.",
        "distance": f"The likest thing that people say is “{nearest_text}”"
        + (", which is far." if marks["distance"] > 0.6 else ", and that is near."),
        "sounds": f"It has {len(vowels)} different vowel{'s' * (len(vowels) != 1)} and {len(loud)} "
        f"sound{'s' * (len(loud) != 1)} that stand{'s' * (len(loud) == 1)} out of noise.",
    }
    order = sorted(marks, key=lambda name: (marks[name] - 1.0) * _WEIGHTS[name])
    return marks, rivals, [said[name] for name in order]


def _often(common: float) -> str:
    """A zipf value as people count: talk has some 9,000 words an hour."""
    hours = 1e9 / 9000 / 10**common
    if hours < 0.6:
        return f"{round(1 / hours)} times an hour"
    if hours < 48:
        return "once an hour" if hours < 1.5 else f"once in {round(hours)} hours"
    return f"once in {round(hours / 24)} days"


def _score(marks: dict[str, float]) -> int:
    return round(100 * sum(_WEIGHTS[name] * mark for name, mark in marks.items()))


def _alternatives(phrase: Phrase, score: int) -> list[tuple[str, int]]:
    """The phrase after each usual call, or without it and after another."""
    book = vocabulary(phrase.language)
    words = phrase.text.split()
    rest = words[1:] if words[0] in book["calls"] and len(words) > 1 else words
    ideas = [" ".join([call, *rest]) for call in book["calls"] if call not in rest] + [" ".join(rest)]
    told = [(idea, _score(_marks(Phrase(idea, phrase.language))[0])) for idea in ideas if idea != phrase.text]
    told += [(idea, _score(_marks(Phrase(idea, phrase.language))[0])) for idea in book["ideas"] if score < GOOD]
    better = [each for each in told if each[1] > score]
    return sorted(better, key=lambda each: -each[1])[:4]


def verdict(phrase: str, code: str = "en") -> Verdict:
    """The verdict on `phrase`. Raises Mistake when it cannot be read."""
    said = Phrase.of(phrase, code)
    marks, rivals, reasons = _marks(said)
    score = _score(marks)
    short = marks["length"] == 0.0
    if short:
        score = min(score, 20)
    return Verdict(
        phrase=said.text,
        ok=score >= GOOD,
        refused=short,
        score=score,
        reasons=tuple(reasons),
        alternatives=tuple(_alternatives(said, score)),
        sounds_like=tuple(text for _, text in rivals[:6]),
    )
