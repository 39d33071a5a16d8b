"""The speaker: earcons and replies, in slices of one block so that nothing waits for it.

Replies arrive in pieces and wait in a ring of RING bytes; what the server may send is what the ring has room for
(credit), so a hostile server fills nothing. The amplifier is on only while something plays.
"""

import math
from array import array

from sourdine import spec

AHEAD_US = 60_000  # how far the I2S ring is kept filled
BLOCK = 2 * spec.HOP  # bytes
RING = 50 * BLOCK  # bytes of a reply that may wait: 500 ms
BUFFER = 2 * spec.DMA_FRAMES  # bytes that DMA plays at once
BLOCK_US = spec.HOP * 1_000_000 // spec.SAMPLE_RATE
STARVE_MS = 2_000  # a reply that brings nothing for so long is over
TONE = 8  # blocks in one tone of an earcon: 80 ms

WAKE = (0, 1)  # low, high: I am listening
END = (1, 0)  # high, low: I have stopped
REFUSE = (2, 2)  # twice very low: heard, but no server to send to


def _tone(hertz):
    """TONE blocks of a sine, bytes of int16, fading in and out so that it does not click."""
    n = TONE * spec.HOP
    out = array("h", bytes(2 * n))
    for i in range(n):
        edge = min(i, n - 1 - i, 200) / 200
        out[i] = int(6000 * edge * math.sin(2 * math.pi * hertz * i / spec.SAMPLE_RATE))
    return memoryview(bytearray(out))


class Speaker:
    """i2s: write(bytes of int16); amplifier: callable pin; clock: ticks_us, ticks_ms, ticks_diff."""

    def __init__(self, i2s, amplifier, clock):
        self._i2s = i2s
        self._amplifier = amplifier
        self._clock = clock
        self._tones = [_tone(880), _tone(1320), _tone(220)]
        self._ring = bytearray(RING)
        ring = memoryview(self._ring)
        self._blocks = [ring[at : at + BLOCK] for at in range(0, RING, BLOCK)]
        self._silence = memoryview(bytearray(BUFFER))
        self._start = self._used = 0
        self._earcon = None
        self._step = 0
        self._reply = False  # a reply is under way
        self._fed_ms = 0
        self._ahead_us = 0
        self._phase = 0  # bytes in the DMA buffer that was last begun
        self._then = clock.ticks_us()
        self._ended_ms = clock.ticks_ms()  # of the last sound; None once it was quiet for long enough
        self.sounding = False
        amplifier(0)

    def earcon(self, name):
        """Play WAKE, END or REFUSE; one that is playing is cut short."""
        self._earcon = name
        self._step = 0

    def play(self, data):
        """Put a piece of a reply (s16le bytes) into the ring; returns False when it does not fit."""
        n = len(data)
        if n & 1 or n > RING - self._used:
            return False
        at = (self._start + self._used) % RING
        if at + n <= RING:
            self._ring[at : at + n] = data
        else:
            first = RING - at
            self._ring[at:] = data[:first]
            self._ring[: n - first] = data[first:]
        self._used += n
        self._reply = True
        self._fed_ms = self._clock.ticks_ms()
        return True

    def play_end(self):
        """No more pieces will come; what is in the ring is still played."""
        self._reply = False

    def stop(self):
        """Silence now."""
        self._used = 0
        self._reply = False
        self._earcon = None

    def quiet(self, now_ms):
        """Whether nothing plays, and nothing has for spec.DEAF_AFTER_PLAY_MS."""
        if self.sounding or self._earcon or self._used or self._reply:
            return False
        if self._ended_ms is not None and self._clock.ticks_diff(now_ms, self._ended_ms) >= spec.DEAF_AFTER_PLAY_MS:
            self._ended_ms = None  # or, as ticks_ms() wraps, it would lie ahead after six days of silence
        return self._ended_ms is None

    def step(self, now_ms):
        """Fill the I2S ring to AHEAD_US. Returns the bytes of reply that were played: credit to give back."""
        now = self._clock.ticks_us()
        self._ahead_us -= self._clock.ticks_diff(now, self._then)
        self._then = now
        if self._ahead_us < 0:
            self._ahead_us = 0
        played = 0
        while self._ahead_us < AHEAD_US:
            block = self._next_tone()
            if block is None and self._used:
                block = self._next_reply()
                played += len(block)
            if block is None:
                break
            if not self.sounding:
                self.sounding = True
                self._amplifier(1)
            self._i2s.write(block)
            self._phase = (self._phase + len(block)) % BUFFER
            self._ahead_us += BLOCK_US * len(block) // BLOCK
        if self._reply and not self._used and self._clock.ticks_diff(now_ms, self._fed_ms) > STARVE_MS:
            self._reply = False
        if self.sounding and self._ahead_us == 0:
            if self._phase:  # or the next sound would begin in what is left of this buffer, whose turn is long over
                self._i2s.write(self._silence[self._phase :])
                self._phase = 0
            self._amplifier(0)
            self.sounding = False
            self._ended_ms = now_ms
        return played

    def _next_tone(self):
        if self._earcon is None:
            return None
        tone = self._tones[self._earcon[self._step // TONE]]
        at = (self._step % TONE) * BLOCK
        self._step += 1
        if self._step == TONE * len(self._earcon):
            self._earcon = None
        return tone[at : at + BLOCK]

    def _next_reply(self):
        block = self._blocks[self._start // BLOCK]
        skip = self._start % BLOCK
        n = min(BLOCK - skip, self._used)
        if n < BLOCK:  # the end of a reply, or behind an odd piece: the one view that has to be made
            block = block[skip : skip + n]
        self._used -= n
        self._start = (self._start + n) % RING if self._used else 0
        return block
