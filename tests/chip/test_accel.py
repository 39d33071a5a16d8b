"""The accelerator's kernels, which are C, against the same plain meaning as viper's; and how they get into a .mpy."""

from contextlib import ExitStack
from functools import cache

import numpy as np
import pytest

from chip.trial import tried
from chip.vectors.calls import RANDOM
from sourdine import fft, tables
from sourdine_board.mistake import Mistake
from sourdine_tools import accel
from sourdine_tools.accel import compile as cc
from sourdine_tools.accel.elf import Elf
from sourdine_tools.accel.graft import Mpy, graft
from sourdine_tools.accel.signatures import signatures
from sourdine_tools.chip import mpy
from sourdine_tools.chip.core import Core, Fault
from sourdine_tools.release import ARCHES, FIRMWARE, Release

CHIPS = ("xtensawin", "rv32imc")
ENOUGH = 10_000  # random calls of each kernel
built = cache(accel.kernels)
PLAIN = list(cc.sources("plain"))
HOMES = {name: signature.module for name, signature in signatures().items()}


@pytest.fixture(scope="module")
def cores():
    with ExitStack() as stack:
        yield {arch: stack.enter_context(Core(arch)) for arch in CHIPS}


@pytest.mark.parametrize("arch", CHIPS)
@pytest.mark.parametrize("name", PLAIN)
def test_the_accelerator_does_what_the_definition_says(cores, arch, name):
    """And so does plain C, or it would be no measure."""
    room = HOMES[name]
    for code in {built(arch, build)[room][name] for build in ("fast", "plain")[: 1 + (arch == "xtensawin")]}:
        trial = tried(cores[arch], code, (room, name))
        assert trial.mismatches == 0, trial.first
        assert trial.counts[RANDOM] >= ENOUGH


def test_factors_and_samples_need_no_more_than_their_own_alignment(cores):
    """Where words are loaded for two cells at once, cells between words take another way."""
    random = np.random.default_rng(1)
    cells, factors = random.integers(0, 1 << 16, 512).astype(np.uint16), fft.twiddles(tables.SINE)[2]
    samples = random.integers(-32768, 32768, 301).astype(np.int16)
    found = []
    for start in (0, 1):
        moved, energy = np.zeros(400, np.uint16)[start : start + len(factors)], np.zeros(320, np.int16)[start:][:301]
        moved[:], energy[:], turned = factors, samples, cells.copy()
        assert moved.ctypes.data % 4 == 2 * start
        cores["xtensawin"].call(built("xtensawin")["fft"]["stage64"], turned, moved)
        found.append((turned.tobytes(), cores["xtensawin"].call(built("xtensawin")["dsp"]["energy"], energy, 301)))
    assert found[0] == found[1]
    assert found[0][0] != cells.tobytes()


@pytest.mark.parametrize("arch", CHIPS)
def test_another_number_of_arguments_is_refused_as_viper_refuses_it(cores, arch):
    with pytest.raises(Fault, match="argument"):
        cores[arch].call(built(arch)["dsp"]["energy"], bytes(4))


@pytest.mark.parametrize("arch", ARCHES.values())
def test_the_mpy_holds_exactly_the_functions_that_were_built(arch):
    known = signatures()
    codes = cc.codes(arch, "fast", known)
    stub = "".join(known[name].stub() for name in codes)
    assert mpy.functions(accel.mpy(arch), stub) == codes


@pytest.mark.parametrize("arch", ARCHES.values())
def test_the_same_sources_give_the_same_bytes(arch):
    first = accel.mpy(arch)
    cc.assembled.cache_clear()
    assert accel.mpy(arch) == first


@pytest.mark.parametrize("arch", ARCHES.values())
@pytest.mark.parametrize(
    ("body", "trouble"),
    [
        ("extern int other; int f(void) { return other; }", "outside itself|data outside"),
        ("int other(int); int f(int a) { return other(a) + 1; }", "outside itself"),
        ("static const int table[] = {3, 1, 4, 1, 5}; int f(int i) { return table[i]; }", "outside"),
        ("static int count; int f(void) { return ++count; }", "outside"),
        ("int f(void); int f(void) { return (int)(long)f; }", "outside itself"),
    ],
    ids=["a variable elsewhere", "a call", "a table", "a variable", "its own address"],
)
def test_code_that_a_linker_would_have_to_finish_is_refused(arch, body, trouble):
    at = body.rindex("int f(")
    text = body[:at] + '__attribute__((section(".text.f"))) ' + body[at:] + "\n"
    with pytest.raises(ValueError, match=trouble):
        Elf(cc.assembled(arch, text))


def test_literals_travel_with_their_function(cores):
    """On Xtensa a constant of more than 12 bits is loaded from beside the code."""
    text = '#include "viper.h"\nKERNEL int32_t f(int32_t a) { return (a ^ 0x12345678) * 0x3579BDF; }\n'
    text += "ENTRY(f, 1) RETURN_INT(f(INTEGER(0))); }\n"
    for arch in CHIPS:
        code = Elf(cc.assembled(arch, text)).functions["f"]
        assert cores[arch].call(code, 5) == ((0x12345678 ^ 5) * 0x3579BDF + (1 << 31)) % (1 << 32) - (1 << 31)


def test_a_file_taken_apart_and_put_together_is_the_same():
    for files in (Release.build(arch).files for arch in ARCHES.values()):
        for path, data in files.items():
            if path.endswith(".mpy"):
                assert Mpy(data).whole() == data


@pytest.mark.parametrize("cut", [0, 1, 3, 40, -1])
def test_a_truncated_stub_is_refused(cut):
    stub = accel.mpy("x64")
    with pytest.raises((ValueError, IndexError)):
        graft(stub[:cut], [])


def test_a_missing_compiler_is_named(monkeypatch):
    cc.assembled.cache_clear()
    monkeypatch.setattr(cc.shutil, "which", lambda name: None)
    with pytest.raises(Mistake, match="apt install clang-22 llvm-22"):
        accel.mpy("x64")


@pytest.mark.parametrize("arch", ARCHES.values())
def test_a_release_has_the_accelerator_only_if_asked_and_lists_it(arch):
    plain, fast = Release.build(arch), Release.build(arch, accel=True)
    assert fast.files == {**plain.files, "/sourdine/accel.mpy": accel.mpy(arch)}
    assert fast.hashes["/sourdine/accel.mpy"].encode() in fast.manifest


def test_every_kernel_has_its_signature_from_the_firmware(tmp_path):
    (tmp_path / "sourdine").mkdir()
    for path in (FIRMWARE / "sourdine").glob("*.py"):
        (tmp_path / "sourdine" / path.name).write_text(path.read_text())
    dsp = tmp_path / "sourdine/dsp.py"
    dsp.write_text(
        dsp.read_text().replace("def mix(out: ptr16, x: ptr16, n: int, gain_q8: int):", "def mix(out: ptr16):")
    )
    with pytest.raises(Mistake, match="too few arguments"):
        accel.mpy("x64", source=tmp_path)
