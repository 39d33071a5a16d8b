"""What is exported is what was trained: the same in tflite-micro and in the firmware, and near what the floats say."""

import json
import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from sourdine.tflite import Model
from sourdine.verifier import Verifier
from sourdine.wake import Wake
from sourdine_board.mistake import Mistake
from sourdine_training import export
from sourdine_training.export import manifest, run
from sourdine_training.export.calibrate import Choice, Cutoffs
from sourdine_training.net import options as sizes
from sourdine_training.net import quant
from sourdine_training.net.score import score
from sourdine_training.net.weights import Weights

# What ESPHome's micro_wake_word registers (micro_wake_word.cpp, register_streaming_ops_) and has room for.
ESPHOME_OPS = (
    "CALL_ONCE VAR_HANDLE RESHAPE READ_VARIABLE STRIDED_SLICE CONCATENATION ASSIGN_VARIABLE CONV_2D MUL ADD MEAN "
    "FULLY_CONNECTED LOGISTIC QUANTIZE DEPTHWISE_CONV_2D AVERAGE_POOL_2D MAX_POOL_2D PAD PACK SPLIT_V"
)
ESPHOME_VARIABLES = 20
SMALL = sizes.Options(first_filters=8, kernels=((5,), (3, 7)), filters=(12, 9), head_steps=3)
SMALL_VERIFIER = sizes.VerifierOptions(first_filters=8, kernels=((3,), (2, 4)), strides=(1, 2), filters=(12, 9))


def sounds(n, frames, seed=0):
    """Features that change slowly, as those of speech do; int8 [n, frames, 40]."""
    random = np.random.default_rng([seed, n])
    slow = np.cumsum(random.normal(0, 9, (n, frames, 40)), 1)
    return np.clip(slow - slow.mean(1, keepdims=True) + random.normal(-40, 20, (n, 1, 40)), -128, 127).astype(np.int8)


def net(options, seed=0, ranges=None):
    """Random weights, whose logits spread over a few units."""
    random, arrays = np.random.default_rng(seed), {}
    stack = options.stack()
    for i, layer in enumerate(stack):
        for name, shape in layer.shapes.items():
            inputs = shape[0] if name != "w" else np.prod(shape) // layer.width
            gain = 0.05 if i == len(stack) - 1 else 1.4
            arrays[f"{i}.{name}"] = random.normal(0, gain / np.sqrt(inputs), shape).astype(np.float32)
        if f"{i}.w" in arrays:
            arrays[f"{i}.b"] = random.normal(0, 0.1, layer.width).astype(np.float32)
    unknown = np.full((len(stack), 2), np.nan, np.float32)
    return Weights(options, arrays, unknown if ranges is None else ranges)


@pytest.fixture(scope="module")
def windows():
    return sounds(6, 240)


@pytest.fixture(scope="module")
def spotter(windows):
    weights = net(SMALL)
    return weights, export.tflite(weights, windows)


@pytest.fixture(scope="module")
def verifier(windows):
    weights = net(SMALL_VERIFIER, 1)
    return weights, export.tflite(weights, windows)


# The .tflite


@pytest.mark.parametrize("options", [SMALL, sizes.Options(), SMALL_VERIFIER, sizes.VerifierOptions()])
def test_the_firmware_gives_what_tflite_micro_gives_and_both_nearly_what_the_floats_give(options, windows):
    weights = net(options, 3)
    data = export.tflite(weights, windows)
    agreement = export.agree(weights, data, windows)
    assert agreement.exact
    assert agreement.steps == (6 if weights.kind == "verifier" else 6 * 80)
    assert agreement.mean < 0.03
    assert agreement.greatest < 0.15


def test_a_difference_would_be_seen(spotter, verifier, windows):
    """The floats of one net beside the int8 of another."""
    assert export.agree(net(SMALL, 9), spotter[1], windows).mean > 0.05


def test_the_firmware_on_cpython_gives_the_same(spotter, verifier, windows):
    model, second = Model(spotter[1]), Verifier(verifier[1])
    steps = windows[0, :30].reshape(10, 3, 40)
    reference = run.probabilities(spotter[1], windows[0, :30])
    assert [model.step(np.ascontiguousarray(step).reshape(-1)) for step in steps] == reference.tolist()
    for row in windows[0, :150]:
        second.remember(row)
    second.begin()
    while (answer := second.advance()) < 0:
        pass
    assert answer == run.Answers(run.Reference(verifier[1]), windows[0])(149)


def test_a_question_before_enough_was_heard_is_answered_as_on_the_board(verifier, windows):
    second = Verifier(verifier[1])
    for row in windows[1, :40]:
        second.remember(row)
    second.begin()
    while (answer := second.advance()) < 0:
        pass
    answers = run.Answers(run.Reference(verifier[1]), windows[1])
    assert answer == answers(39) != answers(149)


def test_it_runs_in_the_peers_own_runtime(spotter, windows, tmp_path):
    """pymicro-wakeword's LiteRT, whose kernels round elsewhere, which on the public models is some 255ths, too."""
    from pymicro_wakeword import MicroWakeWord

    export.write(tmp_path, "hush", "Hush", spotter[1], replace(CHOSEN, window=1), author="A")
    peer = MicroWakeWord.from_config(tmp_path / "hush.json")
    floats = quant.dequantise(windows[0])
    said = [peer.process_streaming_prob(row.reshape(1, 1, 40)) for row in floats][2::3]
    ours = run.probabilities(spotter[1], windows[0])
    assert np.abs(np.array(said) * 256 - ours).max() < 26
    assert np.ptp(ours) > 100


def model(data):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))


def test_it_is_made_of_what_esphome_can_run(spotter):
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    used = {names[code.builtinCode] for code in model(spotter[1]).operatorCodes}
    assert used <= set(ESPHOME_OPS.split())
    main = model(spotter[1]).subgraphs[0]
    handles = [op for op in main.operators if hasattr(op.builtinOptions, "sharedName")]
    assert 0 < len(handles) <= ESPHOME_VARIABLES
    shapes = {tuple(main.tensors[i].shape): main.tensors[i].type for i in (main.inputs[0], main.outputs[0])}
    assert shapes == {(1, 3, 40): schema.TensorType.INT8, (1, 1): schema.TensorType.UINT8}


@pytest.mark.parametrize("which", ["spotter", "verifier"])
def test_constants_start_where_a_chip_reads_words(which, request):
    data = request.getfixturevalue(which)[1]
    root = schema.Model.GetRootAsModel(data, 0)
    vectors = [root.Buffers(i)._tab for i in range(root.BuffersLength())]
    starts = [tab.Vector(tab.Offset(4)) for tab in vectors if tab.Offset(4)]
    assert len(starts) > 10
    assert all(start % 16 == 0 for start in starts)


def test_the_same_weights_give_the_same_bytes(spotter, windows):
    assert export.tflite(net(SMALL), windows) == spotter[1]
    assert export.tflite(net(SMALL, 7), windows) != spotter[1]


def test_a_net_that_was_trained_quantised_keeps_its_ranges():
    ranges = np.array([[0, 11], [-3, 4.5], [0, 7], [-6, 2], [0, 13], [-40, 90]], np.float32)
    tensors = {tensor.name: tensor for tensor in model(export.tflite(net(SMALL, ranges=ranges))).subgraphs[0].tensors}
    for i, name in enumerate(["0", "1.0", "2", "3", "4"]):
        scale, zero = quant.activation_scale(*map(float, ranges[i]))
        quantization = tensors[name.encode()].quantization
        assert (quantization.scale[0], quantization.zeroPoint[0]) == (scale, zero)
    logit = tensors[b"logit"].quantization
    assert logit.scale[0] == pytest.approx(12.5 / 255)  # what is beyond is 0 or 255 anyway


def test_a_net_without_ranges_takes_windows():
    with pytest.raises(ValueError, match="windows to calibrate"):
        export.tflite(net(SMALL))


def test_what_the_firmware_refuses_is_said(verifier):
    with pytest.raises(Mistake, match="the firmware refuses this model: ModelError: no input is int8"):
        run.on_board(verifier[1], np.empty((0, 0, 40), np.int8))
    with pytest.raises(Mistake, match="tflite-micro does not take"):
        run.arena(b"not a model")


def test_the_arena_is_what_tflite_micro_needs(spotter):
    from tflite_micro.python.tflite_micro import runtime

    size = run.arena(spotter[1])
    runtime.Interpreter.from_bytes(spotter[1], arena_size=size)
    assert 2_000 < size < 20_000
    assert size % 256 == 0


# The manifests

CHOSEN = Cutoffs(
    window=2,
    alone=Choice(229, -1, 0.1, 0.5),
    both=Choice(127, 140, 0.05, 0.4),
    hours=4.0,
    words=100,
    slices=3,
    alone_table={0.5: Choice(229, -1, 0.1, 0.5), 2.0: Choice(200, -1, 0.05, 1.9)},
    both_table={0.5: Choice(127, 140, 0.05, 0.4)},
)


def test_the_files_load_in_the_firmware_with_the_cutoffs_that_were_chosen(spotter, verifier, tmp_path):
    paths = export.write(tmp_path, "hush", "Hush!", spotter[1], CHOSEN, verifier[1], "A", languages=["fr"])
    assert [path.name for path in paths] == ["hush.tflite", "hush.verify.tflite", "hush.sourdine.json", "hush.json"]
    wake = Wake.load(str(tmp_path / "hush.json"))
    assert (wake.word, wake._cutoff, wake._enough, len(wake._window)) == ("Hush!", 127, 140, 2)
    more = json.loads((tmp_path / "hush.sourdine.json").read_text())
    assert more["cutoffs"] == {"0.5": 0.9, "2": 0.785}
    assert more["verify"]["cutoffs"] == {"0.5": [0.5, 0.55]}
    assert not list(tmp_path.glob(".*"))


def test_without_its_second_stage_the_spotter_has_the_cutoff_for_itself(spotter, verifier, tmp_path):
    export.write(tmp_path, "hush", "Hush", spotter[1], CHOSEN, verifier[1])
    export.write(tmp_path, "hush", "Hush", spotter[1], CHOSEN)
    assert not (tmp_path / "hush.verify.tflite").exists()
    wake = Wake.load(str(tmp_path / "hush.json"))
    assert (wake._cutoff, wake._verifier) == (229, None)


def test_the_manifest_holds_what_esphome_knows_and_nothing_else(spotter, tmp_path):
    """Keys and kinds of MANIFEST_SCHEMA_V2; its schema refuses any other (seen with esphome 2026.6.5)."""
    export.write(tmp_path, "hush", "Hush", spotter[1], CHOSEN, author="A", website="https://example.org")
    written = json.loads((tmp_path / "hush.json").read_text())
    micro = written.pop("micro")
    assert written == {
        "type": "micro",
        "wake_word": "Hush",
        "author": "A",
        "website": "https://example.org",
        "model": "hush.tflite",
        "trained_languages": ["en"],
        "version": 2,
    }
    assert micro.pop("tensor_arena_size") == run.arena(spotter[1])
    assert micro == {
        "probability_cutoff": 0.9,
        "sliding_window_size": 2,
        "feature_step_size": 10,
        "minimum_esphome_version": "2024.7.0",
    }
    export.write(tmp_path, "hush", "Hush", spotter[1], CHOSEN)
    assert "website" not in json.loads((tmp_path / "hush.json").read_text())  # an empty one is refused


def test_every_cutoff_has_a_number_that_means_it():
    for cutoff in range(256):
        number = manifest.decimal(cutoff)
        assert int(number * 255) == int(np.float32(number) * np.float32(255)) == cutoff
        assert len(str(number)) <= 5


def test_a_write_that_is_cut_short_leaves_the_model_that_was_there(spotter, verifier, tmp_path, monkeypatch):
    export.write(tmp_path, "hush", "Hush", spotter[1], CHOSEN, verifier[1])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", lambda file: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(OSError, match="full"):
        export.write(tmp_path, "hush", "Other", spotter[1] + bytes(16), CHOSEN, verifier[1])
    assert {name: (tmp_path / name).read_bytes() for name in before} == before


# The cutoffs


class Loud:
    """A spotter whose probability is the first number of its last feature; a verifier that answers the second."""

    def __init__(self, data):
        self._place = {b"spotter": 0, b"verifier": 1}[data]

    def step(self, features):
        return int(features.reshape(-1, 40)[-1, self._place]) + 128

    def steps(self, features):
        return np.array([self.step(part) for part in features.reshape(-1, 3, 40)], np.uint8)


def pool(words, streams, seed=0):
    """Noise in which words are loud in both numbers, and what is like them in the first alone."""
    random = np.random.default_rng(seed)

    def noise(frames):
        rows = np.full((frames, 40), -128, np.int8)
        rows[:, :2] = random.integers(-128, -80, (frames, 2))
        return rows

    def loud(rows, at, spotter, verifier):
        rows[at : at + 12, 0], rows[at : at + 20, 1] = spotter, verifier
        return rows

    spoken = [loud(noise(240), 190, *random.integers([20, 0], [128, 128])) for _ in range(words)]
    quiet = []
    for _ in range(streams):
        rows = noise(36_000)
        for at in range(500, 35_000, 700):
            loud(rows, at, random.integers(-60, 128), random.integers(-128, 40))
        quiet.append(SimpleNamespace(features=rows))
    return SimpleNamespace(features=np.stack(spoken), end=np.full(words, 200, np.int16), streams=quiet)


@pytest.fixture
def loud(monkeypatch):
    monkeypatch.setattr(run, "Reference", Loud)
    monkeypatch.setattr(run, "on_board", lambda *_, **__: (None, {"slices": 2}))


OPTIONS = export.Options(rate=5.0, rates=(5.0, 20.0, 50.0), windows=(1, 3))


class Fed:
    """The same two as the firmware takes them."""

    stride = 150

    def __init__(self, place, answer=None):
        self._place, self._fed, self._always = place, 0, answer

    def feed(self, features):
        self._fed += 1
        return -1 if self._fed % 3 else int(features[0]) + 128

    def remember(self, features):
        self._last = int(features[1]) + 128 if self._always is None else self._always

    def begin(self):
        self._answer, self._left = self._last, 2

    def advance(self):
        self._left -= 1
        return -1 if self._left else self._answer

    def reset(self):
        self._fed = 0


def by_the_firmware(pool, spotter, window, verifier, yes=None):
    """Wakes in all streams."""
    cutoff = {"probability_cutoff": manifest.decimal(spotter), "sliding_window_size": window}
    described = MANIFEST | {"micro": MANIFEST["micro"] | cutoff}
    more, second = {"version": 1}, None
    if verifier >= 0:
        cutoffs = {"spotter_cutoff": manifest.decimal(spotter), "cutoff": manifest.decimal(verifier)}
        more = more | {"verify": {"model": "m.verify.tflite", "features": 150} | cutoffs}
        second = Fed(1, yes)
    count = 0
    for stream in pool.streams:
        wake = Wake(described, Fed(0), more, second)
        count += sum(wake.hear(row) for row in stream.features)
    return count


MANIFEST = {
    "type": "micro",
    "version": 2,
    "wake_word": "M",
    "model": "m.tflite",
    "micro": {"feature_step_size": 10, "tensor_arena_size": 1},
}


def test_a_cutoff_allows_its_rate_in_the_firmware_and_the_next_lower_one_does_not(loud):
    heard = pool(30, 2)
    found = export.calibrate(b"spotter", heard, OPTIONS)
    assert (found.both, found.words, found.hours) == (None, 30, pytest.approx(0.2))
    for rate, choice in found.alone_table.items():
        count = by_the_firmware(heard, choice.spotter, found.window, -1)
        assert count == round(choice.rate * found.hours) <= rate * found.hours
        assert by_the_firmware(heard, choice.spotter - 1, found.window, -1) > rate * found.hours
    rates = [found.alone_table[rate] for rate in OPTIONS.rates]
    assert [choice.spotter for choice in rates] == sorted((choice.spotter for choice in rates), reverse=True)
    assert rates[0].misses >= rates[-1].misses


def test_both_stages_together_keep_the_rate_and_miss_less(loud):
    heard = pool(60, 2)
    found = export.calibrate(b"spotter", heard, OPTIONS, b"verifier")
    assert found.slices == 2
    assert found.both.misses < found.alone.misses
    assert found.both.spotter < found.alone.spotter
    assert {choice.spotter for choice in found.both_table.values()} == {found.both.spotter}  # so it is sure of it
    for rate, choice in found.both_table.items():
        count = by_the_firmware(heard, choice.spotter, found.window, choice.verifier)
        assert count == round(choice.rate * found.hours) <= rate * found.hours


def test_whether_a_second_stage_helps_is_decided_by_all_rates():
    alone = {0.5: Choice(125, -1, 0.33, 0.25), 1.0: Choice(110, -1, 0.30, 0.75), 2.0: Choice(82, -1, 0.25, 1.5)}
    both = {0.5: Choice(55, 166, 0.334, 0.25), 1.0: Choice(55, 158, 0.20, 0.75), 2.0: Choice(55, 61, 0.12, 1.75)}
    cutoffs = Cutoffs(3, alone[0.5], both[0.5], 4.0, 900, 5, alone, both)
    assert cutoffs.helps
    assert not replace(cutoffs, both_table=alone, alone_table=both).helps
    assert replace(cutoffs, alone_table={}).helps  # no cutoff of the spotter alone serves
    assert not replace(cutoffs, both=None, both_table={}).helps


def test_a_rate_that_no_cutoff_serves_is_not_in_the_table(loud):
    heard = pool(5, 1)
    for stream in heard.streams:
        stream.features[1000::500, 0] = 127  # the loudest there is, and long enough for a window of one
        stream.features[1001::500, 0] = 127
        stream.features[1002::500, 0] = 127
    found = export.calibrate(b"spotter", heard, export.Options(rate=1.0, rates=(1.0, 2000.0), windows=(1,)))
    assert found.alone.rate > 1.0
    assert set(found.alone_table) == {2000.0}


class Deaf(Loud):
    """What is asked says the same whatever it hears."""

    answer = ""

    def step(self, features):
        return 255 if self.answer in str(self._place) else super().step(features)


@pytest.fixture
def always(loud, monkeypatch):
    monkeypatch.setattr(run, "Reference", Deaf)
    return lambda place: monkeypatch.setattr(Deaf, "answer", place)


def test_a_pair_that_does_not_keep_the_rate_never_wins(always):
    """Not even by words that it does not miss: a second stage that always says yes adds nothing to the spotter."""
    always("1")
    heard = pool(60, 2)
    found = export.calibrate(b"spotter", heard, OPTIONS, b"verifier")
    assert set(found.both_table) == set(OPTIONS.rates)  # with the spotter's own cutoff it may follow
    for rate, choice in found.both_table.items():
        assert choice.rate <= rate
        assert by_the_firmware(heard, choice.spotter, found.window, choice.verifier, yes=255) <= rate * found.hours


def test_there_is_no_pair_if_none_keeps_the_rate(always):
    always("1")
    heard = pool(20, 1)
    for stream in heard.streams:
        for at in range(1000, 35_000, 500):
            stream.features[at : at + 12, 0] = 127
    found = export.calibrate(b"spotter", heard, export.Options(rate=1.0, rates=(1.0,)), b"verifier")
    assert found.alone.rate > 1.0
    assert (found.both, found.both_table, found.alone_table) == (None, {}, {})


def test_a_spotter_that_is_always_loud_serves_no_rate(always):
    """The rule would have it that it never comes to rest, and so is never false."""
    always("0")
    found = export.calibrate(b"spotter", pool(20, 1), OPTIONS, b"verifier")
    assert found.alone.rate > 3_000
    assert (found.both, found.both_table, found.alone_table) == (None, {}, {})


def test_a_word_whose_clip_leaves_no_time_for_the_answer_is_no_miss(loud):
    heard = pool(30, 1)
    whole = export.calibrate(b"spotter", heard, OPTIONS, b"verifier")
    late = np.concatenate([heard.end, np.full(30, 222, np.int16)])
    cut = np.concatenate([heard.features, np.full_like(heard.features, -128)])
    assert export.calibrate(b"spotter", SimpleNamespace(features=cut, end=late, streams=heard.streams), OPTIONS) == (
        replace(whole, both=None, both_table={}, slices=0)
    )


def test_a_pool_without_words_or_streams_is_refused(loud):
    for broken in (pool(1, 0), SimpleNamespace(features=np.zeros((1, 240, 40)), end=np.array([-1]), streams=[1])):
        with pytest.raises(ValueError, match="nothing to calibrate"):
            export.calibrate(b"spotter", broken, OPTIONS)


# The shift


def test_a_shift_lowers_every_logit_by_the_same(windows):
    weights = net(SMALL, 3)
    before, after = (score(each, windows)[:, 40:].astype(float) for each in (weights, export.shifted(weights, 1.5)))
    moved = np.log(before / (1 - before)) - np.log(after / (1 - after))
    assert moved == pytest.approx(1.5, abs=1e-3)


def test_what_is_shifted_keeps_the_ranges_of_training_and_the_steps_where_they_are_needed():
    ranges = np.array([[0, 11], [-3, 4.5], [0, 7], [-6, 2], [0, 13], [-9, 9]], np.float32)
    data = export.tflite(export.shifted(net(SMALL, ranges=ranges), 5.0))
    logit = {tensor.name: tensor for tensor in model(data).subgraphs[0].tensors}[b"logit"].quantization
    assert logit.scale[0] == pytest.approx((6.25 + 4.0) / 255)  # of -14..4


def sure(options, seed, up):
    """Random weights whose logits are spread widely around `up`, as those of a net that was taught to be sure."""
    weights = net(options, seed)
    head = len(weights.stack) - 1
    wide = {f"{head}.w": 4 * weights.arrays[f"{head}.w"], f"{head}.b": np.full(1, up, np.float32)}
    return Weights(weights.options, weights.arrays | wide, weights.ranges)


@pytest.mark.parametrize("up", [-6, 7])
def test_after_the_shift_the_cutoffs_of_the_rate_lie_in_the_middle(up):
    spotter, verifier = sure(SMALL, 3, up), sure(SMALL_VERIFIER, 4, up)
    many = sounds(600, 240, 6)
    said = [score(spotter, many)[:, 64:68].mean(1), score(verifier, many[:, :204])]
    words = np.argsort(np.min(np.argsort(np.argsort(said)), 0))[-12:]  # what both take for the word more than the rest
    streams = [SimpleNamespace(features=each) for each in sounds(4, 18_000, 5)]
    heard = SimpleNamespace(features=many[words], end=np.full(12, 200), streams=streams)
    options = export.Options(rate=20.0, rates=(20.0,), windows=(2,))
    found = export.settled(spotter, verifier, many, heard, options).cutoffs
    assert 0.5 < found.alone.spotter / 255 < 0.85
    assert found.alone.rate <= 20
    assert found.both and 0.2 < found.both.verifier / 255 < 0.8


def test_a_shifted_net_agrees_as_every_other(windows):
    for options in (SMALL, SMALL_VERIFIER):
        weights = export.shifted(sure(options, 3, 6.0), 5.0)
        agreement = export.agree(weights, export.tflite(weights, windows), windows)
        assert agreement.exact
        assert agreement.mean < 0.03
