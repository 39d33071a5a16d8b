"""Rob Northen's packing, method 1, as games of the nineties were packed: runs of bytes, and copies of what came before.

A stream of bits, taken from the low end of 16-bit words, steers; the bytes of a run lie between the words that the
steering has come to and those that follow. Each chunk begins with its three codes. The format is public (ScummVM and
other players of old games read it); no package of a registry that we know does.
"""

import struct

HEAD = struct.Struct(">4sIIHHBB")  # mark, bytes unpacked, bytes packed, checksums of both, leeway, chunks
MARK = b"RNC\x01"
LONGEST = 1 << 22  # bytes that are unpacked: no line of speech is so long
SYMBOLS, CODE = 16, 15  # of a code, and bits of its longest word, at most

Code = tuple[int, list[tuple[int, int]]]  # mask of the longest word; for all bits under it: (bits of the word, symbol)


class Damaged(Exception):
    """This is not what the packer wrote; the text says in what."""


def unpack(packed: bytes) -> bytes:
    """What was packed. Raises Damaged for anything else, a wrong checksum included."""
    if len(packed) < HEAD.size or packed[:4] != MARK:
        raise Damaged("it does not begin as packed data does")
    _, length, size, checksum, _, _, chunks = HEAD.unpack_from(packed)
    body = packed[HEAD.size : HEAD.size + size]
    if len(body) != size or length > LONGEST:
        raise Damaged("it is cut off, or longer than anything that is read here")
    try:
        made = _chunks(_Bits(body), chunks, length)
    except LookupError as error:
        raise Damaged("its codes lead nowhere") from error
    if len(made) != length or _checksum(made) != checksum:
        raise Damaged("its bytes are not those that its checksum is of")
    return bytes(made)


def _chunks(bits: "_Bits", chunks: int, length: int) -> bytearray:
    made = bytearray()
    bits.take(2)  # it might be locked, or need a key: never here
    for _ in range(chunks):
        runs, places, lengths = (_code(bits) for _ in range(3))
        for left in range(bits.take(16) - 1, -1, -1):
            if run := bits.value(runs):
                made += bits.run(run)
            if left:
                place, count = bits.value(places) + 1, bits.value(lengths) + 2
                start = len(made) - place
                if start < 0 or len(made) + count > length:
                    raise LookupError
                made += (made[start:] * (count // place + 1))[:count]  # it may run into what it makes
    return made


def _code(bits: "_Bits") -> Code:
    """Words count up by their length, then by symbol; their first bit is the lowest."""
    sizes = [bits.take(4) for _ in range(min(bits.take(5), SYMBOLS))]
    longest = max(sizes, default=0)
    table, word = [(0, -1)] * (1 << longest), 0
    for size in range(1, longest + 1):
        for symbol, wanted in enumerate(sizes):
            if wanted == size:
                first = int(f"{word:0{size}b}"[::-1], 2)
                table[first :: 1 << size] = [(size, symbol)] * (1 << (longest - size))
                word += 1
        word <<= 1
    return (1 << longest) - 1, table


class _Bits:
    """Bits and bytes of one stream. At least 16 bits are held; the upper 16 of them lie at `_at`."""

    def __init__(self, data: bytes):
        self._data = data + bytes(2)  # the last word may lie half outside
        self._at, self._count = 0, 16
        self._held = int.from_bytes(data[:2], "little")

    def take(self, count: int) -> int:
        """An unsigned number of so many bits, 16 at most."""
        value = self._held & ((1 << count) - 1)
        self._held >>= count
        self._count -= count
        if self._count < 16:
            self._at += 2
            self._load()
        return value

    def value(self, code: Code) -> int:
        """A number by its symbol: 0, 1, or what follows below a leading one."""
        mask, table = code
        size, symbol = table[self._held & mask]
        if symbol < 0:
            raise LookupError
        self.take(size)
        return symbol if symbol < 2 else 1 << (symbol - 1) | self.take(symbol - 1)

    def run(self, count: int) -> bytes:
        """The next bytes, which take the place of the word that is held last."""
        at, self._at = self._at, self._at + count
        self._count -= 16
        self._held &= (1 << self._count) - 1
        self._load()
        return self._data[at : self._at]

    def _load(self) -> None:
        self._held |= int.from_bytes(self._data[self._at : self._at + 2], "little") << self._count
        self._count += 16


def _steps() -> list[int]:
    """The checksum's remainder of each byte: CRC-16, 0x8005, lowest bit first."""
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ 0xA001 * (value & 1)
        table.append(value)
    return table


STEPS = _steps()


def _checksum(data: bytes | bytearray) -> int:
    rest = 0
    for byte in data:
        rest = rest >> 8 ^ STEPS[(rest ^ byte) & 0xFF]
    return rest
