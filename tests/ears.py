"""The reference ears, and how to run ours: pymicro-features → tflite-micro, against the firmware under MicroPython.

Shared by tests and benchmarks. A clip is int16 samples at 16 kHz; features are int8 [n, 40], a row per 10 ms
once the first 30 ms are there.
"""

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sourdine import spec
from sourdine.wake import Wake

ROOT = Path(__file__).parents[1]
SCALE, ZERO = np.float32(26 / 255), -128  # of the features that every microWakeWord model takes
NAMES = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")


def models() -> Path:
    """Folder of the four public models and manifests, inside the installed pymicro-wakeword."""
    found = importlib.util.find_spec("pymicro_wakeword")
    assert found and found.origin, "pymicro-wakeword is not installed"
    return Path(found.origin).parent / "models"


def features(samples: np.ndarray) -> np.ndarray:
    """int16 samples → int8 [n, 40] by pymicro-features, quantised as its sister package pymicro-wakeword does."""
    from pymicro_features import MicroFrontend

    frontend = MicroFrontend()
    rows = []
    data = samples.astype("<i2").tobytes()
    for at in range(0, len(data) - 2 * spec.HOP + 1, 2 * spec.HOP):
        row = frontend.process_samples(data[at : at + 2 * spec.HOP]).features
        if row:
            rows.append(row)
    exact = np.array(rows, float).reshape(-1, spec.CHANNELS) / SCALE + ZERO
    return np.clip(np.round(exact), -128, 127).astype(np.int8)


class Reference:
    """A model with variables in tflite-micro, with the face of sourdine.tflite.Model."""

    def __init__(self, data: bytes):
        from tflite_micro.python.tflite_micro import runtime

        self._make = lambda: runtime.Interpreter.from_bytes(data, arena_size=1 << 20)
        self.reset()

    def reset(self) -> None:
        self._interpreter = self._make()
        self.stride = int(self._interpreter.get_input_details(0)["shape"][1])
        self._rows: list[np.ndarray] = []

    def step(self, rows: np.ndarray) -> int:
        self._interpreter.set_input(np.asarray(rows, np.int8).reshape(1, self.stride, spec.CHANNELS), 0)
        self._interpreter.invoke()
        return int(self._interpreter.get_output(0).reshape(-1)[0])

    def feed(self, row: np.ndarray) -> int:
        self._rows.append(np.asarray(row, np.int8).reshape(-1))
        if len(self._rows) < self.stride:
            return -1
        rows, self._rows = np.stack(self._rows), []
        return self.step(rows)

    def run(self, rows: np.ndarray) -> list[int]:
        """Probabilities of all whole steps."""
        return [self.step(rows[i : i + self.stride]) for i in range(0, len(rows) - self.stride + 1, self.stride)]


def reference_wakes(manifest: Path, clips: Sequence[np.ndarray]) -> list[list[int]]:
    """[clip, feature index, score] of every wake; each clip (as features) from a fresh start."""
    described = json.loads(manifest.read_text())
    wake = Wake(described, Reference((manifest.parent / described["model"]).read_bytes()))
    found = []
    for clip, rows in enumerate(clips):
        wake.reset()
        found += [[clip, i, wake.score] for i, row in enumerate(rows) if wake.hear(row)]
    return found


def micropython(jobs: Sequence[dict], timeout_s: float = 600) -> list[dict]:
    """Run ears_chip.py on these jobs in one MicroPython; arrays among their values become files."""
    with tempfile.TemporaryDirectory() as folder:
        written = []
        for i, job in enumerate(jobs):
            job: dict = dict(job, out=f"{folder}/{i}.out")
            for key, value in job.items():
                if isinstance(value, list) and isinstance(value[0], Path):
                    job[key] = [str(path) for path in value]
                elif isinstance(value, np.ndarray):
                    job[key] = f"{folder}/{i}.{key}"
                    value.tofile(job[key])
                elif isinstance(value, Path):
                    job[key] = str(value)
            written.append(job)
        (Path(folder) / "jobs.json").write_text(json.dumps(written))
        done = subprocess.run(
            [
                Path(sys.executable).with_name("micropython"),
                "tests/ears_chip.py",
                f"{folder}/jobs.json",
                f"{folder}/results",
            ],
            cwd=ROOT,
            timeout=timeout_s,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        results = [json.loads(line) for line in (Path(folder) / "results").read_text().splitlines()]
        for job, result in zip(written, results, strict=True):
            if Path(job["out"]).exists():
                result["probabilities"] = list(Path(job["out"]).read_bytes())
        return results
