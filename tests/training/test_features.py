"""Training hears exactly what the board hears: no feature may differ, whatever the sound."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sourdine import spec
from sourdine_training.features import features, frame, samples_for

ROOT = Path(__file__).parents[2]
MICROPYTHON = Path(sys.executable).with_name("micropython")
RATE = spec.SAMPLE_RATE


def varied():
    """Half a minute from near silence to saturation, steady, tonal, and sudden."""
    random = np.random.default_rng(5)
    time = np.arange(RATE) / RATE
    for level in (0.3, 3, 30, 300, 3000, 30_000):
        yield random.normal(0, level, 2 * RATE)
    for level in (50, 20_000):
        yield level * np.sin(2 * np.pi * (200 + 3500 * time) * time) * (1 + np.sin(2 * np.pi * 4 * time))
    yield np.zeros(RATE)
    yield np.where(np.arange(RATE) % 1999 == 0, -32_768, 5)
    yield random.choice([-32_768, 32_767], RATE)


@pytest.fixture(scope="module")
def sound():
    return np.concatenate([np.clip(np.rint(piece), -32_768, 32_767).astype(np.int16) for piece in varied()])


def test_training_hears_what_the_firmware_hears_bit_for_bit(sound, tmp_path):
    sound.astype("<i2").tofile(tmp_path / "sound")
    command = [MICROPYTHON, "tests/portable/features.py", tmp_path / "sound", tmp_path / "heard"]
    subprocess.run(command, check=True, cwd=ROOT, capture_output=True, timeout=120)
    rows = np.fromfile(tmp_path / "heard", np.uint8).reshape(-1, 3 * spec.CHANNELS)  # raw uint16, then int8
    heard = rows[:, 2 * spec.CHANNELS :].view(np.int8)
    assert heard.min() == -128
    assert heard.max() > 110
    assert np.array_equal(features(sound), heard)


def test_a_frame_is_the_first_that_heard_what_is_before_the_sample():
    quiet = np.random.default_rng(1).normal(0, 50, RATE).astype(np.int16)
    for end in (4000, 4159, 4160, 4161, 9999):
        loud = quiet.copy()
        loud[end - 1] = 32_000
        differs = np.any(features(loud) != features(quiet), axis=1)
        newest_only = np.any(features(loud[:end]) != features(quiet[:end]), axis=1)
        assert frame(end) * spec.HOP + spec.WINDOW >= end > (frame(end) - 1) * spec.HOP + spec.WINDOW
        assert differs[frame(end) : frame(end) + 4].any()
        assert not newest_only[: frame(end)].any()


def test_as_many_rows_come_as_were_asked_for():
    for rows in (1, 2, 340):
        assert features(np.zeros(samples_for(rows), np.int16)).shape == (rows, spec.CHANNELS)
        assert len(features(np.zeros(samples_for(rows) - 1, np.int16))) == rows - 1
    assert features(np.zeros(100, np.int16)).shape == (0, spec.CHANNELS)


def test_samples_of_another_type_are_refused():
    with pytest.raises(TypeError, match="int16"):
        features(np.zeros(16_000, np.float32))  # pyright: ignore[reportArgumentType]
