"""Machine code into a .mpy, in place of what mpy-cross made of a stub.

Names, signatures and the table of helpers are thus MicroPython's own work, and only the code is ours. Source of the
format: MicroPython's docs/reference/mpyfiles.rst and py/persistentcode.c, version 6.
"""

from collections.abc import Sequence

VERSION = 6
BYTECODE, NATIVE, VIPER = 0, 1, 2  # kinds of code
STRING, BYTES, TUPLE = 5, 6, 10  # kinds of objects
HELPERS = 0  # the object that stands for mp_fun_table


class Mpy:
    """A .mpy file taken apart: `head` is everything before the code, `codes` the tree's nodes in order."""

    def __init__(self, data: bytes):
        if data[:2] != bytes([0x4D, VERSION]):
            raise ValueError("not a .mpy file of version 6")
        self._data, self._at = data, 4
        if data[2] & 0x40:
            self._number()  # flags of the architecture
        names, objects = self._number(), self._number()
        for _ in range(names):
            length = self._number()
            if not length & 1:  # else it is one of MicroPython's own
                self._at += (length >> 1) + 1
        self.objects = [self._object() for _ in range(objects)]
        self.head = data[: self._at]
        self.codes: list[tuple[int, bytes, bytes]] = []  # kind, code, what follows it
        self._code()
        if self._at != len(data):
            raise ValueError("bytes after the end")

    def _number(self) -> int:
        value = 0
        while True:
            byte = self._data[self._at]
            self._at += 1
            value = value << 7 | byte & 127
            if byte < 128:
                return value

    def _object(self) -> int:
        kind = self._data[self._at]
        self._at += 1
        if kind >= STRING:
            length = self._number()
            if kind == TUPLE:
                for _ in range(length):
                    self._object()
            else:
                self._at += length + (kind in (STRING, BYTES))  # these end in a zero
        return kind

    def _code(self) -> None:
        head = self._number()
        code = self._data[self._at : self._at + (head >> 3)]
        self._at += head >> 3
        start = self._at
        if head & 3 != BYTECODE:
            self._number()  # scope flags, or where the prelude is
        children = self._number() if head & 4 else 0
        self.codes.append((head & 7, code, self._data[start : self._at]))
        for _ in range(children):
            self._code()

    def whole(self) -> bytes:
        """The file again."""
        parts = [self.head]
        for kind, code, tail in self.codes:
            parts += [number(len(code) << 3 | kind), code, tail]
        return b"".join(parts)


def number(value: int) -> bytes:
    """An unsigned integer of variable length: seven bits a byte, the most significant first."""
    digits = [value & 127]
    while value := value >> 7:
        digits.append(value & 127 | 128)
    return bytes(reversed(digits))


def graft(stub: bytes, codes: Sequence[bytes]) -> bytes:
    """The stub's .mpy with its viper functions' code replaced, in order."""
    mpy = Mpy(stub)
    if mpy.objects != [HELPERS]:  # viper.h looks for the helpers in the first place
        raise ValueError("the stub has constants")
    places = [i for i, (kind, _, _) in enumerate(mpy.codes) if kind & 3 == VIPER]
    for place, code in zip(places, codes, strict=True):
        kind, _, tail = mpy.codes[place]
        mpy.codes[place] = kind, code, tail
    return mpy.whole()
