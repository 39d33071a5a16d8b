"""The chip's `time`: the board's clock, since 2000-01-01, ticks that wrap at 2^30."""

from clock import clock
from host import real_time, registers

__name__ = "time"
_RING = 1 << 30
_EPOCH = 946_684_800  # 2000-01-01 in the host's seconds
_CALL_US = 2  # what asking the time costs the CPU: a loop that waits for a tick comes to an end


def ticks_us():
    """Microseconds, modulo 2^30."""
    clock.charge(_CALL_US)
    return clock.now & (_RING - 1)


def ticks_ms():
    """Milliseconds, modulo 2^30."""
    clock.charge(_CALL_US)
    return clock.now // 1000 & (_RING - 1)


def ticks_cpu():
    """Cycles at 240 MHz, modulo 2^30."""
    clock.charge(_CALL_US)
    return clock.now * 240 & (_RING - 1)


def ticks_add(ticks, delta):
    """Later or earlier."""
    return (ticks + delta) & (_RING - 1)


def ticks_diff(a, b):
    """a - b, within half a ring."""
    return ((a - b + (_RING >> 1)) & (_RING - 1)) - (_RING >> 1)


def sleep(seconds):
    """Wait."""
    clock.sleep(int(seconds * 1_000_000))


def sleep_ms(ms):
    """Wait."""
    clock.sleep(max(0, ms * 1000))


def sleep_us(us):
    """Wait."""
    clock.sleep(max(0, us))


def time():
    """Seconds since 2000-01-01."""
    return time_ns() // 1_000_000_000


def time_ns():
    """Nanoseconds since 2000-01-01."""
    clock.charge(_CALL_US)
    return (clock.now + registers.rtc_us) * 1000


def gmtime(seconds=None):
    """(year, month, mday, hour, minute, second, weekday, yearday)."""
    return tuple(real_time.gmtime((time() if seconds is None else seconds) + _EPOCH)[:8])


localtime = gmtime  # there is no time zone


def mktime(fields):
    """Seconds since 2000-01-01 of a tuple as gmtime gives."""
    year, month, day, hour, minute, second = fields[:6]
    years = year - 1 if month <= 2 else year  # a year that begins in March has its leap day last
    months = month + 9 if month <= 2 else month - 3
    days = 365 * years + years // 4 - years // 100 + years // 400 + (153 * months + 2) // 5 + day - 730_426
    return ((days * 24 + hour) * 60 + minute) * 60 + second
