"""Where a sound begins and ends."""

import numpy as np

WINDOW_S = 0.01  # over which energy is measured
QUIET = 1e-4  # of the loudest window's energy, −40 dB: what is below is not heard as part of a word
ABOVE_FLOOR = 8.0  # × the floor's energy, 9 dB: some voices hiss louder than that
LOUD = 1e-3  # −30 dB: what is above belongs to the word, however loud the floor seems
FLOOR_S = 0.08  # the quietest stretch of this length is the voice's floor
BLIP_S, APART_S = 0.04, 0.15  # a shorter sound so far from the rest is a click, not a sound of the word
EDGE_S = 0.05  # kept before the first and after the last sound


def bounds(samples: np.ndarray, rate: int) -> tuple[int, int] | None:
    """First sample of the first sound and the one after the last, to 1 ms; None when there is no sound."""
    window, step = round(WINDOW_S * rate), rate // 1000
    if len(samples) <= window or not np.any(samples):
        return None
    total = np.concatenate([np.zeros(window + 1), np.cumsum(np.square(samples, dtype=np.float64))])
    total = np.concatenate([total, np.full(window, total[-1])])  # as if silence lay around it
    starts = np.arange(0, len(samples) + window + 1, step)
    energy = total[starts + window] - total[starts]
    floor, wide = 0.0, round(FLOOR_S / WINDOW_S) * window
    if len(samples) > 2 * wide:
        inside = total[window : window + len(samples) + 1]
        long = np.arange(0, len(samples) - wide + 1, window)
        floor = float((inside[long + wide] - inside[long]).min()) * window / wide
    loud = energy > min(max(QUIET * energy.max(), ABOVE_FLOOR * floor), energy.max() * LOUD)
    runs = np.flatnonzero(np.diff(np.concatenate([[False], loud, [False]]).astype(np.int8))).reshape(-1, 2)
    # a window hears a sound as soon as it reaches in: the sound begins where the first window ends
    sounds = [(max(int(starts[a]) - step, 0), int(starts[b - 1]) + step - window) for a, b in runs]
    sounds = [(begin, min(max(end, begin + step), len(samples))) for begin, end in sounds]
    while len(sounds) > 1 and _blip(sounds[0], sounds[1], rate):
        del sounds[0]
    while len(sounds) > 1 and _blip(sounds[-1], sounds[-2], rate):
        del sounds[-1]
    return sounds[0][0], sounds[-1][1]


def trim(samples: np.ndarray, rate: int) -> np.ndarray | None:
    """From EDGE_S before the first sound to EDGE_S after the last, zeros where the recording is shorter; None as above."""
    found = bounds(samples, rate)
    if not found:
        return None
    edge = round(EDGE_S * rate)
    padded = np.pad(samples, edge)
    return padded[found[0] : found[1] + 2 * edge]


def _blip(sound: tuple[int, int], neighbour: tuple[int, int], rate: int) -> bool:
    gap = max(sound[0] - neighbour[1], neighbour[0] - sound[1])
    return sound[1] - sound[0] < BLIP_S * rate and gap > APART_S * rate
