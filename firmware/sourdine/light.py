"""What the one colour LED says. It is a courtesy: the LED that cannot lie hangs on the microphone's own rail."""

BLINK_MS = 400

#  what        (red, green, blue), blinks
COLOURS = {
    "starting": ((8, 8, 8), False),
    "unpaired": ((8, 0, 8), True),
    "muted": ((12, 0, 0), False),
    "proving": ((6, 3, 0), False),
    "fault": ((24, 0, 0), True),
    "alone": ((12, 6, 0), True),  # listening, but the server is away
    "listening": ((0, 0, 4), False),
    "sending": ((0, 32, 0), False),
    "speaking": ((0, 12, 12), False),
}


class Light:
    """write: callable taking three bytes in the LED's own order (green, red, blue)."""

    def __init__(self, write):
        self._write = write
        self._shown = bytearray(b"\xff\xff\xff")
        self._next = bytearray(3)

    def show(self, what, now_ms):
        """Show a state; writes to the LED only when its colour changes."""
        (red, green, blue), blinks = COLOURS[what]
        dark = blinks and (now_ms // BLINK_MS) & 1
        self._next[0] = 0 if dark else green
        self._next[1] = 0 if dark else red
        self._next[2] = 0 if dark else blue
        if self._next != self._shown:
            self._write(self._next)
            self._shown, self._next = self._next, self._shown
