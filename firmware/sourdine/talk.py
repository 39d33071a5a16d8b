"""What this end says on a connection, and in which order. Does no I/O: the uplink asks for the next frame.

Audio exists here only between begin() and the end of its session. The ledger counts and hashes a frame's samples at
the moment they are handed out, so that a session's record is an upper bound of what can have left.
"""

import struct

from sourdine import spec, wire
from sourdine.ledger import RECORD
from sourdine.outbox import Outbox

AUDIO_IN_FLIGHT = 8  # AUDIO frames unanswered: 320 ms
CONTROLS = 8  # unanswered frames of other types, so that both together keep to wire.IN_FLIGHT
PING_MS = 15_000  # of silence
FIRST_CREDIT = 16_000  # bytes of reply: speaker.RING
CREDIT_STEP = 2_048  # bytes: less is not worth a frame
EVENTS = 4  # events that may wait; more are forgotten


class Talk:
    """ledger: Ledger; ticks_diff: of the clock that `now` is from.

    rules: wire.Rules of this connection; session: the one that takes audio, or 0; unanswered: AUDIO frames that the
    server has not answered; size: bytes of the frame that next() gave.
    """

    def __init__(self, ledger, ticks_diff):
        self._ledger = ledger
        self._ticks_diff = ticks_diff
        self._outbox = Outbox()
        self._tail = 0  # the session of which WAKE, audio or END are still to be said
        self._reason = 0
        self._wake = None
        self._taken = 0  # samples of the session, waiting or said
        self._sent_ms = [0] * wire.IN_FLIGHT
        self._is_audio = bytearray(wire.IN_FLIGHT)
        self._ping = bytearray(wire.HEADER)
        self.session = 0
        self.limit = spec.SESSION_MAX
        self.size = 0
        self.renew()

    def renew(self):
        """Another connection: nothing has been said on it."""
        self.rules = wire.Rules()
        self.unanswered = 0
        self._slot_out = False  # the outbox's first slot is with TLS
        self._end_sequence = -1
        self._events = []
        self._credit = FIRST_CREDIT

    # Sessions.

    @property
    def ready(self):
        """Whether a session can begin: the one before is over, and the server has said that it knows."""
        return not (self._tail or self._ledger.pending)

    def begin(self, first):
        """Open a session, in the ledger first. OSError: it could not be written down, so there is none."""
        self.session = self._tail = self._ledger.open()
        self._wake = first
        self._reason = spec.LINK  # unless somebody says otherwise
        self._taken = 0

    def fits(self, count):
        """Whether so many more samples keep to the limit."""
        self._taken += count
        return self._taken <= self.limit

    def add(self, samples):
        """Queue int16 samples; False when the queue is full."""
        return self._outbox.put(samples)

    def end(self, reason):
        """No more audio comes; what waits is still said, then END."""
        if self.session:
            self.session = 0
            self._reason = reason

    def wipe(self):
        """Forget the audio that was not handed out."""
        self._outbox.wipe()

    def cut(self):
        """The link is lost: if something still waits, that is why the session ends. finish() wipes it."""
        if self._outbox.used:
            self._reason = spec.LINK
        self.session = 0

    def finish(self):
        """Nothing more of an ended session will be handed out: its record is complete."""
        if self._tail and not self.session:
            self._tail = 0
            self._wake = None
            self._outbox.wipe()
            if self._ledger.is_open:
                self._ledger.close(self._reason)

    def repeat_end(self):
        """The server may not know how the last session ended: say it again."""
        if self._ledger.pending:
            self._tail = self._ledger.sessions

    def event(self, code):
        if len(self._events) < EVENTS:
            self._events.append(code)

    def credit(self, count):
        self._credit += count

    # Frames.

    def hello(self, now):
        """The first frame of a connection."""
        book = self._ledger
        pending = int(book.pending)
        self.rules.hello(book.sessions, pending)
        self._note(now, 0, 0)
        return self._pack(wire.HELLO, 0, 0, wire.VERSION, pending, book.sessions, book.bytes, book.head)

    def next(self, now):
        """The next frame, or None. It is said from here on, whatever becomes of it; call written() when it left."""
        rules = self.rules
        if not rules.welcomed or rules.sent - rules.acked > CONTROLS + self.unanswered:
            return None
        if self._events:
            return self._frame(now, wire.EVENT, 0, 0, self._events.pop(0))
        if self._tail:
            return self._next_of_session(now)
        if self._credit >= CREDIT_STEP and rules.credit + self._credit <= wire.CREDIT_MAX:
            count, self._credit = self._credit, 0
            return self._frame(now, wire.CREDIT, 0, count, count)
        if self._ticks_diff(now, self._spoke_ms) >= PING_MS:
            return self._ping_frame(now)
        return None

    def written(self):
        """TLS has taken the frame that next() gave."""
        if self._slot_out:
            self._slot_out = False
            self._outbox.free()

    def answered(self, was):
        """The server has answered more: the frames after `was`."""
        answered = self.rules.acked
        for sequence in range(was + 1, answered + 1):
            self.unanswered -= self._is_audio[sequence % wire.IN_FLIGHT]
        if 0 <= self._end_sequence <= answered:
            self._end_sequence = -1
            self._ledger.acknowledge()

    def overdue(self, now, limit):
        """Whether the oldest unanswered frame is older than so many ms."""
        rules = self.rules
        if rules.sent - 1 <= rules.acked:
            return False
        return self._ticks_diff(now, self._sent_ms[(rules.acked + 1) % wire.IN_FLIGHT]) > limit

    def _next_of_session(self, now):
        if self._wake is not None:
            first, self._wake = self._wake, None
            return self._frame(now, wire.WAKE, self._tail, 0, first)
        if self._outbox.used:
            whole = not self.session or self._outbox.count == wire.FRAME_SAMPLES
            return self._audio_frame(now) if whole and self.unanswered < AUDIO_IN_FLIGHT else None
        if self.session:
            return None
        self.finish()
        record = struct.unpack(RECORD, self._ledger.record)
        self._end_sequence = self.rules.sent
        return self._frame(now, wire.END, record[0], record[1], *record)

    def _audio_frame(self, now):
        count, sequence = self._outbox.count, self.rules.sent
        self.rules.device(wire.AUDIO, self._tail, 2 * count)
        self._note(now, sequence, 1)
        self.unanswered += 1
        self._slot_out = True
        self.size = wire.HEADER + 2 * count
        self._ledger.sent(self._outbox.samples(), count)
        return self._outbox.frame(self._tail, sequence)

    def _ping_frame(self, now):
        """What a quiet connection says, for days; so it allocates nothing."""
        sequence = self.rules.sent
        self.rules.device(wire.PING, 0)
        self._note(now, sequence, 0)
        struct.pack_into(wire.HEADER_LAYOUT, self._ping, 0, wire.PING, 0, 0, 0, sequence)
        self.size = wire.HEADER
        return self._ping

    def _frame(self, now, kind, session, amount, *values):
        sequence = self.rules.sent
        self.rules.device(kind, session, amount)
        self._note(now, sequence, 0)
        return self._pack(kind, session, sequence, *values)

    def _pack(self, kind, session, sequence, *values):
        frame = wire.encode(kind, session, sequence, *values)
        self.size = len(frame)
        return frame

    def _note(self, now, sequence, is_audio):
        self._spoke_ms = now
        self._sent_ms[sequence % wire.IN_FLIGHT] = now
        self._is_audio[sequence % wire.IN_FLIGHT] = is_audio
