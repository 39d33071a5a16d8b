"""More speakers out of one clip: pitch, throat, breath and pace, by the WORLD vocoder (Morise 2016)."""

from typing import Any

import numpy as np

FRAME_MS = 5.0


def warp(
    samples: np.ndarray,
    rate: int,
    pitch: float = 0.0,
    formants: float = 1.0,
    breath: float = 0.0,
    tempo: float = 1.0,
    intonation: float = 1.0,
) -> np.ndarray:
    """The voice `pitch` semitones higher, its formants at × `formants`, `breath` (0…1) breathier, × `tempo` faster.

    Its melody strays × `intonation` as far, on a logarithmic scale, from its mean, which stays.
    float32 in and out, as long as before / tempo. The same input gives the same output: WORLD seeds its noise anew.
    """
    import pyworld

    world: Any = pyworld
    x = np.ascontiguousarray(samples, np.float64)
    found, times = world.dio(x, rate, frame_period=FRAME_MS)
    f0 = world.stonemask(x, found, times, rate)
    envelope = world.cheaptrick(x, f0, times, rate)
    noise = world.d4c(x, f0, times, rate)
    if formants != 1.0:  # an envelope that is compressed keeps its last value above
        bins = np.arange(envelope.shape[1])
        envelope = np.exp(_along(np.log(envelope), bins / formants))
        noise = _along(noise, bins / formants)
    voiced = f0 > 0
    if intonation != 1.0 and voiced.any():
        melody = np.log(f0[voiced])
        f0[voiced] = np.exp(melody.mean() + intonation * (melody - melody.mean()))
    if tempo != 1.0:
        frames = np.arange(0, len(f0) - 1, tempo)
        f0 = f0[np.rint(frames).astype(int)]  # not between a voiced and an unvoiced frame
        envelope = np.exp(_along(np.log(envelope).T, frames).T)
        noise = _along(noise.T, frames).T
    noise = 1 - (1 - noise) * (1 - breath)
    whole = [np.ascontiguousarray(each) for each in (f0 * 2 ** (pitch / 12), envelope, noise)]
    made = world.synthesize(*whole, rate, FRAME_MS)
    return made[: round(len(samples) / tempo)].astype(np.float32)


def _along(rows: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Each row read at fractional places, its ends held."""
    at = np.clip(at, 0, rows.shape[1] - 1)
    low = np.minimum(at.astype(int), rows.shape[1] - 2) if rows.shape[1] > 1 else np.zeros(len(at), int)
    share = at - low
    return rows[:, low] * (1 - share) + rows[:, np.minimum(low + 1, rows.shape[1] - 1)] * share
