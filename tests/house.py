"""An evening in a house with a speaker, written down as the demo's witnesses would: for tests of its proof and picture."""

import struct

import numpy as np

from sourdine import spec
from sourdine_board.twin import marks
from sourdine_tools.demo import frames
from sourdine_tools.demo.proof import Evidence, Link, judge

RATE = spec.SAMPLE_RATE
ROOM = 30 * RATE
WOKE, PRESSED = 5 * RATE, 20 * RATE
VALUE = {name: value for value, (name, *_) in frames.TYPES.items()}
PAYLOAD = {name: least for name, least, *_ in frames.TYPES.values()}
SUITE = 0xC02C  # AES-GCM: each record is 24 bytes longer than its plaintext


def hello(suite=SUITE):
    """A server's handshake record with a ServerHello in it."""
    body = b"\x02\x00\x00\x26\x03\x03" + bytes(32) + b"\x00" + struct.pack(">HB", suite, 0)
    return b"\x16\x03\x03" + struct.pack(">H", len(body)) + body


class House:
    """An evening, written down as the witnesses would: a room with marks, a board that sends, a network that carries."""

    def __init__(self):
        loud = np.random.default_rng(7).integers(-9000, 9000, ROOM).astype(np.int16)
        self.heard = (loud & ~1) | marks.bits(ROOM).astype(np.int16)
        self.plaintext, self.network, self.socket = b"", b"\x16\x03\x03\x00\x04abcd", []
        self.sequence = self.session = 0
        self.suite = SUITE
        self.heard_muted = self.stray_bytes = 0
        self.played, self.unfounded, self.violations = [], [], []
        self.decisions, self.presses, self.cuts = [WOKE], [PRESSED], [PRESSED + 60]
        self.send("hello", at=2 * RATE)

    def write(self, plaintext, at):
        self.plaintext += plaintext
        self.network += b"\x17\x03\x03" + struct.pack(">H", len(plaintext) + 24) + bytes(24) + plaintext
        self.socket.append((at, len(self.network)))

    def send(self, name, payload=None, at=0, session=0, flags=0):
        payload = bytes(PAYLOAD[name]) if payload is None else payload
        header = struct.pack(">BBHII", VALUE.get(name, 0x7E), flags, len(payload), session, self.sequence)
        self.sequence += 1
        self.write(header + payload, at)

    def wake(self, at):
        self.session += 1
        self.send("wake", at=at, session=self.session)

    def audio(self, first, n=320, delay=400, session=None):
        for at in range(first, first + n, 320):
            piece = self.heard[at : min(at + 320, first + n)].astype("<i2").tobytes()
            self.send("audio", piece, min(at + 320, first + n) + delay, self.session if session is None else session)

    def end(self, at):
        self.send("end", at=at, session=self.session)

    def judge(self):
        link = Link(self.plaintext, self.network, hello(self.suite), self.socket)
        more = (self.heard_muted, self.stray_bytes, self.played, self.unfounded, self.violations)
        return judge(Evidence(ROOM, self.decisions, self.presses, self.cuts, [link], *more))

    def leaks(self):
        return [str(leak) for leak in self.judge().leaks]
