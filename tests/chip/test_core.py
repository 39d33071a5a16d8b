"""The harness itself: a call is what MicroPython's would be, and whatever goes wrong is found and said."""

import itertools
import os
import signal
import subprocess
import threading
from array import array

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourdine_tools.chip.core import Core, Fault, Same, Shared, Stray
from sourdine_tools.chip.xtensa import decode

ARCHES = ("xtensawin", "rv32imc")
KERNELS = """
import micropython

@micropython.viper
def nothing(p: ptr8):
    p[0] = 1

@micropython.viper
def identity(a: int) -> int:
    return a

@micropython.viper
def unsigned(a: uint) -> uint:
    return a + 1

@micropython.viper
def larger(a: int, b: int) -> bool:
    return a > b

@micropython.viper
def divide(a: int, b: int) -> int:
    return a // b * 1000 + a % b

@micropython.viper
def axpy(y: ptr32, x: ptr32, n: int, a: int) -> int:
    s = 0
    i = 0
    while i < n:
        y[i] = y[i] + a * x[i]
        s ^= y[i]
        i += 1
    return s

@micropython.viper
def copy(to: ptr8, source: ptr8, n: int):
    i = 0
    while i < n:
        to[i] = source[i]
        i += 1

@micropython.viper
def sum2(a: ptr8, b: ptr8, n: int) -> int:
    s = 0
    i = 0
    while i < n:
        s += a[i] + 256 * b[i]
        a[i] = s
        i += 1
    return s

@micropython.viper
def address(p: ptr8) -> int:
    return int(p)

@micropython.viper
def poke(p: ptr8, q: ptr8, at: int, n: int):
    i = 0
    while i < n:
        p[at + i] = 0xAA
        i += 1

@micropython.viper
def scribble(p: ptr8, at: int, address: int):
    p[at] = 0xAA
    p = ptr8(address)
    p[0] = 0xAA

@micropython.viper
def apart(p: ptr8, q: ptr8) -> int:
    return int(q) - int(p)

@micropython.viper
def get16(p: ptr16) -> int:
    return p[0]

@micropython.viper
def get32(p: ptr32) -> int:
    return p[0]

@micropython.viper
def put16(p: ptr16):
    p[0] = 1

@micropython.viper
def put32(p: ptr32):
    p[0] = 1

@micropython.viper
def wild(address: int) -> int:
    p = ptr8(address)
    return p[0]

@micropython.viper
def stranger(a: int) -> int:
    return int(elsewhere(a))

@micropython.viper
def spin(a: int):
    while a:
        pass

@micropython.viper
def returns(a):
    return a
"""


@pytest.fixture(scope="module")
def code(compiled):
    return {arch: compiled(KERNELS, arch) for arch in ARCHES}


@pytest.fixture(scope="module", params=ARCHES)
def core(request, tools):
    with Core(request.param) as core:
        yield core


@pytest.fixture
def kernel(code, core):
    return code[core.arch]


class TestCall:
    @pytest.mark.parametrize("value", [0, 1, -1, 1 << 29, 1 << 30, -(1 << 30), -(1 << 30) - 1, 2**31 - 1, -(2**31)])
    def test_an_int_of_any_size_goes_in_and_comes_out(self, core, kernel, value):
        assert core.call(kernel["identity"], value) == value

    def test_a_result_is_none_an_int_or_a_truth(self, core, kernel):
        assert core.call(kernel["nothing"], bytearray(1)) is None
        assert core.call(kernel["larger"], 2, 1) == 1
        assert core.call(kernel["larger"], -2, 1) == 0

    def test_results_and_arguments_have_32_bits(self, core, kernel):
        assert core.call(kernel["identity"], 2**32 - 1) == -1
        assert core.call(kernel["unsigned"], 2**32 - 1) == 0
        assert core.call(kernel["unsigned"], 2**31 - 1) == -(2**31)
        for value in (2**32, -(2**31) - 1):
            with pytest.raises(ValueError, match="32 bits"):
                core.call(kernel["identity"], value)

    def test_an_int_is_also_what_numpy_calls_one(self, core, kernel):
        assert core.call(kernel["identity"], np.int16(-3)) == -3
        assert core.call(kernel["larger"], np.uint8(3), True) == 1

    def test_division_is_pythons(self, core, kernel):
        for a in (7, -7, 0, 2**30, -(2**30)):  # further out MicroPython's own helper leaves 32 bits
            for b in (1, 3, -3, 2**29):
                wrapped = (a // b * 1000 + a % b + 2**31) % 2**32 - 2**31
                assert core.call(kernel["divide"], a, b) == wrapped

    def test_writable_buffers_of_all_kinds_are_written_back(self, core, kernel):
        for buffer in (bytearray(4), array("h", [0, 0]), np.zeros((2, 1), np.int16), memoryview(bytearray(6))[1:5]):
            core.call(kernel["nothing"], buffer)
            assert bytes(buffer) == b"\1\0\0\0"

    def test_arguments_that_the_chip_could_not_have_are_refused(self, core, kernel):
        with pytest.raises(ValueError, match="not contiguous"):
            core.call(kernel["nothing"], np.zeros(8, np.uint8)[::2])
        with pytest.raises(ValueError, match="the harness has"):
            core.call(kernel["nothing"], bytearray(1 << 25))
        with pytest.raises(ValueError, match="40 arguments"):
            core.call(kernel["nothing"], *range(40))
        with pytest.raises(TypeError):
            core.call(kernel["nothing"], "text")

    def test_an_empty_buffer_is_a_buffer(self, core, kernel):
        assert core.call(kernel["copy"], bytearray(), b"", 0) is None
        with pytest.raises(Stray):
            core.call(kernel["nothing"], bytearray())

    def test_more_functions_than_there_is_room_for(self, core, kernel):
        for i in range(150):
            padded = kernel["identity"] + i.to_bytes(2, "little") * 5000
            assert core.call(padded, i) == i
        assert core.call(kernel["identity"], -1) == -1


class TestMemory:
    def test_one_buffer_given_twice_is_one(self, core, kernel):
        buffer = bytearray([1, 2, 3])
        assert core.call(kernel["sum2"], buffer, buffer, 3) == 257 + 514 + 771
        assert list(buffer) == [1, 3, 6]
        assert core.call(kernel["address"], buffer) % 16 == np.frombuffer(buffer, np.uint8).ctypes.data % 16

    @settings(max_examples=60, deadline=None)
    @given(st.data())
    def test_overlapping_views_overlap_as_the_callers_do(self, core, code, data):
        size = data.draw(st.integers(1, 40))
        start, other = (data.draw(st.integers(0, 80 - size)) for _ in range(2))
        n = data.draw(st.integers(0, size))
        ours, theirs = bytearray(range(80)), bytearray(range(80))
        core.call(
            code[core.arch]["copy"], memoryview(ours)[start : start + size], memoryview(ours)[other : other + size], n
        )
        for i in range(n):
            theirs[start + i] = theirs[other + i]
        assert ours == theirs

    def test_views_that_only_touch_have_a_canary_between(self, core, kernel):
        buffer = memoryview(bytearray(32))
        with pytest.raises(Stray) as caught:
            core.call(kernel["poke"], buffer[:16], buffer[16:], 16, 1)
        assert caught.value.argument == 0

    @pytest.mark.parametrize("offset", range(16))
    def test_alignment_is_the_callers(self, core, kernel, offset):
        buffer = np.zeros(64, np.uint8)[offset:]
        assert core.call(kernel["address"], buffer) % 16 == buffer.ctypes.data % 16
        rows = np.zeros((3, 64), np.uint8)[:, offset:]
        found, _ = core.batch(kernel["address"], 3, rows)
        assert {int(address) % 16 for address in found} == {rows.ctypes.data % 16}

    @pytest.mark.parametrize("distance", [1, 2, 15, 33, 64])
    def test_a_write_beside_a_buffer_names_it(self, core, kernel, distance):
        for argument, at in ((0, -distance), (0, 23 + distance), (1, -distance), (1, 23 + distance)):
            buffers = [bytearray(24), bytearray(24)]
            given = buffers if argument == 0 else buffers[::-1]
            with pytest.raises(Stray, match=rf"argument 0 of 24 bytes: the first at {distance} (past|before)"):
                core.call(kernel["poke"], *given, at, 1)
            assert buffers == [bytearray(24), bytearray(24)]

    def test_a_write_into_a_read_only_buffer_names_it(self, core, kernel):
        with pytest.raises(Stray, match="read-only") as caught:
            core.call(kernel["copy"], b"one", bytearray(b"two"), 3)
        assert caught.value.argument == 0
        core.call(kernel["copy"], b"one", bytearray(b"one"), 3)  # changes nothing

    def test_after_a_stray_nothing_of_what_it_spoilt_is_used_again(self, core, kernel):
        table = 0x3E00_0000 + 36 + 4 * 46  # where the guest finds floor_divide
        with pytest.raises(Stray):
            core.call(kernel["scribble"], bytearray(16), 16, table)
        assert core.call(kernel["divide"], 7, 3) == 2001

    def test_a_read_only_view_of_what_is_written_through_another_is_no_mistake(self, core, kernel):
        buffer = bytearray(b"abcd")
        core.call(kernel["copy"], buffer, memoryview(buffer).toreadonly()[1:], 3)
        assert buffer == b"bcdd"


class TestFault:
    @pytest.mark.parametrize(("name", "size"), [("get16", 2), ("put16", 2), ("get32", 4), ("put32", 4)])
    def test_an_unaligned_access_faults_at_every_offset_that_is_unaligned(self, core, kernel, name, size):
        whole = np.zeros(16, np.uint8)
        for offset in range(5):
            buffer = whole[offset : offset + 8]
            if buffer.ctypes.data % size:
                with pytest.raises(Fault, match="unaligned at 0x3e"):
                    core.call(kernel[name], buffer)
            else:
                core.call(kernel[name], buffer)

    def test_a_wild_pointer_faults(self, core, kernel):
        for address in (0, 1, 0x3C00_0000, 2**31 - 1, -1, -(2**31)):
            with pytest.raises(Fault, match=f"wild pointer: nothing is at {address % 2**32:#x}"):
                core.call(kernel["wild"], address)

    def test_a_helper_that_the_harness_has_not_faults(self, core, kernel):
        with pytest.raises(Fault, match="helper 5 of mp_fun_table"):  # MP_F_NATIVE_SWAP_GLOBALS
            core.call(kernel["stranger"], 1)

    def test_another_number_of_arguments_faults(self, core, kernel):
        for arguments in ((), (1, 2)):
            with pytest.raises(Fault, match="another number of arguments"):
                core.call(kernel["identity"], *arguments)

    def test_a_result_that_is_no_int_faults(self, core, kernel):
        with pytest.raises(Fault, match="no int"):
            core.call(kernel["returns"], bytearray(4))

    def test_a_call_that_never_ends_faults(self, code, core):
        with Core(core.arch, timeout_s=0.2) as hasty:
            with pytest.raises(Fault, match=r"does not end: stopped after 0\.2 s"):
                hasty.call(code[core.arch]["spin"], 1)
            assert hasty.call(code[core.arch]["spin"], 0) is None

    def test_xtensa_faults_on_a_division_by_zero_and_riscv_does_not(self, core, kernel):
        if core.arch == "xtensawin":
            with pytest.raises(Fault, match="divides by zero"):
                core.call(kernel["divide"], 1, 0)
        else:
            assert core.call(kernel["divide"], 1, 0) == -1000 + 1

    def test_after_a_fault_the_same_core_works_and_buffers_are_as_they_were(self, core, kernel):
        buffer = bytearray(range(8))
        with pytest.raises(Fault):
            core.call(kernel["copy"], buffer, memoryview(buffer)[1:], 1 << 30)
        assert buffer == bytearray(range(8))
        assert core.call(kernel["identity"], 5) == 5

    def test_a_qemu_that_dies_while_it_works_is_said_and_the_next_call_works(self, code, core):
        with Core(core.arch) as mortal:
            mortal.call(code[core.arch]["spin"], 0)
            [child] = children() - children(core)
            threading.Timer(0.1, os.kill, (child, signal.SIGKILL)).start()
            with pytest.raises(Fault, match=r"ends qemu \(status -9\)"):
                mortal.call(code[core.arch]["spin"], 1)
            assert mortal.call(code[core.arch]["identity"], 7) == 7

    def test_a_qemu_that_died_in_between_is_started_anew(self, code, core):
        with Core(core.arch) as mortal:
            mortal.call(code[core.arch]["spin"], 0)
            [child] = children() - children(core)
            os.kill(child, signal.SIGKILL)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
            assert mortal.call(code[core.arch]["identity"], 7) == 7

    def test_a_closed_core_says_so_and_leaves_no_process(self, code, core):
        with Core(core.arch) as closed:
            closed.call(code[core.arch]["spin"], 0)
        assert children() == children(core)
        with pytest.raises(ValueError, match="closed"):
            closed.call(code[core.arch]["spin"], 0)


class TestBatch:
    """What a batch does is what as many calls do."""

    @settings(max_examples=25, deadline=None)
    @given(
        st.integers(0, 9),
        st.integers(1, 12),
        st.integers(0, 2**32 - 1),
        st.sampled_from(["own", "shared", "same", "views"]),
    )
    def test_call_and_batch_agree(self, core, code, count, cells, seed, kind):
        random = np.random.default_rng(seed)
        y, x = (random.integers(-(2**31), 2**31, (count, cells)).astype(np.int32) for _ in range(2))
        a = random.integers(-(2**31), 2**31, count)
        one = x[0].copy() if count else np.zeros(cells, np.int32)
        if kind == "views":  # each row's second half again
            y, x = y[:, :], y[:, cells // 2 :]
        second = {"own": x, "views": x, "shared": Shared(one), "same": Same(0)}[kind]
        n = second.shape[1] if kind == "views" else cells
        results, arrays = core.batch(code[core.arch]["axpy"], count, y, second, n, a)
        assert results.dtype == np.int32
        assert [array.dtype for array in arrays] == [np.int32] * len(arrays)
        for i in range(count):
            row = y[i].copy()
            other = {"own": x[i].copy(), "shared": one, "same": row, "views": row[cells // 2 :]}[kind]
            assert results[i] == core.call(code[core.arch]["axpy"], row, other, n, int(a[i]))
            assert np.array_equal(arrays[0][i], row)

    def test_same_is_the_same_buffer_and_rows_that_overlap_overlap(self, core, kernel):
        rows = np.zeros((3, 16), np.uint8)
        assert core.batch(kernel["apart"], 3, rows, Same(0))[0].tolist() == [0, 0, 0]
        assert core.batch(kernel["apart"], 3, Shared(bytes(9)), Same(0))[0].tolist() == [0, 0, 0]
        assert core.batch(kernel["apart"], 3, rows[:, :9], rows[:, 5:])[0].tolist() == [5, 5, 5]
        assert core.batch(kernel["larger"], 3, np.arange(3), Same(0))[0].tolist() == [0, 0, 0]

    def test_the_callers_arrays_stay_as_they_are(self, core, kernel):
        rows = np.zeros((3, 4), np.uint8)
        results, [after] = core.batch(kernel["nothing"], 3, rows)
        assert not rows.any()
        assert after[:, 0].tolist() == [1, 1, 1]
        assert results.tolist() == [0, 0, 0]

    def test_more_calls_than_fit_in_one_go(self, core, kernel):
        rows = np.arange(700 * 2000, dtype=np.int32).reshape(700, 2000)
        results, [after, _] = core.batch(kernel["axpy"], 700, rows, np.ones_like(rows), 2000, np.arange(700))
        expected = rows + np.arange(700)[:, None]
        assert np.array_equal(after, expected)
        assert np.array_equal(results, np.bitwise_xor.reduce(expected, axis=1))

    def test_a_stray_names_its_call_and_argument(self, core, kernel):
        at = np.where(np.arange(5000) == 4321, 17, 3)
        rows = np.zeros((5000, 1000), np.uint8)
        with pytest.raises(Stray, match="call 4321 wrote 1 bytes") as caught:
            core.batch(kernel["poke"], 5000, np.zeros((5000, 16), np.uint8), rows, at, 1)
        assert (caught.value.call, caught.value.argument) == (4321, 0)

    def test_a_shared_buffer_is_read_only(self, core, kernel):
        with pytest.raises(Stray, match="read-only") as caught:
            core.batch(kernel["poke"], 3, Shared(bytearray(4)), np.ones((3, 4), np.uint8), 2, 1)
        assert caught.value.argument == 0

    def test_a_fault_names_its_call(self, core, kernel):
        rows = np.zeros((5000, 1000), np.uint8)
        with pytest.raises(Fault, match="call 4321 uses a wild pointer") as caught:
            core.batch(kernel["poke"], 5000, rows, rows, np.where(np.arange(5000) == 4321, 2**31 - 1, 3), 1)
        assert caught.value.call == 4321

    def test_a_call_that_never_ends_is_named(self, code, core):
        with Core(core.arch, timeout_s=0.2) as hasty, pytest.raises(Fault, match="does not end") as caught:
            hasty.batch(code[core.arch]["spin"], 900, np.arange(900) == 800)
        assert caught.value.call == 800

    def test_arguments_that_do_not_fit_the_count_are_refused(self, core, kernel):
        for arguments in (
            (np.zeros((2, 4), np.uint8),),
            (np.zeros(3),),
            (np.zeros(2, int),),
            (np.array([0, 0, 2**32]),),
            (np.zeros((3, 8), np.uint8)[:, ::2],),
        ):
            with pytest.raises(ValueError, match="argument 0"):
                core.batch(kernel["returns"], 3, *arguments)


# Machine code of which one can say how often each line runs. It returns the small int 5.
LOOPS = {
    "xtensawin": """
        entry a1, 32
        movi a3, 7
    outer:
        movi a4, 4
    inner:
        addi a4, a4, -1
        bnez a4, inner
        addi a3, a3, -1
        beqz a3, done
        j outer
    done:
        movi a2, 11
        retw
    """,
    "rv32imc": """
        nop
        li t0, 7
    outer:
        li t1, 4
    inner:
        addi t1, t1, -1
        bnez t1, inner
        addi t0, t0, -1
        beqz t0, done
        j outer
    done:
        li a0, 11
        ret
    """,
}
RAN = [1, 1, 7, 28, 28, 7, 7, 6, 1, 1]
TAKEN = [0, 0, 0, 0, 21, 0, 1, 6, 0, 1]

NESTED = """
        entry a1, 64
        movi a2, 3
    again:
        call8 one
        addi a2, a2, -1
        bnez a2, again
        movi a2, 11
        retw
        .p2align 2
    one:
        entry a1, 64
        movi a10, 1
        call8 two
        retw
        .p2align 2
    two:
        entry a1, 64
        call8 three
        retw
        .p2align 2
    three:
        entry a1, 64
        mov a15, a2
        mov a7, a15
        retw
"""


class TestCounts:
    @pytest.fixture(params=ARCHES)
    def counting(self, request, tools):
        with Core(request.param, counting=True) as core:
            yield core

    def test_executions_and_taken_branches_are_exact(self, counting, tmp_path):
        code = assembled(LOOPS[counting.arch], counting.arch, tmp_path)
        for _ in range(2):  # each call is counted by itself
            assert counting.call(code) == 5
            counts = counting.counts
            assert list(counts.pcs.values()) == RAN
            assert counts.taken == {at: n for at, n in zip(counts.pcs, TAKEN, strict=True) if n}
            assert counts.helpers == {}
            assert counts.instructions == counts.own == sum(RAN)
            assert counts.code == code

    def test_functions_that_call_each_other_are_counted_once(self, tmp_path):
        """qemu's core has half as many registers as the chip's, so that these windows spill and their calls restart."""
        code = assembled(NESTED, "xtensawin", tmp_path)
        with Core("xtensawin", counting=True) as core:
            for _ in range(3):
                assert core.call(code) == 5
                assert list(core.counts.pcs.values()) == [1, 1, 3, 3, 3, 1, 1] + [3] * 4 + [3] * 3 + [3] * 4
                assert list(core.counts.taken.values()) == [3, 2, 1, 3, 3, 3, 3, 3]

    def test_a_hardware_loop_of_one_instruction_is_counted(self, tmp_path):
        text = "entry a1, 32\nmovi a3, 9\nloop a3, end\naddi a4, a4, 1\nend:\nmovi a2, 11\nretw"
        code = assembled(text, "xtensawin", tmp_path)
        with Core("xtensawin", counting=True) as core:
            assert core.call(code) == 5
            assert list(core.counts.pcs.values()) == [1, 1, 1, 9, 1, 1]
            assert list(core.counts.taken.values()) == [8, 1]

    def test_a_batch_is_counted_as_a_whole(self, counting, tmp_path):
        code = assembled(LOOPS[counting.arch], counting.arch, tmp_path)
        counting.batch(code, 1000)
        assert list(counting.counts.pcs.values()) == [1000 * n for n in RAN]
        assert list(counting.counts.taken.values()) == [1000 * n for n in TAKEN if n]

    def test_each_turn_of_a_loop_costs_the_same(self, counting, code):
        kernel, spent = code[counting.arch]["axpy"], []
        for n in range(5):
            counting.call(kernel, np.zeros(8, np.int32), np.ones(8, np.int32), n, 3)
            spent.append(counting.counts)
            assert set(counting.counts.pcs.values()) <= {1, n, n + 1}
        assert len({b.instructions - a.instructions for a, b in itertools.pairwise(spent)}) == 1

    def test_what_flows_into_an_instruction_is_how_often_it_ran(self, code):
        with Core("xtensawin", counting=True) as core:
            core.call(code["xtensawin"]["axpy"], np.zeros(9, np.int32), np.ones(9, np.int32), 9, 3)
            flow = dict.fromkeys(core.counts.pcs, 0)
            flow[0] = 1  # the call itself
            for at, ran in core.counts.pcs.items():
                instruction, taken = decode(core.counts.code, at), core.counts.taken.get(at, 0)
                if instruction.kind == "return":
                    continue
                if instruction.kind == "call":
                    taken = 0  # it comes back
                flow[at + instruction.size] = flow.get(at + instruction.size, 0) + ran - taken
                if taken:
                    flow[instruction.target] += taken
            assert {at: n for at, n in flow.items() if n} == core.counts.pcs

    def test_helpers_are_counted_apart_and_added(self, counting, code):
        counting.batch(code[counting.arch]["divide"], 10, 7, 3)
        counts = counting.counts
        calls = {name: calls for name, (calls, _) in counts.helpers.items()}
        assert calls == {"from_object": 20, "to_object": 10, "floor_divide": 10, "modulo": 10}
        assert counts.helped == sum(spent for _, spent in counts.helpers.values())
        assert counts.instructions == counts.own + counts.helped
        assert all(calls * 2 <= spent <= calls * 12 for calls, spent in counts.helpers.values())

    def test_counting_changes_no_result(self, counting, code):
        kernel = code[counting.arch]["axpy"]
        rows = np.random.default_rng(1).integers(-(2**31), 2**31, (50, 20)).astype(np.int32)
        with Core(counting.arch) as plain:
            for a, b in zip(plain.batch(kernel, 50, rows, rows, 20, 7), counting.batch(kernel, 50, rows, rows, 20, 7)):
                assert np.array_equal(a, b)

    def test_without_counting_or_without_a_call_there_are_no_counts(self, core, counting):
        for one in (core, counting):
            with pytest.raises(ValueError, match="nothing was counted"):
                _ = one.counts


def assembled(text, arch, folder):
    """Machine code of assembler text, by LLVM."""
    triple = {"xtensawin": ["xtensa", "-mcpu=esp32"], "rv32imc": ["riscv32", "-mattr=+m,+c"]}[arch]
    (folder / "text.s").write_text(text)
    subprocess.run(
        ["llvm-mc-22", f"-triple={triple[0]}", triple[1], "-filetype=obj", "text.s", "-o", "text.o"],
        cwd=folder,
        check=True,
    )
    subprocess.run(["llvm-objcopy-22", "-O", "binary", "--only-section=.text", "text.o"], cwd=folder, check=True)
    return (folder / "text.o").read_bytes()


def children(core=None):
    """Running children of this process; with a core, only that one's."""
    if core is not None:
        return {core._guest._process.pid} if core._guest._process else set()
    found = set()
    for task in os.listdir("/proc/self/task"):
        with open(f"/proc/self/task/{task}/children") as file:
            found |= {int(word) for word in file.read().split()}
    return found
