"""The host's end of a connection, and the hold rule: on the virtual clock a server has all the time it needs.

TRIP_US after the board wrote, time stands still until the answer is there, for HOLD_S of the host's time in all since
the last byte that came; and before that time nothing can be read. A loaded host then changes nothing, and a dead
server costs those seconds once. What counts as the answer: inside TLS one record of application data for each that
was written, for every frame of the device is answered; before that, and without TLS, any byte.
"""

import errno
import select
import socket as host_socket

from clock import clock
from host import real_time
from network import radio

HOLD_S = 5
TRIP_US = 1_000  # to the server and back, at least
POLL_IN, POLL_OUT, POLL_ERR, POLL_HUP = select.POLLIN, select.POLLOUT, select.POLLERR, select.POLLHUP
_HANDSHAKE, _APPLICATION = 22, 23  # types of TLS records
_CHUNK = 4096

_lines = []  # open


class Records:
    """Counts TLS records of application data in a stream of bytes; a stream that is not TLS has none."""

    def __init__(self):
        self._head = b""
        self._left = 0  # bytes of the record's body
        self._tls = None  # not known yet

    def feed(self, data):
        """How many became complete."""
        if self._tls is None and data:
            self._tls = data[0] == _HANDSHAKE
        if not self._tls:
            return 0
        found = at = 0
        while at < len(data):
            step = self._left or 5 - len(self._head)
            piece = data[at : at + step]
            at += len(piece)
            if self._left:
                self._left -= len(piece)
            else:
                self._head += bytes(piece)
                if len(self._head) < 5:
                    break
                self._left = self._head[3] << 8 | self._head[4]
            if not self._left:
                found += self._head[0] == _APPLICATION
                self._head = b""
        return found


class Line:
    """A TCP connection of the host, never blocking."""

    def __init__(self):
        self._host = host_socket.socket(host_socket.AF_INET, host_socket.SOCK_STREAM)
        self._host.setblocking(False)
        self._poll = select.poll()
        self._inbox = b""  # taken from the host while time stood still
        self._ended = None  # 0 at the end of the stream, or an error
        self._out, self._in = Records(), Records()
        self.connecting = False
        self._awaiting = False
        self._owed = 0  # records of application data
        self._answer_us = 0  # when the answer to the last write can be here
        self._held_ms = 0
        _lines.append(self)

    def connect(self, host, port):
        """Begin."""
        self.connecting = True
        try:
            self._host.connect(host_socket.getaddrinfo(host, port, host_socket.AF_INET, host_socket.SOCK_STREAM)[0][-1])
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINPROGRESS):
                self.connecting = False
                raise
        self._await()

    def write(self, data):
        """Bytes taken."""
        n = self._host.write(data) or 0
        if n:
            self._owed += self._out.feed(memoryview(data)[:n])
            self._await()
        return n

    def readinto(self, buffer):
        """Bytes read, 0 at the end, None if nothing is there."""
        if self._inbox:
            n = min(len(buffer), len(self._inbox))
            memoryview(buffer)[:n] = memoryview(bytearray(self._inbox[:n]))
            self._inbox = self._inbox[n:]
            return n
        if self._ended is not None:
            if self._ended:
                raise self._ended
            return 0
        n = self._host.readinto(buffer)
        if n:
            self._arrived(memoryview(buffer)[:n])
        return n

    def ready(self, flags):
        """The events among `flags` that the board sees."""
        if clock.now < self._answer_us and not clock.wall:
            flags &= ~POLL_IN
        found = self._look(flags)
        if flags & POLL_IN and (self._inbox or self._ended is not None):
            found |= POLL_IN
        if found and self.connecting:
            self.connecting = self._awaiting = False
        return found

    def forget(self):
        """The board expects nothing more of it."""
        self._awaiting = False
        if self in _lines:
            _lines.remove(self)
        _rearm()

    def close(self):
        """End it."""
        self.forget()
        self._host.close()

    def hold(self):
        """Let the host's time pass until the answer is there, or the server must be dead."""
        while self._awaiting and radio.carries():  # out of reach nothing can come; asked again when time moves next
            if self._held_ms >= HOLD_S * 1000:
                self._awaiting = False  # from here on the board's own timeouts count
                self._owed = 0
                return
            started = real_time.ticks_ms()
            if self.connecting:
                self._awaiting = not self._look(POLL_OUT, 100)
            elif self._look(POLL_IN, 100):
                self._take()
            self._held_ms += real_time.ticks_diff(real_time.ticks_ms(), started)

    def _await(self):
        self._awaiting = True
        self._answer_us = clock.hold_us = clock.now + TRIP_US
        _rearm()

    def _look(self, flags, wait_ms=0):
        self._poll.register(self._host, flags)
        found = self._poll.poll(wait_ms)
        return found[0][1] if found else 0

    def _take(self):
        """Into the inbox with what came."""
        try:
            data = self._host.read(_CHUNK)
        except OSError as error:
            self._ended = error
            data = b""
        if data:
            self._inbox += data
            self._arrived(data)
        elif data is not None:
            self._ended = self._ended or 0
            self._awaiting = False

    def _arrived(self, data):
        self._held_ms = 0
        self._owed = max(0, self._owed - self._in.feed(data))
        self._awaiting = self._owed > 0


def _rearm():
    waiting = any(line._awaiting for line in _lines)
    clock.hold = _hold if waiting and not clock.wall else None


def _hold():
    for line in _lines:
        line.hold()
    _rearm()
