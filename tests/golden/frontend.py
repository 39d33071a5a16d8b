"""Writes frontend.json, what the reference makes of a few sounds that are short to write down.

python tests/golden/frontend.py > tests/golden/frontend.json
"""

import json
from array import array

from pymicro_features import MicroFrontend

SOUNDS = {
    "noise after silence": [[0, 480], [1], [2], [3], [4]],
    "full-scale square": [[32767, 8], [-32768, 8]] * 60,
    "constant": [[-32768, 640], [32767, 480]],
    "impulse of -32768 where the window is 1": [[0, 239], [-32768, 1], [1, 720]],
    "one step": [[0, 500], [1, 460]],
}


def noise(seed: int) -> list[int]:
    samples = []
    for _ in range(160):
        seed = (seed * 75 + 74) % 65537
        samples.append((seed & 0xFFFF) - 32768)
    return samples


def samples_of(runs: list[list[int]]) -> array:
    samples = array("h")
    for run in runs:
        samples.extend([run[0]] * run[1] if len(run) == 2 else noise(run[0]))
    return samples


def reference(runs: list[list[int]]) -> list[list[int]]:
    samples, frontend, rows = samples_of(runs), MicroFrontend(), []
    for start in range(0, len(samples) - 159, 160):
        output = frontend.process_samples(samples[start : start + 160].tobytes())
        if output.features:
            rows.append([round(value / 0.0390625) for value in output.features])
    return rows


def vectors() -> dict:
    return {
        "what": "raw features (uint16, 64 * ln) per 10 ms of sounds given as [value, count], or [seed] for 160 of noise",
        "source": "pymicro-features 2.0.2 (TFLM microfrontend); written by frontend.py beside this file",
        "vectors": [{"name": name, "sound": runs, "raw": reference(runs)} for name, runs in SOUNDS.items()],
    }


if __name__ == "__main__":
    print(json.dumps(vectors(), separators=(",", ":")).replace('{"name"', '\n{"name"'))
