"""What left this speaker: a count of sessions, a count of bytes, and a chain of hashes that nobody can rewrite.

The server keeps the records; the speaker keeps only where the chain stands, which is enough to prove that a record was
edited, dropped or invented. One blob in non-volatile storage, written three times in a session: when it opens, when it
closes, when the server has confirmed it. ESP-IDF keeps the old blob until the new one is whole, so power may fail at
any moment.

Flash wear (ESP-IDF Programming Guide, NVS library): a blob of 127 bytes takes 6 entries of 32 bytes, a page holds 126,
and pages are used in turn. With the default 6 pages each is erased once in 126 writes: 100 000 erasures last for four
million sessions.
"""

import hashlib
import struct

from sourdine import spec

KEY = "state"
RECORD = ">IIB32s"  # session, samples, reason, SHA-256 of the samples as handed to TLS
RECORD_BYTES = 41
STATE = ">BBIQ32sQ41s32s"  # layout version, flags, sessions, bytes, head, oldest possible time, last record, trail
STATE_BYTES = 127
TRAIL = 8  # heads remembered, newest last, by their first TRAIL_BYTES: to name the first record that differs
TRAIL_BYTES = 4
LAYOUT = 1
OPEN = 1  # flag: a session is under way
PENDING = 2  # flag: the server has not answered the last record
GENESIS = bytes(32)
DAY = 86_400  # s
OLDEST = 1_735_689_600  # Unix time of 2025-01-01: no honest clock shows less
NOT_FOUND = -0x1102  # what NVS raises for a key that was never stored (ESP_ERR_NVS_NOT_FOUND)
NEWEST = 4_102_444_800  # 2100-01-01: no honest clock shows more


class LedgerDamaged(Exception):
    """The ledger cannot be read or written: nothing may be sent."""


def next_head(head, record):
    """The chain's head after one more record."""
    return hashlib.sha256(head + record).digest()


class State:
    """The ledger as it stands in the store; see STATE. flags: OPEN, PENDING or both."""

    def __init__(self, blob=None):
        if blob is None:
            blob = struct.pack(STATE, LAYOUT, 0, 0, 0, GENESIS, OLDEST, bytes(RECORD_BYTES), GENESIS)
        if len(blob) != STATE_BYTES or blob[0] != LAYOUT:
            raise LedgerDamaged("the ledger cannot be read; pair this board again")
        fields = struct.unpack(STATE, blob)
        self.flags, self.sessions, self.bytes, self.head, self.oldest, self.record, self.trail = fields[1:]

    def blob(self):
        """The state as it is stored."""
        fields = self.flags, self.sessions, self.bytes, self.head, self.oldest, self.record, self.trail
        return struct.pack(STATE, LAYOUT, *fields)

    def append(self, samples, reason, digest):
        """Close session number `sessions + 1`."""
        self.record = struct.pack(RECORD, self.sessions + 1, samples, reason, digest)
        self.sessions += 1
        self.bytes += 2 * samples
        self.head = next_head(self.head, self.record)
        self.trail = self.trail[TRAIL_BYTES:] + self.head[:TRAIL_BYTES]
        self.flags = PENDING


class Ledger:
    """nvs: an esp32.NVS("ledger"), or what behaves like one: get_blob, set_blob, commit.

    Raises LedgerDamaged. A session that is found open had lost its power: it is closed as such, with no samples,
    because the count was in RAM.
    """

    def __init__(self, nvs):
        self._nvs = nvs
        self._hash = None
        self._samples = 0
        self._state = State(self._load())
        if self._state.flags & OPEN:
            self._state.append(0, spec.POWER, GENESIS)
            self._store()

    @property
    def sessions(self):
        """How many sessions were ever closed."""
        return self._state.sessions

    @property
    def bytes(self):
        """How many bytes of audio were ever handed to TLS, in closed sessions."""
        return self._state.bytes

    @property
    def head(self):
        """The head of the chain, 32 bytes."""
        return self._state.head

    @property
    def record(self):
        """The last record, RECORD_BYTES."""
        return self._state.record

    @property
    def pending(self):
        """Whether the last record still waits for the server's answer."""
        return bool(self._state.flags & PENDING)

    @property
    def samples(self):
        """Samples sent in the session under way."""
        return self._samples

    @property
    def is_open(self):
        """Whether a session is under way."""
        return self._hash is not None

    @property
    def oldest(self):
        """Unix time before which it cannot be."""
        return self._state.oldest

    def open(self):
        """Write down that a session opens, before any of it is sent; returns its number. OSError: it may not open."""
        if self._hash or self.pending:
            raise ValueError("the last session is not over")
        flags = self._state.flags
        self._state.flags = OPEN
        try:
            self._store()
        except OSError:
            self._state.flags = flags
            raise
        self._hash = hashlib.sha256()
        self._samples = 0
        return self._state.sessions + 1

    def sent(self, samples, count):
        """Samples that are handed to TLS right now: int16 in the order of the wire, `count` of them."""
        self._hash.update(samples)
        self._samples += count

    def close(self, reason):
        """Write down how the session ended; returns its record, which stays pending until acknowledge().

        Raises LedgerDamaged: then nobody may be told how it ended, and the next start closes it, as power lost.
        """
        try:
            self._state.append(self._samples, reason, self._hash.digest())
            self._store()
        except (MemoryError, OSError, ValueError):
            raise LedgerDamaged("the ledger cannot be written; the program must start again")
        self._hash = None
        self._samples = 0
        return self._state.record

    def acknowledge(self):
        """The server has the last record: from now on it cannot say that it never came."""
        if self.pending:
            self._state.flags &= ~PENDING
            self._store()

    def accept_time(self, unix):
        """Whether it can be this time, given all times before it; remembers it, once a day at most."""
        if not self._state.oldest <= unix <= NEWEST:
            return False
        if unix >= self._state.oldest + DAY:
            self._state.oldest = unix
            if self._hash is None:
                self._store()
        return True

    def _load(self):
        blob = bytearray(STATE_BYTES + 1)
        try:
            return bytes(blob[: self._nvs.get_blob(KEY, blob)])
        except OSError as error:
            if error.args[0] == NOT_FOUND:
                return None
            raise LedgerDamaged("the ledger cannot be read; pair this board again")

    def _store(self):
        self._nvs.set_blob(KEY, self._state.blob())
        self._nvs.commit()
