"""What a training is told."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VerifierOptions:
    """The verifier's training."""

    steps: int = 5_000
    batch: int = 192
    rate: float = 2e-3
    warmup: int = 200
    decay: float = 1e-2
    average: float = 0.998
    int8_from: float = 0.8
    cutoff: float = 0.01  # where the spotter fires for the verifier's training: lower, and there is more to learn from
    jitter: tuple[int, int] = (-6, 15)  # frames around the moment of firing
    positives: float = 0.4
    easy: float = 0.1  # share of any windows, fired or not
    smoothing: float = 0.03
    caution: float = 2.0
    gain: float = 0.6
    tilt: float = 0.8
    throat: float = 0.07
    time_masks: int = 2
    time_mask: int = 10
    band_masks: int = 2
    band_mask: int = 5
    every: int = 500
    keep: int = 3


@dataclass(frozen=True)
class Options:
    """The spotter's training. Shares are of a batch; what is left of it are windows of the streams."""

    steps: int = 16_000
    batch: int = 256  # windows
    crop: int = 228  # frames of a window's 240: the rest is random shift
    rate: float = 3e-3  # AdamW's greatest; rises over `warmup` steps, falls as a cosine
    warmup: int = 300
    decay: float = 1e-3
    average: float = 0.998  # of the moving average of weights, which is what is validated and kept
    int8_from: float = 0.8  # of the steps: from here on folded and fake-quantised
    positives: float = 0.25
    near: float = 0.2
    hard: float = 0.2  # taken from the streams' share, once something was mined
    mix: float = 0.0  # share of windows over which a quieter stretch of a stream is laid
    window: int = 3  # steps whose mean decides: the manifest's sliding_window_size
    before: int = 2  # steps before the word's end where the maximum may lie
    after: int = 4  # and after it
    guard: int = 3  # further steps on either side of which nothing is asked
    smoothing: float = 0.02  # of labels
    caution: float = 3.0  # weight of false accepts at the end; 1 at the start
    mining: tuple[float, ...] = (0.25, 0.4, 0.55, 0.7)  # of the steps
    mined: int = 3_000  # false firings kept a round
    gain: float = 0.6  # standard deviation of the offset in the log domain; features run from 0 to 26
    tilt: float = 0.8  # and of a curve of four pieces over the bands: another microphone, another room
    throat: float = 0.07  # standard deviation of the logarithm by which formants move, pitch with them
    time_masks: int = 2
    time_mask: int = 12  # frames at most
    band_masks: int = 2
    band_mask: int = 5  # bands at most
    every: int = 800  # steps between validations, each a checkpoint
    keep: int = 3  # candidates that are averaged in the end
    rates: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0, 20.0)  # false accepts per hour at which misses are counted
