"""The chip's `socket`: the host's, behind the board's Wi-Fi, and counted.

Out of reach (no Wi-Fi, a pulled cable) packets vanish both ways and connections stay open, as TCP does; up to
SEND_BUFFER bytes wait in the stack and arrive when the way is free again, unless the radio was switched off meanwhile. The hold rule is in line.py.
"""

import errno
import io
import socket as host_socket

from clock import clock
from host import CONFIG, trace
from line import POLL_ERR, POLL_HUP, POLL_IN, POLL_OUT, Line
from network import radio

__name__ = "socket"
AF_INET = host_socket.AF_INET
SOCK_STREAM = host_socket.SOCK_STREAM
SOCK_DGRAM = host_socket.SOCK_DGRAM
SOL_SOCKET = 0xFFF
SO_REUSEADDR = 0x4
SO_KEEPALIVE = 0x8
IPPROTO_TCP = 6
TCP_NODELAY = 1

SEND_BUFFER = 5744  # bytes: CONFIG_LWIP_TCP_SND_BUF_DEFAULT
LOOKUP_US = 7_000_000  # lwIP asks a name server four times, after 1, 1, 2 and 3 s (dns.c, DNS_MAX_RETRIES)
# What TLS computes between the server's flight and its own, in one call: the host's time says nothing about the chip's.
HANDSHAKE_US = CONFIG["room"]["costs"].get("ssl.SSLSocket.handshake", 0)
WRITE_US = CONFIG["room"]["costs"].get("ssl.SSLSocket.write", 0)  # the same for one record of application data
_CALL_US = 50

_sockets = []  # open
_orphans = []  # lines of connections that the chip forgot while out of reach: the server must not notice yet
_serial = 0


def _numeric(host):
    parts = host.split(".")
    return len(parts) == 4 and all(part.isdigit() for part in parts)


def getaddrinfo(host, port, family=0, kind=0, protocol=0, flags=0):
    """The host's answer. A name that nobody resolves is asked for until lwIP gives up, and no callback runs."""
    clock.charge(_CALL_US)
    if not radio.carries() and not _numeric(host):
        clock.block(clock.now + LOOKUP_US)
        raise OSError(-202)  # EAI_FAIL
    found = []
    for info in host_socket.getaddrinfo(host, port, AF_INET, SOCK_STREAM):
        _, address, port = host_socket.sockaddr(info[-1])
        found.append((AF_INET, SOCK_STREAM, 0, "", (host_socket.inet_ntop(AF_INET, address), port)))
    return found


class socket(io.IOBase):
    """A TCP client. Nothing on this board may listen."""

    def __init__(self, family=AF_INET, kind=SOCK_STREAM, protocol=0):
        global _serial
        if kind != SOCK_STREAM:
            trace(clock.now, "violation", what="socket", type=kind)
            raise OSError(errno.EINVAL)
        _serial += 1
        self._id = _serial
        self._line = Line()
        self._timeout_ms = -1  # -1 blocks
        self._address = None  # where to, while the first packet cannot leave
        self._queue = b""  # in the stack's send buffer, out of reach
        self._reset = False
        self._greeted = False
        self._sent = self._received = 0
        _sockets.append(self)

    def connect(self, address):
        """Open the connection."""
        clock.charge(_CALL_US)
        if not radio.connected():
            raise OSError(errno.EHOSTUNREACH)
        self._address = address
        self._begin()
        if self._timeout_ms == 0:
            raise OSError(errno.EINPROGRESS)
        self._wait_for(POLL_OUT)
        self._check()

    def send(self, data):
        """Bytes taken; raises EAGAIN if none can be."""
        n = self.write(data)
        if n is None:
            raise OSError(errno.EAGAIN)
        return n

    def sendall(self, data):
        """All of it."""
        view = memoryview(data)
        while view:
            view = view[self.send(view) :]

    def recv(self, n):
        """What there is, at most n bytes; raises EAGAIN if nothing is."""
        data = self.read(n)
        if data is None:
            raise OSError(errno.EAGAIN)
        return data

    def write(self, data):
        """Bytes taken, None if none can be."""
        clock.charge(_CALL_US)
        self._check()
        record = bytes(memoryview(data)[:1])
        if self._received and not self._greeted and record == b"\x16":
            self._greeted = True  # TLS's second flight; C code made it, and no callback ran
            clock.block(clock.now + HANDSHAKE_US)
        elif WRITE_US and record == b"\x17":
            clock.block(clock.now + WRITE_US)
        if not self._wait_for(POLL_OUT):
            return None
        if radio.carries():
            n = self._host_write(data)
        else:
            n = min(len(data), SEND_BUFFER - len(self._queue))
            self._queue += bytes(memoryview(data)[:n])
        if n:
            trace(clock.now, "socket", id=self._id, op="tx", bytes=n)
        return n or None

    def read(self, n=-1):
        """What there is (all until the end, if n is negative); None if nothing is."""
        if n < 0:
            parts = []
            while True:
                part = self.read(512)
                if not part:
                    return b"".join(parts) if part is not None or parts else None
                parts.append(part)
        buffer = bytearray(n)
        got = self.readinto(buffer)
        return None if got is None else bytes(memoryview(buffer)[:got])

    def readinto(self, buffer, n=None):
        """Bytes read, 0 at the end, None if nothing is there."""
        clock.charge(_CALL_US)
        self._check()
        if not self._wait_for(POLL_IN):
            return None
        got = self._line.readinto(buffer)
        if got:
            self._received += got
            trace(clock.now, "socket", id=self._id, op="rx", bytes=got)
        return got

    def setblocking(self, flag):
        """True: wait for ever; False: never wait."""
        self._timeout_ms = -1 if flag else 0

    def settimeout(self, seconds):
        """None, 0, or seconds."""
        self._timeout_ms = -1 if seconds is None else int(seconds * 1000)

    def setsockopt(self, level, option, value):
        """Taken, and changes nothing."""

    def makefile(self, *mode):
        """Itself."""
        return self

    def fileno(self):
        """A number for this connection."""
        return self._id

    def bind(self, address):
        """Refused: the device accepts nothing."""
        trace(clock.now, "violation", what="bind")
        raise OSError(errno.EACCES)

    def listen(self, backlog=0):
        """Refused."""
        trace(clock.now, "violation", what="listen")
        raise OSError(errno.EACCES)

    def accept(self):
        """Refused."""
        self.listen()

    def ioctl(self, request, argument):
        """select.poll and ssl ask here."""
        if request == 4:  # MP_STREAM_CLOSE
            self.close()
            return 0
        if request == 3:  # MP_STREAM_POLL
            return self._ready(argument | POLL_ERR | POLL_HUP)
        return -1

    def close(self):
        """End the connection."""
        if self._line is None:
            return
        _sockets.remove(self)
        trace(clock.now, "socket", id=self._id, op="close", sent=self._sent, received=self._received)
        line, self._line = self._line, None
        if radio.carries() and not self._reset:
            line.close()
        else:
            line.forget()
            _orphans.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _begin(self):
        """Send the first packet, if it can leave."""
        if radio.carries():
            address, self._address = self._address, None
            trace(clock.now, "socket", id=self._id, op="connect")
            self._line.connect(*address)

    def _host_write(self, data):
        n = self._line.write(data)
        self._sent += n
        return n

    def _check(self):
        if self._line is None:
            raise OSError(errno.EBADF)
        if self._reset:
            raise OSError(errno.ECONNRESET)

    def _ready(self, flags):
        """The events among `flags` that hold now."""
        if self._line is None or self._reset:
            return POLL_ERR | POLL_HUP
        if not radio.carries():
            can_queue = not (self._line.connecting or self._address) and len(self._queue) < SEND_BUFFER
            return flags & POLL_OUT if can_queue else 0
        return self._line.ready(flags)

    def _wait_for(self, event):
        """Whether it came in time; time passes meanwhile."""
        end = clock.now + self._timeout_ms * 1000
        while not self._ready(event):
            if self._timeout_ms == 0:
                return False
            if 0 < self._timeout_ms and clock.now >= end:
                raise OSError(errno.ETIMEDOUT)
            clock.sleep(1000)
        return True

    def returned(self):
        """The way is free again: what waited in the stack leaves now."""
        if self._address:
            self._begin()
        while self._queue and not self._reset:
            n = self._host_write(self._queue)
            if not n:
                break
            self._queue = self._queue[n:]

    def forget(self):
        """The stack lost its address: the connection is gone here, and nothing more of it leaves."""
        self._queue = b""
        self._address = None
        self._reset = True
        self._line.forget()


def _changed():
    if radio.carries():
        while _orphans:
            _orphans.pop().close()
        for s in _sockets:
            s.returned()


def _off():
    for s in _sockets:
        s.forget()


radio.on_off = _off
radio.listeners.append(_changed)
