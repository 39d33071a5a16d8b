"""The chip's state that outlives its process: one page of memory, shared by the chip and its supervisor."""

import mmap
import struct
from pathlib import Path

NAMES = (
    "now_us",  # since power-on; the room's time
    "rtc_us",  # what to add to now_us for microseconds since 2000-01-01
    "wdt_ms",  # the watchdog's time; 0 while it was never started
    "wdt_feeds",  # how often it was fed
    "repl",  # 1: the program is over, the prompt is up
    "radio",  # 0 off, 1 on, 2 asked to connect, 3 has an address
    "heartbeat",  # level of the pin: a soft reset leaves it
    "closed",  # the microphone's contact
    "pump_v",  # the heartbeat's reservoir at the last edge, volts; registers that end in _v are floating point
    "edge_us",  # when that was
    "events",  # how many of the room's are over
)
EPOCH_S = 946_684_800  # the chip's clock counts from 2000-01-01, libc's from 1970


def _place(name: str) -> tuple[str, int]:
    return "<d" if name.endswith("_v") else "<q", 8 * NAMES.index(name)


class Registers:
    """The page, by name; also mapped by the chip, which writes it."""

    def __init__(self, path: Path, *, fresh: bool) -> None:
        if fresh:
            path.write_bytes(bytes(mmap.PAGESIZE))
        with path.open("r+b") as file:
            self.page = mmap.mmap(file.fileno(), mmap.PAGESIZE)

    def get(self, name: str) -> int | float:
        form, offset = _place(name)
        return struct.unpack_from(form, self.page, offset)[0]

    def put(self, name: str, value: float) -> None:
        form, offset = _place(name)
        struct.pack_into(form, self.page, offset, value)

    def clear(self, *names: str) -> None:
        for name in names:
            self.put(name, 0)

    def unix_time(self) -> int:
        """Seconds since 1970 by the board's clock."""
        return int(self.get("now_us") + self.get("rtc_us")) // 1_000_000 + EPOCH_S
