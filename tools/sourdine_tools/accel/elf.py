"""Machine code out of a relocatable ELF file, 32 or 64 bits, with nothing left to relocate.

MicroPython allots a native function its own piece of memory and tells it nothing about any other, so code may refer
to nothing outside itself. The one reference that is followed is an Xtensa function's to its literals, because the
assembler keeps those apart; whatever else would need a linker is refused.

Source: System V ABI, chapter 4 (ELF); Xtensa ISA reference manual (L32R).
"""

import struct

TEXT = ".text."
SLOT0_OP = 20  # R_XTENSA_SLOT0_OP: an operand of the instruction in slot 0
L32R = 1  # op0 of L32R: a load of a word up to 256 KiB before the instruction


class Elf:
    """`functions` maps names to code: the sections .text.NAME, which must hold one function each."""

    def __init__(self, data: bytes):
        self._data = data
        self._wide = data[4] == 2
        (table,) = struct.unpack_from("<Q" if self._wide else "<I", data, 40 if self._wide else 32)
        size, count, names = struct.unpack_from("<3H", data, 58 if self._wide else 46)
        self._sections = [self._section(table + size * i) for i in range(count)]
        strings = self._sections[names]
        self._names = [self._text(strings, section[0]) for section in self._sections]
        self.functions = {
            name.removeprefix(TEXT): self._whole(index)
            for index, name in enumerate(self._names)
            if name.startswith(TEXT)
        }
        loose = [name for name in self._names if name.startswith((".data", ".bss", ".rodata")) and self._bytes_of(name)]
        if loose:
            raise ValueError(f"data outside of the code: {', '.join(loose)}")

    def _section(self, at: int) -> tuple[int, ...]:
        """(name, type, offset, size, link, info) of a section header."""
        if self._wide:
            name, kind, _, _, offset, size, link, info = struct.unpack_from("<2I4Q2I", self._data, at)
        else:
            name, kind, _, _, offset, size, link, info = struct.unpack_from("<8I", self._data, at)
        return name, kind, offset, size, link, info

    def _bytes(self, section: tuple[int, ...]) -> bytes:
        return self._data[section[2] : section[2] + section[3]]

    def _bytes_of(self, name: str) -> int:
        return self._sections[self._names.index(name)][3]

    def _text(self, strings: tuple[int, ...], at: int) -> str:
        start = strings[2] + at
        return self._data[start : self._data.index(0, start)].decode()

    def _relocations(self, index: int) -> list[tuple[int, int, int, int]]:
        """(offset, type, symbol, addend) of everything that a linker would still change in a section."""
        form, bits = ("<QQq", 32) if self._wide else ("<IIi", 8)
        found = []
        for section in self._sections:
            if section[1] == 4 and section[5] == index:  # SHT_RELA
                for offset, info, addend in struct.iter_unpack(form, self._bytes(section)):
                    found.append((offset, info & (1 << bits) - 1, info >> bits, addend))
            elif section[1] == 9 and section[5] == index:
                raise ValueError("relocations without addends")
        return found

    def _symbol(self, number: int) -> tuple[int, int]:
        """(section, value)."""
        symbols = next(section for section in self._sections if section[1] == 2)
        if self._wide:
            _, _, _, section, value, _ = struct.unpack_from("<IBBHQQ", self._data, symbols[2] + 24 * number)
        else:
            _, value, _, _, _, section = struct.unpack_from("<IIIBBH", self._data, symbols[2] + 16 * number)
        return section, value

    def _whole(self, index: int) -> bytes:
        """A function's code; on Xtensa a jump over its literals, these, then its code."""
        code = bytearray(self._bytes(self._sections[index]))
        loads = []
        for offset, kind, symbol, addend in self._relocations(index):
            section, value = self._symbol(symbol)
            literal = self._names[section].startswith(".literal")
            if not (literal and kind == SLOT0_OP and code[offset] & 15 == L32R and not self._relocations(section)):
                raise ValueError(f"{self._names[index]} refers to something outside itself, relocation type {kind}")
            at = self._sections[section][2] + value + addend
            loads.append((offset, self._data[at : at + 4]))
        if not loads:
            return bytes(code)
        literals = list(dict.fromkeys(literal for _, literal in loads))
        start = 4 * len(literals) + 4
        for offset, literal in loads:
            back = (4 + 4 * literals.index(literal) - (start + offset + 3 & ~3)) >> 2
            struct.pack_into("<H", code, offset + 1, back & 0xFFFF)
        jump = (start - 4) << 6 | 6  # J
        return struct.pack("<I", jump) + b"".join(literals) + bytes(code)
