"""Reads Xtensa instructions as far as a pipeline cares: how long, what kind, which registers, where to.

Source: Xtensa Instruction Set Architecture Reference Manual (Tensilica 2010), chapter 7 (opcode maps) and 8.
The options of the ESP32 and ESP32-S3 that compilers use: density, windows, loops, multiply, divide, MAC16, min/max.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["other", "load", "store", "multiply", "divide", "branch", "jump", "call", "return", "loop"]

M0 = 16  # registers 16 to 19 are MAC16's m0 to m3


@dataclass(frozen=True)
class Instruction:
    """`writes` and `reads` are registers; `target` is an offset in the code, None if it is not in the instruction."""

    size: int
    kind: Kind = "other"
    writes: tuple[int, ...] = ()
    reads: tuple[int, ...] = ()
    target: int | None = None

    @property
    def leaves(self) -> bool:
        """Whether it may go on elsewhere by itself; the last instruction of a loop only does so for the loop."""
        return self.kind in {"branch", "jump", "call", "return", "loop"}


def decode(code: bytes, at: int) -> Instruction:
    """The instruction at that offset; one that is not known reads and writes nothing."""
    size = 2 if code[at] & 15 >= 8 else 3
    word = int.from_bytes(code[at : at + size], "little")
    op0, t, s, r, op1, op2 = (word >> shift & 15 for shift in range(0, 24, 4))

    def relative(value: int, bits: int) -> int:
        return at + 4 + _signed(value, bits)

    match op0:
        case 0:
            return _three(t, s, r, op1, op2)
        case 1:  # l32r
            return Instruction(3, "load", (t,))
        case 2 if r in {0, 1, 2, 9, 11}:  # l8ui, l16ui, l32i, l16si, l32ai
            return Instruction(3, "load", (t,), (s,))
        case 2 if r in {4, 5, 6, 14, 15}:  # s8i, s16i, s32i, s32c1i, s32ri
            return Instruction(3, "store", (), (s, t))
        case 2 if r == 10:  # movi
            return Instruction(3, writes=(t,))
        case 2 if r in {12, 13}:  # addi, addmi
            return Instruction(3, writes=(t,), reads=(s,))
        case 4:
            return _mac16(t, s, r, op2)
        case 5:  # call0, call4, call8, call12
            return Instruction(3, "call", target=at // 4 * 4 + 4 + 4 * _signed(word >> 6, 18))
        case 6 if t & 3 == 0:  # j
            return Instruction(3, "jump", target=relative(word >> 6, 18))
        case 6 if t & 3 == 1:  # beqz, bnez, bltz, bgez
            return Instruction(3, "branch", (), (s,), relative(word >> 12, 12))
        case 6 if t & 3 == 2 or t in {11, 15}:  # beqi, bnei, blti, bgei, bltui, bgeui
            return Instruction(3, "branch", (), (s,), relative(word >> 16, 8))
        case 6 if t == 3:  # entry
            return Instruction(3, writes=(s,), reads=(s,))
        case 6 if t == 7 and r in {8, 9, 10}:  # loop, loopnez, loopgtz
            return Instruction(3, "loop", (), (s,), at + 4 + (word >> 16))
        case 7:  # beq and all that compare two registers; bbci and bbsi compare one
            return Instruction(3, "branch", (), (s,) if r & 7 >= 6 else (s, t), relative(word >> 16, 8))
        case 8:  # l32i.n
            return Instruction(2, "load", (t,), (s,))
        case 9:  # s32i.n
            return Instruction(2, "store", (), (s, t))
        case 10:  # add.n
            return Instruction(2, writes=(r,), reads=(s, t))
        case 11:  # addi.n
            return Instruction(2, writes=(r,), reads=(s,))
        case 12 if t < 8:  # movi.n
            return Instruction(2, writes=(s,))
        case 12:  # beqz.n, bnez.n
            return Instruction(2, "branch", (), (s,), at + 4 + ((t & 3) << 4 | r))
        case 13 if r == 0:  # mov.n
            return Instruction(2, writes=(t,), reads=(s,))
        case 13 if r == 15 and t < 2:  # ret.n, retw.n
            return Instruction(2, "return", (), (0,))
    return Instruction(size)


def _signed(value: int, bits: int) -> int:
    return value - (value >> (bits - 1) << bits)


def _three(t: int, s: int, r: int, op1: int, op2: int) -> Instruction:
    """op0 = 0: arithmetic on registers, and what did not fit elsewhere."""
    match op1, op2:
        case 0, 0 if r == 0 and t >> 2 == 2:  # ret, retw, jx
            return Instruction(3, "jump", (), (s,)) if t & 3 == 2 else Instruction(3, "return", (), (0,))
        case 0, 0 if r == 0 and t >> 2 == 3:  # callx0, callx4, callx8, callx12
            return Instruction(3, "call", (), (s,))
        case 0, 0 if r == 1:  # movsp
            return Instruction(3, writes=(t,), reads=(s,))
        case 0, 4 if r < 4:  # ssr, ssl, ssa8l, ssa8b
            return Instruction(3, reads=(s,))
        case 0, 4 if r >= 14:  # nsa, nsau
            return Instruction(3, writes=(t,), reads=(s,))
        case (0, 6) | (1, 2 | 3 | 4 | 9 | 11) | (4 | 5, _):  # neg, abs, srai, srli, srl, sra, extui
            return Instruction(3, writes=(r,), reads=(t,))
        case (1, 0 | 1 | 10) | (3, 2 | 3):  # slli, sll, sext, clamps
            return Instruction(3, writes=(r,), reads=(s,))
        case (0, 1 | 2 | 3 | 8 | 9 | 10 | 11 | 12 | 13 | 14 | 15) | (1, 8) | (3, 4 | 5 | 6 | 7):
            return Instruction(3, writes=(r,), reads=(s, t))  # and, or, xor, add…, sub…, src, min, max, minu, maxu
        case (1, 12 | 13) | (2, 8 | 10 | 11):  # mul16u, mul16s, mull, muluh, mulsh
            return Instruction(3, "multiply", (r,), (s, t))
        case 2, 12 | 13 | 14 | 15:  # quou, quos, remu, rems
            return Instruction(3, "divide", (r,), (s, t))
        case 3, 8 | 9 | 10 | 11:  # moveqz, movnez, movltz, movgez
            return Instruction(3, writes=(r,), reads=(s, t, r))
        case 3, 0:  # rsr
            return Instruction(3, writes=(t,))
        case 3, 1:  # wsr
            return Instruction(3, reads=(t,))
    return Instruction(3)


def _mac16(t: int, s: int, r: int, op2: int) -> Instruction:
    """op0 = 4: multiply, or multiply and load the next operand. The accumulator is nobody's register here."""
    x, y, loaded = M0 + (r >> 2 & 1), M0 + 2 + (t >> 2 & 1), M0 + (r & 3)
    match op2:
        case 0 | 1:  # .dd.….ldinc, .lddec
            return Instruction(3, "load", (loaded,), (s, x, y))
        case 4 | 5:  # .da.….ldinc, .lddec
            return Instruction(3, "load", (loaded,), (s, x, t))
        case 8 | 9:  # ldinc, lddec
            return Instruction(3, "load", (loaded,), (s,))
        case 2:  # .dd
            return Instruction(3, reads=(x, y))
        case 3:  # .ad
            return Instruction(3, reads=(s, y))
        case 6:  # .da
            return Instruction(3, reads=(x, t))
        case 7:  # .aa, umul.aa
            return Instruction(3, reads=(s, t))
    return Instruction(3)
