"""From the sound in the air to int16: the microphone's response, its noise, and what devices do to a signal."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sourdine import spec
from sourdine_training.rooms.options import Options

RATE = spec.SAMPLE_RATE
GRID = np.concatenate([[0.0], np.geomspace(20, RATE / 2, 255)])  # Hz, on which responses are drawn
FLOOR_DBFS = -87 + 20 * np.log10(2 ** (16 - spec.MIC_SHIFT))  # INMP441 datasheet, table 1: -87 dBFS(A), times our gain

Signal = NDArray[Any]  # float32 [n], full scale 1


def decibels(db: float | NDArray) -> NDArray[np.float32]:
    """An amplitude's factor."""
    return np.asarray(10 ** (np.asarray(db) / 20), np.float32)


def inmp441() -> NDArray[np.float64]:
    """dB on GRID, from the INMP441's datasheet, table 1: -3 dB at 60 Hz, flat, its digital filter's pass band 0.423 of
    the rate; that it is 6 dB down at half the rate is what such filters do, and not said."""
    high = np.interp(GRID, [0.423 * RATE, 0.5 * RATE], [0, -6])
    return high - 10 * np.log10(1 + (60 / np.maximum(GRID, 1)) ** 2)


def equaliser(rng: np.random.Generator, most_db: float, spread: float = 0.4) -> NDArray[np.float64]:
    """A smooth random curve, dB on GRID; its normal deviation is `spread` of the most."""
    points = np.geomspace(60, 8000, 9)
    gains = np.clip(rng.normal(0, spread * most_db, len(points)), -most_db, most_db)
    return np.interp(np.log(np.maximum(GRID, 1)), np.log(points), gains)


def drawn(rng: np.random.Generator, options: Options) -> tuple[NDArray[np.float64], float]:
    """A microphone and the device around it: what it does to the spectrum, dB on GRID, and its own noise, dBFS."""
    floor_dbfs = rng.uniform(*options.floor_dbfs)
    if rng.random() < options.inmp441:
        curve = inmp441() + equaliser(rng, options.equaliser_db, 0.15)  # a case has its own sound
        floor_dbfs = rng.normal(FLOOR_DBFS, 1.5)
    else:
        curve = equaliser(rng, options.equaliser_db)
        cut = np.exp(rng.uniform(np.log(50), np.log(300)))
        curve = curve - rng.choice([10, 20, 40]) * np.log10(1 + (cut / np.maximum(GRID, 1)) ** 2)
        if rng.random() < 0.4:  # a phone's small cavity lifts consonants
            centre = rng.uniform(2000, 5000)
            curve = curve + rng.uniform(2, 8) * np.exp(-((np.log2(np.maximum(GRID, 1) / centre) / 0.5) ** 2))
    if rng.random() < options.narrow:
        edge = rng.choice([3400, 3800, 4000, 5000, 5500, 6500, 7000])
        curve = curve - np.clip((GRID - edge) * rng.choice([0.05, 0.15]), 0, rng.uniform(35, 70))
    return curve, floor_dbfs


def on_bins(curve: NDArray[np.float64], bins: int) -> NDArray[np.float32]:
    """Factors of an rfft's bins, from dB on GRID."""
    return decibels(np.interp(np.linspace(0, RATE / 2, bins), GRID, curve))


def gained(rng: np.random.Generator, sound: Signal) -> Signal:
    """Through an automatic gain: slow as a recorder's or fast as a telephone's."""
    level = _level(sound)
    seconds = np.exp(rng.uniform(np.log(0.05), np.log(2.0)))
    keep = float(np.exp(-spec.HOP / RATE / seconds))
    start = held = float(np.mean(level))
    smooth = [held := keep * held + (1 - keep) * each for each in level.tolist()]
    gain = np.clip(-rng.uniform(0.3, 0.9) * (np.array(smooth) - start), -15, 15)
    return _turned(sound, gain)


def gated(rng: np.random.Generator, sound: Signal) -> Signal:
    """Through a noise gate: 15 to 35 dB below the loudest it closes, after a while."""
    level = _level(sound)
    open_ = level > np.quantile(level, 0.97) - rng.uniform(15, 35)
    ahead, hold = int(rng.integers(1, 4)), int(rng.integers(5, 30))  # hops
    held = np.convolve(open_, np.ones(ahead + hold))[ahead : ahead + len(open_)] > 0.5
    return _turned(sound, np.where(held, 0.0, -rng.uniform(10, 60)))


def _level(sound: Signal) -> NDArray[np.float64]:
    """dB of each hop."""
    blocks = np.pad(sound, (0, -len(sound) % spec.HOP)).reshape(-1, spec.HOP)
    return 20 * np.log10(np.sqrt(np.mean(blocks**2, axis=1)) + 1e-5)


def _turned(sound: Signal, gain_db: NDArray[np.float64]) -> Signal:
    """At another gain each hop, without steps."""
    at = np.arange(len(gain_db)) * spec.HOP + spec.HOP / 2
    return sound * decibels(np.interp(np.arange(len(sound)), at, gain_db))


def suppressed(rng: np.random.Generator, sound: Signal) -> Signal:
    """Quiet cells of the short-time spectrum are pressed down, as noise suppressors and low bit rates do."""
    size, hop = 512, 256
    window = np.sin(np.pi * np.arange(size) / size).astype(np.float32)  # squared, half overlaps sum to one
    padded = np.pad(sound, (size, size + -len(sound) % hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window
    cells = np.fft.rfft(frames).astype(np.complex64)
    power = np.abs(cells)
    if rng.random() < 0.5:  # against the noise of each channel
        threshold = np.quantile(power[::4], 0.2, axis=0) * decibels(rng.uniform(3, 10))
    else:  # against the loudest of each moment
        threshold = power.max(axis=1, keepdims=True) * decibels(rng.uniform(-50, -30))
    cells *= np.where(power < threshold, decibels(rng.uniform(-20, -6)), np.float32(1))
    frames = np.fft.irfft(cells, size).astype(np.float32) * window
    out = np.zeros((len(frames) + 1) * hop, np.float32)
    out[:-hop] += frames[:, :hop].reshape(-1)
    out[hop:] += frames[:, hop:].reshape(-1)
    return out[size : size + len(sound)]


def mulaw(sound: Signal) -> Signal:
    """Through 8 bits of a telephone line, G.711's curve."""
    pressed = np.sign(sound) * np.log1p(255 * np.abs(np.clip(sound, -1, 1))) / np.log(256)
    stepped = np.rint(pressed * 127) / 127
    return (np.sign(stepped) * np.expm1(np.abs(stepped) * np.log(256)) / 255).astype(np.float32)


def mp3(sound: Signal) -> Signal:
    """Through the MP3 codec of libsndfile, which keeps time."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, np.clip(sound, -1, 1), RATE, format="MP3")
    file.seek(0)
    return np.resize(soundfile.read(file, dtype="float32")[0], len(sound))


def clipped(rng: np.random.Generator, sound: Signal) -> Signal:
    """Driven 3 to 15 dB over what fits, hard or soft."""
    driven = sound * decibels(rng.uniform(3, 15)) / (np.abs(sound).max() + np.float32(1e-9))
    return np.tanh(driven) if rng.random() < 0.4 else np.clip(driven, -1, 1)


def click(rng: np.random.Generator, length: int) -> Signal:
    """The relay closes: nothing, then a bounce of a few milliseconds and the microphone's swing back to zero."""
    swing = np.arange(length, dtype=np.float32) / RATE
    sound = rng.uniform(-1, 1) * np.exp(-swing / rng.uniform(0.01, 0.08))
    for _ in range(rng.integers(1, 4)):  # bounces of the contact
        at = rng.integers(0, 80)
        ring = swing[: length - at]
        sound[at:] += (
            rng.uniform(-1, 1) * np.exp(-ring / rng.uniform(3e-4, 3e-3)) * np.cos(ring * rng.uniform(2e3, 4e4))
        )
    return sound.astype(np.float32)


def quantised(rng: np.random.Generator, sound: Signal, floor_dbfs: float) -> NDArray[np.int16]:
    """int16, over the microphone's own noise; no sample run is ever silent."""
    noise = rng.standard_normal(len(sound), dtype=np.float32) * decibels(floor_dbfs)
    return np.clip(np.rint((sound + noise) * 32_767), -32_768, 32_767).astype(np.int16)
