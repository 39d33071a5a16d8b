"""The ears on the chip's own machine code: a whole frontend and whole models, every kernel replaced by what is deployed."""

import base64
import importlib
import json
import runpy
from array import array
from functools import cache, lru_cache, partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

import ears
from chip import hearing
from nets import Net, ours, theirs
from sourdine import frontend, tflite
from sourdine_tools.chip import mpy
from sourdine_tools.chip.core import Core
from sourdine_tools.demo import voices

ROOT = Path(__file__).parents[2]
HOP = hearing.HOP
deployed = lru_cache(mpy.deployed)


@pytest.fixture(scope="module", params=["xtensawin", "rv32imc"])
def chip(request):
    """Replaces every kernel by its machine code for this processor. Whoever took a kernel before has the old one."""
    patch = pytest.MonkeyPatch()
    with Core(request.param) as core, patch.context() as patched:
        for module, kernels in deployed(request.param).items():
            for name, code in kernels.items():
                patched.setattr(importlib.import_module(f"sourdine.{module}"), name, partial(core.call, code))
        yield core


@cache
def speech() -> np.ndarray:
    """The wake word, then a voice-like buzz that goes from a whisper to clipping; int16."""
    said, _ = soundfile.read(voices.speak("heart", "Alexa, good morning."), dtype="int16")
    return np.concatenate([said, hearing.sound()[8000::2]])


@pytest.mark.parametrize(
    "vector",
    json.loads((ROOT / "tests/golden/frontend.json").read_text())["vectors"],
    ids=lambda vector: vector["name"],
)
def test_machine_code_hears_what_the_reference_hears(chip, vector):
    samples = runpy.run_path(str(ROOT / "tests/golden/frontend.py"))["samples_of"](vector["sound"])
    heard = frontend.Frontend()
    raw = [list(heard.raw) for at in range(0, len(samples) - HOP + 1, HOP) if heard.feed(samples[at : at + HOP])]
    assert raw == vector["raw"]


def test_a_net_of_every_operator_scores_as_the_reference(chip):
    golden = json.loads((ROOT / "tests/golden/net.json").read_text())
    noise = runpy.run_path(str(ROOT / "tests/golden/net.py"))["noise"]
    model = tflite.Model(base64.b64decode(golden["model"]))
    scores = [model.step(array("b", noise(step))) for step in range(len(golden["scores"]))]
    assert scores == golden["scores"]


def layer(random: np.random.Generator, name: str) -> tuple[bytes, list[int], tuple[int, ...]]:
    """A net of one layer: the file, its input's shape, and (inputs per output, outputs, windows)."""
    n, m, windows = int(random.integers(1, 40)), int(random.integers(1, 70)), int(random.integers(1, 5))
    depthwise, strides = name == "DEPTHWISE_CONV_2D", {"strideH": 1, "strideW": 1}
    shapes, options = {
        "FULLY_CONNECTED": (([windows, n], [m, n], [windows, m]), {}),
        "CONV_2D": (([1, windows, 1, n], [m, 1, 1, n], [1, windows, 1, m]), {"padding": 1, **strides}),
        "DEPTHWISE_CONV_2D": (
            ([1, n + windows - 1, 1, m], [1, n, 1, m], [1, windows, 1, m]),
            {"padding": 1, "depthMultiplier": 1, **strides},
        ),
    }[name]
    scale_x, scale_y = np.exp(random.uniform(-4, 0, 2))
    zero_x, zero_y = (int(zero) for zero in random.integers(-128, 128, 2))
    scales = np.exp(random.uniform(-7, -5, 1 if name == "FULLY_CONNECTED" else m))
    net = Net()
    x, y = net.tensor(shapes[0], scale_x, zero_x), net.tensor(shapes[2], scale_y, zero_y)
    w = net.tensor(shapes[1], scales, data=random.integers(-127, 128, shapes[1]), axis=3 if depthwise else 0)
    bias = net.tensor([m], scales * scale_x, data=random.integers(-3000, 3000, m), kind="int32")
    net.op(name, [x, w, bias], [y], **options)
    return net.build([x], [y]), shapes[0], (n, m, windows)


@pytest.mark.parametrize("name", ["FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D"])
def test_layers_of_any_size_give_what_tflite_micro_gives(chip, name):
    """Planned and packed as models are: sizes that fill no block, windows that end anywhere, every scale."""
    random = np.random.default_rng(len(name))
    for _ in range(40):
        data, shape, sizes = layer(random, name)
        steps = [[random.integers(-128, 128, shape).astype(np.int8)] for _ in range(3)]
        for [got], [expected] in zip(ours(data, *steps), theirs(data, *steps), strict=True):
            assert np.count_nonzero(got != expected) == 0, sizes


def test_samples_to_score_as_the_reference_chain(chip):
    """Frontend and the alexa model together; the reference is pymicro-features, then tflite-micro."""
    samples, data = speech(), (ears.models() / "alexa.tflite").read_bytes()
    heard, model, scores = frontend.Frontend(), tflite.Model(data), []
    for at in range(0, len(samples) - HOP + 1, HOP):
        features = heard.feed(array("h", samples[at : at + HOP].tobytes()))
        if features is not None and (score := model.feed(features)) >= 0:
            scores.append(score)
    expected = ears.Reference(data).run(ears.features(samples))
    assert scores == expected
    assert max(expected) > 240
    assert len(set(expected)) > 15
