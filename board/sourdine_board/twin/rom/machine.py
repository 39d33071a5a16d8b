"""The chip's `machine`, as far as this board needs it."""

from binascii import unhexlify

from clock import Timer, clock, watchdog  # noqa: F401  here and below: the names that the chip's module has
from events import bite
from events import reset as _reset
from host import CONFIG, registers
from pins import ADC, Pin, bitstream  # noqa: F401
from sound import I2S  # noqa: F401

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5
_CAUSES = {"PWRON": 1, "BROWNOUT": 1, "HARD": 2, "WDT": 3, "SOFT": 5}
_hz = 160_000_000
__name__ = "machine"


class WDT:
    """The task watchdog: survives Ctrl-C and soft resets, as on the ESP32."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        watchdog.start(timeout, bite)

    def feed(self):
        """Not yet."""
        watchdog.feed()


class RTC:
    """The clock that survives every reset but the loss of power."""

    def datetime(self, fields=None):
        """(year, month, day, weekday, hours, minutes, seconds, microseconds), UTC."""
        import time

        if fields is None:
            clock.charge(5)
            us = clock.now + registers.rtc_us
            year, month, day, hour, minute, second, weekday, _ = time.gmtime(us // 1_000_000)
            return (year, month, day, weekday, hour, minute, second, us % 1_000_000)
        year, month, day, _, hour, minute, second, us = fields
        seconds = time.mktime((year, month, day, hour, minute, second, 0, 0))
        registers.rtc_us = seconds * 1_000_000 + us - clock.now

    def init(self, fields):
        """Set it."""
        self.datetime(fields)


def reset_cause():
    """Why the chip started."""
    return _CAUSES[CONFIG["cause"]]


def reset():
    """Start again, as by the button."""
    _reset("HARD")


def soft_reset():
    """Start the interpreter again."""
    _reset("SOFT")


def unique_id():
    """The station's MAC address."""
    return unhexlify(CONFIG["mac"])


def freq(hz=None):
    """CPU clock, Hz."""
    global _hz
    if hz is None:
        return _hz
    if hz not in (20_000_000, 40_000_000, 80_000_000, 160_000_000, 240_000_000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _hz = hz


def idle():
    """Until the next tick."""
    clock.sleep(1000)
