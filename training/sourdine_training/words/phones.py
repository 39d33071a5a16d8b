"""Phones: IPA taken apart, and how far two of them are apart in the mouth.

The distance is 0 for the same phone, about 0.25 for what accents confuse (i/ɪ, s/z), 1 for what nobody does. Vowels are
points of the IPA chart (height, backness, rounding, nasality; a diphthong has two), consonants are place, manner, voice.
"""

import unicodedata
from collections.abc import Iterator
from functools import lru_cache

import numpy as np

STRESS = "ˈˌ"
_IGNORED = STRESS + " ːˑ-‿͡|.,!?;:—…\"'’“”()ʰʲ˞"
_TILDE = "\u0303"
_SPELLINGS = {
    "dʒ": "ʤ",
    "tʃ": "ʧ",
    "ʦ": "ts",
    "ʈ": "t",
    "ɖ": "d",
    "ɚ": "əɹ",
    "ɝ": "ɜɹ",
    "g": "ɡ",
    "ᵊ": "ə",
    "ᵻ": "ɪ",
    "eɪ": "A",
    "aɪ": "I",
}
_SPELLINGS |= {"oʊ": "O", "əʊ": "Q", "aʊ": "W", "ɔɪ": "Y"}

# height 0 open … 1 close, backness 0 front … 1 back, rounded
_CHART = {
    "i": (1.0, 0.0, 0), "y": (1.0, 0.0, 1), "ɨ": (1.0, 0.5, 0), "u": (1.0, 1.0, 1), "ɯ": (1.0, 1.0, 0),
    "ɪ": (0.82, 0.15, 0), "ʊ": (0.82, 0.85, 1), "e": (0.67, 0.0, 0), "ø": (0.67, 0.1, 1), "o": (0.67, 1.0, 1),
    "ɤ": (0.67, 1.0, 0), "ə": (0.5, 0.5, 0), "ɛ": (0.33, 0.05, 0), "œ": (0.33, 0.15, 1), "ɜ": (0.4, 0.5, 0),
    "ʌ": (0.33, 0.75, 0), "ɔ": (0.33, 1.0, 1), "æ": (0.15, 0.1, 0), "ɐ": (0.2, 0.5, 0), "a": (0.0, 0.3, 0),
    "ɑ": (0.0, 0.9, 0), "ɒ": (0.05, 1.0, 1),
}  # fmt: skip
_GLIDES = {"A": "eɪ", "I": "aɪ", "O": "oʊ", "Q": "əʊ", "W": "aʊ", "Y": "ɔɪ"}
_NASAL = ("ɑ̃", "ɛ̃", "ɔ̃", "œ̃")
# place 0 lips … 1 glottis, manner, voiced
_CONSONANTS = {
    "p": (0.0, "stop", 0), "b": (0.0, "stop", 1), "t": (0.3, "stop", 0), "d": (0.3, "stop", 1),
    "k": (0.7, "stop", 0), "ɡ": (0.7, "stop", 1), "ʔ": (1.0, "stop", 0), "c": (0.55, "stop", 0), "q": (0.8, "stop", 0),
    "f": (0.1, "fricative", 0), "v": (0.1, "fricative", 1), "θ": (0.2, "fricative", 0), "ð": (0.2, "fricative", 1),
    "s": (0.3, "fricative", 0), "z": (0.3, "fricative", 1), "ʃ": (0.45, "fricative", 0), "ʒ": (0.45, "fricative", 1),
    "ç": (0.55, "fricative", 0), "x": (0.7, "fricative", 0), "ɣ": (0.7, "fricative", 1), "h": (1.0, "fricative", 0),
    "ʁ": (0.8, "rhotic", 1), "ʧ": (0.45, "affricate", 0), "ʤ": (0.45, "affricate", 1), "m": (0.0, "nasal", 1),
    "n": (0.3, "nasal", 1), "ŋ": (0.7, "nasal", 1), "ɲ": (0.55, "nasal", 1), "l": (0.3, "lateral", 1),
    "ɹ": (0.4, "rhotic", 1), "r": (0.3, "rhotic", 1), "ɾ": (0.3, "tap", 1), "T": (0.3, "tap", 1),
    "β": (0.0, "fricative", 1), "ʋ": (0.1, "glide", 1), "j": (0.55, "glide", 1), "w": (0.05, "glide", 1),
    "ɥ": (0.3, "glide", 1),
}  # fmt: skip
_MANNERS = {
    ("stop", "affricate"): 0.35, ("fricative", "affricate"): 0.3, ("stop", "fricative"): 0.45, ("stop", "tap"): 0.3,
    ("rhotic", "tap"): 0.3, ("lateral", "tap"): 0.35, ("rhotic", "lateral"): 0.35, ("rhotic", "glide"): 0.35,
    ("lateral", "glide"): 0.4, ("nasal", "tap"): 0.45, ("nasal", "lateral"): 0.45, ("nasal", "stop"): 0.5,
    ("fricative", "glide"): 0.45, ("fricative", "rhotic"): 0.55,
}  # fmt: skip
_FAINT = {"ə": 0.6, "h": 0.6, "j": 0.6, "ɹ": 0.65, "ɪ": 0.7, "T": 0.8, "ɾ": 0.8, "w": 0.8, "ʔ": 0.4, "n": 0.9, "l": 0.9}

VOWELS = (*_CHART, *_GLIDES, *_NASAL)
CONSONANTS = tuple(_CONSONANTS)
PHONES = VOWELS + CONSONANTS
NUMBER = {phone: number for number, phone in enumerate(PHONES)}
_TAPPED = frozenset("tdTɾ")  # t and d of American "writer" and "rider" are one tap
PLOSIVES = frozenset("pbtdkɡʧʤ")


@lru_cache(maxsize=1 << 17)
def split(ipa: str) -> tuple[str, ...]:
    """The phones of `ipa`, without stress, length, spaces and punctuation; what is no phone of ours is left out."""
    letters = unicodedata.normalize("NFD", "".join(c for c in ipa if c not in _IGNORED)).replace("c\u0327", "ç")
    for spelling, phone in _SPELLINGS.items():
        letters = letters.replace(spelling, phone)
    phones: list[str] = []
    for letter in letters:
        if letter == _TILDE and phones:
            nasal = phones[-1] + _TILDE
            phones[-1] = nasal if nasal in NUMBER else phones[-1]
        elif letter in NUMBER:
            phones.append(letter)
    return tuple(phones)


def syllables(ipa: str) -> int:
    """How many vowels `ipa` holds."""
    return sum(phone in VOWELS for phone in split(ipa))


def _points(vowel: str) -> list[tuple[float, float, int]]:
    if vowel in _GLIDES:
        return [_CHART[half] for half in _GLIDES[vowel]]
    return [_CHART[vowel[0]]] * 2


@lru_cache(maxsize=1 << 14)
def distance(a: str, b: str) -> float:
    """How different two phones are: 0 the same, about 1 when nothing is shared; a vowel and a consonant are 1.6."""
    if a == b:
        return 0.0
    if a in VOWELS and b in VOWELS:
        apart = 0.0
        for (height, back, rounded), (height_b, back_b, rounded_b) in zip(_points(a), _points(b), strict=True):
            apart += 0.5 * (0.9 * abs(height - height_b) + 0.6 * abs(back - back_b) + 0.12 * abs(rounded - rounded_b))
        apart += 0.3 * ((a in _NASAL) != (b in _NASAL)) + 0.1 * ((a in _GLIDES) != (b in _GLIDES))
        return min(1.0, (0.1 + apart) * (0.6 if "ə" in (a, b) else 1.0))
    if a in VOWELS or b in VOWELS:
        near = {frozenset("ij"): 0.5, frozenset("uw"): 0.5, frozenset("yɥ"): 0.5, frozenset("ɪj"): 0.6}
        near |= {frozenset("ʊw"): 0.6, frozenset("ɜɹ"): 0.7, frozenset("əɹ"): 0.8}
        return near.get(frozenset((a, b)), 1.6)
    if {a, b} <= _TAPPED:
        return 0.1
    (place, manner, voiced), (place_b, manner_b, voiced_b) = _CONSONANTS[a], _CONSONANTS[b]
    kind = 0.0 if manner == manner_b else _MANNERS.get((manner, manner_b), _MANNERS.get((manner_b, manner), 0.65))
    return min(1.0, 0.15 + 0.9 * abs(place - place_b) + kind + 0.2 * abs(voiced - voiced_b))


def presence(phone: str) -> float:
    """What it costs to leave `phone` out or to put it in: schwa, h and the like are hardly missed."""
    return _FAINT.get(phone, 1.0)


@lru_cache(maxsize=1)
def costs() -> tuple[np.ndarray, np.ndarray]:
    """Substitutions float32 [P, P] and insertions float32 [P], by NUMBER."""
    swaps = np.array([[distance(a, b) for b in PHONES] for a in PHONES], np.float32)
    return swaps, np.array([presence(phone) for phone in PHONES], np.float32)


class Crowd:
    """Many sequences of phones, measured against one at a time.

    sequences: tuples of phones; kept as int16 [N, L] with rows padded behind.
    """

    def __init__(self, sequences: "list[tuple[str, ...]]"):
        self.lengths = np.array([len(sequence) for sequence in sequences], np.int64)
        self.rows = np.zeros((len(sequences), int(self.lengths.max(initial=1))), np.int16)
        for row, sequence in zip(self.rows, sequences, strict=True):
            row[: len(sequence)] = [NUMBER[phone] for phone in sequence]

    def _after_each(self, phones: tuple[str, ...], free: bool) -> Iterator[np.ndarray]:
        """Costs float32 [N, L + 1] of each phone of `phones` so far against each beginning of each row."""
        swaps, drops = costs()
        put = drops[self.rows]  # [N, L]
        before = np.zeros((len(self.rows), self.rows.shape[1] + 1), np.float32)
        if not free:
            before[:, 1:] = np.cumsum(put, axis=1)
        for phone in phones:
            number = NUMBER[phone]
            now = np.empty_like(before)
            now[:, 0] = before[:, 0] + drops[number]
            straight = np.minimum(before[:, :-1] + swaps[number][self.rows], before[:, 1:] + drops[number])
            for j in range(1, now.shape[1]):
                np.minimum(straight[:, j - 1], now[:, j - 1] + put[:, j - 1], out=now[:, j])
            before = now
            yield now

    def beginnings(self, phones: tuple[str, ...]) -> np.ndarray:
        """Weighted edit distances float32 [len(phones), N] of each beginning of `phones` from each sequence."""
        everyone = np.arange(len(self.rows))
        return np.array([costs[everyone, self.lengths] for costs in self._after_each(phones, free=False)])

    def distances(self, phones: tuple[str, ...], inside: bool = False) -> np.ndarray:
        """Weighted edit distances float32 [N] from `phones`, one at least; `inside` finds it anywhere within, with
        free ends."""
        if not inside:
            return self.beginnings(phones)[-1]
        *_, last = self._after_each(phones, free=True)
        beyond = np.arange(last.shape[1]) > self.lengths[:, None]
        return np.where(beyond, np.inf, last).min(axis=1).astype(np.float32)
