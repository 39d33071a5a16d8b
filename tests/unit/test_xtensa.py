"""The kernels of the ears as the ESP32 runs them: its own machine code, interpreted, against the reference."""

import json
import runpy
from array import array
from pathlib import Path

import numpy as np
import pytest

from sourdine import dsp, fft, mel
from sourdine.frontend import Frontend
from xtensa import Chip, kernels

ROOT = Path(__file__).parents[2]
SOUNDS = json.loads((ROOT / "tests/golden/frontend.json").read_text())["vectors"]


@pytest.fixture
def chip(tmp_path, monkeypatch):
    """The frontend's kernels replaced by their machine code."""
    core, spent = Chip(), []
    for module in (dsp, fft, mel):
        for name, code in kernels(Path(module.__file__), tmp_path).items():

            def call(*arguments, code=code):
                result = core.run(code, *arguments)
                spent.append(core.instructions)
                return result

            monkeypatch.setattr(module, name, call)
    return spent


@pytest.mark.parametrize("vector", SOUNDS[:2], ids=lambda vector: vector["name"])
def test_machine_code_hears_what_the_reference_hears(chip, vector):
    samples_of = runpy.run_path(str(ROOT / "tests/golden/frontend.py"))["samples_of"]
    samples, frontend, raw = samples_of(vector["sound"])[:960], Frontend(), []
    for start in range(0, len(samples), 160):
        chip.clear()
        if frontend.feed(samples[start : start + 160]):
            raw.append(list(frontend.raw))
    assert raw == vector["raw"][: len(raw)]
    assert len(raw) == 4
    assert sum(chip) < 270_000  # instructions per frame, without the interpreter's calls


def test_microphone_and_speaker_loops(chip):
    random = np.random.default_rng(5)
    words = random.integers(-(1 << 31), 1 << 31, 160).astype(np.int32)
    words[:4] = [-(1 << 31), (1 << 31) - 1, -1, 0]
    out = np.zeros(160, np.int16)
    assert dsp.unpack(words, out, 160, 13) == 32768
    assert np.array_equal(out, np.clip(words >> 13, -32768, 32767))
    assert dsp.energy(out, 160) == int((out.astype(int) ** 2).sum()) // 160
    quiet = random.integers(-32768, 32768, 160).astype(np.int16)
    expected = np.clip(quiet.astype(int) + (out.astype(int) * 77 >> 8), -32768, 32767)
    dsp.mix(quiet, out, 160, 77)
    assert np.array_equal(quiet, expected)


def test_division_and_unsigned_halves_at_the_edges(chip):
    sums = [(1 << 47) - 1, (1 << 46) + 5, (1 << 32) - 1, 1 << 32, 1, 0, 2, 3] * 5
    out = array("I", [half for value in sums for half in (value >> 16, value & 0xFFFF)])
    mel.root(out, mel.roots(), 0, out)
    assert list(out[:8]) == [11863283, 8388608, 65535, 65536, 1, 0, 1, 2]
    signal, noise = array("I", [(1 << 24) - 1] * 40), array("I", [(1 << 32) - 1] * 40)
    mel.denoise(signal, noise)
    assert signal[0] == ((1 << 24) - 1) * 819 >> 14
    assert noise[0] == (((1 << 22) - 1 << 10) * 409 + ((1 << 32) - 1) * 15975) >> 14
