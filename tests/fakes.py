"""Hardware that behaves: the circuit's rules on a clock of its own, with the faults that a board can have."""

RING = (
    1 << 30
)  # ticks wrap here (MICROPY_PY_TIME_TICKS_PERIOD of a 32-bit MicroPython), and differ by half of it at most


class Clock:
    """time's ticks, moved by hand. Microseconds."""

    def __init__(self):
        self.us = 0

    def ticks_us(self):
        return self.us % RING

    def ticks_ms(self):
        return self.us // 1000 % RING

    @staticmethod
    def ticks_diff(a, b):
        return (a - b + RING // 2) % RING - RING // 2


class Contact:
    """Button, coil, contact and microphone: board.md's rules in steps of one edge (1.25 ms).

    weld     the contact stays closed whatever the coil does (the button still cuts)
    broken   the contact never closes
    mute_mic the microphone has power and says nothing
    leak     the data line is alive although the microphone is cut
    """

    EDGE_MS = 1.25
    PULL_IN = 16  # edges in a row: 20 ms
    DROP_MS = 100

    def __init__(self, weld=False, broken=False, mute_mic=False, leak=False):
        self.weld, self.broken, self.mute_mic, self.leak = weld, broken, mute_mic, leak
        self.pressed = False
        self.clock = Clock()
        self.closed = False
        self._row = 0
        self._last = None
        self._level = 0

    def heartbeat(self, level):
        if level != self._level:
            self._level = level
            self._row = self._row + 1 if self._last is not None and self.ms - self._last < 6 else 1
            self._last = self.ms

    @property
    def ms(self):
        return self.clock.us / 1000

    def pass_ms(self, ms):
        self.clock.us += int(ms * 1000)
        if self._last is None or self.ms - self._last > self.DROP_MS:
            self.closed = False
            self._row = 0
        elif self._row >= self.PULL_IN:
            self.closed = True

    @property
    def powered(self):
        return not self.pressed and (self.weld or (self.closed and not self.broken))

    def rail_mv(self):
        return 3_100 if self.powered else 0

    def released(self):
        return 0 if self.pressed else 1

    def peak(self):
        """Largest |sample| of the block that ends now."""
        return 57 if (self.powered and not self.mute_mic) or self.leak else 0
