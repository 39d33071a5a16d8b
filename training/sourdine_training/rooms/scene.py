"""One scene: somebody speaks, other things sound, in a room, into a microphone. int16 as the board would get it.

All is mixed as spectra: a transform for each sound and its room response, one back. Levels are compared in the band
that the features hear, so that a rumble below it does not count as noise.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from sourdine import spec
from sourdine_training.rooms import microphone, noise
from sourdine_training.rooms.microphone import Signal, decibels
from sourdine_training.rooms.options import Options
from sourdine_training.rooms.responses import DISTURBING, ONSET, SPOKEN, TAPS

fft: Any = scipy.fft  # its types speak of dispatch, not of arrays; it keeps float32
BAND = (125, 7500)  # Hz
ACTIVE = 0.01  # of the loudest 10 ms: what is softer is a pause, and does not count in a voice's level


@dataclasses.dataclass(frozen=True)
class Bed:
    """A sound that disturbs, as long as the scene."""

    samples: Signal
    diffuse: bool = False  # from everywhere, so that no one place in the room answers
    db: float = 0.0  # against the other beds


def scene(
    rng: np.random.Generator,
    length: int,
    voice: Sequence[tuple[Signal, int]],
    beds: Sequence[Bed],
    rooms: NDArray[np.float32],
    options: Options,
    snr_db: float | None = None,
) -> NDArray[np.int16]:
    """int16 [length]. `voice` is (samples, where they begin), all from one place; either end may lie outside.

    The last sample of a voice arrives where it lies in `samples`; only its reverberation comes later. The noise is
    drawn as `options` says, or as loud as `snr_db` asks, against the voice while it sounds; without any voice, the
    coloured noise is measured against the beds. `rooms` is what Bank.rooms() gives.
    """
    size: int = fft.next_fast_len(length + TAPS, real=True)
    bins = size // 2 + 1
    if snr_db is None:
        snr_db = rng.uniform(*options.clean_db) if rng.random() < options.clean else _skewed(rng, *options.snr_db)
    room = None if rng.random() < options.close else rooms[rng.integers(len(rooms))]
    dry = _laid(voice, length)
    speaks = bool(voice) and bool(dry.any())
    coloured = noise.hum(rng, bins) if rng.random() < 0.15 else noise.coloured(rng, bins)
    sounding = [_heard(rng, bed, room, size, options) for bed in beds]
    if speaks:
        heard = fft.rfft(dry, size) * microphone.on_bins(microphone.equaliser(rng, options.equaliser_db, 0.3), bins)
        if room is not None:
            heard *= _response(room[rng.integers(SPOKEN)], size)
        share = max(_active(dry), 1) / size
        wanted, quiet = heard, _mixed(rng, [*sounding, coloured], beds)
    elif sounding:
        share, wanted, quiet = length / size, _mixed(rng, sounding, beds), coloured
    else:
        share, wanted, quiet = 1.0, coloured, np.zeros(1, np.complex64)
    power = _power(wanted) / share
    mixed = wanted + quiet * np.float32(np.sqrt(power * 10 ** (-snr_db / 10) / (_power(quiet) + 1e-20)))
    curve, floor_dbfs = microphone.drawn(rng, options)
    mixed *= microphone.on_bins(curve, bins)
    return _recorded(rng, fft.irfft(mixed, size)[:length].astype(np.float32, copy=False), options, floor_dbfs)


def _recorded(rng: np.random.Generator, sound: Signal, options: Options, floor_dbfs: float) -> NDArray[np.int16]:
    """What the device makes of what its microphone gives."""
    sound = sound / (np.abs(sound).max() + np.float32(1e-9)) * np.float32(0.5)
    if rng.random() < options.agc:
        sound = microphone.gained(rng, sound)
    if rng.random() < options.clipped:
        sound = microphone.clipped(rng, sound)
    if rng.random() < options.gated:
        sound = microphone.gated(rng, sound)
    if rng.random() < options.suppressed:
        sound = microphone.suppressed(rng, sound)
    if rng.random() < options.mulaw:
        sound = microphone.mulaw(sound)
    peak_dbfs = (
        rng.uniform(*options.peak_dbfs) if rng.random() < 0.2 else max(options.peak_dbfs[0], rng.uniform(-20, -1))
    )
    sound = sound * decibels(min(peak_dbfs, options.peak_dbfs[1])) / (np.abs(sound).max() + np.float32(1e-9))
    if rng.random() < options.mp3:
        sound = microphone.mp3(sound)
    if rng.random() < options.click:
        at = int(rng.integers(0, len(sound) // 2))
        sound[:at] = 0
        sound[at:] += decibels(rng.uniform(-20, 0)) * microphone.click(rng, len(sound) - at)
    sound += np.float32(rng.normal(0, 1e-3))  # direct current
    return microphone.quantised(rng, sound, floor_dbfs)


def _skewed(rng: np.random.Generator, low: float, high: float) -> float:
    """Between both; three of four lie in the upper half."""
    return low + (high - low) * rng.beta(2.4, 1.2)


def _laid(voice: Sequence[tuple[Signal, int]], length: int) -> Signal:
    """All on one line, what lies outside cut off."""
    line = np.zeros(length, np.float32)
    for samples, at in voice:
        part = samples[max(0, -at) : max(0, length - at)]
        line[max(0, at) :][: len(part)] += part
    return line


def _heard(
    rng: np.random.Generator, bed: Bed, room: NDArray[np.float32] | None, size: int, options: Options
) -> NDArray[np.complex64]:
    spectrum = fft.rfft(bed.samples, size)
    spectrum *= microphone.on_bins(microphone.equaliser(rng, options.equaliser_db, 0.3), len(spectrum))
    if room is not None and not bed.diffuse:
        spectrum *= _response(room[SPOKEN + rng.integers(DISTURBING)], size)
    return spectrum


def _response(taps: NDArray[np.float32], size: int) -> NDArray[np.complex64]:
    """A response's spectrum, its direct sound at time zero."""
    padded = np.zeros(size, np.float32)
    padded[: TAPS - ONSET] = taps[ONSET:]
    padded[-ONSET:] = taps[:ONSET]
    return fft.rfft(padded)


def _mixed(
    rng: np.random.Generator, spectra: list[NDArray[np.complex64]], beds: Sequence[Bed]
) -> NDArray[np.complex64]:
    """Beds at their levels, give or take 3 dB; coloured noise, if it follows them, 0 to 25 dB below."""
    total = np.zeros_like(spectra[0])
    for k, spectrum in enumerate(spectra):
        db = beds[k].db + rng.uniform(-3, 3) if k < len(beds) else -rng.uniform(0, 25) * bool(beds)
        total += spectrum * np.float32(10 ** (db / 20) / np.sqrt(_power(spectrum) + 1e-20))
    return total


def _active(dry: Signal) -> int:
    """Samples in which the voice sounds."""
    blocks = np.pad(dry, (0, -len(dry) % spec.HOP)).reshape(-1, spec.HOP)
    loudest = np.abs(blocks).max(axis=1)
    return int(np.count_nonzero(loudest > ACTIVE * loudest.max())) * spec.HOP


def _power(spectrum: NDArray[np.complex64]) -> float:
    """In the band, up to a constant that all spectra of a scene share."""
    low, high = (int(edge / (spec.SAMPLE_RATE / 2) * (len(spectrum) - 1)) for edge in BAND)
    part = spectrum[low:high]
    return float(np.vdot(part, part).real)
