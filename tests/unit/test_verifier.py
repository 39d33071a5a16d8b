"""The second stage answers as tflite-micro does about the last features, in slices that cost what they may."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nets import Net, changed, second_stage, theirs
from sourdine import plan
from sourdine.tflite import Model, ModelError
from sourdine.verifier import TURN, Verifier

VALID = 1


def codes(random, *shape):
    return random.integers(-128, 128, shape).astype(np.int8)


def answer(verifier, budget=TURN):
    verifier.begin()
    answers = [verifier.advance(budget)]
    while answers[-1] < 0:
        answers.append(verifier.advance(budget))
    return answers


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 20), st.lists(st.integers(0, 25), min_size=1, max_size=4))
def test_an_answer_is_the_references_wherever_the_ring_stands(seed, features, gaps):
    random = np.random.default_rng(seed)
    data = second_stage(random, features, channels=3)
    verifier = Verifier(data)
    heard = np.full((features, 40), -128, np.int8)
    windows, answers = [], []
    for gap in gaps:
        new = codes(random, gap, 40)
        for row in new:
            verifier.remember(row)
        heard = np.concatenate([heard, new])[-features:]
        windows.append(heard[None])
        answers.append(answer(verifier)[-1])
    assert answers == [int(out[0][0, 0]) for out in theirs(data, *[[window] for window in windows])]


@pytest.mark.parametrize("budget", [0, 300, 3_000, 1 << 20])
def test_an_answer_in_slices_is_the_same(budget):
    """One call a turn at least; a turn spends no more than its budget, unless that one call does."""
    random = np.random.default_rng(3)
    verifier = Verifier(second_stage(random, 40))
    for row in codes(random, 40, 40):
        verifier.remember(row)
    answers = answer(verifier, budget)
    assert answers[-1] == answer(verifier)[-1]
    assert len(answers) == (1 if budget == 1 << 20 else len(verifier._calls) if budget == 0 else len(answers))


def wide(outputs):
    """A second stage of 4 * 160 * outputs multiplications, and some more."""
    random = np.random.default_rng(4)
    net = Net()
    x, tall = net.tensor([1, 16, 40], 26 / 255, -128), net.tensor([1, 4, 1, 160], 26 / 255, -128)
    many, flat = net.tensor([1, 4, 1, outputs], 0.5), net.tensor([1, 4 * outputs], 0.5)
    logit, score = net.tensor([1, 1], 4.0), net.tensor([1, 1], 1 / 256, 0, kind="uint8")
    w = net.tensor([outputs, 1, 1, 160], 0.002, data=codes(random, outputs, 1, 1, 160) | 1)
    last = net.tensor([1, 4 * outputs], 0.002, data=codes(random, 1, 4 * outputs) | 1)
    plain = {"strideH": 1, "strideW": 1, "padding": VALID, "dilationHFactor": 1, "dilationWFactor": 1}
    net.op("RESHAPE", [x, net.constant(1, 4, 1, 160)], [tall])
    net.op("CONV_2D", [tall, w], [many], **plain)
    net.op("RESHAPE", [many, net.constant(1, 4 * outputs)], [flat])
    net.op("FULLY_CONNECTED", [flat, last], [logit])
    net.op("QUANTIZE", [logit], [score])
    return net.build([x], [score])


def test_a_large_net_is_cut_into_calls_that_fit_a_slice():
    data = wide(400)
    with pytest.raises(ModelError, match="more than 250000 multiplications"):
        Model(data)
    verifier = Verifier(data)
    assert verifier.macs == 4 * 400 * 160 + 1600
    assert 0 < max(verifier._costs) <= plan.SLICE < verifier.macs
    features = codes(np.random.default_rng(5), 16, 40)
    for row in features:
        verifier.remember(row)
    answers = answer(verifier)
    assert len(answers) == verifier.slices >= 3
    assert answers[-1] == theirs(data, [features[None]])[0][0]


def test_a_net_of_more_than_a_million_multiplications_is_refused():
    with pytest.raises(ModelError, match="more than 1000000 multiplications"):
        Verifier(wide(1600))


def test_it_takes_the_memory_that_it_says():
    """Two times the features in the arena at most: the ring, and what the net makes of them; no state."""
    verifier = Verifier(second_stage(np.random.default_rng(0)))
    assert verifier.stride == 150
    assert verifier.states == 0
    assert verifier.arena <= 3 * 150 * 40 + 100


def test_every_truncated_file_is_refused():
    data = second_stage(np.random.default_rng(1), 30, channels=2)
    for size in range(0, len(data), 97):
        with pytest.raises(ModelError):
            Verifier(data[:size])


def reshaped(rows):
    def change(find):
        find(None).subgraphs[0].tensors[0].shape = [1, rows, 40]

    return change


@pytest.mark.parametrize("rows", [0, 29, 31, 151, 4096])
def test_features_of_another_shape_are_refused(rows):
    with pytest.raises(ModelError):
        Verifier(changed(second_stage(np.random.default_rng(1), 30, channels=2), reshaped(rows)))


def test_an_answer_that_nobody_asked_for_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="nothing was asked"):
        Verifier(second_stage(np.random.default_rng(1), 20, channels=2)).advance()
