"""The same model run by its own makers' code (pymicro-wakeword) over what the microphone heard.

The firmware says when it heard the wake word. This says whether there was one to hear, so that a firmware that wakes
by itself cannot make its own leaks lawful. The two need not agree sample by sample: the firmware starts afresh after
every mute, and pymicro-wakeword runs on another TFLite.
"""

import numpy as np
from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures

from sourdine import spec
from sourdine_tools.release import MODEL, model_files

NEAR = 0.5  # s: a wake is confirmed by a score that is reached this near to it
ENOUGH = 0.5  # of the score, 0 … 1: far above what anything but the word reaches, well below any cutoff


def scores(heard: np.ndarray) -> np.ndarray:
    """int16 samples → float [n, 2]: room time (s) at which each score was known, and the score."""
    word = MicroWakeWord.from_config(model_files(MODEL)[0])
    found = []
    for number, features in enumerate(MicroWakeWordFeatures().process_streaming(heard.astype("<i2").tobytes())):
        score = word.process_streaming_prob(features)
        if number % word.stride == word.stride - 1:
            found.append(((spec.WINDOW + number * spec.HOP) / spec.SAMPLE_RATE, score))
    return np.array(found).reshape(-1, 2)


def confirmed(decisions: list[int], reference: np.ndarray) -> list[int]:
    """Those wake decisions (room samples) near which the word really was heard, by such scores."""
    at, score = reference.T
    near = [np.abs(at - wake / spec.SAMPLE_RATE) <= NEAR for wake in decisions]
    return [wake for wake, some in zip(decisions, near, strict=True) if score[some].max(initial=0.0) >= ENOUGH]
