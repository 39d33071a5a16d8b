"""The wake rule is ESPHome's; a manifest that cannot run is refused with its reason."""

import itertools
import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ears
from nets import second_stage
from sourdine.wake import AGAIN, MANIFEST_MAX, REST, ModelError, Wake

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


# The second stage ----------------------------------------------------------------------------------------


class Judge:
    """A second stage that takes so many slices, and answers what it is told, one question after another."""

    stride = 150

    def __init__(self, slices, answers):
        self.slices, self.answers = slices, list(answers)
        self.heard = self.left = self.resets = 0
        self.asked = []  # features heard when it was asked

    def remember(self, features):
        assert features is FEATURES
        self.heard += 1

    def begin(self):
        assert self.left == 0, "it is asked while it thinks"
        self.left = self.slices
        self.asked.append(self.heard)

    def advance(self):
        assert self.left > 0, "it is not asked"
        self.left -= 1
        return -1 if self.left else self.answers[(len(self.asked) - 1) % len(self.answers)]

    def reset(self):
        self.left, self.resets = 0, self.resets + 1


def more(**verify):
    second = {"model": "hush.verify.tflite", "features": 150, "spotter_cutoff": 0.5, "cutoff": 0.6}
    return {"version": 1, "verify": dict(second, **verify)}


def cascade(probabilities, judge, size=1, **verify):
    """Features heard at each wake."""
    wake = Wake(manifest(sliding_window_size=size), Script(probabilities), more(**verify), judge)
    return [i + 1 for i in range(3 * len(probabilities)) if wake.hear(FEATURES)]


def by_the_rule(probabilities, size, slices, answers):
    """The same, and when it asked, told feature by feature from the rule's text; cutoffs 0.5 and 0.6."""
    wakes, asked, since, quiet, rest_from, fresh = [], [], [0] * size, 0, 0, False
    for now in range(1, 3 * len(probabilities) + 1):
        if now % 3 == 0:
            since.append(probabilities[now // 3 - 1])
            fresh = True
        quiet += quiet < REST and since[-1] < 127
        rested = quiet == REST
        fires = fresh and rested and sum(since[-size:]) > 127 * size
        fresh = fresh and not rested
        thinks = asked and now <= asked[-1] + slices and asked[-1] > rest_from
        if thinks:
            if now == asked[-1] + slices and answers[(len(asked) - 1) % len(answers)] >= 153:
                wakes.append(now)
                since, quiet, rest_from, fresh = [0] * size, 0, now, False
        elif fires and (not asked or asked[-1] <= rest_from or now >= asked[-1] + AGAIN):
            asked.append(now)
    return wakes, asked


REST_QUIET = [0] * (REST // 3 + 1)


@pytest.mark.parametrize("slices", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("size", [1, 2])
def test_every_small_history_of_both_stages_follows_the_rule(slices, size):
    """All histories of seven loud or quiet steps, and all answers to three questions."""
    for steps in itertools.product([0, 255], repeat=7):
        for answers in itertools.product([152, 153], repeat=3):
            judge = Judge(slices, answers)
            found = cascade([*REST_QUIET, *steps], judge, size)
            assert (found, judge.asked) == by_the_rule([*REST_QUIET, *steps], size, slices, answers)


@given(streams, st.integers(1, 12), st.integers(1, 20), st.lists(st.integers(0, 255), min_size=1, max_size=4))
def test_any_history_of_both_stages_follows_the_rule(probabilities, size, slices, answers):
    judge = Judge(slices, answers)
    found = cascade(probabilities, judge, size)
    assert (found, judge.asked) == by_the_rule(probabilities, size, slices, answers)


@given(streams, st.integers(1, 12), st.integers(1, 20), st.lists(st.integers(0, 255), min_size=1, max_size=4))
def test_the_second_stage_never_wakes_where_the_spotter_would_not(probabilities, size, slices, answers):
    """Beside it runs a spotter alone, with the same cutoff, that is made anew at each wake: it has fired before."""
    script, judge = Script(probabilities), Judge(slices, answers)
    both = Wake(manifest(sliding_window_size=size), script, more(), judge)
    alone = Wake(manifest(sliding_window_size=size, probability_cutoff=0.5), Script(probabilities))
    fired = []
    for i in range(1, 3 * len(probabilities) + 1):
        if alone.hear(FEATURES):
            fired.append(i)
        if both.hear(FEATURES):
            assert fired and fired[0] <= i - slices
            alone._forget()
            fired = []


def test_a_yes_wakes_when_it_is_said_and_once_for_an_utterance():
    judge = Judge(4, [255])
    assert cascade(QUIET + LOUD + QUIET + LOUD, judge) == [3 * 41 + 4, 3 * 93 + 4]
    assert judge.asked == [3 * 41, 3 * 93]
    assert len(cascade(QUIET + LOUD * 9, Judge(4, [255]))) == 1


def test_after_a_no_it_is_asked_again_while_the_spotter_fires():
    judge = Judge(1, [0, 0, 200])
    assert cascade(QUIET + LOUD, judge) == [3 * 41 + 2 * AGAIN + 1]
    assert judge.asked == [3 * 41, 3 * 41 + AGAIN, 3 * 41 + 2 * AGAIN]


def test_a_spotter_that_went_quiet_is_not_enough_for_a_second_question():
    judge = Judge(5, [0, 255])
    assert cascade([*QUIET, 255, 0, 0, 0, 0, 0], judge) == []
    assert judge.asked == [3 * 41]


def test_the_answer_counts_even_if_the_spotter_went_quiet_meanwhile():
    assert cascade([*QUIET, 255, 0, 0, 0, 0, 0], Judge(9, [255])) == [3 * 41 + 9]


def test_cutoffs_of_both_stages_are_those_of_the_second_file():
    loud = [int(0.5 * 255) + 1] * 3
    assert cascade(QUIET + loud, Judge(1, [153])) != []
    assert cascade(QUIET + loud, Judge(1, [152])) == []
    assert cascade(QUIET + loud, Judge(1, [153]), spotter_cutoff=0.51) == []
    assert cascade(QUIET + loud, Judge(1, [153]), cutoff=0.61) == []


def test_reset_forgets_a_question_and_what_the_second_stage_heard():
    script, judge = Script(QUIET + LOUD + QUIET), Judge(50, [255])
    wake = Wake(manifest(sliding_window_size=1), script, more(), judge)
    for _ in range(3 * 41 + 10):
        assert not wake.hear(FEATURES)
    assert judge.left == 40
    wake.reset()
    assert (judge.resets, judge.left, script.resets, wake.answer) == (1, 0, 1, -1)
    script.probabilities = QUIET
    assert not any(wake.hear(FEATURES) for _ in range(3 * len(QUIET)))


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ([], "version 1"),
        ({"version": 2}, "version 1"),
        (dict(more(), verify=True), '"verify"'),
        (more(model="../hush.verify.tflite"), "model"),
        (more(model=None), "model"),
        (more(features=151), "features is 151"),
        (more(features=0), "features is 0"),
        (more(features=True), "features"),
        (more(features=149), "takes 150 features, not 149"),
        (more(cutoff=1.01), "cutoff is 1.01"),
        (more(cutoff=float("nan")), "cutoff is nan"),
        (more(cutoff=None), "cutoff is None"),
        (more(spotter_cutoff="0.5"), "spotter_cutoff is 0.5"),
        (more(spotter_cutoff=-0.1), "spotter_cutoff is -0.1"),
        ({"version": 1}, "disagree"),
        (None, "version 1"),
    ],
)
def test_a_second_stage_that_cannot_run_is_refused_with_its_reason(broken, reason):
    with pytest.raises(ModelError, match=reason):
        Wake(MANIFEST, Script([]), broken, Judge(1, [0]))


def test_a_second_stage_that_is_promised_and_not_there_is_refused():
    with pytest.raises(ModelError, match="disagree"):
        Wake(MANIFEST, Script([]), more())


@pytest.fixture
def pair(tmp_path):
    """A folder with all four files of a model; hush.json's path."""
    shutil.copy(ears.models() / "alexa.tflite", tmp_path / "hush.tflite")
    (tmp_path / "hush.verify.tflite").write_bytes(second_stage(np.random.default_rng(1)))
    (tmp_path / "hush.json").write_text(json.dumps(MANIFEST))
    (tmp_path / "hush.sourdine.json").write_text(json.dumps(more()))
    return tmp_path / "hush.json"


def test_loading_finds_the_second_stage_beside_the_first(pair):
    random = np.random.default_rng(0)
    wake = Wake.load(str(pair))
    for _ in range(4):
        wake.hear(random.integers(-128, 128, 40).astype(np.int8))
    assert wake._verifier.stride == 150
    pair.with_name("hush.sourdine.json").write_text(json.dumps({"version": 1, "cutoffs": {"0.5": 0.9}}))
    assert Wake.load(str(pair))._verifier is None
    pair.with_name("hush.sourdine.json").unlink()
    assert Wake.load(str(pair))._verifier is None


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("name", "harm", "reason"),
    [
        ("hush.verify.tflite", lambda path: path.unlink(), "no hush.verify.tflite beside it"),
        ("hush.verify.tflite", cut, "hush.verify.tflite: "),
        ("hush.verify.tflite", lambda path: path.write_bytes(b""), "hush.verify.tflite: this is not a .tflite file"),
        ("hush.verify.tflite", lambda path: shutil.copy(ears.models() / "alexa.tflite", path), "keeps no state"),
        (
            "hush.verify.tflite",
            lambda path: path.write_bytes(second_stage(np.random.default_rng(1), 120)),
            "takes 120 features, not 150",
        ),
        ("hush.tflite", lambda path: path.write_bytes(second_stage(np.random.default_rng(1))), "hush.tflite: no input"),
        ("hush.sourdine.json", lambda path: path.write_text("{"), "not JSON"),
        ("hush.sourdine.json", lambda path: path.write_text(" " * (MANIFEST_MAX + 1)), "too long"),
        ("hush.sourdine.json", lambda path: path.write_text("null"), "version 1"),
        ("hush.sourdine.json", lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
    ],
)
def test_whatever_is_wrong_with_the_second_stage_the_word_does_not_load(pair, name, harm, reason):
    harm(pair.with_name(name))
    with pytest.raises(ModelError, match=reason):
        Wake.load(str(pair))
