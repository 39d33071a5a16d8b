"""Sounds that a training can learn from where nobody can speak: chirped vowels of different throats."""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000
WORD, OTHER = (220, 140, 260), (130, 240, 120)  # Hz: the tune of the word, and of what is not the word


def said(tune, throat, rng):
    """A second of quiet noise with a harmonic sound in it that follows the tune; float [n]."""
    pitch = np.interp(np.arange(int(0.6 * RATE)), np.linspace(0, int(0.6 * RATE), len(tune)), tune) * throat
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    voice = sum(np.sin(phase * k) / k for k in range(1, 9)) * np.hanning(len(phase))
    sound = 1e-3 * rng.standard_normal(RATE)
    sound[3200 : 3200 + len(voice)] += 0.2 * voice
    return sound


def write(folder: Path, count: int = 10) -> dict[str, Path]:
    """takes/, negatives/ and data/ of an owner who sings; the same bytes each time."""
    rng = np.random.default_rng(20)
    folders = {name: folder / name for name in ("takes", "negatives", "data")}
    for name, tune in (("takes", WORD), ("negatives", OTHER)):
        folders[name].mkdir(parents=True)
        for number in range(count):
            soundfile.write(folders[name] / f"{number}.wav", said(tune, 1 + 0.05 * number, rng), RATE, subtype="PCM_16")
    for kind in ("speech", "music", "noise"):
        (folders["data"] / kind).mkdir(parents=True)
        for number in range(8):
            tunes = [said(rng.uniform(100, 300, 3), rng.uniform(0.8, 1.4), rng) for _ in range(3)]
            soundfile.write(folders["data"] / kind / f"{number}.wav", np.concatenate(tunes), RATE, subtype="PCM_16")
    return folders
