"""The harness finds what the desktop hides: each plant is right on MicroPython for x64, and caught on the chip.

What hides them there: registers of 64 bits, 32-bit cells that are read without a sign, unaligned access that works,
and heap blocks with room to spare. Beside each plant stands the mended kernel, which is right everywhere.
"""

import json
import subprocess
import sys
from array import array
from dataclasses import dataclass
from pathlib import Path

import pytest

from sourdine_tools.chip.core import Core, Fault, Stray

MICROPYTHON = Path(sys.executable).with_name("micropython")
ARCHES = ("xtensawin", "rv32imc")


@dataclass(frozen=True)
class Plant:
    """Two kernels of one name's sources, `planted` and `mended`; what they are called with, as Python text.

    `result` is the right one: what is returned, and the first argument afterwards. `caught` is what finds the plant:
    an exception, or None if the harness gets another result.
    """

    planted: str
    mended: str
    arguments: str
    result: tuple
    caught: type[Exception] | None


PLANTS = {
    # The mean square of a loud block: 160 * 2^30 needs 38 bits.
    "overflow": Plant(
        planted="""
def f(x: ptr16, n: int) -> int:
    s = 0
    for i in range(n):
        v = (x[i] ^ 0x8000) - 0x8000
        s += v * v
    return s // n
""",
        mended="""
def f(x: ptr16, n: int) -> int:
    high = 0
    low = 0
    for i in range(n):
        v = (x[i] ^ 0x8000) - 0x8000
        high += (v * v) >> 16
        low += (v * v) & 0xFFFF
    mean = high // n
    return (mean << 16) + (((high - mean * n) << 16) + low) // n
""",
        arguments="array('h', [-32768] * 160), 160",
        result=(1 << 30, [-32768] * 160),
        caught=None,
    ),
    # Cells are unsigned, with 32 bits; ptr32 reads them with a sign on the chip and without one on x64.
    "sign extension": Plant(
        planted="""
def f(x: ptr32, n: int) -> int:
    s = 0
    for i in range(n):
        s += x[i] >> 16
    return s
""",
        mended="""
def f(x: ptr32, n: int) -> int:
    s = 0
    for i in range(n):
        s += (x[i] >> 16) & 0xFFFF
    return s
""",
        arguments="array('I', [0x80000000, 0x12345678, 0xFFFF0000]), 3",
        result=(0x8000 + 0x1234 + 0xFFFF, [0x80000000, 0x12345678, 0xFFFF0000]),
        caught=None,
    ),
    # Squares as two halves where the samples were, and read back as one word: another pointer to the same memory.
    "aliasing, read back": Plant(
        planted="""
def f(x: ptr32, n: int) -> int:
    half = ptr16(x)
    largest = 0
    for i in range(n):
        v = half[2 * i]
        half[2 * i + 1] = ((v >> 8) * v) >> 8
        half[2 * i] = 0
        if x[i] >> 20 > largest:
            largest = x[i] >> 20
    return largest
""",
        mended="""
def f(x: ptr32, n: int) -> int:
    half = ptr16(x)
    largest = 0
    for i in range(n):
        v = half[2 * i]
        half[2 * i + 1] = ((v >> 8) * v) >> 8
        half[2 * i] = 0
        if half[2 * i + 1] >> 4 > largest:
            largest = half[2 * i + 1] >> 4
    return largest
""",
        arguments="array('I', [3, 0xF000, 0x100]), 3",
        result=(0xE10, [0, 0xE100 << 16, 1 << 16]),
        caught=None,
    ),
    # A state is moved on in place, by a row of 6 bytes, in words: x64 loads them from anywhere.
    "aliasing, unaligned": Plant(
        planted="""
def f(state: ptr8, row: int, n: int):
    x = ptr32(int(state) + row)
    y = ptr32(state)
    for i in range(n >> 2):
        y[i] = x[i]
""",
        mended="""
def f(state: ptr8, row: int, n: int):
    x = ptr8(int(state) + row)
    y = ptr8(state)
    for i in range(n):
        y[i] = x[i]
""",
        arguments="bytearray(range(18)), 6, 12",
        result=(None, [*range(6, 18), *range(12, 18)]),
        caught=Fault,
    ),
    # One cell too many: the desktop's heap block has room for it, and on the chip it is somebody else's.
    "a cell too many": Plant(
        planted="""
def f(x: ptr16, n: int):
    i = 0
    while i <= n:
        x[i] = 7
        i += 1
""",
        mended="""
def f(x: ptr16, n: int):
    i = 0
    while i < n:
        x[i] = 7
        i += 1
""",
        arguments="array('h', [0] * 10), 10",
        result=(None, [7] * 10),
        caught=Stray,
    ),
}


@pytest.fixture(scope="module")
def desktop():
    """(plant, "planted" or "mended") → what MicroPython for x64 returns and leaves behind."""
    script = "import json, micropython\nfrom array import array\n"
    for name, plant in PLANTS.items():
        for kind in ("planted", "mended"):
            script += f"@micropython.viper{getattr(plant, kind)}\narguments = {plant.arguments}\n"
            script += f"print(json.dumps([{name!r}, {kind!r}, f(*arguments), list(arguments[0])]))\n"
    done = subprocess.run([MICROPYTHON, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    rows = map(json.loads, done.stdout.splitlines())
    return {(name, kind): (result, after) for name, kind, result, after in rows}


@pytest.fixture(scope="module", params=ARCHES)
def core(request, tools):
    with Core(request.param) as core:
        yield core


def on_chip(core, compiled, plant, kind):
    kernel = compiled(f"import micropython\n@micropython.viper{getattr(plant, kind)}", core.arch)["f"]
    arguments = eval(plant.arguments, {"array": array})
    return core.call(kernel, *arguments), list(arguments[0])


@pytest.mark.parametrize("name", PLANTS)
def test_what_the_desktop_hides_the_chips_code_shows(core, compiled, desktop, name):
    plant = PLANTS[name]
    assert desktop[name, "planted"] == plant.result
    if plant.caught:
        with pytest.raises(plant.caught):
            on_chip(core, compiled, plant, "planted")
    else:
        assert on_chip(core, compiled, plant, "planted") != plant.result


@pytest.mark.parametrize("name", PLANTS)
def test_the_mended_kernel_is_right_on_both(core, compiled, desktop, name):
    assert desktop[name, "mended"] == PLANTS[name].result
    assert on_chip(core, compiled, PLANTS[name], "mended") == PLANTS[name].result
