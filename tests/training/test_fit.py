"""Training promises a maximum at the word's end, the same weights after a kill, and to find what it confuses.

The word is a rising line through the bands; a falling one, and half of a rising one, are not.
"""

import dataclasses
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from sourdine_training import fit
from sourdine_training.fit.feed import Feed, Hard
from sourdine_training.fit.learner import tensorflow, throats
from sourdine_training.fit.mining import mine
from sourdine_training.fit.quality import measure, peaks, smooth
from sourdine_training.net import Options as Net
from sourdine_training.net import VerifierOptions as VerifierNet
from sourdine_training.net import Weights, score
from sourdine_training.net.graph import Layout

NET = Net(first_filters=16, kernels=((5,), (9,), (13,)), filters=(16, 16, 16), head_steps=6)  # 1 s
LEAD = 31
OPTIONS = fit.Options(
    steps=80, batch=48, warmup=10, every=20, average=0.9, mining=(0.5,), mined=200, decay=1e-4, rate=1e-2
)
BANDS = np.arange(40)


def line(rng, kind):
    """Loudness [frames, 40] of one utterance."""
    at = np.linspace(5, 34, int(rng.integers(50, 75)))
    if kind == "falls":
        at = at[::-1]
    if kind == "half":
        at = at[: len(at) // 2]
    return 150 * rng.uniform(0.7, 1.1) * np.exp(-0.5 * ((BANDS - at[:, None]) / 2.5) ** 2)


def quiet(rng, frames):
    return rng.uniform(-110, -70) + rng.normal(0, 12, (frames, 40))


def int8(x):
    return np.clip(x, -128, 127).astype(np.int8)


def pool(seed, words=120, others=120, streams=2, frames=6_000):
    rng = np.random.default_rng(seed)
    rows, ends = [], []
    for i in range(words + others):
        row, said = quiet(rng, 240), line(rng, "rises" if i < words else str(rng.choice(["falls", "half"])))
        end = int(rng.integers(145, 226))
        row[end - len(said) + 1 : end + 1] += said
        rows.append(int8(row))
        ends.append(end if i < words else -1)
    heard = []
    for k in range(streams):
        stream = quiet(rng, frames)
        for at in range(100, frames - 100, 200):
            said = line(rng, str(rng.choice(["falls", "half"])))
            stream[at : at + len(said)] += said
        heard.append(SimpleNamespace(features=int8(stream), kind=("speech", "music")[k % 2]))
    return SimpleNamespace(features=np.stack(rows), end=np.array(ends, np.int16), streams=heard)


@pytest.fixture(scope="module")
def pools():
    return pool(1), pool(2, 60, 60)


@pytest.fixture(scope="module")
def trained(pools, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    return folder, fit.train(*pools, OPTIONS, 3, folder, net=NET)


def test_the_net_says_yes_at_the_words_end_and_not_before_or_elsewhere(trained, pools):
    net, heard = Weights.load(trained[1].path), pools[1]
    said = smooth(score(net, heard.features), OPTIONS.window)
    words = np.flatnonzero((heard.end >= 0) & (heard.end < 210))
    since = np.argmax(said[words], 1) - heard.end[words] // 3
    assert np.mean((since >= -OPTIONS.before - OPTIONS.guard) & (since <= OPTIONS.after + OPTIONS.guard)) > 0.9
    assert np.median(said[words].max(1)) > 0.8
    assert np.median(said[heard.end < 0].max(1)) < 0.2


def test_a_training_leaves_its_curves_and_says_how_long_it_waited(trained):
    folder, result = trained
    rows = (folder / "curves.csv").read_text().splitlines()
    assert [int(row.split(",")[0]) for row in rows[1:]] == [20, 40, 60, 80]
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert 0 <= result.waiting < 1
    assert result.quality["misses_5"] <= 0.5
    assert len(list(folder.glob("candidate-*.npz"))) <= OPTIONS.keep + 1


class Killed(Exception):
    """Whoever wrote this progress died there."""


def test_killed_while_it_mines_and_while_it_rounds_it_goes_on_to_the_same_weights(trained, pools, tmp_path):
    for when in (40, 61):

        def progress(done, total, what, when=when):
            if done >= when:
                raise Killed

        with pytest.raises(Killed):
            fit.train(*pools, OPTIONS, 3, tmp_path, progress, net=NET)
    again = fit.train(*pools, OPTIONS, 3, tmp_path, net=NET)
    assert Weights.load(again.path).key == Weights.load(trained[1].path).key
    assert (tmp_path / "curves.csv").read_text() == (trained[0] / "curves.csv").read_text()
    assert not list(tmp_path.glob(".part-*"))


def test_another_seed_begins_and_goes_on_otherwise(pools):
    layout = Layout(NET.stack())
    starts = [layout.start(np.random.default_rng([seed, 0]))[0] for seed in (3, 4)]
    batches = [Feed(pools[0], OPTIONS, LEAD, seed).batch(0, Hard())["features"] for seed in (3, 4)]
    assert not np.array_equal(*starts)
    assert not np.array_equal(*batches)


def test_mining_finds_a_planted_confusable(trained, pools):
    net = Weights.load(trained[1].path)
    rng = np.random.default_rng(5)
    planted = pool(6, 1, 40, streams=3)
    said = line(rng, "rises")
    planted.streams[2].features[3_000 : 3_000 + len(said)] = int8(quiet(rng, len(said)) + said)
    planted.features[17, 150 : 150 + len(said)] = int8(quiet(rng, len(said)) + said)
    found = mine(net, planted, OPTIONS.window, 2)
    places = {(int(stream), int(frame)) for stream, frame in zip(found.stream, found.frame, strict=True)}
    assert (-1, 17) in places
    assert any(stream == 2 and abs(frame - 3_000 - len(said)) < 30 for stream, frame in places)


def test_the_verifier_learns_what_the_spotter_lets_through(trained, pools, tmp_path):
    options = fit.VerifierOptions(steps=80, batch=32, rate=1e-2, warmup=5, every=80, average=0.9, cutoff=0.01)
    net = VerifierNet(first_filters=16, kernels=((6,), (7,), (5,)), filters=(16, 16, 16))
    result = fit.train_verifier(Weights.load(trained[1].path), *pools, options, 1, tmp_path, net=net)
    heard = pools[1]
    ends = [(int(end), row) for end, row in zip(heard.end, heard.features, strict=True)]
    words = np.stack([row[end - 145 : end + 5] for end, row in ends if 145 <= end < 235])
    rest = np.stack([row[60:210] for end, row in ends if end < 0])
    verifier = Weights.load(result.path)
    assert np.median(score(verifier, words)) > np.median(score(verifier, rest)) + 0.3


def test_a_batch_depends_on_seed_step_and_the_hard_set_alone(pools):
    one, other = (Feed(pools[0], OPTIONS, LEAD, 7) for _ in range(2))
    other.batch(1, Hard())
    for name, value in one.batch(5, Hard()).items():
        assert np.array_equal(value, other.batch(5, Hard())[name]), name
    assert not np.array_equal(one.batch(5, Hard())["features"], one.batch(6, Hard())["features"])


def test_a_batch_holds_its_shares_and_the_hard_places(pools):
    marked = pool(1)
    for stream in marked.streams:
        stream.features[:, 0] = -128
    marked.streams[1].features[1_000, 0] = 127
    batch = Feed(marked, OPTIONS, LEAD, 7).batch(0, Hard(np.array([1]), np.array([1_000]), np.array([1.0])))
    assert (batch["end"] >= 0).sum() == round(OPTIONS.batch * OPTIONS.positives)
    assert (batch["end"][batch["end"] >= 0] >= LEAD).all()
    last = batch["features"][-round(OPTIONS.batch * OPTIONS.hard) :, :, 0]
    assert (last == 127).any(1).all()
    assert (np.argmax(last, 1) >= 3 * LEAD).all()  # where a step can judge it


def test_words_end_where_the_feed_says(pools):
    marked = pool(1)
    for row, end in zip(marked.features, marked.end, strict=True):
        if end >= 0:
            row[:, 0] = -128
            row[end, 0] = 127
    batch = Feed(marked, OPTIONS, LEAD, 7).batch(3, Hard())
    said = batch["end"] >= 0
    assert (np.argmax(batch["features"][said][:, :, 0], 1) // 3 == batch["end"][said]).all()


def test_no_mask_hides_how_a_word_ends(pools):
    feed = Feed(pools[0], dataclasses.replace(OPTIONS, time_masks=6, time_mask=40), LEAD, 7)
    for step in range(4):
        batch = feed.batch(step, Hard())
        for end, spans in zip(batch["end"], batch["times"], strict=True):
            hidden = [first for first, last in spans if last > first and first <= 3 * end and last > 3 * end - 15]
            assert end < 0 or not hidden


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.0, 1.15])
def test_a_shorter_throat_moves_a_sound_to_the_band_of_its_frequency(factor):
    """Bands as the frontend has them: 40 triangles, evenly on the mel scale from 125 to 7,500 Hz."""
    tf = tensorflow()
    edges = np.interp(np.arange(42), (0, 41), 1127 * np.log(1 + np.array([125, 7500]) / 700))
    centres = 700 * (np.exp(edges[1:-1] / 1127) - 1)
    for band in range(8, 32, 4):
        tone = np.zeros((1, 1, 40), np.float32)
        tone[..., band] = 1
        moved = tf.matmul(tone, throats(tf, np.array([factor], np.float32))).numpy()[0, 0]
        came = centres[band] * factor
        assert abs(np.log(np.interp(moved @ BANDS / moved.sum(), BANDS, centres) / came)) < 0.05


def test_old_hard_places_give_way_and_none_counts_twice():
    old = Hard(np.array([0, 0, -1], np.int32), np.array([100, 900, 4], np.int32), np.array([0.5, 0.4, 0.3], np.float32))
    new = Hard(np.array([0, -1], np.int32), np.array([110, 4], np.int32), np.array([0.9, 0.8], np.float32))
    joined = old.joined(new, 10)
    assert sorted(zip(joined.stream.tolist(), joined.frame.tolist(), strict=True)) == [(-1, 4), (0, 110), (0, 900)]
    assert len(old.joined(new, 2).frame) == 2


def test_firings_within_a_second_are_one():
    said = np.zeros(400, np.float32)
    said[[50, 60, 90, 200, 390]] = 0.9, 0.95, 0.5, 0.7, 0.2
    assert peaks(said).tolist() == [60, 200, 390]
    assert peaks(said, 0.5).tolist() == [60, 200]


def test_the_mean_is_of_the_last_steps():
    assert smooth(np.array([[3.0, 0, 0, 6, 6, 6]], np.float32), 3).tolist() == [[1, 1, 1, 2, 4, 6]]


def test_misses_are_counted_at_the_cutoff_that_the_streams_set(trained, pools):
    net = Weights.load(trained[1].path)
    found = measure(net, pools[1], OPTIONS.window, (0.0, 1e9))
    loudest = max(smooth(score(net, each.features), OPTIONS.window).max() for each in pools[1].streams)
    assert found.cutoffs == (pytest.approx(loudest), 0.0)
    assert found.misses[0] >= found.misses[1] == 0
    assert found.hours == pytest.approx(2 * 60 / 3600)


def test_a_pool_without_words_is_refused(pools, tmp_path):
    silent = SimpleNamespace(features=pools[0].features, end=np.full(240, -1), streams=[])
    with pytest.raises(ValueError, match="without positives"):
        Feed(silent, OPTIONS, LEAD, 1)


def test_scoring_needs_no_tensorflow():
    code = "import sys; from sourdine_training import fit; fit.score; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
