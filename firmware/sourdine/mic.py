"""The microphone: I2S words → blocks of samples, each with the frame number at which it was captured.

The I2S peripheral has no overrun signal and no way to ask how much it holds, so both are told from time. Sample
clock and CPU clock come from one crystal. `lag` is how old the end of the last block is at most: the time since
I2S was started, minus the frames read since and those that were lost. A loss is counted only when the ring was found
empty, never from how long a read took: the chip may be busy elsewhere in the middle of it. So no fence is too early.
"""

from array import array

from sourdine import spec
from sourdine.dsp import unpack

HOP, MIC_SHIFT = spec.HOP, spec.MIC_SHIFT  # looked up once
BLOCK_US = HOP * 1_000_000 // spec.SAMPLE_RATE  # 10,000 exactly
QUANTUM_US = spec.DMA_FRAMES * 1_000_000 // spec.SAMPLE_RATE  # 16,000: frames come in handfuls of 256
MARGIN_US = 2 * QUANTUM_US  # added to every fence; costs 32 ms of speech after a wake


class Mic:
    """Reads blocks of spec.HOP samples.

    open_i2s  makes the I2S receiver and starts it; an object with readinto(buffer), 32-bit mono words, which returns
              ticks_us() of the last time that it found its ring empty meanwhile, or None
    clock     ticks_us(), ticks_diff(a, b)
    """

    def __init__(self, open_i2s, clock):
        self._words = array("i", bytes(4 * spec.HOP))
        self._out = array("h", bytes(2 * spec.HOP))
        self._samples = memoryview(self._out)
        self._clock = clock
        self._then = clock.ticks_us()
        self._i2s = open_i2s()
        self._lag_us = 0
        self._next = 0
        self.index = 0  # frame number of the first sample of the last block, at least; counts round spec.FRAMES
        self.peak = 0  # largest |sample| of the last block; 0 is digital silence: no microphone
        self.lost = 0  # frames that the ring dropped because nobody read in time

    def read(self):
        """The next block, int16[spec.HOP]; valid until the next call. Blocks until it is there."""
        clock = self._clock
        empty = self._i2s.readinto(self._words)
        now = clock.ticks_us()
        lag = self._lag_us + clock.ticks_diff(now, self._then) - BLOCK_US
        self._then = now
        index = self._next
        self.index = index  # a block may have begun before a loss
        self._next = (index + HOP) % spec.FRAMES
        if empty is not None:
            empty = clock.ticks_diff(now, empty)  # by itself: past 11 words, MicroPython's frame is from the heap
            lag -= self._lose(lag - empty)
        self._lag_us = lag if lag > 0 else 0
        self.peak = unpack(self._words, self._out, HOP, MIC_SHIFT)
        return self._samples

    def _lose(self, age_us):
        """Count what the ring dropped: all that was captured so long before it was found empty. Returns us.

        What came since is no older than that and one buffer.
        """
        quanta = (age_us - QUANTUM_US) // QUANTUM_US
        if quanta < 1:
            return 0
        lost = quanta * spec.DMA_FRAMES
        self.lost += lost
        self._next = (self._next + lost) % spec.FRAMES
        return quanta * QUANTUM_US

    @property
    def age_ms(self):
        """How old the end of the last block is at most, ms."""
        return self._lag_us // 1000

    def fence(self):
        """The first frame number that was certainly captured after now."""
        since_us = self._clock.ticks_diff(self._clock.ticks_us(), self._then)
        late_us = self._lag_us + since_us + MARGIN_US
        return (self._next + late_us * (spec.SAMPLE_RATE // 1000) // 1000 + 1) % spec.FRAMES
