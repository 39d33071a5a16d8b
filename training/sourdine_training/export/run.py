"""What tflite-micro, the reference, and the firmware on MicroPython make of a .tflite."""

import functools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import sourdine
from sourdine_board.mistake import Mistake
from sourdine_training.net.options import VERIFIER_FRAMES
from sourdine_training.net.stack import BANDS

ARENA = 1 << 21  # bytes: more than any model of ours, or of a peer, takes
ARENA_MAX = 1 << 16  # that a manifest may ask for
UNHEARD = -128  # what fills the board's ring before there was sound
FIRMWARE = Path(sourdine.__file__).parents[1]


class Reference:
    """A spotter or a verifier in tflite-micro. Raises Mistake for a file that it does not take."""

    def __init__(self, data: bytes) -> None:
        from tflite_micro.python.tflite_micro import runtime

        try:
            self._interpreter: Any = runtime.Interpreter.from_bytes(data, arena_size=ARENA)
        except RuntimeError as error:
            raise Mistake("tflite-micro does not take this .tflite: is it a model for it?") from error
        self.frames = int(self._interpreter.get_input_details(0)["shape"][1])

    def step(self, features: NDArray[np.int8]) -> int:
        """Probability 0..255 after features int8 [frames, 40]."""
        self._interpreter.set_input(features.reshape(1, self.frames, BANDS), 0)
        self._interpreter.invoke()
        return int(self._interpreter.get_output(0).item())

    def steps(self, features: NDArray[np.int8]) -> NDArray[np.uint8]:
        """A spotter's probabilities, [T // frames], over further features int8 [T, 40]."""
        parts = np.ascontiguousarray(features[: len(features) // self.frames * self.frames])
        parts = parts.reshape(-1, self.frames, BANDS)
        return np.fromiter((self.step(part) for part in parts), np.uint8, len(parts))

    def reset(self) -> None:
        """Forget what was heard."""
        self._interpreter.reset()


def probabilities(data: bytes, features: NDArray[np.int8]) -> NDArray[np.uint8]:
    """A spotter's over features int8 [T, 40] from a fresh start."""
    return Reference(data).steps(features)


class Answers:
    """A verifier's answers about a stream of features int8 [T, 40], each computed once."""

    def __init__(self, verifier: Any, features: NDArray[np.int8]) -> None:
        self._verifier, self._features = verifier, features
        self._known: dict[int, int] = {}

    def __call__(self, feature: int) -> int:
        """0..255 about the features until this one, itself included; what lies before the stream was never heard."""
        if feature not in self._known:
            recent = self._features[max(0, feature + 1 - VERIFIER_FRAMES) : feature + 1]
            window = np.full((VERIFIER_FRAMES, BANDS), UNHEARD, np.int8)
            window[VERIFIER_FRAMES - len(recent) :] = recent
            self._known[feature] = self._verifier.step(window)
        return self._known[feature]


_ARENA = """
import sys
from tflite_micro.python.tflite_micro import runtime
data = open(sys.argv[1], "rb").read()
for size in range(int(sys.argv[2]), 0, -int(sys.argv[3])):
    runtime.Interpreter.from_bytes(data, arena_size=size)
    print(size, flush=True)
"""


@functools.cache
def arena(data: bytes) -> int:
    """Bytes of the smallest arena, to 256, that tflite-micro takes on this computer, whose pointers are twice a chip's.

    Measured by trial in a process of its own: what is too small may end it, as an exception or as a crash.
    """
    size = ARENA_MAX
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.tflite"
        path.write_bytes(data)
        for step in (4096, 256):
            command = [sys.executable, "-c", _ARENA, path, str(size), str(step)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if not done.stdout:
                raise Mistake(f"tflite-micro does not take this .tflite in {size} bytes: is it a model for it?")
            size = int(done.stdout.split()[-1])
    return size


SIZES = ("macs", "arena", "weights", "stride", "slices")
_ON_BOARD = """
import json, sys
from sourdine.tflite import Model
from sourdine.verifier import Verifier
with open(sys.argv[1], "rb") as file:
    net = (Verifier if sys.argv[4] == "verifier" else Model)(file)
row = bytearray(net.stride * 40)
with open(sys.argv[2], "rb") as features, open(sys.argv[3], "wb") as out:
    while features.readinto(row) == len(row):
        if sys.argv[4] == "verifier":
            for i in range(net.stride):
                net.remember(row[40 * i : 40 * i + 40])
            net.begin()
            answer = -1
            while answer < 0:
                answer = net.advance()
        else:
            answer = net.step(row)
        out.write(bytes([answer]))
print(json.dumps([net.macs, net.arena, net.weights, net.stride, getattr(net, "slices", 1)]))
"""


def on_board(
    data: bytes, features: NDArray[np.int8], verifier: bool = False
) -> tuple[NDArray[np.uint8], dict[str, int]]:
    """The same by the firmware's own code on MicroPython: probabilities, and what it says of the net.

    features  int8 [steps, frames, 40]; none of them, and the net is only checked and weighed. Raises Mistake with the firmware's reason for a net that it refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        model, heard, out = (Path(folder) / name for name in ("model.tflite", "features", "out"))
        model.write_bytes(data)
        heard.write_bytes(np.ascontiguousarray(features, np.int8).tobytes())
        python = Path(sys.executable).with_name("micropython")
        command = [
            python,
            "-X",
            "heapsize=4M",
            "-c",
            _ON_BOARD,
            model,
            heard,
            out,
            "verifier" if verifier else "spotter",
        ]
        done = subprocess.run(command, cwd=FIRMWARE, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr or done.stdout).strip().splitlines() or ["MicroPython says nothing"]
            raise Mistake(f"the firmware refuses this model: {why[-1]}")
        sizes: dict[str, int] = dict(zip(SIZES, json.loads(done.stdout), strict=True))
        return np.frombuffer(out.read_bytes(), np.uint8), sizes
