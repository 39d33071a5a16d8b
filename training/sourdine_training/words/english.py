"""English: hibari's reader and dictionary (misaki's alphabet, American and British), and accents."""

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from .language import Accent, Language

PHONES = tuple("AIOWYæɑəɛɜiɪɔuʊʌbdfhjklmnpstvwzðŋɡɹʃʒʤʧθ")  # what words are made of in American
V = "AIOQWYaeiouæɑɒɔəɛɜɪʊʌɐ"  # any vowel, in rules
C = "bdfhjklmnpstvwzðŋɡɹʃʒʤʧθ"

WEAK = {"a": "ə", "an": "ən", "the": "ðə", "to": "tə", "of": "əv", "and": "ən"}  # as they sound within speech

# What everybody does now and then, to the American reading.
_CASUAL = (
    ("careful t", (("T", "t"),)),
    ("even stress", (("ˌ", "ˈ"),)),
    ("no second stress", (("ˌ", ""),)),
    ("drawn out", (("ˈ([aeiouæɑɒɔɛɜɪʊʌ])(?!ː)", r"ˈ\1ː"),)),
    ("first word light", ((r"^([^ ]*)ˈ([^ ]*) ", r"\1\2 "),)),
    ("lax", ((f"(?<=[{C}])ə(?=[bdfksptvzðθɡʃ])", "ɪ"),)),
    ("schwa", ((f"(?<![ˈˌ])ɪ(?=[{C}])", "ə"),)),
    ("open start", ((r"(^| )ə", r"\1æ"),)),
    ("open end", ((r"ə($| )", r"ʌ\1"),)),
    ("sour in one", (("Wəɹ", "Wɹ"),)),
    ("closed start", ((r"(^| )ə(?=[lmn])", r"\1ɪ"),)),
    ("flap", ((f"(?<=[{V}])t(?=[{V}])", "T"),)),
    ("stress first", (("^([^ˈ]*)ˌ([^ ˈ]*)ˈ", r"\1ˈ\2ˌ"),)),
    ("stress last", ((f"ˈ([{V}][^ ˈˌ]*)ˌ([{V}][^ ]*)$", r"ˌ\1ˈ\2"),)),
    ("no h", ((r"(^| )h", r"\1"),)),
    ("cot-caught", (("ɔ(?!ɹ)", "ɑ"),)),
    ("voiced x", ((f"ks(?=[ˈˌ]?[{V}])", "ɡz"),)),
)
# Accents, from the American (0) or the British (1) reading.
_HARD_ENDS = (("d( |$)", r"t\1"), ("z( |$)", r"s\1"), ("v( |$)", r"f\1"), ("b( |$)", r"p\1"), ("ɡ( |$)", r"k\1"))
_PLAIN_VOWELS = (
    ("ɜɹ|əɹ", "eɹ"), ("[æɑʌɐ]", "a"), ("ə", "a"), ("ɛ", "e"), ("ɪ", "i"), ("ʊ", "u"), ("[ɔɒ]", "o"), ("O", "o"),
    ("A", "e"), ("ː", ""), ("T", "t"),
)  # fmt: skip
_ACCENTS = (
    ("London", 1, ((f"(?<=[{V}ː])t(?=[{V}])", "ʔ"), (r"(^| )h", r"\1"))),
    ("Northern England", 1, (("ɑː(?=[sfθn])", "a"), ("ʌ", "ʊ"), ("A", "eː"), ("Q", "oː"))),
    ("Scotland", 0, (("ɹ", "ɾ"), ("T", "t"), ("O", "o"), ("A", "e"), ("æ", "a"), ("ɑ", "a"))),
    ("India", 0, (("T|t", "ʈ"), ("d", "ɖ"), ("[vw]", "ʋ"), ("O", "o"), ("A", "e"), ("θ", "t"), ("ð", "d"), ("ɹ", "ɾ"))),
    ("Spain", 0, (*_PLAIN_VOWELS, ("v", "b"), ("z", "s"), ("ɹ", "ɾ"), ("h", "x"), ("θ", "t"), ("ð", "d"))),
    ("Germany", 0, (("w", "v"), ("æ", "ɛ"), ("θ", "s"), ("ð", "z"), ("əɹ( |$)", r"ɐ\1"), ("ɹ", "ʁ"), ("ʌ", "a"),
                    ("T", "t"), ("O", "o"), ("A", "e"), *_HARD_ENDS)),
    ("France", 0, (("əɹ|ɜɹ", "œɹ"), ("ə( |$)", r"a\1"), ("[æɑ]", "a"), ("h", ""), ("θ", "s"), ("ð", "z"), ("ɪ", "i"),
                   ("ʌ", "œ"), ("ɹ", "ʁ"), ("T", "t"), ("O", "o"), ("A", "e"), ("ʊ", "u"))),
    ("Italy", 0, (*_PLAIN_VOWELS, ("h", ""), ("ɹ", "r"), ("θ", "t"), ("ð", "d"))),
    ("Russia", 0, (("w", "v"), ("h", "x"), ("æ", "ɛ"), ("ə", "a"), ("ʌ", "a"), ("ɪ", "i"), ("θ", "s"), ("ð", "z"),
                   ("ɹ", "r"), ("ŋ", "n"), ("T", "t"), ("O", "o"), *_HARD_ENDS)),
    ("China", 0, (("θ", "s"), ("ð", "d"), ("v", "w"), ("ɪ", "i"), ("æ", "ɛ"), ("T", "t"))),
    ("Japan", 0, (*_PLAIN_VOWELS, ("v", "b"), ("[lɹ]", "ɾ"), ("θ", "s"), ("ð", "z"))),
)  # fmt: skip
ACCENTS = tuple(Accent(name, rules) for name, rules in _CASUAL)
ACCENTS += tuple(Accent(name, rules, base) for name, base, rules in _ACCENTS)
# A word that hardly anybody has read aloud may be read as French, or by other rules than the dictionary's.
RARE = 1.5  # zipf: ten times in 300 million words
_DOUBTS = (
    (("Wəɹ|ʊəɹ", "ʊɹ"), (r"ˈ(\S*)ˌ", r"\1ˈ")),
    (("Wəɹ|ʊəɹ", "ɔɹ"), (r"ˈ(\S*)ˌ", r"\1ˈ")),
    (("Wəɹ|ʊəɹ|W", "uɹ"), (r"ˈ(\S*)ˌ", r"\1ˈ")),
    ((r"I(?=[ln]( |$))", "i"),),
)


@lru_cache(maxsize=2)
def _reader(british: bool) -> Any:
    from hibari.g2p import G2P

    return G2P(british=british)


def entries(word: str) -> list[str]:
    """What the dictionary has for `word`, American, most usual first: by part of speech where that matters."""
    known = _reader(False).lexicon
    found = known.golds.get(word) or known.silvers.get(word) or []
    if isinstance(found, dict):
        found = [found["DEFAULT"], *(said for tag, said in found.items() if tag != "DEFAULT")]
    said = [found] if isinstance(found, str) else found
    return list(dict.fromkeys(each.replace("ɾ", "T").replace("ʔ", "t") for each in said if each))


def read(texts: Sequence[str]) -> list[str]:
    """The American reading of each text."""
    return [_reader(False)(text) for text in texts]


def readings(phrase: str) -> list[str]:
    """American, British, then what else the dictionary has, and guesses for words that it lacks."""
    from wordfreq import zipf_frequency

    found = [_reader(False)(phrase), _reader(True)(phrase)]
    words = phrase.split()
    alternatives = [entries(word)[:3] or read([word]) for word in words]
    found += [" ".join(each) for each in itertools.islice(itertools.product(*alternatives), 6)]
    for word, said in zip(words, [each[0] for each in alternatives], strict=True):
        if zipf_frequency(word, "en") < RARE:
            guesses = [Accent("", rules)(said) for rules in _DOUBTS]
            found += [found[0].replace(said, guess) for guess in guesses if guess != said]
    return found


@lru_cache(maxsize=1)
def lexicon() -> dict[str, str]:
    """Common words that the dictionary knows, most frequent first, with their first pronunciation."""
    from wordfreq import top_n_list

    words = [word for word in top_n_list("en", 40000) if word.isalpha()]
    told = ((word, entries(word) or (read([word]) if word.endswith(("s", "ed", "ing")) else [])) for word in words)
    return {word: said[0] for word, said in told if said} | WEAK


ENGLISH = Language(
    code="en",
    name="English",
    voices=("kokoro/[ab]*", "hibari/*", "piper/*", "kokoro/*", "flite/*", "festival/*", "espeak/en*"),
    letters="abcdefghijklmnopqrstuvwxyzéèêëàâäçîïôöùûüñ",
    read=read,
    readings=readings,
    lexicon=lexicon,
    accents=ACCENTS,
)
