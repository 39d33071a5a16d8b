"""Who says what, and how.

The k-th saying of an engine and a kind is drawn from (seed, engine, kind, k) alone, so a larger count extends a
smaller one, and an engine that is missing changes nothing for the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..words.line import KINDS, Line
from . import kokoro
from .engine import ENGINES, engine
from .saying import Saying
from .voice import VALID_SHARE, Part, Voice, side

# How much of the lines that are not the phrase each engine says. What is nearly the phrase is said by whoever says the
# phrase, as much and warped as often: or else a net would learn to tell engines apart, not words.
NEARLY = {"kokoro": 0.55, "hibari": 0.15, "piper": 0.1, "flite": 0.06, "festival": 0.02, "espeak": 0.12}
NEARLY_ELSEWHERE = {"kokoro": 0.65, "piper": 0.1, "espeak": 0.15}
SHARES = {
    "near": NEARLY,
    "partial": NEARLY,
    "running": {"kokoro": 0.35, "hibari": 0.32, "piper": 0.13, "flite": 0.08, "festival": 0.02, "espeak": 0.1},
    "speech": {"kokoro": 0.15, "hibari": 0.5, "piper": 0.2, "flite": 0.09, "festival": 0.01, "espeak": 0.05},
}
SHARES_ELSEWHERE = {  # where hibari, flite and festival do not speak; what is missing to 1 would take too long
    "near": NEARLY_ELSEWHERE,
    "partial": NEARLY_ELSEWHERE,
    "running": {"kokoro": 0.45, "piper": 0.2, "espeak": 0.2},
    "speech": {"kokoro": 0.25, "piper": 0.2, "espeak": 0.3},
}
NATIVE = {"en": 2.0}  # how much likelier a native voice of Kokoro's is; elsewhere they are one or two:
FEW_NATIVES = 12.0
SPEEDS = {
    "kokoro": (0.75, 1.35),
    "hibari": (0.7, 1.4),
    "flite": (0.75, 1.3),
    "festival": (0.8, 1.25),
    "espeak": (0.7, 1.4),
}
PIPER_SPEEDS = (0.75, 0.85, 0.95, 1.0, 1.1, 1.2, 1.35)  # few, for one start of the program says all of one speed
WARPED = ("kokoro", "hibari", "piper", "flite", "festival")  # espeak-ng has variants enough, and they cost as little
CHILDREN = 0.22  # share of women's warps that are a child's: 0.12 of all
SLOWEST = 0.7  # pace that a warp may come to
MARKS = ("", "", "", ".", "!", "?")  # how a phrase ends: fewer phonemes cost less
APART = 97  # lines between where one engine begins and the next
BEYOND = 0.15  # how far the weights of a mix go past 0…1


@dataclass(frozen=True)
class Options:
    """How many clips are asked for; the defaults are those of the standard tier. Warps come on top."""

    kokoro: int = 1500  # sayings of the phrase, by engine
    hibari: int = 150
    piper: int = 120
    flite: int = 60
    festival: int = 24
    espeak: int = 300
    near: int = 1500  # sayings of other lines, by kind, over all engines
    partial: int = 700
    running: int = 900
    speech: int = 4000
    warps: int = 3  # warped twins of each saying of the phrase, of near and of partial lines
    piper_voices: tuple[str, ...] = ()  # the user's own: Piper .onnx files with their .onnx.json, or folders of them


def cast(lines: Sequence[Line], options: Options | None = None, seed: int = 0) -> list[Saying]:
    """What shall be spoken. The same lines and a larger option give the same sayings and more of them.

    Raises Mistake when one of `piper_voices` is not there.
    """
    options = options or Options()
    said: list[Saying] = []
    for kind in KINDS:
        of_kind = [line for line in lines if line.kind == kind]
        for name in ENGINES if of_kind else ():
            language = of_kind[0].language
            shares = (SHARES if language == "en" else SHARES_ELSEWHERE).get(kind, {})
            count = (
                getattr(options, name) if kind == "positive" else round(getattr(options, kind) * shares.get(name, 0))
            )
            voices = _voices(name, language, options)
            for k in range(count if voices else 0):
                rng = np.random.default_rng([seed, ENGINES.index(name), KINDS.index(kind), k])
                plain = _saying(name, _line(of_kind, kind, name, k, rng), voices, rng)
                said += _takes(plain, options.warps if name in WARPED else 0, (seed, *_ints(plain, name, k)))
    return said


def _takes(plain: Saying, warps: int, seed: tuple[int, ...]) -> list[Saying]:
    """The saying and its warped twins; of a sentence one of these, so that as many of every kind are warped."""

    def warped(number: int) -> Saying:
        return _warped(plain, np.random.default_rng([*seed, number]), np.random.default_rng([*seed, number, 1]))

    if plain.line.kind not in ("running", "speech"):
        return [plain, *map(warped, range(warps))]
    one = np.random.default_rng([*seed, 0, 2]).random() * (1 + warps)
    return [plain if one < 1 else warped(0)]


def _voices(name: str, language: str, options: Options) -> list[Voice]:
    if name == "piper":
        from .piper import of_user

        return [*engine(name).voices(language), *of_user(options.piper_voices, language)]
    return engine(name).voices(language)


def _line(lines: list[Line], kind: str, name: str, k: int, rng: np.random.Generator) -> Line:
    """The phrase by chance, usual ways of saying it first; others in turn, each engine beginning elsewhere."""
    if kind == "positive":
        weights = 1 / (2 + np.arange(len(lines)))
        line = lines[int(rng.choice(len(lines), p=weights / weights.sum()))]
    else:
        line = lines[(k + APART * ENGINES.index(name)) % len(lines)]
    if kind in ("running", "speech") or name not in ("kokoro", "hibari", "piper"):
        return line
    mark = MARKS[int(rng.integers(len(MARKS)))]
    if line.phonemes:
        return replace(line, phonemes=line.phonemes.rstrip(".!?") + mark)
    return replace(line, text=line.text.rstrip(".!?") + mark)


def _saying(name: str, line: Line, voices: list[Voice], rng: np.random.Generator) -> Saying:
    if name == "kokoro":
        voice = _speaker(voices, line.language, rng)
    else:
        voice = voices[int(rng.integers(len(voices)))]
    if name == "piper":
        return Saying(line, voice, float(rng.choice(PIPER_SPEEDS)))
    slow, fast = np.log(SPEEDS[name])
    speed = round(float(np.exp(rng.uniform(slow, fast))), 3)
    seed = int(rng.integers(1, 1000)) if name in ("kokoro", "hibari") and rng.random() < 0.5 else 0
    return Saying(line, voice, speed, seed=seed)


def _speaker(packs: list[Voice], language: str, rng: np.random.Generator) -> Voice:
    """One of Kokoro's packs, or a mix of two or three of one side; natives of the language likelier."""
    wanted = "valid" if rng.random() < VALID_SHARE else "train"
    packs = [pack for pack in packs if side(pack.speaker) == wanted]
    native = NATIVE.get(language, FEW_NATIVES)
    weights = np.array([native if pack.language.startswith(language) else 1.0 for pack in packs])
    size = int(rng.choice((1, 2, 3), p=(0.25, 0.5, 0.25)))
    chosen = [packs[i] for i in rng.choice(len(packs), size, replace=False, p=weights / weights.sum())]
    if size == 1:
        return chosen[0]
    timbre, prosody = (rng.dirichlet(np.ones(size)) * (1 + size * BEYOND) - BEYOND for _ in range(2))
    parts: list[Part] = [
        (pack.name, round(float(t), 3), round(float(p), 3)) for pack, t, p in zip(chosen, timbre, prosody, strict=True)
    ]
    return kokoro.mixed(parts)


def _ints(plain: Saying, name: str, k: int) -> tuple[int, int, int]:
    return ENGINES.index(name), KINDS.index(plain.line.kind), k


def _warped(plain: Saying, rng: np.random.Generator, more: np.random.Generator) -> Saying:
    """A twin with another throat, bored or excited. A smaller throat is a higher voice too, mostly, as women's are.

    A woman becomes a child now and then: a throat a fifth shorter or more, and a voice that no longer goes with hers.
    """
    throat = float(np.exp(rng.uniform(np.log(0.85), np.log(1.18))))
    pitch = float(np.clip(12 * np.log2(throat) * 0.7 + rng.normal(0, 1.6), -4, 4))
    breath = float(rng.uniform(0.1, 0.5)) if rng.random() < 0.3 else 0.0
    tempo = float(rng.uniform(0.85, 1.2)) if rng.random() < 0.5 else 1.0
    child, shorter, higher = more.random(), more.uniform(1.2, 1.4), more.uniform(4, 8)
    if plain.voice.sex == "f" and child < CHILDREN:
        throat, pitch = shorter, higher
    intonation = float(np.exp(more.uniform(np.log(0.4), np.log(1.7)))) if more.random() < 0.7 else 1.0
    return replace(
        plain,
        pitch=round(pitch, 2),
        formants=round(throat, 3),
        breath=round(breath, 2),
        tempo=round(max(tempo, min(1.0, SLOWEST / plain.speed)), 3),
        intonation=round(intonation, 2),
    )
