"""The nets promise what their sizes say, to hear no future, and that int8 rounds as the board's arithmetic does."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_training.net import Options, VerifierOptions, Weights, quant, score, stack
from sourdine_training.net.graph import Layout
from sourdine_training.net.score import logits
from sourdine_training.net.weights import average

SMALL = Options(first_filters=8, kernels=((3,), (3, 5)), filters=(6, 10), head_steps=2)


def made(options, seed=0):
    """Weights of a net that learned nothing, with statistics that are not trivial."""
    rng = np.random.default_rng(seed)
    layout = Layout(options.stack())
    theta, statistics, ranges = layout.start(rng)
    theta += rng.normal(0, 0.05, theta.shape).astype(np.float32)
    return layout.fold(options, theta, statistics + rng.uniform(0, 0.5, statistics.shape).astype(np.float32), ranges)


def noise(*shape, seed=1):
    return np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)


def test_microwakewords_alexa_takes_the_multiplications_that_were_counted_in_its_file():
    alexa = Options(5, 32, ((5,), (9,), (13,), (21,)), (64, 64, 64, 64), 5)
    assert stack.macs(alexa.stack()) == 23_968


def test_the_nets_keep_within_the_boards_budget():
    assert stack.macs(Options().stack()) <= 22_000
    assert stack.macs(VerifierOptions().stack(), 150) <= 1_000_000
    assert 130 <= stack.reach(Options().stack()) <= 150


def test_the_verifier_answers_once_and_hears_every_frame():
    assert stack.lengths(VerifierOptions().stack(), 150)[-1] == 1
    assert stack.reach(VerifierOptions().stack()) == 150
    net, heard = made(VerifierOptions()), noise(1, 150, 40)
    assert score(net, heard).shape == (1,)
    for frame in (0, 149):
        other = heard.copy()
        other[0, frame] = ~other[0, frame]
        assert logits(net, other) != logits(net, heard)


def test_no_step_hears_the_future():
    net, heard = made(SMALL), noise(90, 40)
    whole = score(net, heard)
    for step in range(stack.lead(net.stack), 30, 5):
        other = heard.copy()
        other[3 * step + 3 :] = noise(90, 40, seed=2)[3 * step + 3 :]
        now = score(net, other)
        assert np.array_equal(now[: step + 1], whole[: step + 1])
        assert step == 29 or not np.array_equal(now[step + 1 :], whole[step + 1 :])


def test_a_step_hears_its_reach_and_no_further():
    net, heard = made(SMALL), noise(90, 40)
    oldest = 90 - stack.reach(net.stack)
    for frame, matters in ((oldest, True), (oldest - 1, False)):
        other = heard.copy()
        other[frame] = ~other[frame]
        assert (score(net, other)[-1] != score(net, heard)[-1]) == matters


@given(st.integers(40, 400), st.integers(1, 9))
@settings(max_examples=15, deadline=None)
def test_windows_of_a_stream_score_as_the_stream_does(frames, count):
    net = made(SMALL)
    many = noise(count, frames, 40, seed=frames)
    together = score(net, many)
    assert together.shape == (count, frames // 3)
    for one, row in zip(many, together, strict=True):
        np.testing.assert_allclose(score(net, one), row, atol=2e-6)
    assert not together[:, : stack.lead(net.stack)].any()


def test_a_stream_longer_than_a_piece_scores_the_same_in_its_middle():
    net, heard = made(SMALL), noise(9_000, 40)
    np.testing.assert_allclose(score(net, heard)[2_000:2_900], score(net, heard[5_400:8_700])[200:1_100], atol=2e-6)


def test_weights_come_back_from_their_file(tmp_path):
    for options in (SMALL, VerifierOptions()):
        net = made(options)
        net.save(tmp_path / "net.npz")
        again = Weights.load(tmp_path / "net.npz")
        assert (again.kind, again.options, again.key) == (net.kind, options, net.key)
        first = (tmp_path / "net.npz").read_bytes()
        net.save(tmp_path / "net.npz")
        assert first == (tmp_path / "net.npz").read_bytes()


def test_the_average_lies_between():
    one, other = made(SMALL, 1), made(SMALL, 2)
    for name, value in average([one, other]).arrays.items():
        np.testing.assert_allclose(value, (one.arrays[name] + other.arrays[name]) / 2, atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 40), st.floats(-30, 0))
@settings(max_examples=40, deadline=None)
def test_fake_quantised_layers_say_what_integers_would(seed, high, low):
    """A pointwise layer: int8 inputs and weights, int32 sums, one rounding (Jacob et al., arXiv:1712.05877, eq. 4)."""
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 1, (24, 10)).astype(np.float32)
    b = rng.normal(0, 1, 10).astype(np.float32)
    scale_in, zero_in = quant.activation_scale(0, high)
    codes = rng.integers(-128, 128, (50, 24))
    weight_scale = np.abs(w).max(0) / np.float32(127)
    integers = np.rint(w / weight_scale).astype(int)
    sums = (codes - int(zero_in)) @ integers + np.rint(b / (scale_in * weight_scale)).astype(int)
    scale_out, zero_out = quant.activation_scale(low, high)
    exact = np.clip(np.rint(sums * (scale_in * weight_scale / scale_out).astype(float)) + zero_out, -128, 127)

    faked = quant.activations(((codes - zero_in) * scale_in).astype(np.float32) @ quant.weights(w) + b, low, high)
    off = np.abs(np.rint(faked / scale_out + zero_out) - exact)
    assert off.max() <= 1  # the bias is rounded, and float sums are not exact
    assert (off > 0).mean() < 0.05


def test_zero_is_exact_whatever_the_range():
    for low, high in ((-3.3, 7.1), (0.0, 26.0), (-1e-3, 5.0), (2.0, 3.0)):
        assert quant.activations(np.zeros(1, np.float32), low, high) == 0


def test_the_frontends_int8_is_the_nets_first_scale():
    scale, zero = quant.activation_scale(0, quant.FULL)
    assert zero == -128
    assert scale == pytest.approx(26 / 255)
    assert quant.dequantise(np.array([-128, 127], np.int8)).tolist() == pytest.approx([0, 26])


def test_sizes_that_share_channels_unevenly_lose_none():
    layer = stack.Mix((3, 5, 7), 32)
    assert sum(layer.groups) == 32
    assert dataclasses.asdict(layer)["kernels"] == (3, 5, 7)
