"""Which kernels a board takes: real MicroPython, with an accelerator, a wrong one, a strange one, or none."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import ears
from chip import hearing
from sourdine_board.twin import Board
from sourdine_tools import accel
from sourdine_tools.accel import compile as cc
from sourdine_tools.flash import flash
from sourdine_tools.release import FIRMWARE
from sourdine_tools.verify import verify

ROOT = Path(__file__).parents[2]
MICROPYTHON = Path(sys.executable).with_name("micropython")
ASK = """
import sys
sys.path.insert(0, "firmware")
import sourdine
from sourdine import dsp, fft, int8, mel
try:
    from sourdine import accel
except Exception:
    accel = None
for room in (dsp, fft, int8, mel):
    for name in dir(room):
        if hasattr(accel, name) and getattr(room, name) is getattr(accel, name) and name in sys.argv[1:]:
            print("took", name)
print("left", hasattr(sourdine, "proof"), "sourdine.proof" in sys.modules)
"""
PROVEN = [name for name in cc.sources("fast") if name not in ("mix", "spread")]  # which no block of samples waits for


@pytest.fixture
def board(tmp_path):
    """A folder in which the tests' programs find the firmware."""
    shutil.copytree(FIRMWARE, tmp_path / "firmware", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tests").symlink_to(ROOT / "tests")
    return tmp_path


def run(folder, *arguments):
    done = subprocess.run(
        [MICROPYTHON, *map(str, arguments)], cwd=folder, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def chosen(folder):
    """(kernels taken from the accelerator, what was said)."""
    lines = run(folder, "-c", ASK, *PROVEN).splitlines()
    assert lines.pop() == "left False False"
    taken = [line.removeprefix("took ") for line in lines if line.startswith("took ")]
    return taken, [line for line in lines if not line.startswith("took ")]


def heard(folder):
    """Raw features, features and scores of five seconds of sound."""
    (folder / "samples").write_bytes(hearing.sound().tobytes())
    run(folder, "tests/portable/features.py", "samples", "features")
    rows = np.fromfile(folder / "features", np.uint8).reshape(-1, 120)
    rows[:, 80:].tofile(folder / "rows")
    job = {"model": str(ears.models() / "alexa.tflite"), "features": "rows", "out": "scores"}
    (folder / "jobs.json").write_text(json.dumps([job]))
    run(folder, "tests/ears_chip.py", "jobs.json", "results")
    return rows.tobytes(), (folder / "scores").read_bytes()


def test_without_an_accelerator_nothing_is_said_and_viper_works(board):
    assert chosen(board) == ([], [])


def test_with_the_accelerator_every_kernel_is_taken_and_everything_heard_is_the_same(board):
    slow = heard(board)
    (board / "firmware/sourdine/accel.mpy").write_bytes(accel.mpy("x64"))
    taken, said = chosen(board)
    assert said == []
    assert sorted(taken) == sorted(PROVEN)
    fast = heard(board)
    assert fast == slow
    assert len(set(fast[1])) > 5


PLANTED = """
from sourdine.native import micropython, ptr8, ptr16, ptr32

def window(x, weights, out, n):  # one bit off, in one cell
    from sourdine.dsp import window
    largest = window(x, weights, out, n)
    out[n - 1] ^= 1
    return largest

@micropython.viper
def copy(x: ptr16, out: ptr16, n: int):  # one cell too many
    for i in range(n + 1):
        out[i] = x[i]

def energy(x):
    return 0

def unpack(words, out, n, shift):
    raise OverflowError("by hand")

def quantize(x, out, n):  # right, if slow
    from array import array
    import struct
    for i in range(n):
        y, = struct.unpack_from("<H", x, 2 * i)
        out[i] = (127 if y > 664 else (y * 1275 + 1664) // 3328 - 128) & 255
"""


def test_a_wrong_kernel_is_refused_and_viper_stays(board):
    (board / "firmware/sourdine/accel.py").write_text(PLANTED)
    taken, said = chosen(board)
    assert taken == ["quantize"]
    said = [line.removeprefix("accelerator: ").removesuffix(" - viper stays") for line in said]
    assert "dsp.window writes something else" in said
    assert "dsp.copy writes something else" in said
    assert any(line.startswith("dsp.energy raises TypeError") for line in said)
    assert "dsp.unpack raises OverflowError('by hand',)" in said
    assert "mel.root is missing" in said
    assert len(said) == len(set(said)) == len(PROVEN) - 1


@pytest.mark.parametrize("arch", ["xtensawin", "rv32imc"])
def test_an_accelerator_for_another_processor_is_refused(board, arch):
    (board / "firmware/sourdine/accel.mpy").write_bytes(accel.mpy(arch))
    taken, said = chosen(board)
    assert taken == []
    assert said == ["accelerator: incompatible .mpy arch - viper stays"]


def test_a_board_starts_with_the_accelerator_is_verified_with_it_and_loses_it_to_a_flash_without(tmp_path):
    with Board(tmp_path) as twin:
        assert "/sourdine/accel.mpy" in flash(twin.tty, accel=True).copied
        assert b"not paired" in twin.console
        assert b"accelerator" not in twin.console
        assert verify(twin.tty, accel=True).clean
        assert verify(twin.tty).strangers == ["/sourdine/accel.mpy"]
        assert flash(twin.tty).removed == ["/sourdine/accel.mpy"]
        assert verify(twin.tty).clean


@pytest.mark.parametrize("planted", ["raise OSError(5)", "1 / 0", "x = ("])
def test_an_accelerator_that_cannot_be_imported_keeps_no_board_from_hearing(board, planted):
    (board / "firmware/sourdine/accel.py").write_text(planted)
    taken, said = chosen(board)
    assert taken == []
    assert len(said) == 1
    assert said[0].endswith("- viper stays")
