"""What is trained, what is scored and what is streamed are one net."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_training.net import Options, VerifierOptions, score
from sourdine_training.net.graph import MOMENTUM, Layout
from sourdine_training.net.quant import activation_scale, dequantise
from sourdine_training.net.score import logits

SMALL = Options(first_filters=8, kernels=((3,), (3, 5)), filters=(6, 10), head_steps=2)
KERNELS = st.lists(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple), min_size=1, max_size=3).map(tuple)


def noise(*shape, seed=1):
    return np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)


def start(options, seed):
    rng = np.random.default_rng(seed)
    layout = Layout(options.stack())
    theta, statistics, ranges = layout.start(rng)
    theta += rng.normal(0, 0.05, theta.shape).astype(np.float32)
    return layout, theta, statistics + rng.uniform(0, 0.5, statistics.shape).astype(np.float32), ranges


@given(KERNELS, st.integers(3, 7), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=3, deadline=None)
def test_step_by_step_equals_all_at_once(kernels, first_frames, head_steps, seed):
    from streamed import stream

    options = Options(first_frames, 6, kernels, (7,) * len(kernels), head_steps)
    layout, *vectors = start(options, seed)
    net = layout.fold(options, *vectors)
    heard = noise(90, 40, seed=seed)
    ear = stream(net)
    for _ in range(2):
        ear.reset()
        said = [ear.step(dequantise(heard[None, 3 * t : 3 * t + 3])).numpy().item() for t in range(30)]
        whole = score(net, heard)
        since = np.flatnonzero(whole)
        assert len(since)
        np.testing.assert_allclose(1 / (1 + np.exp(-np.array(said)[since])), whole[since], atol=1e-5)


def test_the_verifier_as_a_whole_equals_its_score():
    from streamed import whole

    layout, *vectors = start(VerifierOptions(), 3)
    net = layout.fold(VerifierOptions(), *vectors)
    heard = noise(1, 150, 40)
    said = whole(net, 150)(dequantise(heard)).numpy().item()
    assert 1 / (1 + np.exp(-said)) == pytest.approx(float(score(net, heard)[0]), abs=1e-5)


def test_folded_normalisation_changes_nothing():
    from sourdine_training.net.graph import forward

    layout, theta, statistics, ranges = start(SMALL, 4)
    heard = noise(8, 60, 40)
    said, after, _ = forward(layout, theta, statistics, ranges, dequantise(heard), int8=False)
    of_batch = (after.numpy() - MOMENTUM * statistics) / (1 - MOMENTUM)
    folded = layout.fold(SMALL, theta, of_batch, ranges)
    np.testing.assert_allclose(logits(folded, heard), said.numpy(), atol=2e-3)


def test_what_training_rounds_is_what_scoring_rounds():
    from sourdine_training.net.graph import forward

    layout, theta, statistics, ranges = start(SMALL, 5)
    heard = noise(8, 60, 40)
    said, _, seen = forward(layout, theta, statistics, ranges, dequantise(heard), int8=True)
    net = layout.fold(SMALL, theta, statistics, seen.numpy())
    rounded, exact = logits(net, heard, int8=True), logits(net, heard)
    step, _ = activation_scale(*map(float, net.ranges[-1]))
    off = np.abs(rounded - said.numpy()) / step
    assert (off > 0.5).mean() < 0.05  # float sums differ in their last bits, and some sit on an edge
    assert off.max() < 3
    assert 0 < np.abs(rounded - exact).max() < 0.5


def test_rounding_lets_gradients_through():
    import tensorflow as tf

    from sourdine_training.net.graph import forward

    layout, theta, statistics, ranges = start(SMALL, 6)
    learned = tf.Variable(tf.constant(theta))
    with tf.GradientTape() as tape:
        said, *_ = forward(layout, learned.read_value(), statistics, ranges, dequantise(noise(8, 60, 40)), int8=True)
        total = tf.reduce_sum(said)
    slope = tape.gradient(total, learned)
    assert slope is not None
    assert (np.abs(slope.numpy()) > 0).mean() > 0.5
