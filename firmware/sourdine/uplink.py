"""The one way out: a mutual-TLS connection that the speaker dials and nobody else can. Only importer of socket, ssl.

Nothing here waits (but for the name service, when the server was given by name): step() is called every block, does
a bounded amount of work and returns. Audio that was not yet handed to TLS can still be wiped, and discard() does. A
closed socket would still deliver what TCP holds (lwIP does), so where that must not happen the listener is told to
drop() the radio too.

Runs on MicroPython and CPython; what differs between their ssl modules is in _context, _read and _write.
"""

import errno
import gc
import os
import select
import socket
import ssl

from sourdine import spec, wire
from sourdine.talk import Talk

DIAL_MS = 10_000  # for TCP, TLS and WELCOME together
RETRY_MS = 2_000  # the first wait is half of this to all of it, then doubled
RETRY_MAX_MS = 60_000
TROUBLE = (OSError, ValueError, MemoryError, wire.WireError)  # made here: it is asked for when there may be no memory
STUCK = "something was still on its way when it had to stop"
READS = 8  # of one step, each a header or a payload: 4 PLAY frames, 160 ms of sound, are read in a block of 10 ms
WRITES = 4  # frames

if hasattr(ssl, "SSLWantReadError"):  # CPython
    WAIT = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def _read(tls, buffer, count):
        try:
            return tls.recv_into(buffer, count)
        except WAIT:
            return None

    def _write(tls, data):
        try:
            return tls.write(data)
        except WAIT:
            return None

else:

    def _read(tls, buffer, count):
        return tls.readinto(buffer, count)

    def _write(tls, data):
        return tls.write(data)


def _context(settings):
    """A TLS client that knows one CA and shows one certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=settings.ca)
    context.load_cert_chain(settings.certificate, settings.key)
    return context


class Uplink:
    """settings: host, port, name, ca, certificate, key; clock: ticks_ms, ticks_diff; ledger: Ledger.

    listener: link(up), server_closed(), play(data) -> whether it was taken (data is overwritten afterwards), play_end(),
    set_time(unix), drop(). context: for tests on CPython.
    Public: linked; error, the text of why not, or None; connections, how many were welcomed.
    """

    def __init__(self, settings, ledger, clock, listener, context=None):
        self._address = (settings.host, settings.port)
        self._name = settings.name
        self._ledger = ledger
        self._clock = clock
        self._listener = listener
        self._context = context or _context(settings)
        self._talk = Talk(ledger, clock.ticks_diff)
        self.linked = False
        self.error = None
        self.connections = 0
        self._knows_time = False
        self._raw = self._tls = self._poll = None
        self._wait_ms = RETRY_MS
        self._since = clock.ticks_ms()  # of the dial, or of the wait for it
        self._delay = 0
        self._heard_ms = 0
        self._forget()

    def _forget(self):
        self._decoder = wire.Decoder(wire.SERVER)
        self._talk.renew()
        self._pending = None  # the frame that TLS was handed and has not taken
        self._cut = False  # what is unanswered now must not arrive any more

    # What the gate may do.

    def begin(self, first):
        """A wake: open a session whose first sample has I2S frame number `first`. Returns whether it is open."""
        if not self.linked or not self._talk.ready:
            return False
        try:
            self._talk.begin(first)
        except OSError as error:
            self.error = f"the ledger cannot be written: {error}"
            return False
        return True

    def audio(self, samples):
        """Queue int16 samples of the open session. Returns False, and the link is lost, when there is no room."""
        talk = self._talk
        if not talk.session:
            return False
        if not talk.fits(len(samples)):
            self._listener.server_closed()
            return False
        if talk.add(samples):
            return True
        self._lose("the queue is full")
        return False

    def end(self, reason):
        """No more audio comes; what is queued still goes, then END."""
        self._talk.end(reason)
        if not self._tls:
            self._talk.finish()

    def discard(self):
        """Wipe whatever was not handed to TLS; the next step() sees to it that nothing handed over lingers."""
        self._talk.wipe()
        self._cut = True

    # What anyone may do.

    def event(self, code):
        """Tell the server something that it may know: wire.MUTED, UNMUTED, FAULTY, STARTED, LOST."""
        if self.linked:
            self._talk.event(code)

    def credit(self, count):
        """So many more bytes of reply may come."""
        self._talk.credit(count)

    def hurry(self):
        """The network has come back: dial now. However long it was away: a tick of days ago lies ahead."""
        self._since = self._clock.ticks_ms()
        self._delay = 0
        self._wait_ms = RETRY_MS

    def step(self, now):
        """Dial, listen and speak a little. now: ticks_ms."""
        try:
            if self._tls:
                self._check(now)
                self._hear(now)
                if self._cut and self._talk.unanswered:
                    raise OSError(STUCK)
                self._cut = False
                self._say(now)
            elif self._raw:
                self._connect(now)
            elif self._elapsed(now, self._since) >= self._delay:
                self._dial(now)
        except TROUBLE as error:
            self._lose(str(error) or type(error).__name__)

    # Dialling.

    def _elapsed(self, now, then):
        return self._clock.ticks_diff(now, then)

    def _dial(self, now):
        self._since = now
        self._talk.cut()
        self._talk.finish()  # should nobody have ended it
        gc.collect()  # TLS wants room, and nothing is being said
        try:
            address = socket.getaddrinfo(*self._address)[0][-1]
        except OSError:  # its numbers are lwIP's own, and tell a person nothing
            raise OSError(f"no address found for {self._address[0]}")
        self._raw = raw = socket.socket()
        raw.setblocking(False)
        if hasattr(socket, "TCP_NODELAY"):
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            raw.connect(address)
        except OSError as error:
            if error.args[0] != errno.EINPROGRESS:
                raise
        self._poll = select.poll()
        self._poll.register(raw, select.POLLOUT)

    def _connect(self, now):
        if not self._poll.poll(0):
            if self._elapsed(now, self._since) > DIAL_MS:
                raise OSError(errno.ETIMEDOUT)
            return
        self._poll = None
        self._tls = self._context.wrap_socket(self._raw, server_hostname=self._name, do_handshake_on_connect=False)
        self._heard_ms = now
        self._pending = self._talk.hello(now)

    def _hang_up(self, error):
        """Forget the connection, and with it everything that was said but may not have left yet."""
        for stream in (self._tls, self._raw):
            try:
                if stream:
                    stream.close()
            except OSError:
                pass  # it is gone either way
        was, late = self.linked, self._talk.unanswered > 0
        self._tls = self._raw = self._poll = None
        self.linked = False
        self.error = error
        if late:
            self._listener.drop()  # before anything that may fail
        self._forget()
        self._talk.finish()
        self._since = self._clock.ticks_ms()
        self._delay = self._wait_ms // 2 + os.urandom(1)[0] * (self._wait_ms // 2) // 255
        self._wait_ms = min(2 * self._wait_ms, RETRY_MAX_MS)
        if was:
            self._listener.link(False)

    def _lose(self, error):
        """The link is lost: a session that was under way ends here, and nothing of it is sent later."""
        self._talk.cut()
        self._hang_up(error)

    def _check(self, now):
        talk = self._talk
        if self.linked:
            late = talk.overdue(now, spec.LINK_TIMEOUT_MS)
        else:
            late = self._elapsed(now, self._since) > DIAL_MS
        if self._decoder.partial and self._elapsed(now, self._heard_ms) > spec.LINK_TIMEOUT_MS:
            late = True
        if late:
            raise OSError(errno.ETIMEDOUT)

    # Speaking.

    def _say(self, now):
        for _ in range(WRITES):
            if not self._tls:
                return
            if self._pending is None:
                self._pending = self._talk.next(now)
                if self._pending is None:
                    return
            count = _write(self._tls, self._pending)
            if count is None:
                return
            if count != self._talk.size:
                raise OSError(errno.EIO)  # TLS takes a frame whole, or not at all
            self._pending = None
            self._talk.written()

    # Listening.

    def _hear(self, now):
        decoder = self._decoder
        for _ in range(READS):
            count = _read(self._tls, decoder.room(), decoder.wants)
            if count is None:
                return
            if not count:
                raise OSError(errno.ECONNRESET)
            self._heard_ms = now
            frame = decoder.took(count)
            if frame:
                self._obey(frame)
                if not self._tls:
                    return

    def _obey(self, frame):
        kind, talk = frame.kind, self._talk
        was = talk.rules.acked
        talk.rules.server(kind, frame.session, frame.amount())
        if kind in wire.ANSWERS:
            talk.answered(was)
            if kind == wire.PONG:
                self._wait_ms = RETRY_MS  # this server has proven to last
        elif kind == wire.PLAY:
            stale = talk.session or frame.session != talk.rules.last
            if stale or not self._listener.play(frame.payload()):
                talk.credit(frame.length)  # it will not be played, so its room is free
        elif kind == wire.PLAY_END:
            self._listener.play_end()
        elif kind == wire.CLOSE:
            if frame.session == talk.session:
                self._listener.server_closed()
        elif kind == wire.WELCOME:
            self._welcomed(*frame.values())
        elif kind == wire.CHAIN:
            if frame.values() != (self._ledger.sessions, self._ledger.head):
                raise wire.WireError("the server's ledger differs from this board's; run sourdine audit")
        else:
            (code,) = frame.values()
            raise wire.WireError(wire.ERRORS.get(code, f"the server hung up with code {code}"))

    def _welcomed(self, _answered, version, _zero, unix, limit):
        if version != wire.VERSION:
            raise wire.WireError(wire.ERRORS[wire.BAD_VERSION])
        if not self._ledger.accept_time(unix):
            raise wire.WireError("the server's clock cannot be right")
        self._listener.set_time(unix)
        if not self._knows_time:
            self._knows_time = True
            self._hang_up("checking the server's certificate against the time")
            self._wait_ms = RETRY_MS
            self._delay = 0
            return
        self._talk.limit = min(limit, spec.SESSION_MAX)
        self._talk.repeat_end()
        self.linked = True
        self.error = None
        self.connections += 1
        self._listener.link(True)
