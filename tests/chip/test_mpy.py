"""The reader of .mpy files: it finds each function's machine code by name, and refuses whatever else it is given."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sourdine
from sourdine_tools import release
from sourdine_tools.chip import mpy
from sourdine_tools.chip.core import Core

from .conftest import ARCHES

SOURCE = """
import micropython
WORDS = ("a", b"b", (1, 2.5, None, 1 << 70), ...)

def plain():
    def inner():
        return lambda: [x for x in WORDS]
    return inner

@micropython.viper
def two() -> int:
    return 2

class Thing:
    @micropython.viper
    def three(self) -> int:
        return 3

    def method(self):
        @micropython.viper
        def four() -> int:
            return 4
        return four

@micropython.native
def native():
    return 5

@micropython.viper
def six() -> int:
    return 6
"""
PATH = release.Path(sourdine.__file__).with_name("fft.py")
WHOLE = release.compiled(PATH, "sourdine/fft.py", "xtensawin")
TEXT = PATH.read_text()


@pytest.mark.parametrize("arch", ARCHES)
def test_each_name_has_its_own_code(compiled, arch):
    found = compiled(SOURCE, arch)
    assert list(found) == ["two", "three", "four", "native", "six"]
    with Core(arch) as core:
        assert core.call(found["two"]) == 2
        assert core.call(found["three"], 0) == 3
        assert core.call(found["four"]) == 4
        assert core.call(found["six"]) == 6


@pytest.mark.parametrize("arch", ARCHES)
def test_what_flash_deploys_is_found_by_module_and_kernel(arch):
    deployed = mpy.deployed(arch)
    assert {"dsp", "fft", "mel", "int8"} <= set(deployed)
    files = release.Release.build(arch).files
    for module, kernels in deployed.items():
        for code in kernels.values():
            assert code in files[f"/sourdine/{module}.mpy"]


def test_a_file_that_ends_early_is_refused_wherever_it_ends():
    assert mpy.functions(WHOLE, TEXT)
    for length in range(len(WHOLE)):
        with pytest.raises(ValueError, match=r"early|\.mpy"):
            mpy.functions(WHOLE[:length], TEXT)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_file_is_read_or_refused(places):
    damaged = bytearray(WHOLE)
    for at, byte in places:
        damaged[at] = byte
    refused(bytes(damaged))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data):
    refused(data)
    refused(WHOLE[:4] + data)


def refused(data):
    try:
        found = mpy.functions(data, TEXT)
    except ValueError as error:
        assert str(error)
    else:
        assert list(found) == list(mpy.functions(WHOLE, TEXT))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"X" + data[1:], "begin with M"),
        (lambda data: data[:1] + b"\5" + data[2:], r"version 5\.3"),
        (lambda data: data[:2] + bytes([data[2] ^ 1]) + data[3:], r"version 6\.2"),
        (lambda data: data + b"\0", "follow its end"),
    ],
    ids=["magic", "version", "sub-version", "trailing"],
)
def test_what_is_no_such_file_is_refused_with_a_reason(change, reason):
    with pytest.raises(ValueError, match=reason):
        mpy.functions(change(WHOLE), TEXT)


def test_a_file_of_another_source_is_refused():
    with pytest.raises(ValueError, match="its source"):
        mpy.functions(WHOLE, TEXT + "\n@micropython.viper\ndef more() -> int:\n    return 7\n")
