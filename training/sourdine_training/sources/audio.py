"""Any recording → float32 at 16 kHz, mono.

soundfile reads what libsndfile knows (WAV, FLAC, Ogg, Opus, MP3); raw G.722, which telephones and Debian's Asterisk
prompts use, is decoded by the PyPI package of that name.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from sourdine import spec

RATE = spec.SAMPLE_RATE
SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".g722"}
LOUDNESS = 0.05  # rms that every piece is brought to, −26 dB of full scale, as long as its peak allows
SILENT = 1e-4  # rms below which there is nothing to hear
LONGEST_S = 1800  # of a file that is used: hours of one place or voice teach little more, and fill the memory
BLOCK_S = 20  # that are read at once
G722_BYTES = 8000  # a second

log = logging.getLogger(__name__)

Sound = NDArray[Any]  # float32 [n], full scale 1


class Unreadable(Exception):
    """This file holds no sound that we can read; the text says why."""


def load(path: Path) -> Sound:
    """The recording, at most LONGEST_S of it: what is cut is named in the log.

    Raises Unreadable for anything that is not one, or is silent, or has no number in it.
    """
    try:
        if path.suffix.lower() == ".g722":
            import G722  # pyright: ignore[reportMissingImports]  no stubs

            with path.open("rb") as file:
                coded, more = file.read(LONGEST_S * G722_BYTES), bool(file.read(1))
            decoded = np.asarray(G722.G722(RATE, 64_000).decode(coded), np.float32)
            sound, rate = decoded / 32_768, RATE
        else:
            sound, rate, more = _mono(path)
    except (soundfile.LibsndfileError, OSError, ValueError) as error:
        raise Unreadable(str(error)) from error
    if more:
        log.warning("of %s only the first %d minutes are used: cut it up to use all", path.name, LONGEST_S // 60)
    if not np.isfinite(sound).all():
        raise Unreadable("it has samples that are not numbers")
    if rate != RATE and len(sound):
        sound = soxr.resample(sound, rate, RATE)
    if len(sound) < RATE // 20 or rms(sound) < SILENT:
        raise Unreadable("it is silent or shorter than 50 ms")
    return sound


def _mono(path: Path) -> tuple[Sound, int, bool]:
    """All channels as one, block by block; the rate; and whether there would be more."""
    with soundfile.SoundFile(path) as file:
        wanted, blocks = LONGEST_S * file.samplerate, [np.empty(0, np.float32)]
        while wanted > 0:
            block = file.read(min(wanted, BLOCK_S * file.samplerate), dtype="float32", always_2d=True)
            if not len(block):
                return np.concatenate(blocks), file.samplerate, False
            blocks.append(block.mean(axis=1, dtype=np.float32))
            wanted -= len(block)
        return np.concatenate(blocks), file.samplerate, bool(len(file.read(1)))


def rms(sound: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def sounding(sound: Sound) -> slice:
    """From the first to the last sound: where 10 ms blocks come within 40 dB of the loudest."""
    loud = level(sound)
    heard = np.flatnonzero(loud > max(loud.max() * 0.01, SILENT / 2))
    return slice(int(heard[0]) * 160, min(len(sound), int(heard[-1] + 1) * 160)) if len(heard) else slice(0, 0)


def level(sound: Sound) -> Sound:
    """The rms of each 10 ms, the last one cut short."""
    blocks = np.pad(sound, (0, -len(sound) % 160)).reshape(-1, 160)
    return np.sqrt(np.mean(np.square(blocks), axis=1))


def at_loudness(sound: Sound) -> Sound:
    """Scaled so that its louder half has the rms LOUDNESS, or its peak is just below full scale."""
    loud = np.sort(level(sound))
    loud = np.sqrt(np.mean(np.square(loud[len(loud) // 2 :])))
    return sound * np.float32(min(LOUDNESS / loud, 0.98 / np.abs(sound).max()))


def write(path: Path, sound: Sound) -> float:
    """As 16-bit FLAC; returns its seconds."""
    soundfile.write(path, np.clip(sound, -1, 1), RATE, "PCM_16", format="FLAC")
    return len(sound) / RATE
