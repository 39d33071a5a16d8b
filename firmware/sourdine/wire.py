"""What may be said between a speaker and its server, and when: frames, and the rules of their order.

Does no I/O; both ends use this file. docs/wire.md is the specification: every frame has a fixed layout and a cap,
numbers are big-endian, audio is s16le mono at 16 kHz. Whatever breaks a cap or a rule raises WireError, and the
connection is over: there is no way to resynchronise, on purpose.
"""

import struct

from sourdine import spec

VERSION = 1

# device → server
HELLO = 0x01
WAKE = 0x02
AUDIO = 0x03
END = 0x04
EVENT = 0x05
STATS = 0x06
PING = 0x07
CREDIT = 0x08
# server → device
WELCOME = 0x81
ACK = 0x82
CLOSE = 0x83
PLAY = 0x84
PLAY_END = 0x85
PONG = 0x86
CHAIN = 0x87
ERROR = 0x88

DEVICE = "device"  # the two sides, and so the two directions: a frame belongs to the side that may send it
SERVER = "server"

HEADER = 12  # bytes: type u8, flags u8 (zero), length u16, session u32, sequence u32
HEADER_LAYOUT = ">BBHII"
FRAME_SAMPLES = 640  # of one AUDIO or PLAY frame: 40 ms
FRAME_BYTES = 2 * FRAME_SAMPLES  # the longest payload there is
IN_FLIGHT = 16  # frames that a device may have unanswered
CREDIT_MAX = 65_536  # bytes of reply that a device may have granted and not yet received

# ERROR codes: why the server hangs up
BAD_VERSION = 1
BAD_FRAME = 2
MISFIT = 3  # the device's ledger cannot follow from the server's: one of them was changed or erased
REVOKED = 4
REPLACED = 5  # the same device connected anew
STOPPING = 6
BUSY = 7
ERRORS = {
    BAD_VERSION: "the server speaks another version of the protocol",
    BAD_FRAME: "the server could not accept a frame",
    MISFIT: "this board's ledger does not follow from the server's; run sourdine audit, or pair again",
    REVOKED: "this board's certificate was revoked",
    REPLACED: "another connection with this board's certificate took over",
    STOPPING: "the server is stopping",
    BUSY: "the server has too many connections",
}

# EVENT codes
MUTED = 1
UNMUTED = 2
FAULTY = 3
STARTED = 4
LOST = 5  # the microphone's contact was lost without the button, once or more; proven again, or about to be

#   type       side     in a session  shortest, longest payload   layout of the payload
FRAMES = {
    HELLO: (DEVICE, False, 48, 255, ">HHIQ32s"),  # version, pending, sessions, bytes, head; later versions append
    WAKE: (DEVICE, True, 8, 8, ">Q"),  # I2S frame number of the first sample
    AUDIO: (DEVICE, True, 2, FRAME_BYTES, None),  # samples
    END: (DEVICE, True, 41, 41, ">IIB32s"),  # the ledger's record: session, samples, reason, sha256
    EVENT: (DEVICE, False, 1, 1, ">B"),  # code
    STATS: (DEVICE, False, 16, 16, ">IIII"),  # uptime s, free heap bytes, samples lost, connections made
    PING: (DEVICE, False, 0, 0, ">"),
    CREDIT: (DEVICE, False, 4, 4, ">I"),  # further bytes of PLAY that may be sent
    WELCOME: (SERVER, False, 20, 20, ">IHHQI"),  # answered, version, zero, Unix time s, samples per session
    ACK: (SERVER, False, 4, 4, ">I"),  # answered: sequence number of the last device frame received
    CLOSE: (SERVER, True, 0, 0, ">"),
    PLAY: (SERVER, True, 2, FRAME_BYTES, None),  # samples
    PLAY_END: (SERVER, True, 0, 0, ">"),
    PONG: (SERVER, False, 4, 4, ">I"),  # answered
    CHAIN: (SERVER, False, 36, 36, ">I32s"),  # sessions, head
    ERROR: (SERVER, False, 1, 1, ">B"),  # code
}


SOUNDS = (AUDIO, PLAY)  # sets of types are named, for a tuple made where it is asked for is garbage each time
ANSWERS = (ACK, PONG)
COUNTS = (ACK, PONG, CREDIT, WELCOME)  # whose payload begins with the number that Rules wants to know


class WireError(Exception):
    """The other end (or this one) broke the protocol: the connection must be dropped."""


def encode(kind, session, sequence, *values):
    """One frame as bytes. values: those of the layout in FRAMES; for AUDIO and PLAY the samples as bytes."""
    layout = FRAMES[kind][4]
    payload = struct.pack(layout, *values) if layout else bytes(values[0])
    return struct.pack(HEADER_LAYOUT, kind, 0, len(payload), session, sequence) + payload


def u32(data, at):
    """The number at data[at : at + 4]; struct would make a tuple of it."""
    return data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]


class Frame:
    """A received frame. Decoder reuses one: read it before the next is asked for.

    kind, session, sequence, length: ints; body: bytearray whose first `length` bytes are the payload.
    """

    def __init__(self):
        self.kind = self.session = self.sequence = self.length = 0
        self.body = bytearray(FRAME_BYTES)

    def values(self):
        """The payload's fields, as a tuple."""
        return struct.unpack_from(FRAMES[self.kind][4], self.body, 0)

    def amount(self):
        """What Rules wants to know of it."""
        if self.kind in SOUNDS:
            return self.length
        if self.kind == END:
            return u32(self.body, 4)
        return u32(self.body, 0) if self.kind in COUNTS else 0

    def payload(self):
        """The payload as a memoryview; it is overwritten by the next frame."""
        return memoryview(self.body)[: self.length]


class Decoder:
    """Bytes → frames sent by `side`, DEVICE or SERVER. Memory is one frame, whatever arrives.

    Either feed() it, or let it ask: read at most `wants` bytes into room(), and tell it by took() how many came. That
    allocates nothing, unless a header or a payload comes in pieces.
    """

    def __init__(self, side):
        self._side = side
        self._header = bytearray(HEADER)
        self._have = 0  # bytes of the current frame, header included
        self._next = 0
        self._dead = False
        self.wants = HEADER  # bytes that the header, or then the payload, still lacks
        self.frame = Frame()

    @property
    def partial(self):
        """Whether a frame has begun and not ended."""
        return self._have > 0

    def room(self):
        """Where the next bytes belong: a buffer of `wants` bytes or more, to be filled from its start."""
        part, at = self._header, self._have
        if at >= HEADER:
            part, at = self.frame.body, at - HEADER
        return memoryview(part)[at:] if at else part

    def took(self, count):
        """So many bytes came into room(). Returns the frame if that completes it, or None. Raises WireError."""
        if self._dead:
            raise WireError("the connection is over")
        self._have += count
        self.wants -= count
        if self.wants:
            return None
        if self._have == HEADER:
            self._dead = True  # until it was found good
            self._begin()
            self._dead = False
            self.wants = self.frame.length
            if self.wants:
                return None
        self._have = 0
        self.wants = HEADER
        return self.frame

    def feed(self, data):
        """Iterate over the frames that these bytes complete. Raises WireError."""
        data = memoryview(data)
        at = 0
        while at < len(data):
            take = min(self.wants, len(data) - at)
            self.room()[:take] = data[at : at + take]
            at += take
            if self.took(take):
                yield self.frame

    def _begin(self):
        header = self._header
        kind = header[0]
        flags = header[1]
        length = header[2] << 8 | header[3]
        session = u32(header, 4)
        sequence = u32(header, 8)
        side, within, shortest, longest, layout = FRAMES.get(kind, (None, False, 0, 0, None))
        if side is not self._side:
            raise WireError(f"type {hex(kind)} from this side")
        if flags:
            raise WireError(f"flags {hex(flags)}")
        if not shortest <= length <= longest or (layout is None and length & 1):
            raise WireError(f"length {length} of type {hex(kind)}")
        if (session != 0) is not within:
            raise WireError(f"session {session} in type {hex(kind)}")
        if sequence != self._next:
            raise WireError(f"sequence {sequence}, not {self._next}")
        self._next += 1
        frame = self.frame
        frame.kind = kind
        frame.session = session
        frame.sequence = sequence
        frame.length = length


class Rules:
    """What may follow what on one connection, both directions; each end tells it every frame, sent or received.

    Audio flows only from WAKE to END of one session, at most spec.SESSION_MAX samples; session numbers only rise, so
    that nothing can be replayed; no frame of the server opens anything. Every rule is so made that frames which
    cross on the way break it at neither end.
    """

    def __init__(self):
        self.greeted = self.welcomed = False
        self.session = 0  # the open one, or 0
        self.samples = 0  # of the open session
        self.last = 0  # the newest session there ever was
        self.credit = 0  # bytes of PLAY granted and not yet used
        self.sent = 0  # frames of the device
        self.acked = -1  # the newest device frame answered
        self._pending = False  # END of the session `last` may be repeated
        self._base = 0  # sessions up to here belong to earlier connections
        self._closed = 0  # newest session that a CLOSE named
        self._played = 0  # newest session whose reply is complete
        self._pings = 0  # without PONG
        self._chains = 0  # ENDs without CHAIN

    def hello(self, sessions, pending):
        """HELLO: how many sessions there were, and whether the last one's END is still unanswered."""
        if self.greeted:
            raise WireError("a second HELLO")
        if pending > 1 or (pending and not sessions):
            raise WireError(f"HELLO with {pending} pending of {sessions}")
        self.greeted = True
        self.sent = 1
        self.last = self._base = self._closed = self._played = sessions
        self._pending = pending == 1

    def device(self, kind, session, amount=0):
        """A frame of the device other than HELLO. amount: bytes of AUDIO, samples of END, bytes of CREDIT."""
        if not self.welcomed:
            raise WireError(f"type {hex(kind)} before WELCOME")
        if self.sent - self.acked > IN_FLIGHT:
            raise WireError(f"more than {IN_FLIGHT} frames unanswered")
        if kind == AUDIO:
            if session != self.session or not session:
                raise WireError(f"AUDIO of session {session} while {self.session} is open")
            if self.samples + amount // 2 > spec.SESSION_MAX:
                raise WireError(f"more than {spec.SESSION_MAX} samples in a session")
            self.samples += amount // 2
        elif kind == WAKE:
            if self.session or session <= self.last:
                raise WireError(f"WAKE of session {session} after {self.session or self.last}")
            self.session = self.last = session
            self.samples = 0
            self._pending = False
        elif kind == END:
            if self.session and session == self.session:
                if amount != self.samples:
                    raise WireError(f"END says {amount} samples, not {self.samples}")
                self.session = 0
            elif self._pending and session == self.last:
                self._pending = False
            else:
                raise WireError(f"END of session {session} while {self.session} is open")
            self._chains += 1
        elif kind == CREDIT:
            if not amount or self.credit + amount > CREDIT_MAX:
                raise WireError(f"CREDIT of {amount} on top of {self.credit}")
            self.credit += amount
        elif kind == PING:
            self._pings += 1
        elif kind not in (EVENT, STATS):
            raise WireError(f"type {hex(kind)}")
        self.sent += 1

    def server(self, kind, session, amount=0):
        """A frame of the server. amount: the frame answered, of WELCOME, ACK and PONG; bytes of PLAY."""
        if kind == ERROR:
            return
        if kind == WELCOME:
            if not self.greeted or self.welcomed or amount != 0:
                raise WireError("WELCOME out of place")
            self.welcomed = True
            self.acked = 0
            return
        if not self.welcomed:
            raise WireError(f"type {hex(kind)} before WELCOME")
        if kind in ANSWERS:
            if not self.acked < amount < self.sent:
                raise WireError(f"answer to {amount} after {self.acked} of {self.sent}")
            self.acked = amount
            if kind == PONG:
                if not self._pings:
                    raise WireError("PONG without PING")
                self._pings -= 1
        elif kind == CLOSE:
            if not self._closed < session <= self.last:
                raise WireError(f"CLOSE of session {session} after {self._closed}")
            self._closed = session
        elif kind in (PLAY, PLAY_END):
            if not self._played < session <= self.last or session == self.session:
                raise WireError(f"a reply to session {session}")
            if amount > self.credit:
                raise WireError(f"PLAY of {amount} bytes with a credit of {self.credit}")
            self.credit -= amount
            if kind == PLAY_END:
                self._played = session
        elif kind == CHAIN:
            if not self._chains:
                raise WireError("CHAIN without END")
            self._chains -= 1
        else:
            raise WireError(f"type {hex(kind)}")
