"""The rule over whole streams decides exactly as the firmware's own Wake does, feature by feature."""

import itertools
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine.wake import REST, Wake
from sourdine_training.rule import wakes

FEATURES = bytes(40)
MICRO = {"feature_step_size": 10, "tensor_arena_size": 1, "minimum_esphome_version": "2024.7.0"}


class Spotter:
    def __init__(self, probabilities):
        self._steps = list(probabilities)
        self._fed = 0

    def feed(self, features):
        self._fed += 1
        return -1 if self._fed % 3 else int(self._steps[self._fed // 3 - 1])

    def reset(self):
        self._fed = 0


class Verifier:
    """Answers by the number of the last feature that it was asked about."""

    stride = 150

    def __init__(self, slices, answers):
        self._slices, self._answers = slices, answers
        self._heard, self._left = -1, 0

    def remember(self, features):
        self._heard += 1

    def begin(self):
        self._about, self._left = self._heard, self._slices

    def advance(self):
        self._left -= 1
        return -1 if self._left else self._answers[self._about % len(self._answers)]

    def reset(self):
        pass


def yes(answers, feature):
    return answers[feature % len(answers)] >= 128


def by_the_firmware(probabilities, cutoff, window, slices=0, answers=(), rest=REST):
    """Where Wake wakes; cutoffs in 255ths, that of the second stage 128."""
    manifest = {"type": "micro", "version": 2, "wake_word": "Hush", "model": "hush.tflite"}
    near = (cutoff + 0.5) / 255  # whatever rounds down to it
    manifest["micro"] = MICRO | {"probability_cutoff": min(near, 1), "sliding_window_size": window}
    more, second = {"version": 1}, None
    if slices:
        stage = {"model": "hush.verify.tflite", "features": 150, "spotter_cutoff": min(near, 1), "cutoff": 128.5 / 255}
        more, second = more | {"verify": stage}, Verifier(slices, answers)
    wake = Wake(manifest, Spotter(probabilities), more, second)
    wake._rest = rest
    return [i for i in range(3 * len(probabilities)) if wake.hear(FEATURES)]


pieces = st.one_of(
    st.lists(st.integers(0, 255), max_size=9),
    st.lists(st.sampled_from([0, 126, 127, 128, 255]), max_size=9),
    st.integers(0, 45).map(lambda n: [0] * n),
    st.integers(0, 45).map(lambda n: [255] * n),
)
streams = st.lists(pieces, max_size=14).map(lambda parts: [p for part in parts for p in part])
cutoffs = st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 127, 254, 255]))
windows = st.one_of(st.integers(1, 8), st.integers(30, 100))
rests = st.sampled_from([0, 1, 2, 3, 5, 50, REST])


@settings(max_examples=200, deadline=None)
@given(streams, cutoffs, windows, rests)
def test_a_spotter_alone_wakes_where_the_firmware_does(probabilities, cutoff, window, rest):
    expected = by_the_firmware(probabilities, cutoff, window, rest=rest)
    assert wakes(probabilities, cutoff, window, rest=rest).tolist() == expected


@settings(max_examples=200, deadline=None)
@given(streams, cutoffs, windows, rests, st.integers(1, 20), st.lists(st.integers(0, 255), min_size=1, max_size=40))
def test_both_stages_wake_where_the_firmware_does(probabilities, cutoff, window, rest, slices, answers):
    asked = []

    def verify(feature):
        asked.append(feature)
        return yes(answers, feature)

    expected = by_the_firmware(probabilities, cutoff, window, slices, answers, rest)
    assert wakes(probabilities, cutoff, window, verify, slices, rest).tolist() == expected
    assert asked == sorted(set(asked))


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("slices", [1, 4, 7])
def test_every_small_history_wakes_where_the_firmware_does(window, slices):
    for steps in itertools.product([0, 255], repeat=8):
        for answers in ([255], [0] * 4 + [255] * 3, [0, 0, 255]):
            expected = by_the_firmware(steps, 128, window, slices, answers, rest=0)
            verify = partial(yes, answers)
            assert wakes(steps, 128, window, verify, slices, rest=0).tolist() == expected


def test_it_wakes_at_features_not_at_steps():
    assert wakes([0] * 40 + [255], 128, 1).tolist() == [3 * 41 - 1]
    assert wakes([0] * 40 + [255] + [0] * 9, 128, 1, lambda i: i == 122, slices=7).tolist() == [3 * 41 - 1 + 7]


def test_an_hour_of_steps_takes_no_loop():
    """A million steps, one wake: what is slow here would be slow for every point of a curve."""
    steps = np.zeros(1_000_000, np.uint8)
    steps[700_000:700_010] = 255
    assert wakes(steps, 128, 3).tolist() == [3 * 700_002 - 1]
