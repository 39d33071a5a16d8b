"""The frontend against pymicro-features: no value may differ, whatever the sound."""

import ctypes
import json
import runpy
import subprocess
import sys
from array import array
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st
from pymicro_features import MicroFrontend

from sourdine import spec
from sourdine.frontend import Frontend
from sourdine_tools import tables

ROOT = Path(__file__).parents[2]
MICROPYTHON = Path(sys.executable).with_name("micropython")
RATE = spec.SAMPLE_RATE
RESET_AT = 3000  # blocks


def reference(samples, reset_at=-1):
    frontend, rows = MicroFrontend(), []
    data = samples.astype("<i2").tobytes()
    for block, start in enumerate(range(0, len(data) - 2 * spec.HOP + 1, 2 * spec.HOP)):
        if block == reset_at:
            frontend.reset()
        features = frontend.process_samples(data[start : start + 2 * spec.HOP]).features
        if features:
            rows.append(features)
    return np.rint(np.array(rows).reshape(-1, spec.CHANNELS) / 0.0390625).astype(int)


def weights_of_this_host():
    """The filterbank as the reference computes it here: its single-precision log1p is the C library's own."""
    f = np.float32
    log1pf = ctypes.CDLL(None).log1pf
    log1pf.restype, log1pf.argtypes = ctypes.c_float, [ctypes.c_float]

    def mel(frequency):
        return f(1127) * f(log1pf(f(frequency) / f(700)))

    low, bands = mel(tables.LOWEST), spec.CHANNELS + 1
    spacing = (mel(tables.HIGHEST) - low) / f(bands)
    edges = [low] + [low + spacing * f(i + 1) for i in range(bands)]
    weights, fft_bin = [], 5
    for left, right in pairwise(edges):
        first = fft_bin
        while mel(fft_bin * tables.BIN) <= right:
            fft_bin += 1
        for i in range(first, fft_bin):
            weights.append(int(np.floor((right - mel(i * tables.BIN)) / (right - left) * f(4096) + f(0.5))))
    return weights


def corpus():
    """Sounds that reach every corner, a minute and a half."""
    import hibari

    random = np.random.default_rng(2)
    time = np.arange(RATE)
    yield np.zeros(RATE)
    for level in (0.3, 1, 3, 10, 100, 1000, 8000, 30000, 120000):
        yield random.normal(0, level, 2 * RATE)
    for frequency in (31.25, 50, 440, 1000, 3333, 7500, 7999):
        yield 32767 * np.sign(np.sin(2 * np.pi * frequency * time / RATE))
        yield 20000 * np.sin(2 * np.pi * frequency * time / RATE)
    for constant in (-32768, 32767, 1, -1, 100):
        yield np.full(RATE // 2, constant)
    for period in (160, 161, 479, 2000):
        for height in (-32768, 32767, -1, 1):
            yield np.where(time % period == 0, height, 0)
    yield random.choice([-32768, 32767], 2 * RATE)
    yield random.integers(-32768, 32768, 2 * RATE)
    yield 32767 * np.sin(2 * np.pi * 4000 * (time / RATE) ** 2)  # a sweep
    yield from (wrapping(turns) for turns in range(1, 128, 9))
    speaker = hibari.Hibari()
    for text, gain in (
        ("Good evening. The soup needs another ten minutes, and the bread is still in the oven.", 1.0),
        ("Alexa, what time is the next train to Lyon? Turn the kitchen lights off, please.", 0.1),
        ("She sells sea shells by the sea shore, while the quick brown fox jumps over it all.", 4.0),
    ):
        clean = soxr.resample(speaker(text), speaker.sample_rate, RATE) * 32767 * gain
        yield clean
        yield clean + random.normal(0, 300, len(clean))


def wrapping(turns):
    """One window whose samples, once tapered, are flat at a bit below 2^10 and turn by quarters: shifted up, they
    pass 16 bits inside the FFT, which wraps."""
    coefficients = np.array(tables.window())
    n = np.arange(240) * 2 * np.pi * turns / 256
    wanted = 1023 * np.stack([np.sign(np.cos(n + 0.1)), np.sign(np.sin(n + 0.1))], 1).reshape(-1)
    samples = np.zeros(640)
    samples[:480] = np.ceil(wanted * 4096 / np.maximum(coefficients, 1))
    return np.clip(samples, -32768, 32767)


@pytest.fixture(scope="module")
def sound():
    pieces = [np.clip(np.rint(piece), -32768, 32767).astype(np.int16) for piece in corpus()]
    return np.concatenate([np.pad(piece, (0, -len(piece) % spec.HOP)) for piece in pieces])


def heard_by_micropython(sound, folder, *options):
    sound.astype("<i2").tofile(folder / "sound")
    command = [MICROPYTHON, "tests/portable/features.py", folder / "sound", folder / "heard", *options]
    result = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    rows = np.fromfile(folder / "heard", np.uint8).reshape(-1, 3 * spec.CHANNELS)
    return rows[:, :80].copy().view("<u2").astype(int), rows[:, 80:].view(np.int8).astype(int)


def test_micropython_hears_what_the_reference_hears(sound, tmp_path):
    assert len(sound) > 60 * RATE
    options = [str(RESET_AT)]
    if (weights := weights_of_this_host()) != tables.filterbank()[0]:
        np.array(weights, "<u2").tofile(tmp_path / "weights")
        options.append(tmp_path / "weights")
    raw, features = heard_by_micropython(sound, tmp_path, *options)
    expected = reference(sound, RESET_AT)
    assert raw.shape == expected.shape
    assert np.count_nonzero(raw != expected) == 0
    assert expected.max() > 650
    assert expected.min() == 0
    assert np.count_nonzero(features != quantized(expected)) == 0


def quantized(raw):
    """What the models' input quantization says: scale 26/255, zero point -128, saturating."""
    return np.clip(np.rint(raw * 0.0390625 / 0.10196078568696976) - 128, -128, 127).astype(int)


def checked_equals_reference(samples):
    frontend = Frontend()
    rows = [list(frontend.raw) for block in blocks(samples) if frontend.feed(block)]
    assert np.array_equal(np.array(rows).reshape(-1, spec.CHANNELS), reference(samples))


def blocks(samples):
    return [array("h", samples[i : i + spec.HOP].tolist()) for i in range(0, len(samples) - spec.HOP + 1, spec.HOP)]


@pytest.mark.parametrize("turns", [1, 37, 91])
def test_no_kernel_leaves_32_bits_where_the_fft_wraps(turns):
    checked_equals_reference(wrapping(turns).astype(np.int16))


def test_no_kernel_leaves_32_bits_on_loud_sound():
    random = np.random.default_rng(3)
    square = np.tile(np.repeat([32767, -32768], 8), 60)
    checked_equals_reference(np.concatenate([square, random.choice([-32768, 32767], 960)]).astype(np.int16))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from([-32768, -32767, -1, 0, 1, 255, 32767]), min_size=800, max_size=800))
def test_no_kernel_leaves_32_bits_on_extremes(samples):
    checked_equals_reference(np.array(samples, np.int16))


def test_golden_data_are_the_references():
    script = runpy.run_path(str(ROOT / "tests/golden/frontend.py"))
    assert json.loads((ROOT / "tests/golden/frontend.json").read_text()) == script["vectors"]()


def test_tables_are_what_their_script_writes():
    assert (ROOT / "firmware/sourdine/tables.py").read_text() == tables.module()
