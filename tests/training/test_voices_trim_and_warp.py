"""Sounds cut to their first and last sound, and voices made into other voices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_training.voices.trim import EDGE_S, bounds, trim
from sourdine_training.voices.warp import warp

RATE = 16_000


def tone(seconds: float, hertz: float = 440.0, level: float = 0.5) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def silence(seconds: float, hiss: float = 0.0) -> np.ndarray:
    return np.random.default_rng(1).normal(0, 1, round(seconds * RATE)).astype(np.float32) * np.float32(hiss)


def vowel(f0: float, formant: float, seconds: float = 0.6) -> np.ndarray:
    """Harmonics of f0 under one resonance, 150 Hz wide."""
    n = np.arange(round(seconds * RATE)) / RATE
    harmonics = np.arange(1, int(7000 // f0)) * f0
    heights = 1 / (1 + ((harmonics - formant) / 150) ** 2)
    wave = (heights[:, None] * np.cos(2 * np.pi * harmonics[:, None] * n)).sum(0)
    return (0.3 * wave / np.abs(wave).max()).astype(np.float32)


def pitch_of(samples: np.ndarray) -> float:
    """Hertz, by autocorrelation of the middle."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4].astype(float)
    power = np.fft.irfft(np.abs(np.fft.rfft(middle, 2 * len(middle))) ** 2)[: RATE // 70]
    return RATE / (RATE // 400 + int(np.argmax(power[RATE // 400 :])))


def periodicity_of(samples: np.ndarray) -> float:
    """0…1: how much of the middle repeats after one period."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4].astype(float)
    power = np.fft.irfft(np.abs(np.fft.rfft(middle, 2 * len(middle))) ** 2)
    return float(power[round(RATE / pitch_of(samples))] / power[0])


def formant_of(samples: np.ndarray) -> float:
    """Hertz: where the spectrum, smoothed over 300 Hz, is highest."""
    middle = samples[len(samples) // 4 : 3 * len(samples) // 4]
    power = np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) ** 2
    width = round(300 * len(middle) / RATE)
    return float(np.argmax(np.convolve(power, np.hanning(width), "same")) * RATE / len(middle))


@settings(max_examples=40, deadline=None)
@given(
    before=st.floats(0.0, 1.0), after=st.floats(0.0, 1.0), seconds=st.floats(0.1, 1.5), level=st.floats(0.01, 0.9),
    hiss=st.sampled_from([0.0, 1e-5]),
)  # fmt: skip
def test_a_sound_is_found_to_the_millisecond(before, after, seconds, level, hiss):
    samples = np.concatenate([silence(before, hiss), tone(seconds, level=level), silence(after, hiss)])
    first, last = bounds(samples, RATE)
    begin, end = round(before * RATE), round(before * RATE) + round(seconds * RATE)
    assert abs(first - begin) <= 0.0015 * RATE
    assert abs(last - end) <= 0.0015 * RATE


@settings(max_examples=20, deadline=None)
@given(before=st.floats(0.0, 0.3), after=st.floats(0.0, 0.3))
def test_a_clip_keeps_the_same_edges_however_little_silence_there_was(before, after):
    samples = np.concatenate([silence(before), tone(0.5), silence(after)])
    assert abs(len(trim(samples, RATE)) - (0.5 + 2 * EDGE_S) * RATE) <= 0.003 * RATE


def test_what_is_40_db_below_the_loudest_is_no_part_of_the_word_and_what_is_30_db_below_is():
    def quiet_end(level: float) -> int:
        return bounds(np.concatenate([tone(0.4), tone(0.2, level=0.5 * level), silence(0.3)]), RATE)[1]

    assert quiet_end(10 ** (-43 / 20)) == pytest.approx(0.4 * RATE, abs=32)
    assert quiet_end(10 ** (-30 / 20)) == pytest.approx(0.6 * RATE, abs=32)


def test_a_voice_that_hisses_ends_with_its_word_not_with_its_hiss():
    hiss = 0.5 / np.sqrt(2) * 10 ** (-36 / 20)
    samples = np.concatenate([silence(0.3, hiss), tone(0.5), silence(0.4, hiss)])
    first, last = bounds(samples, RATE)
    assert (first, last) == (pytest.approx(0.3 * RATE, abs=80), pytest.approx(0.8 * RATE, abs=80))


def test_a_click_far_from_the_word_is_cut_off_and_the_release_of_a_stop_is_kept():
    def with_sound_after(gap: float) -> int:
        return bounds(np.concatenate([tone(0.5), silence(gap), tone(0.02, 2000, 0.2), silence(0.3)]), RATE)[1]

    assert with_sound_after(0.3) == pytest.approx(0.5 * RATE, abs=32)
    assert with_sound_after(0.08) == pytest.approx(0.6 * RATE, abs=32)


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(RATE, np.float32), tone(0.005)])
def test_silence_has_no_bounds(samples):
    assert bounds(samples, RATE) is None
    assert trim(samples, RATE) is None


@pytest.mark.parametrize("semitones", [-4, -1.5, 3, 4])
def test_a_warp_moves_the_pitch_by_the_semitones_asked_for(semitones):
    assert pitch_of(warp(vowel(140, 900), RATE, pitch=semitones)) == pytest.approx(
        140 * 2 ** (semitones / 12), rel=0.02
    )


@pytest.mark.parametrize("factor", [0.85, 1.18])
def test_a_warp_moves_the_formants_and_leaves_the_pitch(factor):
    before = vowel(110, 1500)
    after = warp(before, RATE, formants=factor)
    assert formant_of(after) / formant_of(before) == pytest.approx(factor, rel=0.05)
    assert pitch_of(after) == pytest.approx(110, rel=0.02)


@pytest.mark.parametrize("tempo", [0.85, 1.2])
def test_a_warp_changes_the_pace_and_leaves_the_pitch(tempo):
    after = warp(vowel(180, 1000), RATE, tempo=tempo)
    assert len(after) / RATE == pytest.approx(0.6 / tempo, abs=0.01)
    assert pitch_of(after) == pytest.approx(180, rel=0.02)


@pytest.mark.parametrize("factor", [0.4, 1.7])
def test_a_warp_flattens_or_widens_the_melody_around_its_mean(factor):
    n = np.arange(RATE) / RATE
    glide = 150 * 2 ** ((n - 0.5) / 2)  # half an octave in a second
    rising = sum(np.sin(2 * np.pi * k * np.cumsum(glide) / RATE) / k for k in range(1, 20)).astype(np.float32) * 0.2
    after = warp(rising, RATE, intonation=factor)
    early, late = (pitch_of(part) for part in (after[1600:6400], after[-6400:-1600]))
    before = [pitch_of(part) for part in (rising[1600:6400], rising[-6400:-1600])]
    assert np.log2(late / early) == pytest.approx(factor * np.log2(before[1] / before[0]), abs=0.04)
    assert np.sqrt(early * late) == pytest.approx(150, rel=0.03)


def test_breath_takes_the_periods_out_of_a_voice():
    still, breathy = (periodicity_of(warp(vowel(150, 900), RATE, breath=breath)) for breath in (0.0, 0.9))
    assert still > 0.9
    assert breathy < still - 0.15


def test_the_same_warp_gives_the_same_samples_whatever_was_warped_between():
    voice = vowel(120, 800)
    first = warp(voice, RATE, pitch=2, formants=1.1, breath=0.4, tempo=1.1)
    warp(vowel(200, 1200), RATE, breath=0.5)
    assert np.array_equal(first, warp(voice, RATE, pitch=2, formants=1.1, breath=0.4, tempo=1.1))
