"""The board's USB serial port: a pty that a client may open, close, and lose."""

import contextlib
import errno
import os
import pty
import select
import termios
import tty
from pathlib import Path

BACKLOG = 64 << 10  # bytes that wait for a slow client; above it the chip waits


def make_raw(fd: int, *, signals: bool) -> None:
    """No echo, no editing; with `signals`, Ctrl-C (and nothing else) interrupts the foreground process."""
    tty.setraw(fd)
    attributes = termios.tcgetattr(fd)
    if signals:
        attributes[3] |= termios.ISIG
        for character in (termios.VQUIT, termios.VSUSP):
            attributes[6][character] = b"\0"
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


def write_some(fd: int, data: bytearray) -> None:
    """Write what a non-blocking fd takes, and remove it from `data`."""
    while data:
        try:
            del data[: os.write(fd, data[:4096])]
        except BlockingIOError:
            return


class Port:
    """The plug. `path` is a link that stays the same when the cable is pulled and put back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._master = -1
        self._waiting = bytearray()
        self._open = False
        self.plug()

    def plug(self) -> None:
        """The cable is in."""
        if self._master >= 0:
            return
        self._master, slave = pty.openpty()
        os.set_blocking(self._master, False)
        make_raw(slave, signals=False)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(slave))
        os.close(slave)  # from now on the kernel tells whether anybody has it open

    def unplug(self) -> None:
        """The cable is out: a client's reads and writes fail."""
        if self._master >= 0:
            os.close(self._master)
        self._master = -1
        self._open = False
        self._waiting.clear()
        self.path.unlink(missing_ok=True)

    def client(self) -> bool:
        """Whether somebody has the port open. What is sent to nobody is lost, as on a chip."""
        if self._master < 0:
            return False
        poll = select.poll()
        poll.register(self._master, select.POLLIN)
        events = poll.poll(0)
        opened = not (events and events[0][1] & select.POLLHUP)
        if opened and not self._open:
            make_raw(self._master, signals=False)  # the kernel forgot when the last client left
        elif self._open and not opened:
            self._waiting.clear()
        self._open = opened
        return opened

    def fileno(self) -> int:
        """To be polled, while there is a client."""
        return self._master

    def read(self) -> bytes:
        """What the client sent."""
        try:
            return os.read(self._master, 4096)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EIO):
                return b""
            raise

    def write(self, data: bytes) -> None:
        """Send to the client."""
        self._waiting += data
        self.flush()

    def flush(self) -> bool:
        """Send what waits; False while the client is too slow to send it more."""
        if not self._open:
            self._waiting.clear()
            return True
        with contextlib.suppress(OSError):  # the client left in this moment
            write_some(self._master, self._waiting)
        return len(self._waiting) < BACKLOG

    @property
    def waiting(self) -> bool:
        return bool(self._waiting)
