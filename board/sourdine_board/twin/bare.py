"""A chip without MicroPython: what its ROM says, over and over."""

RESETS = {
    "PWRON": b"rst:0x1 (POWERON_RESET)",
    "BROWNOUT": b"rst:0xf (RTCWDT_BROWN_OUT_RESET)",
    "HARD": b"rst:0xc (SW_CPU_RESET)",
    "WDT": b"rst:0x8 (TG1WDT_SYS_RESET)",
    "ROM": b"rst:0x7 (TG0WDT_SYS_RESET)",
}
ROMS = {
    "ESP32S3": b"ESP-ROM:esp32s3-20210327\r\nBuild:Mar 27 2021\r\n",
    "ESP32": b"ets Jul 29 2019 12:21:46\r\n\r\n",
}
BOOT = {"ESP32S3": b",boot:0x8 (SPI_FAST_FLASH_BOOT)\r\n", "ESP32": b",boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n"}
INVALID = b"invalid header: 0xffffffff\r\n"
LOOP_S = 0.4  # the ROM's own watchdog


def banner(chip: str, cause: str) -> bytes:
    """First lines on the console after a reset."""
    return b"\r\n" + ROMS[chip] + RESETS[cause] + BOOT[chip]


class Bare:
    """An erased flash: the ROM finds no program, waits for its watchdog, tries again. It reads nothing."""

    def __init__(self, chip: str) -> None:
        self._chip = chip
        self._next = 0.0
        self._cause = "PWRON"

    def say(self, now: float) -> bytes:
        """What is printed at this time (seconds, monotonic), often nothing."""
        if now < self._next:
            return b""
        self._next = now + LOOP_S
        text = banner(self._chip, self._cause) + 8 * INVALID
        self._cause = "ROM"
        return text
