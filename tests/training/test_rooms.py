"""A scene is what was asked for: as loud, as noisy, as late; and nothing in it is ever silent."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_training import rooms
from sourdine_training.executor import Executor
from sourdine_training.rooms import Bed, microphone, noise, responses
from sourdine_training.rooms.responses import DISTURBING, ONSET, SPOKEN, TAPS
from sourdine_training.store import Store

RATE = 16_000
PLAIN = rooms.Options(
    rooms=2, close=1.0, inmp441=1.0, narrow=0.0, agc=0.0, clipped=0.0, gated=0.0, suppressed=0.0, mulaw=0.0, mp3=0.0, click=0.0,
    equaliser_db=0.0, floor_dbfs=(-84.0, -84.0), peak_dbfs=(-3.0, -3.0),
)  # fmt: skip
WILD = dataclasses.replace(
    PLAIN, agc=0.5, clipped=0.5, gated=0.5, suppressed=0.5, mulaw=0.5, click=0.5, narrow=0.5, equaliser_db=10.0
)


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    return rooms.bank(PLAIN, "train", 3, Store(tmp_path_factory.mktemp("store")), Executor.in_process()).rooms()


def speech(seconds, seed=0):
    """Noise with a voice's slope that comes in syllables."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal(int(seconds * RATE)))
    frequency = np.fft.rfftfreq(int(seconds * RATE), 1 / RATE)
    spectrum *= (frequency > 200) / np.maximum(frequency, 200)
    sound = np.fft.irfft(spectrum) * (np.sin(np.arange(int(seconds * RATE)) * 25 / RATE) ** 2 + 0.2)
    return (sound / np.abs(sound).max() / 2).astype(np.float32)


def band_power(samples):
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / RATE)
    return spectrum[(frequency > 125) & (frequency < 7500)].sum() / len(samples)


@pytest.mark.parametrize("wanted", [-5, 5, 15])
@pytest.mark.parametrize("disturbed", [False, True])
def test_noise_is_as_loud_as_asked(bank, wanted, disturbed):
    """Measured, not believed: where nobody speaks there is noise alone, and what it lacks to the rest is the voice."""
    got = []
    for seed in range(8):
        beds = [Bed(np.random.default_rng(9).normal(0, 0.1, 4 * RATE).astype(np.float32))] if disturbed else []
        heard = rooms.scene(np.random.default_rng(seed), 4 * RATE, [(speech(2), 0)], beds, bank, PLAIN, wanted)
        loud, quiet = band_power(heard[: 2 * RATE]), band_power(heard[2 * RATE + 1600 :])
        got.append(10 * np.log10((loud - quiet) / quiet))
    # the microphone, which comes after the mix, cuts more of a deep noise than of a voice
    assert np.median(got) == pytest.approx(wanted, abs=1.2)
    assert np.std(got) < 2


@pytest.mark.parametrize("close", [0.0, 1.0])
def test_a_word_ends_where_it_was_put_in_any_room(bank, close):
    """Its last burst arrives with its direct sound; walls answer only later."""
    burst = np.zeros(RATE // 2, np.float32)
    burst[-40:] = np.random.default_rng(0).normal(0, 0.5, 40)
    for seed in range(8):
        options = dataclasses.replace(PLAIN, close=close)
        heard = rooms.scene(np.random.default_rng(seed), 2 * RATE, [(burst, 8000)], [], bank, options, 60.0).astype(
            float
        )
        first = int(np.argmax(np.abs(heard) > 0.1 * np.abs(heard).max()))
        assert 16_000 - 48 <= first <= 16_000 + 8


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1 << 31), at=st.integers(-40_000, 50_000), spoken=st.booleans(), disturbed=st.booleans())
def test_no_scene_is_ever_silent_or_overflows(seed, at, spoken, disturbed):
    answers = np.zeros((1, SPOKEN + DISTURBING, TAPS), np.float32)
    answers[:, :, ONSET] = 1
    voice = [(speech(1), at)] if spoken else []
    beds = [Bed(np.zeros(2 * RATE, np.float32))] if disturbed else []
    heard = rooms.scene(np.random.default_rng(seed), 2 * RATE, voice, beds, answers, WILD)
    assert heard.dtype == np.int16
    assert heard.shape == (2 * RATE,)
    assert all(np.any(block) for block in heard.reshape(-1, 320))


def test_the_same_seed_gives_the_same_scene(bank):
    first, again, other = (
        rooms.scene(np.random.default_rng(seed), RATE, [(speech(0.5), 100)], [], bank, rooms.Options())
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rooms_to_train_and_to_validate_are_other_rooms(tmp_path):
    store = Store(tmp_path)
    options = dataclasses.replace(PLAIN, rooms=4)
    train, valid = (rooms.bank(options, split, 3, store, Executor.in_process()).rooms() for split in ("train", "valid"))
    assert len(train) == 4
    assert len(valid) == 1
    assert not any(np.allclose(one, valid[0]) for one in train)


def test_a_room_decays_and_gives_its_direct_sound_first(bank):
    assert bank.shape == (2, SPOKEN + DISTURBING, TAPS)
    energy = np.cumsum(bank.astype(float) ** 2, axis=2)
    assert energy[..., -1] == pytest.approx(1, rel=1e-5)
    assert np.all(energy[..., ONSET - 24] < 0.01)
    assert np.all(1 - energy[..., TAPS * 4 // 5] < 0.02)
    assert np.all(np.abs(bank[..., ONSET - 1 : ONSET + 2]).max(axis=2) > 4 * bank[..., TAPS // 2 :].std(axis=2))


def test_a_longer_decay_is_asked_for_and_heard():
    def late(seconds):
        made = responses.room((1.0, 2.0), (seconds, seconds), (1, 0, 0))
        return np.sum(made[:, 2400:] ** 2)

    assert late(0.8) > 5 * late(0.2)


def test_the_inmp441_is_as_its_datasheet_says():
    curve = microphone.inmp441()
    at = {hz: float(np.interp(hz, microphone.GRID, curve)) for hz in (60, 1000, 5000)}
    assert at[60] == pytest.approx(-3, abs=0.1)
    assert abs(at[1000]) < 0.1
    assert abs(at[5000]) < 0.1
    assert pytest.approx(-68.9, abs=0.1) == microphone.FLOOR_DBFS


def test_equalisers_stay_within_what_they_may():
    curves = np.array([microphone.equaliser(np.random.default_rng(k), 10.0) for k in range(200)])
    assert np.abs(curves).max() <= 10
    assert curves.std() > 2


def test_a_narrow_device_lets_nothing_high_through():
    narrow = dataclasses.replace(PLAIN, narrow=1.0, inmp441=0.0)
    curves = [microphone.drawn(np.random.default_rng(k), narrow)[0] for k in range(20)]
    assert all(curve[-1] < -20 for curve in curves)


def test_coloured_noise_falls_by_at_most_nine_decibels_an_octave():
    def fall(rng):
        spectrum = np.abs(noise.coloured(rng, 8001)) ** 2
        return 10 * np.log10(spectrum[400:500].mean() / spectrum[3200:4000].mean()) / 3

    falls = [fall(np.random.default_rng(k)) for k in range(40)]
    assert min(falls) > -16  # some stand in a band of their own
    assert np.median(falls) == pytest.approx(4.5, abs=3)


def test_hum_stands_out_of_its_noise():
    spectrum = np.abs(noise.hum(np.random.default_rng(4), 16_001))
    assert spectrum.max() > 20 * np.median(spectrum)


def test_agc_brings_loud_and_quiet_together():
    loud = np.concatenate([np.full(RATE, 0.01), np.full(RATE, 0.5)]).astype(np.float32) * np.tile([1, -1], RATE).astype(
        np.float32
    )
    even = [microphone.gained(np.random.default_rng(k), loud) for k in range(10)]
    before = 0.5 / 0.01
    after = [np.abs(each[-800:]).mean() / np.abs(each[RATE - 800 : RATE]).mean() for each in even]
    assert all(ratio < 0.8 * before for ratio in after)


def test_a_gate_lets_the_voice_through_and_closes_behind_it():
    sound = np.concatenate([speech(1), np.zeros(RATE, np.float32)]) + np.random.default_rng(0).normal(0, 1e-3, 2 * RATE)
    for seed in range(10):
        heard = microphone.gated(np.random.default_rng(seed), sound)
        assert np.allclose(heard[1600:12_800], sound[1600:12_800], rtol=1e-3)
        assert np.std(heard[-4800:]) < 0.4 * np.std(sound[-4800:])


@pytest.mark.parametrize("damage", [microphone.mulaw, microphone.mp3])
def test_codecs_keep_time_and_most_of_the_sound(damage):
    sound = speech(1)
    heard = damage(sound)
    assert heard.shape == sound.shape
    assert np.corrcoef(heard, sound)[0, 1] > 0.9


def test_suppression_presses_the_quiet_down_and_keeps_time():
    sound = speech(1) + np.random.default_rng(0).normal(0, 1e-3, RATE).astype(np.float32)
    heard = microphone.suppressed(np.random.default_rng(1), sound)
    assert heard.shape == sound.shape
    assert np.corrcoef(heard, sound)[0, 1] > 0.98
    assert np.abs(heard - sound).max() > 1e-4


def test_the_relay_clicks_after_nothing(bank):
    options = dataclasses.replace(PLAIN, click=1.0)
    clicked = 0
    for seed in range(10):
        heard = rooms.scene(np.random.default_rng(seed), 2 * RATE, [(speech(2), 0)], [], bank, options).astype(float)
        level = np.abs(heard).reshape(-1, 80).max(axis=1)
        begins = np.flatnonzero(level > 1000)[0]
        clicked += begins > 4 and np.all(level[: begins - 4] < 200)
    assert clicked >= 7


def test_what_clips_is_flat():
    heard = [microphone.clipped(np.random.default_rng(k), speech(0.5)) for k in range(10)]
    assert all(np.abs(each).max() <= 1 for each in heard)
    assert any(np.count_nonzero(np.abs(each) == 1) > 100 for each in heard)
