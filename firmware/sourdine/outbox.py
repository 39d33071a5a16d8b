"""Audio that waits for the network: AUDIO frames, built in place in slots that are made once.

A slot is handed out as a whole frame, so sending copies nothing; what has left or must not leave is overwritten.
"""

import struct
from array import array

from sourdine import wire
from sourdine.native import micropython, ptr16

SLOTS = 25  # AUDIO frames of 40 ms: 1 s
HEAD = wire.HEADER // 2  # of a slot, in int16


@micropython.viper
def copy(slot: ptr16, at: int, samples: ptr16, skip: int, count: int):
    """slot[at : at + count] = samples[skip : skip + count], int16, without allocating."""
    for i in range(count):
        slot[at + i] = samples[skip + i]


class Outbox:
    """A ring of slots. used: slots that hold samples, the last of which may be partly full."""

    def __init__(self):
        self._slots = [array("h", bytes(wire.HEADER + wire.FRAME_BYTES)) for _ in range(SLOTS)]
        self._frames = [memoryview(slot) for slot in self._slots]
        self._samples = [frame[HEAD:] for frame in self._frames]
        self._fill = array("H", [0] * SLOTS)  # samples
        self._blank = array("h", bytes(wire.FRAME_BYTES))
        self._first = 0
        self.used = 0

    def put(self, samples):
        """Append int16 samples. Returns False when they do not all fit."""
        count = len(samples)
        skip = 0
        while skip < count:
            last = (self._first + self.used - 1) % SLOTS
            if not self.used or self._fill[last] == wire.FRAME_SAMPLES:
                if self.used == SLOTS:
                    return False
                last = (self._first + self.used) % SLOTS
                self._fill[last] = 0
                self.used += 1
            fill = self._fill[last]
            take = min(count - skip, wire.FRAME_SAMPLES - fill)
            copy(self._slots[last], HEAD + fill, samples, skip, take)
            self._fill[last] = fill + take
            skip += take
        return True

    @property
    def count(self):
        """Samples in the first slot."""
        return self._fill[self._first] if self.used else 0

    def samples(self):
        """The samples of the first slot."""
        view = self._samples[self._first]
        return view if self.count == wire.FRAME_SAMPLES else view[: self.count]

    def frame(self, session, sequence):
        """The first slot as a frame, ready for TLS; it stays until free()."""
        at = self._first
        struct.pack_into(wire.HEADER_LAYOUT, self._slots[at], 0, wire.AUDIO, 0, 2 * self.count, session, sequence)
        view = self._frames[at]
        return view if self.count == wire.FRAME_SAMPLES else view[: HEAD + self.count]

    def free(self):
        """The first slot has been sent."""
        self._samples[self._first][:] = self._blank
        self._first = (self._first + 1) % SLOTS
        self.used -= 1

    def wipe(self):
        """Overwrite everything that waits."""
        for samples in self._samples:
            samples[:] = self._blank
        self._first = self.used = 0
