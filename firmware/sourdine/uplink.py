"""The one way out: a mutual-TLS connection that the speaker dials and nobody else can. Only importer of socket, ssl.

Nothing here waits (but for the name service, when the server was given by name): step() is called every block, does
a bounded amount of work and returns. Audio exists here only between begin() and the end of its session, in slots that
are made once; what was not yet handed to TLS can still be wiped, and discard() does.

What TLS was handed is counted and hashed by the ledger at that moment, so that the record is an upper bound of what
can have left. A closed socket would still deliver what TCP holds (lwIP does), so where that must not happen the
listener is told to drop() the radio too.

Runs on MicroPython and CPython; what differs between their ssl modules is in _context, _read and _write.
"""

import errno
import gc
import os
import select
import socket
import ssl
import struct

from sourdine import spec, wire
from sourdine.ledger import RECORD
from sourdine.outbox import Outbox

AUDIO_IN_FLIGHT = 8  # AUDIO frames unanswered: 320 ms
CONTROLS = 8  # unanswered frames of other types, so that both together keep to wire.IN_FLIGHT
LATE_MS = 250  # after mute, what is unanswered for so long must not arrive at all
DIAL_MS = 10_000  # for TCP, TLS and WELCOME together
PING_MS = 15_000  # of silence
RETRY_MS = 2_000  # the first wait is half of this to all of it, then doubled
RETRY_MAX_MS = 60_000
STUCK = "something was still on its way when it had to stop"
FIRST_CREDIT = 16_384  # bytes of reply: speaker.RING
CREDIT_STEP = 2_048  # bytes: less is not worth a frame
EVENTS = 4  # events that may wait; more are forgotten
READS = 4  # of one step
WRITES = 4
READ_BYTES = 1_024

if hasattr(ssl, "SSLWantReadError"):  # CPython
    WAIT = (ssl.SSLWantReadError, ssl.SSLWantWriteError)

    def _read(tls, buffer):
        try:
            return tls.recv_into(buffer)
        except WAIT:
            return None

    def _write(tls, data):
        try:
            return tls.write(data)
        except WAIT:
            return None

else:

    def _read(tls, buffer):
        return tls.readinto(buffer)

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

    listener: link(up), server_closed(), play(data), play_end(), set_time(unix), drop(). context: tests on CPython.
    Public: linked; error, the text of why not, or None; connections, how many were welcomed.
    """

    def __init__(self, settings, ledger, clock, listener, context=None):
        self._address = (settings.host, settings.port)
        self._name = settings.name
        self._ledger = ledger
        self._clock = clock
        self._listener = listener
        self._context = context or _context(settings)
        self.linked = False
        self.error = None
        self.connections = 0
        self._knows_time = False
        self._raw = self._tls = self._poll = None
        self._wait_ms = RETRY_MS
        self._since = clock.ticks_ms()  # of the dial, or of the wait for it
        self._delay = 0

        self._session = 0  # the gate may send audio of it
        self._tail = 0  # of this one WAKE, queued audio or END are still to go
        self._reason = 0
        self._wake = None
        self._outbox = Outbox()
        self._limit = spec.SESSION_MAX
        self._taken = 0  # samples of the session, queued or sent

        self._inbox = bytearray(READ_BYTES)
        self._sent_ms = [0] * wire.IN_FLIGHT
        self._is_audio = bytearray(wire.IN_FLIGHT)
        self._begin_conversation()

    def _begin_conversation(self):
        self._decoder = wire.Decoder(wire.SERVER)
        self._rules = wire.Rules()
        self._pending = None  # the frame that TLS was handed and has not taken
        self._pending_bytes = 0
        self._slot_pending = False  # it is the first slot
        self._audio_out = 0  # AUDIO frames unanswered
        self._end_sequence = -1
        self._watch = -1  # frames up to this one must be answered within LATE_MS, or not arrive
        self._events = []
        self._credit = FIRST_CREDIT
        self._spoke_ms = 0
        self._heard_ms = 0

    # What the gate may do.

    def begin(self, first):
        """A wake: open a session whose first sample has I2S frame number `first`. Returns whether it is open."""
        if not self.linked or self._tail or self._ledger.pending or self._end_sequence >= 0:
            return False
        try:
            self._session = self._tail = self._ledger.open()
        except OSError as error:
            self.error = f"the ledger cannot be written: {error}"
            return False
        self._wake = first
        self._reason = spec.LINK  # unless somebody says otherwise
        self._taken = 0
        return True

    def audio(self, samples):
        """Queue int16 samples of the open session. Returns False, and the link is lost, when there is no room."""
        if not self._session:
            return False
        self._taken += len(samples)
        if self._taken > self._limit:
            self._listener.server_closed()
            return False
        if self._outbox.put(samples):
            return True
        self._lose("the queue is full")
        return False

    def end(self, reason):
        """No more audio comes; what is queued still goes, then END."""
        if self._session:
            self._session = 0
            self._reason = reason
            if not self._tls:
                self._finish()

    def discard(self):
        """Wipe whatever was not handed to TLS; make sure that nothing handed over lingers."""
        self._outbox.wipe()
        if not self._audio_out:
            return
        if self._pending or self._overdue(LATE_MS):
            self._hang_up(STUCK)
        else:
            self._watch = self._rules.sent - 1

    # What anyone may do.

    def event(self, code):
        """Tell the server something that it may know: wire.MUTED, UNMUTED, FAULTY, STARTED."""
        if self.linked and len(self._events) < EVENTS:
            self._events.append(code)

    def credit(self, count):
        """So many more bytes of reply may come."""
        self._credit += count

    def hurry(self):
        """The network has come back: dial now."""
        self._delay = 0
        self._wait_ms = RETRY_MS

    def step(self, now):
        """Dial, listen and speak a little. now: ticks_ms."""
        try:
            if self._tls:
                self._check(now)
                self._hear(now)
                self._say(now)
            elif self._raw:
                self._connect(now)
            elif self._elapsed(now, self._since) >= self._delay:
                self._dial(now)
        except (OSError, ValueError, MemoryError, wire.WireError) as error:
            self._lose(str(error) or type(error).__name__)

    # Dialling.

    def _elapsed(self, now, then):
        return self._clock.ticks_diff(now, then)

    def _dial(self, now):
        self._since = now
        self._session = 0
        if self._tail:
            self._finish()
        gc.collect()  # TLS wants room, and nothing is being said
        address = socket.getaddrinfo(*self._address)[0][-1]
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
        ledger = self._ledger
        pending = int(ledger.pending)
        self._rules.hello(ledger.sessions, pending)
        self._heard_ms = now
        self._note(now, 0, 0)
        self._pending = self._pack(wire.HELLO, 0, 0, wire.VERSION, pending, ledger.sessions, ledger.bytes, ledger.head)

    def _hang_up(self, error):
        """Forget the connection, and with it everything that was said but may not have left yet."""
        late = self._audio_out > 0
        for stream in (self._tls, self._raw):
            try:
                if stream:
                    stream.close()
            except OSError:
                pass  # it is gone either way
        was = self.linked
        self._tls = self._raw = self._poll = None
        self.linked = False
        self.error = error
        self._begin_conversation()
        self._since = self._clock.ticks_ms()
        self._delay = self._wait_ms // 2 + os.urandom(1)[0] * (self._wait_ms // 2) // 255
        self._wait_ms = min(2 * self._wait_ms, RETRY_MAX_MS)
        if self._tail and not self._session:
            self._finish()
        if late:
            self._listener.drop()
        if was:
            self._listener.link(False)

    def _lose(self, error):
        """The link is lost: a session that was under way ends here, and nothing of it is sent later."""
        if self._outbox.used:
            self._reason = spec.LINK
        self._outbox.wipe()
        self._session = 0
        self._hang_up(error)

    # Speaking.

    def _say(self, now):
        for _ in range(WRITES):
            if not self._tls:
                return
            if self._pending is None:
                self._pending = self._next(now)
                if self._pending is None:
                    return
            count = _write(self._tls, self._pending)
            if count is None:
                return
            if count != self._pending_bytes:
                raise OSError(errno.EIO)  # TLS takes a frame whole, or not at all
            if self._slot_pending:
                self._slot_pending = False
                self._outbox.free()
            self._pending = None

    def _next(self, now):
        """The next frame to hand to TLS, or None. What it says of the session is written down before it leaves."""
        rules = self._rules
        if not rules.welcomed or rules.sent - rules.acked > CONTROLS + self._audio_out:
            return None
        if self._events:
            return self._frame(now, wire.EVENT, 0, 0, self._events.pop(0))
        if self._credit >= CREDIT_STEP and not self._tail and rules.credit + self._credit <= wire.CREDIT_MAX:
            count, self._credit = self._credit, 0
            return self._frame(now, wire.CREDIT, 0, count, count)
        if not self.linked:
            return None
        if self._tail:
            return self._next_of_session(now)
        if self._elapsed(now, self._spoke_ms) >= PING_MS:
            return self._frame(now, wire.PING, 0, 0)
        return None

    def _next_of_session(self, now):
        if self._wake is not None:
            first, self._wake = self._wake, None
            return self._frame(now, wire.WAKE, self._tail, 0, first)
        if self._outbox.used:
            if self._audio_out == AUDIO_IN_FLIGHT:
                return None
            if self._session and self._outbox.count < wire.FRAME_SAMPLES:
                return None
            return self._audio_frame(now)
        if self._session:
            return None
        self._finish()
        record = struct.unpack(RECORD, self._ledger.record)
        self._end_sequence = self._rules.sent
        return self._frame(now, wire.END, record[0], record[1], *record)

    def _frame(self, now, kind, session, amount, *values):
        sequence = self._rules.sent
        self._rules.device(kind, session, amount)
        self._note(now, sequence, 0)
        return self._pack(kind, session, sequence, *values)

    def _pack(self, kind, session, sequence, *values):
        frame = wire.encode(kind, session, sequence, *values)
        self._pending_bytes = len(frame)
        return frame

    def _audio_frame(self, now):
        count, sequence = self._outbox.count, self._rules.sent
        self._rules.device(wire.AUDIO, self._tail, 2 * count)
        self._note(now, sequence, 1)
        self._audio_out += 1
        self._slot_pending = True
        self._pending_bytes = wire.HEADER + 2 * count
        self._ledger.sent(self._outbox.samples(), count)
        return self._outbox.frame(self._tail, sequence)

    def _note(self, now, sequence, is_audio):
        self._spoke_ms = now
        self._sent_ms[sequence % wire.IN_FLIGHT] = now
        self._is_audio[sequence % wire.IN_FLIGHT] = is_audio

    def _finish(self):
        """Nothing more of this session will be handed to TLS: its record is complete."""
        self._tail = 0
        self._wake = None
        self._outbox.wipe()
        if self._ledger.is_open:
            self._ledger.close(self._reason)

    # Listening.

    def _hear(self, now):
        for _ in range(READS):
            count = _read(self._tls, self._inbox)
            if count is None:
                return
            if not count:
                raise OSError(errno.ECONNRESET)
            self._heard_ms = now
            for frame in self._decoder.feed(self._inbox, count):
                self._obey(frame)
                if not self._tls:
                    return
            if count < READ_BYTES:
                return

    def _obey(self, frame):
        kind = frame.kind
        if kind in (wire.ACK, wire.PONG):
            (answered,) = frame.values()
            was = self._rules.acked
            self._rules.server(kind, 0, answered)
            self._answered(was, answered, kind)
        elif kind == wire.PLAY:
            self._rules.server(kind, frame.session, frame.length)
            if self._session or frame.session != self._rules.last or not self._listener.play(frame.payload()):
                self._credit += frame.length  # nobody listens: it will not be played, so its room is free
        elif kind == wire.PLAY_END:
            self._rules.server(kind, frame.session)
            self._listener.play_end()
        elif kind == wire.CLOSE:
            self._rules.server(kind, frame.session)
            if frame.session == self._session:
                self._listener.server_closed()
        elif kind == wire.WELCOME:
            self._welcomed(*frame.values())
        elif kind == wire.CHAIN:
            self._rules.server(kind, 0)
            self._compare(*frame.values())
        else:
            (code,) = frame.values()
            raise wire.WireError(wire.ERRORS.get(code, f"the server hung up with code {code}"))

    def _answered(self, was, answered, kind):
        for sequence in range(was + 1, answered + 1):
            self._audio_out -= self._is_audio[sequence % wire.IN_FLIGHT]
        if answered >= self._watch:
            self._watch = -1
        if 0 <= self._end_sequence <= answered:
            self._end_sequence = -1
            self._ledger.acknowledge()
        if kind == wire.PONG:
            self._wait_ms = RETRY_MS  # this server has proven to last

    def _welcomed(self, answered, version, zero, unix, limit):
        self._rules.server(wire.WELCOME, 0, answered)
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
        self._limit = min(limit, spec.SESSION_MAX)
        self.linked = True
        self.error = None
        self.connections += 1
        if self._ledger.pending:
            self._tail = self._ledger.sessions
        self._listener.link(True)

    def _compare(self, sessions, head):
        if (sessions, head) != (self._ledger.sessions, self._ledger.head):
            raise wire.WireError("the server's ledger differs from this board's; run sourdine audit")

    def _overdue(self, limit):
        rules = self._rules
        if rules.sent - 1 <= rules.acked:
            return False
        oldest = self._sent_ms[(rules.acked + 1) % wire.IN_FLIGHT]
        return self._elapsed(self._clock.ticks_ms(), oldest) > limit

    def _check(self, now):
        if self._watch >= 0 and self._overdue(LATE_MS):
            raise OSError(STUCK)
        if self.linked:
            late = self._overdue(spec.LINK_TIMEOUT_MS)
        else:
            late = self._elapsed(now, self._since) > DIAL_MS
        if self._decoder.partial and self._elapsed(now, self._heard_ms) > spec.LINK_TIMEOUT_MS:
            late = True
        if late:
            raise OSError(errno.ETIMEDOUT)
