# ruff: noqa: F821  viper's types are known to the compiler only
"""machine.I2S: the microphone and the speaker, at the pace of the board's clock.

Reception is DMA's: from construction on, 256 frames arrive every 16 ms whether somebody reads or not; the queue holds
one buffer less than DMA has (ESP-IDF, i2s_common.c), and the oldest is dropped when it is full. A blocking read or
write waits in C, where no timer callback runs; an I2S object that was polled once returns at once with what there is
(MicroPython, extmod/machine_i2s.c). Index n is the room's sample n, 62.5 µs each, counted from power-on.
"""

import io

from clock import NEVER, clock
from host import CONFIG, open_file, trace
from pins import level_of
from relay import relay

RATE = 16_000
FRAMES = 256  # of one DMA buffer
READ_US = 15  # CPU time of one call, roughly
STARTUP = CONFIG["circuit"]["startup_frames"]  # the microphone says zero for so long after it got its supply

_ROOM = CONFIG["room"]
_PINS = CONFIG["pins"]
_ZEROS = memoryview(bytearray(2 * FRAMES))


def _index(us):
    """The first sample that is captured at `us` or after."""
    return (us * 16 + 999) // 1000


@micropython.viper
def _words(out: ptr32, at: int, samples: ptr16, start: int, n: int):
    for i in range(n):
        out[at + i] = (((samples[start + i] & 0xFFFF) ^ 0x8000) - 0x8000) << 13


@micropython.viper
def _left(out: ptr16, frames: ptr16, n: int):
    for i in range(n):
        out[i] = frames[2 * i]


@micropython.viper
def _couple(out: ptr16, ring: ptr16, at: int, mask: int, n: int, gain_q12: int, marked: int):
    """Add what the speaker plays, ring[at...], to what the room says. A mark, the last bit of all, stays the room's."""
    for i in range(n):
        room = ((out[i] & 0xFFFF) ^ 0x8000) - 0x8000
        played = ((ring[(at + i) & mask] & 0xFFFF) ^ 0x8000) - 0x8000
        mixed = room + ((played * gain_q12) >> 12)
        if mixed > 32767:
            mixed = 32767
        elif mixed < -32768:
            mixed = -32768
        if marked:
            mixed = (mixed & 0xFFFE) | (room & 1)
        out[i] = mixed


class _Receiver:
    """The microphone behind its contact, and the DMA ring that it fills."""

    def __init__(self, pins, ibuf):
        self._wired = pins == [_PINS["MIC_SCK"], _PINS["MIC_WS"], _PINS["MIC_SD"]]
        self._depth = max(2, ibuf // (FRAMES * 8)) - 1
        ring = memoryview(bytearray(2 * FRAMES * self._depth))
        self._slots = [ring[2 * FRAMES * at : 2 * FRAMES * (at + 1)] for at in range(self._depth)]
        self._current = memoryview(bytearray(2 * FRAMES))  # the buffer being read
        self._left = 0  # frames of it still to read
        self._captured = 0  # buffers so far
        self._taken = 0  # buffers taken by the reader or dropped: the ring holds the ones between
        self._lost = 0  # frames dropped since the last read
        self._index0 = _index(clock.now)  # the room's sample of frame 0
        self._open = [] if relay.closed else [[self._index0, NEVER]]  # when the contact was open, as [from, to[
        self._warm = self._index0 + STARTUP if relay.closed else NEVER  # when the microphone begins to speak
        relay.on_change = self._contact
        self._room = open_file(_ROOM["pcm"], "rb")
        self._room.seek(2 * self._index0)
        self._heard = _ROOM["heard"] and open_file(_ROOM["heard"], "r+b")
        if self._heard:
            self._heard.seek(2 * self._index0)
        self.due = self._time(FRAMES)
        clock.add(self)
        trace(clock.now, "i2s", index0=self._index0)

    def _time(self, frame):
        return (self._index0 + frame) * 125 // 2

    def _contact(self, closed):
        at = _index(clock.now)
        if closed:
            self._open[-1][1] = at
            self._warm = at + STARTUP
        else:
            self._open.append([at, NEVER])

    def happen(self):
        """DMA hands over one buffer."""
        if self._captured - self._taken == self._depth:
            self._taken += 1
            self._lost += FRAMES
        slot = self._slots[self._captured % self._depth]
        first = self._index0 + self._captured * FRAMES
        read = self._room.readinto(slot)
        if read < 2 * FRAMES:
            slot[read:] = _ZEROS[read:]
            if _ROOM["loop"]:
                self._room.seek(0)
        _mix(slot, first)
        if not self._wired or self._warm > first:
            self._cut(slot, first, first, self._warm if self._wired else NEVER)
        for start, stop in self._open:
            self._cut(slot, first, start, stop)
        while self._open and self._open[0][1] <= first + FRAMES:
            self._open.pop(0)
        if self._heard:
            self._heard.write(slot)
        self._captured += 1
        self.due = self._time((self._captured + 1) * FRAMES)

    def _cut(self, slot, first, start, stop):
        """Zero the samples [start, stop[ of a buffer that begins at `first`."""
        start = 2 * max(0, start - first)
        stop = 2 * min(FRAMES, stop - first)
        if start < stop:
            slot[start:stop] = _ZEROS[start:stop]

    def ready(self):
        """Whether a read would give something."""
        return self._left or self._captured > self._taken

    def transfer(self, buffer, wait):
        """Copy 32-bit words into `buffer`, waiting for them if asked; returns bytes."""
        frames = len(bytes(buffer)) // 4  # the one way to a buffer's size, whatever its items are
        done = 0
        while done < frames:
            if not self._left:
                if self._captured == self._taken:
                    if not wait:
                        break
                    clock.until(self.due)
                    continue
                self._take()
            n = min(self._left, frames - done)
            _words(buffer, done, self._current, FRAMES - self._left, n)
            self._left -= n
            done += n
        return 4 * done

    def _take(self):
        if self._lost:
            first = self._index0 + self._taken * FRAMES - self._lost
            trace(clock.now, "overrun", index=first, frames=self._lost)
            self._lost = 0
        self._current[:] = self._slots[self._taken % self._depth]
        self._taken += 1
        self._left = FRAMES

    def close(self):
        """Stop DMA."""
        clock.things.remove(self)
        relay.on_change = None
        self._room.close()
        if self._heard:
            self._heard.close()


class _Sender:
    """The amplifier and the speaker: what is written plays in time, and couples into the microphone."""

    def __init__(self, pins, ibuf):
        self._wired = pins == [_PINS["AMP_BCLK"], _PINS["AMP_LRC"], _PINS["AMP_DIN"]]
        self._depth = max(2, ibuf // (FRAMES * 4)) * FRAMES  # samples
        self.mask = 1
        while self.mask < self._depth + 4 * FRAMES:  # the microphone looks back by a few DMA buffers
            self.mask *= 2
        self.ring = memoryview(bytearray(2 * self.mask))
        self.mask -= 1
        self.head = self._start = _index(clock.now)  # the sample at which the next one written will play
        self._speaker = _ROOM["speaker"] and open_file(_ROOM["speaker"], "r+b")

    def ready(self):
        """Whether a write would take something."""
        return self.head - _index(clock.now) < self._depth

    def transfer(self, buffer, wait):
        """Queue 16-bit frames, of which the left is heard, waiting for room if asked; returns bytes."""
        frames = bytes(buffer)
        samples = len(frames) // 4
        source = memoryview(bytearray(2 * samples))
        _left(source, frames, samples)
        done = 0
        while done < samples:
            now = _index(clock.now)
            if self.head < now:
                self._end_run()
                self._silence(now)
                self._start = now
            free = self._depth - (self.head - now)
            if free <= 0:
                if not wait:
                    break
                clock.until((self.head - self._depth + FRAMES) * 125 // 2)
                continue
            n = min(free, samples - done)
            self._put(source[2 * done : 2 * (done + n)])
            done += n
        return 4 * done

    def _put(self, samples):
        if self._speaker and self._wired and level_of("AMP_SD"):
            self._speaker.seek(2 * self.head)
            self._speaker.write(samples)
        while samples:
            at = 2 * (self.head & self.mask)
            piece = samples[: len(self.ring) - at]
            self.ring[at : at + len(piece)] = piece
            self.head += len(piece) // 2
            samples = samples[len(piece) :]

    def _silence(self, to):
        """The ring says nothing from head to `to`."""
        if to - self.head > self.mask:
            self.head = to - self.mask - 1
        while self.head < to:
            at = self.head & self.mask
            n = min(to - self.head, self.mask + 1 - at, FRAMES)
            self.ring[2 * at : 2 * (at + n)] = _ZEROS[: 2 * n]
            self.head += n

    def _end_run(self):
        if self.head > self._start:
            trace(clock.now, "play", index=self._start, samples=self.head - self._start)
        self._start = self.head

    def mix(self, slot, first):
        """Add to a microphone buffer what the speaker played then."""
        n = min(FRAMES, self.head - first)
        if n > 0 and self._wired and level_of("AMP_SD"):
            _couple(slot, self.ring, first, self.mask, n, _ROOM["coupling_q12"], _ROOM["marked"])

    def close(self):
        """Stop at once: what was queued is not played."""
        now = max(self._start, min(self.head, _index(clock.now)))
        if self._speaker:
            self._speaker.seek(2 * now)
            self._speaker.write(bytes(2 * (self.head - now)))
            self._speaker.close()
        self.head = now
        self._end_run()


_open = {}  # id -> I2S


def _mix(slot, first):
    for i2s in _open.values():
        if isinstance(i2s.end, _Sender):
            i2s.end.mix(slot, first)


class I2S(io.IOBase):
    """machine.I2S as far as this board has ends for it: 32-bit mono reception, 16-bit stereo transmission, 16 kHz.

    16-bit mono transmission is not there: what the chips make of it differs (micropython issue 11635).
    """

    RX = 9
    TX = 10
    MONO = 0
    STEREO = 1

    def __init__(self, id, *, sck, ws, sd, mode, bits, format, rate, ibuf, mck=None):
        if id in _open:
            _open[id].deinit()
        if rate != RATE or (format, bits) != ((I2S.MONO, 32) if mode == I2S.RX else (I2S.STEREO, 16)):
            raise ValueError("the twin has 32-bit mono in and 16-bit stereo out, at 16 kHz")
        clock.charge(0)
        self._id = id
        self._wait = True
        wires = [pin.id for pin in (sck, ws, sd)]
        self.end = (_Receiver if mode == I2S.RX else _Sender)(wires, ibuf)
        _open[id] = self

    def readinto(self, buffer):
        """Blocks until full; once polled, returns the bytes that were there."""
        return self._transfer(buffer)

    def write(self, buffer):
        """Blocks until queued; once polled, returns the bytes that there was room for."""
        return self._transfer(buffer)

    def _transfer(self, buffer):
        clock.charge(READ_US)
        if not self._wait:
            return self.end.transfer(buffer, False)
        clock.enter_c()
        try:
            return self.end.transfer(buffer, True)
        finally:
            clock.leave_c()

    def ioctl(self, request, flags):
        """select.poll asks here, and from then on nothing blocks."""
        if request != 3:  # MP_STREAM_POLL
            return -1
        self._wait = False
        return flags & (1 if isinstance(self.end, _Receiver) else 4) if self.end.ready() else 0

    def deinit(self):
        """Stop, and let go of the pins."""
        if _open.pop(self._id, None) is self:
            self.end.close()


def stop():
    """The chip is about to be reset."""
    for i2s in list(_open.values()):
        i2s.deinit()
