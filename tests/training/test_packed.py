"""What a game packed comes out as it was, whatever is broken is refused; the packer is written for these tests alone."""

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from sourdine_training.sources import recorded, rnc, steel_sky

PACKAGE = next(package for package in recorded.PACKAGES if package.name == "beneath-a-steel-sky")


class Packer:
    """The reader, backwards: it holds 16 bits and more, and a run takes the place of the word that came last."""

    def __init__(self):
        self.out, self.slots, self.stream, self.held = bytearray(2), [0], [], 16

    def bits(self, value, count):
        self.stream += [value >> k & 1 for k in range(count)]
        self.held -= count
        if self.held < 16:
            self.slots.append(len(self.out))
            self.out += bytes(2)
            self.held += 16

    def run(self, data):
        self.out[self.slots.pop() :] = data
        self.slots.append(len(self.out))
        self.out += bytes(2)

    def number(self, value):
        """By a code in which all 16 symbols have 4 bits, first bit lowest."""
        symbol = value.bit_length()
        self.bits(int(f"{symbol:04b}"[::-1], 2), 4)
        if symbol > 1:
            self.bits(value - (1 << (symbol - 1)), symbol - 1)

    def whole(self):
        self.stream += [0] * (16 * len(self.slots) - len(self.stream))
        for k, at in enumerate(self.slots):
            word = sum(bit << n for n, bit in enumerate(self.stream[16 * k : 16 * k + 16]))
            self.out[at : at + 2] = word.to_bytes(2, "little")
        return bytes(self.out)


def packed(parts, chunks=1):
    """parts: (run of bytes, place, count) …; the last one's copy is not made."""
    packer, plain = Packer(), bytearray()
    packer.bits(0, 2)
    for chunk in range(chunks):
        here = parts[chunk::chunks]
        for _ in range(3):
            packer.bits(16, 5)
            for _ in range(16):
                packer.bits(4, 4)
        packer.bits(len(here), 16)
        for number, (run, place, count) in enumerate(here):
            packer.number(len(run))
            if run:
                packer.run(run)
                plain += run
            if number < len(here) - 1:
                place = min(place, len(plain))
                packer.number(place - 1)
                packer.number(count - 2)
                for _ in range(count):
                    plain.append(plain[-place])
    body = packer.whole()
    head = struct.pack(">4sIIHHBB", b"RNC\x01", len(plain), len(body), checksum(plain), checksum(body), 0, chunks)
    return head + body, bytes(plain)


def checksum(data):
    """CRC-16/ARC, bit by bit."""
    rest = 0
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ 0xA001 if rest & 1 else rest >> 1
    return rest


PARTS = st.lists(
    st.tuples(st.binary(min_size=1, max_size=40), st.integers(1, 60), st.integers(2, 90)), min_size=2, max_size=20
)


def test_the_checksum_is_the_one_that_is_published():
    assert checksum(b"123456789") == 0xBB3D  # the catalogue's check value of CRC-16/ARC


@given(PARTS, st.integers(1, 2))
def test_what_was_packed_comes_out(parts, chunks):
    data, plain = packed(parts, chunks)
    assert rnc.unpack(data) == plain


@given(PARTS, st.data())
def test_what_is_damaged_is_refused_or_the_same(parts, data):
    """A bit may lie where nothing is read; else no wrong byte comes out, and nothing else is raised."""
    whole, plain = packed(parts)
    broken = bytearray(whole)
    broken[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    for each in (bytes(broken), cut):
        try:
            assert rnc.unpack(each) == plain
        except rnc.Damaged:
            pass
    with pytest.raises(rnc.Damaged):
        rnc.unpack(cut)


def game(folder, lines):
    """lines: number → bytes of a line as it lies in the data."""
    folder.mkdir(parents=True)
    data, rows = bytearray(b"begin..."), b""
    for number, line in lines.items():
        data += bytes(-len(data) % 16)
        place, flags = (len(data) >> 4 | 1 << 23, len(line)) if number % 2 else (len(data), len(line))
        rows += struct.pack("<H", number) + place.to_bytes(3, "little") + flags.to_bytes(3, "little")
        data += line
    (folder / "sky.dnr").write_bytes(struct.pack("<I", len(lines)) + rows)
    (folder / "sky.dsk").write_bytes(data)


def test_lines_of_the_game_become_recordings_and_the_damaged_are_left_out(tmp_path, caplog):
    wave = np.rint(128 + 100 * np.sin(np.arange(9_000) / 7)).astype(np.uint8).tobytes()
    data, _ = packed([(wave[at : at + 30], 1, 2) for at in range(0, len(wave), 30)])
    plain = np.frombuffer(rnc.unpack(data), np.uint8)
    head = bytes(22)
    other = b"not a line"
    game(tmp_path / "game/usr", {50_001: head + data, 50_002: head + data, 50_003: head + data[:-9], 60_000: other})
    with caplog.at_level("INFO"):
        (group,) = recorded.groups(tmp_path / "game", PACKAGE, tmp_path / "scratch")
    assert "1 lines of sky.dsk are damaged" in caplog.text
    assert (group.kind, group.split) == ("speech", "train")
    (path,) = group.paths  # the same sound is kept once
    sound, rate = soundfile.read(path)
    assert rate == 11_025
    assert np.array_equal(sound * 128 + 128, plain)


def test_other_packages_are_not_the_game(tmp_path):
    (tmp_path / "music").mkdir()
    assert not steel_sky.unpack(tmp_path, tmp_path / "scratch")
