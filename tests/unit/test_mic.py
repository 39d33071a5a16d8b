"""The microphone's clockwork: whatever stalls happen, a fence is never early and a lost frame is never hidden."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakes import Clock
from sourdine import spec
from sourdine.mic import Mic

RING = 20  # DMA buffers of spec.DMA_FRAMES
FRAME_US = 62.5


class Dma:
    """I2S with DMA: frames exist in handfuls of 256; the oldest handful is dropped when the ring is full.

    stalls: (poll, µs) pairs: how long the chip is busy elsewhere at the nth time that the ring is asked, in mid-read.
    """

    def __init__(self, clock, stalls=()):
        self._clock = clock
        self._start = clock.us
        self._read = 0
        self._stalls = dict(stalls)
        self._polls = 0
        self.first = 0  # of the last block
        self.dropped = 0

    def captured(self):
        """Frames that the converter has finished by now, handed over or not."""
        return int((self._clock.us - self._start) / FRAME_US)

    def readinto(self, words):
        empty = None
        for at in range(0, len(words), 32):
            asked = self._clock.us
            while not self._ready():
                empty = asked
                self._clock.us += 1_000
                asked = self._clock.us
            if at == 0:
                self.first = self._read
            for k in range(32):
                words[at + k] = (self._read + k) << spec.MIC_SHIFT
            self._read += 32
        return empty

    def _ready(self):
        """Whether a piece is there; the oldest is dropped if the ring was full."""
        self._polls += 1
        self._clock.us += self._stalls.get(self._polls, 0)
        full = self.captured() // spec.DMA_FRAMES
        if full * spec.DMA_FRAMES - self._read > RING * spec.DMA_FRAMES:
            oldest = (full - RING) * spec.DMA_FRAMES
            self.dropped += oldest - self._read
            self._read = oldest
        return full * spec.DMA_FRAMES >= self._read + 32


class Flash(Dma):
    """The same, and now and then flash is erased: DMA goes on and its interrupt waits, so that of the buffers which end
    meanwhile only the last is queued (ESP-IDF, i2s_common.c). busy: (poll, µs) pairs.
    """

    def __init__(self, clock, busy=()):
        super().__init__(clock)
        self._busy = dict(busy)
        self._queue = []  # buffers by number
        self._ended = self._left = 0

    def _ready(self):
        self._polls += 1
        while self._ended < self.captured() // spec.DMA_FRAMES:
            self._ended += 1
            self._put(self._ended - 1)
        self._clock.us += self._busy.get(self._polls, 0)
        ended = self.captured() // spec.DMA_FRAMES
        if ended > self._ended:
            self.dropped += (ended - self._ended - 1) * spec.DMA_FRAMES
            self._ended = ended
            self._put(ended - 1)
        if not self._left:
            if not self._queue:
                return False
            self._read = self._queue.pop(0) * spec.DMA_FRAMES
            self._left = spec.DMA_FRAMES
        self._left -= 32
        return True

    def _put(self, buffer):
        if len(self._queue) == RING - 1:
            self._queue.pop(0)
            self.dropped += spec.DMA_FRAMES
        self._queue.append(buffer)


def build(late_us=0, stalls=()):
    clock = Clock()
    dma = Dma(clock)

    def open_i2s():
        clock.us += late_us
        dma.__init__(clock, stalls)
        return dma

    return Mic(open_i2s, clock), dma, clock


def test_blocks_are_numbered_as_they_were_captured():
    mic, _, _ = build()
    for block in range(50):
        samples = mic.read()
        assert mic.index == block * spec.HOP
        assert list(samples[:3]) == [mic.index, mic.index + 1, mic.index + 2]
    assert mic.peak == 50 * spec.HOP - 1
    assert mic.lost == 0


def test_numbers_count_round_before_they_outgrow_a_small_int():
    """A sum of two of them, in either order, stays within the 31 bits that the chip keeps without allocating."""
    assert 2 * spec.FRAMES + spec.SESSION_MAX < 1 << 30
    mic, _, clock = build()
    mic._next = spec.FRAMES - spec.HOP - 1  # after 4.7 hours
    numbers = []
    for _ in range(3):
        mic.read()
        numbers.append(mic.index)
    assert numbers == [spec.FRAMES - spec.HOP - 1, spec.FRAMES - 1, spec.HOP - 1]
    mic._next = spec.FRAMES - 1
    clock.us += 1_000_000
    assert mic.fence() < 20_000


stalls = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 900_000)), max_size=8)


inside = st.lists(st.tuples(st.integers(1, 400), st.integers(0, 900_000)), max_size=6)


@settings(max_examples=150, deadline=None)
@given(stalls, inside, st.integers(0, 9_000), st.integers(0, 30_000))
@example([(1, 400_000), (40, 0)], [(5 + 5 * 4, 1_500)], 0, 0)  # old blocks, and a pause in the reading of one of them
@example([(20, 0)], [(60, 300_000)], 0, 0)  # a long pause just where fresh frames are waited for
@example([(20, 0)], [(42, 700_000)], 0, 0)  # a loss in the middle of a block
def test_what_is_fenced_was_captured_later_whatever_stalled(story, inside, compute_us, late_us):
    mic, dma, clock = build(late_us, inside)
    fences = []  # (as the mic says, frames captured by then)
    for blocks, stall_us in story:
        for _ in range(blocks):
            mic.read()
            for fence, captured in fences:
                assert mic.index < fence or dma.first >= captured
            clock.us += compute_us
            fences = fences[-60:] + [(mic.fence(), dma.captured())]
        clock.us += stall_us


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2_000_000), min_size=1, max_size=6))
def test_frames_that_the_ring_dropped_are_counted_to_within_a_handful_per_stall(stalls_us):
    mic, dma, clock = build()
    for stall_us in stalls_us:
        mic.read()
        clock.us += stall_us
    for _ in range(60):
        mic.read()
        clock.us += 2_000
    assert abs(mic.lost - dma.dropped) <= spec.DMA_FRAMES * len(stalls_us)
    assert mic.lost == 0 or dma.dropped > 0


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 400_000)), max_size=5), st.integers(0, 9_000))
@example([(60, 45_000)], 0)
@example([(60, 45_000), (61, 45_000), (300, 400_000)], 8_000)
def test_what_an_interrupt_that_came_late_lost_is_counted_and_no_fence_is_early(busy, compute_us):
    """The ring was not full, and the driver says nothing; the clock does."""
    clock = Clock()
    dma = Flash(clock, busy)
    mic = Mic(lambda: dma, clock)
    fences = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sourdine.mic.unpack", lambda *_: 1)  # checked elsewhere, and slow when it is
        for _ in range(150):
            mic.read()
            for fence, captured in fences:
                assert mic.index < fence or dma.first >= captured
            clock.us += compute_us
            fences = fences[-60:] + [(mic.fence(), dma.captured())]
    assert abs(mic.lost - dma.dropped) <= spec.DMA_FRAMES * len(busy)
