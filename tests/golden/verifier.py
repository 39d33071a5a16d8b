"""Writes verifier.json: a small second stage, and what the reference answers about the last features of a stream.

python tests/golden/verifier.py > tests/golden/verifier.json
"""

import base64
import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
import viper

viper.install()
from nets import second_stage, theirs

FEATURES = 150
ASKED = (0, 3, 40, 149, 150, 151, 299, 300, 333)  # after so many features


def stream(n: int) -> np.ndarray:
    """int8 [n, 40], as tests/portable/test_verifier.py makes it."""
    out, seed = [], 1
    for _ in range(n * 40):
        seed = (seed * 75 + 74) % 65537
        out.append((seed >> 4 & 0xFF) - 128)
    return np.array(out, np.int8).reshape(n, 40)


def main() -> int:
    data = second_stage(np.random.default_rng(51), FEATURES, channels=4)
    unheard = np.full((FEATURES, 40), -128, np.int8)
    heard = np.concatenate([unheard, stream(max(ASKED))])
    answers = [int(out[0][0, 0]) for out in theirs(data, *[[heard[None, n : n + FEATURES]] for n in ASKED])]
    vector = {
        "what": "a second stage (base64 of the .tflite) and its answers, asked after so many features of a stream of noise",
        "name": "verifier",
        "source": f"tflite-micro {version('tflite-micro')}; written by verifier.py beside this file",
        "asked": list(ASKED),
        "answers": answers,
        "model": base64.b64encode(data).decode(),
    }
    print(json.dumps(vector))
    return 0


if __name__ == "__main__":
    sys.exit(main())
