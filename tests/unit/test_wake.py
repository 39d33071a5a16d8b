"""The wake rule is ESPHome's; a manifest that cannot run is refused with its reason."""

import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ears
from sourdine.wake import MANIFEST_MAX, REST, ModelError, Wake

MANIFEST = {
    "type": "micro",
    "wake_word": "Hush",
    "author": "A",
    "website": "https://example.org",
    "model": "hush.tflite",
    "trained_languages": ["en"],
    "version": 2,
    "micro": {
        "probability_cutoff": 0.9,
        "sliding_window_size": 5,
        "feature_step_size": 10,
        "tensor_arena_size": 22348,
        "minimum_esphome_version": "2024.7.0",
    },
}
FEATURES = bytes(40)


def manifest(**micro):
    return dict(MANIFEST, micro=dict(MANIFEST["micro"], **micro))


class Script:
    """A model that says what it is told, a probability every third feature."""

    def __init__(self, probabilities):
        self.probabilities = list(probabilities)
        self.fed = self.resets = 0

    def feed(self, features):
        assert features is FEATURES
        self.fed += 1
        return -1 if self.fed % 3 else self.probabilities[self.fed // 3 - 1]

    def reset(self):
        self.fed, self.resets = 0, self.resets + 1


def wakes(probabilities, **micro):
    """Indexes of the features at which it wakes."""
    wake = Wake(manifest(**micro), Script(probabilities))
    return [i for i in range(3 * len(probabilities)) if wake.hear(FEATURES)]


def by_esphome(probabilities, cutoff, size):
    """The same decisions, told as streaming_model.cpp tells them: counters from below, a window of the past."""
    found, recent, ignore, unprocessed = [], [0] * size, -100, False
    for i in range(3 * len(probabilities)):
        if i % 3 == 2:
            recent = recent[1:] + [probabilities[i // 3]]
            unprocessed = True
        if recent[-1] < cutoff:
            ignore = min(ignore + 1, 0)
        if unprocessed and ignore == 0:
            unprocessed = False
            if sum(recent) > cutoff * size:
                found.append(i)
                recent, ignore = [0] * size, -100
    return found


QUIET, LOUD = [0] * 40, [255] * 12
streams = st.lists(
    st.one_of(
        st.lists(st.integers(0, 255), max_size=6),
        st.lists(st.sampled_from([0, 228, 229, 230, 255]), max_size=9),
        st.just(QUIET),
        st.just(LOUD),
    ),
    max_size=12,
).map(lambda pieces: [probability for piece in pieces for probability in piece])


@given(streams, st.sampled_from([0.0, 0.3, 0.9, 0.97, 1.0]), st.integers(1, 12))
def test_decisions_are_those_of_esphome(probabilities, cutoff, size):
    expected = by_esphome(probabilities, int(cutoff * 255), size)
    assert wakes(probabilities, probability_cutoff=cutoff, sliding_window_size=size) == expected


def test_one_utterance_wakes_once():
    assert len(wakes(QUIET + LOUD + QUIET)) == 1
    assert len(wakes(QUIET + LOUD * 9)) == 1  # however long it lasts
    assert len(wakes(QUIET + LOUD + QUIET + LOUD)) == 2


def test_wakes_as_soon_as_the_mean_passes_the_cutoff():
    assert wakes(QUIET + LOUD) == [3 * (40 + 5) - 1]
    assert wakes(QUIET + [229] * 9) == []  # 0.9 is 229 of 255, and the mean must exceed it
    assert wakes(QUIET + [230] * 9) == [3 * (40 + 5) - 1]


def test_the_first_second_decides_nothing():
    quiet = REST // 3
    assert wakes([0] * (quiet - 5) + LOUD) == []
    assert wakes([0] * (quiet + 1) + LOUD) != []


def test_score_is_the_mean_of_the_window():
    wake = Wake(manifest(), Script([*QUIET, 100, 200, 255]))
    for _ in range(3 * 43):
        wake.hear(FEATURES)
    assert wake.score == (100 + 200 + 255) // 5
    assert wake.word == "Hush"


def test_reset_forgets_the_model_and_the_window():
    model = Script(QUIET + [255] * 4 + QUIET)
    wake = Wake(manifest(), model)
    for _ in range(3 * 44):
        assert not wake.hear(FEATURES)
    assert wake.score == 204
    wake.reset()
    assert (wake.score, model.resets) == (0, 1)
    model.probabilities = [255] * 9
    assert not any(wake.hear(FEATURES) for _ in range(27))


def test_second_stage_may_say_not_yet():
    answers = [False, False, True]
    wake = Wake(manifest(), Script(QUIET + LOUD), verify=lambda: answers.pop(0))
    found = [i for i in range(3 * 52) if wake.hear(FEATURES)]
    assert found == [3 * (40 + 7) - 1]
    assert answers == []


def test_cutoff_is_the_same_with_single_precision_floats():
    """Up to three decimals, a board's float32 gives the same integer as a double."""
    for k in range(1001):
        assert int(np.float32(k / 1000) * np.float32(255)) == int(k / 1000 * 255), k


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ([], "type"),
        (dict(MANIFEST, type="wake"), "type"),
        (dict(MANIFEST, version=1), "version 1; only 2"),
        ({k: v for k, v in MANIFEST.items() if k != "micro"}, '"micro"'),
        (dict(MANIFEST, wake_word=""), "wake_word"),
        (dict(MANIFEST, model="../settings.json"), "model"),
        (dict(MANIFEST, model="/certs/a.tflite"), "model"),
        (manifest(feature_step_size=20), "feature_step_size is 20; only 10"),
        (manifest(probability_cutoff=1.5), "probability_cutoff is 1.5"),
        (manifest(probability_cutoff="0.9"), "probability_cutoff"),
        (manifest(probability_cutoff=float("nan")), "probability_cutoff"),
        (manifest(sliding_window_size=0), "sliding_window_size is 0"),
        (manifest(sliding_window_size=101), "sliding_window_size"),
        (manifest(sliding_window_size=True), "sliding_window_size"),
        (manifest(tensor_arena_size=None), "tensor_arena_size is None"),
    ],
)
def test_manifest_that_cannot_run_is_refused_with_its_reason(broken, reason):
    with pytest.raises(ModelError, match=reason):
        Wake(broken, Script([]))


def test_loading_two_files_is_all_it_takes(tmp_path):
    for suffix in ("json", "tflite"):
        shutil.copy(ears.models() / f"alexa.{suffix}", tmp_path)
    assert Wake.load(str(tmp_path / "alexa.json")).word == "Alexa"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no such file"),
        ("{", "not JSON"),
        ("[" * MANIFEST_MAX, "not JSON"),
        (" " * (MANIFEST_MAX + 1), "too long"),
        (json.dumps(MANIFEST), "no hush.tflite beside it"),
        (json.dumps(dict(MANIFEST, model="m.tflite")), "m.tflite: this is not a .tflite file"),
    ],
)
def test_loading_says_what_is_wrong_with_the_files(tmp_path, text, reason):
    path = tmp_path / "hush.json"
    (tmp_path / "m.tflite").write_bytes(b"not a model at all")
    if text is not None:
        path.write_text(text)
    with pytest.raises(ModelError, match=reason):
        Wake.load(str(path))


def test_manifest_of_stray_bytes_is_refused(tmp_path):
    (tmp_path / "hush.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ModelError, match="not JSON"):
        Wake.load(str(tmp_path / "hush.json"))
