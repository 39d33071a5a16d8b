"""The uplink against a server and a network that do as they are told, on a clock moved by hand.

Real TLS is in tests/system/test_uplink.py; here it is a pipe that the test holds both ends of.
"""

import errno
import struct
import sys
from array import array

from sourdine import ledger, outbox, spec, talk, uplink, wire
from sourdine.uplink import Uplink

NOW = 1_800_000_000  # Unix time
BLOCK = array("h", range(1, spec.HOP + 1))


class Clock:
    RING = 1 << 30  # where the ticks of a chip wrap

    def __init__(self):
        self.ms = 0

    def ticks_ms(self):
        return self.ms % self.RING

    def ticks_diff(self, a, b):
        return (a - b + self.RING // 2) % self.RING - self.RING // 2


class Store:
    blob = None
    broken = False

    def get_blob(self, key, buffer):
        if self.blob is None:
            raise OSError(ledger.NOT_FOUND)
        buffer[: len(self.blob)] = self.blob
        return len(self.blob)

    def set_blob(self, key, value):
        if self.broken:
            raise OSError(-0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self.blob = bytes(value)

    def commit(self):
        pass


class Settings:
    host, port, name = "10.0.0.1", 8443, "hub.sourdine.internal"


class Net:
    """Stands for socket, select, ssl: one server, good until told otherwise."""

    POLLOUT = 4

    def __init__(self):
        self.dials = []
        self.stream = None  # the one that is open
        self.reachable = True  # else a dial hangs
        self.refuses = None  # an error for a dial
        self.stuck = False  # TLS takes no more
        self.broken = None  # an error for any read or write

    # socket
    def getaddrinfo(self, host, port):
        return [(0, 0, 0, "", (host, port))]

    def socket(self):
        return Raw(self)

    # select
    def poll(self):
        return Poll(self)

    # ssl context
    def wrap_socket(self, raw, server_hostname, do_handshake_on_connect):
        assert server_hostname == Settings.name and do_handshake_on_connect is False
        assert not raw.closed
        self.stream = Tls(self)
        return self.stream


class Poll:
    def __init__(self, net):
        self.net = net

    def register(self, raw, what):
        assert what == Net.POLLOUT

    def poll(self, timeout):
        assert timeout == 0, "nothing may wait"
        return [1] if self.net.reachable else []


class Raw:
    def __init__(self, net):
        self.net = net
        self.closed = False
        self.blocking = True

    def setblocking(self, flag):
        self.blocking = flag

    def connect(self, address):
        assert not self.blocking and address == (Settings.host, Settings.port)
        self.net.dials.append(None)
        if self.net.refuses:
            raise OSError(self.net.refuses)
        raise OSError(errno.EINPROGRESS)

    def close(self):
        self.closed = True


class Tls:
    """What TLS took is in `taken`; a write while the net is stuck is held, and counts as handed over."""

    def __init__(self, net):
        self.net = net
        self.taken = b""
        self.held = None
        self.inbox = b""
        self.closed = False
        self.over = False

    def write(self, data):
        data = bytes(data)
        if self.net.broken:
            raise OSError(self.net.broken)
        if self.held is not None:
            assert data == self.held, "a write that waits must be repeated as it was"
        if self.net.stuck:
            self.held = data
            return None
        self.held = None
        self.taken += data
        return len(data)

    def readinto(self, buffer, limit):
        if self.net.broken:
            raise OSError(self.net.broken)
        if not self.inbox:
            return 0 if self.over else None
        count = min(limit, len(buffer), len(self.inbox))
        buffer[:count] = self.inbox[:count]
        self.inbox = self.inbox[count:]
        return count

    recv_into = readinto

    def close(self):
        self.closed = True


class Listener:
    """The app and its gate: shut first, then discard and end, once."""

    def __init__(self):
        self.log = []
        self.up = None
        self.open = False
        self.played = b""
        self.takes = True

    def link(self, up):
        self.log.append("up" if up else "down")
        if not up:
            self.shut(spec.LINK)

    def drop(self):
        self.log.append("drop")

    def server_closed(self):
        self.log.append("closed")
        self.shut(spec.SERVER)

    def shut(self, reason):
        was, self.open = self.open, False
        if was:
            if reason not in (spec.SILENCE, spec.CAP):
                self.up.discard()
            self.up.end(reason)

    def play(self, data):
        self.played += bytes(data)
        return self.takes

    def play_end(self):
        self.log.append("play_end")

    def set_time(self, unix):
        self.log.append(unix)


class House:
    """A speaker's uplink and the server that the test plays."""

    def __init__(self, store=None):
        self.clock = Clock()
        self.net = Net()
        uplink.socket = uplink.select = self.net
        self.store = store or Store()
        self.ledger = ledger.Ledger(self.store)
        self.listener = Listener()
        self.up = self.listener.up = Uplink(Settings, self.ledger, self.clock, self.listener, self.net)
        self.stream = None
        self.answers = True  # the server answers every frame at once
        self.forget()

    def forget(self):
        self.frames = []
        self.samples = b""

    def step(self, ms=10, times=1):
        for _ in range(times):
            self.clock.ms += ms
            self.up.step(self.clock.ticks_ms())
            self.serve()

    def serve(self):
        if self.net.stream is not self.stream:
            self.stream = self.net.stream
            self.decoder = wire.Decoder(wire.DEVICE)
            self.sequence = 0
            self.forget()
        if self.stream is None or self.stream.closed:
            return
        data, self.stream.taken = self.stream.taken, b""
        for frame in self.decoder.feed(data):
            self.frames.append(
                (frame.kind, frame.session, frame.values() if frame.kind != wire.AUDIO else frame.length)
            )
            if frame.kind == wire.AUDIO:
                self.samples += bytes(frame.payload())
            if self.answers:
                self.answer(frame.kind, frame.sequence)

    def answer(self, kind, sequence):
        if kind == wire.HELLO:
            self.say(wire.WELCOME, 0, 0, wire.VERSION, 0, NOW, spec.SESSION_MAX)
        else:
            self.say(wire.PONG if kind == wire.PING else wire.ACK, 0, sequence)

    def say(self, kind, session, *values):
        self.stream.inbox += wire.encode(kind, session, self.sequence, *values)
        self.sequence += 1

    def link(self):
        for _ in range(1000):
            if self.up.linked and self.up._talk._credit == 0:
                self.step(times=4)
                self.forget()
                return self
            self.step()
        raise AssertionError(self.up.error)

    def kinds(self):
        return [frame[0] for frame in self.frames]

    def wake(self):
        assert self.up.begin(1000)
        self.listener.open = True
        return self.ledger.sessions + 1

    def shut(self, reason):
        self.listener.shut(reason)

    def talk(self, blocks):
        for _ in range(blocks):
            assert self.up.audio(BLOCK)
            self.step()


def test_it_dials_greets_learns_the_time_and_dials_again_so_that_dates_are_checked():
    house = House()
    house.step(times=4)
    assert house.listener.log == [NOW] and not house.up.linked and len(house.net.dials) == 1
    house.step(times=4)
    assert house.up.linked and len(house.net.dials) == 2 and house.listener.log == [NOW, NOW, "up"]
    assert house.up.error is None and house.up.connections == 1
    assert house.kinds()[0] == wire.HELLO
    assert house.frames[0][2] == (wire.VERSION, 0, 0, 0, bytes(32))


def test_nothing_is_said_before_welcome_but_hello():
    house = House()
    house.answers = False
    house.up.event(wire.MUTED)
    assert not house.up.begin(0)
    house.step(times=100)
    assert house.kinds() == [wire.HELLO]


def test_no_audio_is_taken_without_a_wake():
    house = House().link()
    assert not house.up.audio(BLOCK)
    house.step(times=20)
    assert house.frames == []


def test_a_session_is_wake_audio_end_and_the_record_is_what_was_sent():
    house = House().link()
    number = house.wake()
    house.talk(10)
    house.shut(spec.SILENCE)
    assert not house.up.audio(BLOCK)
    house.step(times=5)
    assert house.kinds() == [wire.WAKE, wire.AUDIO, wire.AUDIO, wire.AUDIO, wire.END]
    assert house.frames[0] == (wire.WAKE, number, (1000,))
    assert [frame[2] for frame in house.frames[1:4]] == [1280, 1280, 640]
    assert house.samples == bytes(BLOCK) * 10
    digest = struct.unpack(ledger.RECORD, house.ledger.record)
    assert house.frames[-1][2] == digest and digest[1:3] == (1600, spec.SILENCE)
    assert ledger.hashlib.sha256(house.samples).digest() == digest[3]
    assert not house.ledger.pending


def test_blocks_of_any_size_arrive_in_order():
    house = House().link()
    house.wake()
    sent, value = b"", 0
    for size in (1, 159, 160, 7, 640, 641, 1279, 160, 3):
        block = array("h", [(value + i) % 30000 for i in range(size)])
        value += size
        sent += bytes(block)
        assert house.up.audio(memoryview(block))
        house.step()
    house.shut(spec.CAP)
    house.step(times=5)
    assert house.samples == sent


def test_at_most_320_ms_is_unanswered():
    house = House().link()
    house.wake()
    house.step(times=2)
    house.answers = False
    for _ in range(100):
        house.up.audio(BLOCK)
        house.step(ms=1, times=2)
    assert len(house.samples) == 8 * wire.FRAME_BYTES


def test_an_overflowing_queue_ends_the_session_and_nothing_of_it_comes_later():
    house = House().link()
    house.wake()
    house.step(times=2)
    house.answers = False
    blocks = 0
    while house.up.audio(BLOCK):
        house.step(ms=1)
        blocks += 1
    assert blocks == (outbox.SLOTS + talk.AUDIO_IN_FLIGHT) * wire.FRAME_SAMPLES // spec.HOP
    assert house.listener.log[-2:] == ["drop", "down"] and not house.up.linked
    assert struct.unpack(ledger.RECORD, house.ledger.record)[1:3] == (8 * 640, spec.LINK)
    assert not any(any(slot) for slot in house.up._talk._outbox._samples)
    house.answers = True
    house.link()
    assert house.samples == b""


def test_a_silent_server_ends_the_session_within_the_timeout_and_the_end_is_said_after_reconnecting():
    house = House().link()
    number = house.wake()
    house.talk(8)
    house.answers = False
    since = house.clock.ms
    while house.up.audio(BLOCK) and house.clock.ms < since + 10_000:
        house.step(ms=40)
    assert house.clock.ms - since <= spec.LINK_TIMEOUT_MS + 200
    assert "drop" in house.listener.log and house.listener.log[-1] == "down"
    assert house.ledger.pending and not house.up.begin(0)
    record = house.ledger.record
    house.answers = True
    for _ in range(500):
        house.step()
    assert house.up.linked and not house.ledger.pending
    assert (wire.END, number, struct.unpack(ledger.RECORD, record)) in house.frames
    assert house.frames[0][2][1:3] == (1, number) and house.samples == b""
    assert house.up.begin(0)


def test_a_session_that_had_ended_well_ends_as_lost_if_its_last_words_were_cut():
    house = House().link()
    house.wake()
    house.step(times=2)
    house.answers = False
    for _ in range(60):
        house.up.audio(BLOCK)
        house.step(ms=1)
    house.shut(spec.SILENCE)
    house.stream.over = True
    house.step()
    assert struct.unpack(ledger.RECORD, house.ledger.record)[1:3] == (8 * 640, spec.LINK)
    assert not any(any(slot) for slot in house.up._talk._outbox._samples)


def test_no_session_opens_before_the_last_ones_end_is_answered():
    house = House().link()
    house.wake()
    house.shut(spec.SILENCE)
    house.answers = False
    house.step(times=3)
    assert house.kinds() == [wire.WAKE, wire.END] and not house.up.begin(0)
    house.answer(wire.WAKE, house.up._talk.rules.sent - 2)
    house.step()
    assert not house.up.begin(0)
    house.answer(wire.END, house.up._talk.rules.sent - 1)
    house.step()
    assert house.up.begin(0)


def test_a_slow_server_is_not_flooded_with_small_frames():
    house = House().link()
    house.answers = False
    for _ in range(40):
        house.up.event(wire.MUTED)
        house.step()
    assert house.up.linked and len(house.frames) == talk.CONTROLS


def test_mute_wipes_what_was_not_handed_over_and_end_follows_at_once():
    house = House().link()
    house.wake()
    house.talk(6)
    before = house.samples
    for _ in range(3):
        house.up.audio(BLOCK)
    house.shut(spec.MUTE)
    house.step(times=3)
    assert house.samples == before and house.kinds()[-1] == wire.END
    assert house.frames[-1][2][1:3] == (len(before) // 2, spec.MUTE)
    assert house.up.linked and "drop" not in house.listener.log


def test_mute_wipes_also_what_still_waits_after_the_end():
    house = House().link()
    house.wake()
    house.step(times=2)
    house.answers = False
    for _ in range(60):
        house.up.audio(BLOCK)
        house.step(ms=1)
    house.shut(spec.SILENCE)
    sent = len(house.samples)
    house.up.discard()
    assert not any(any(slot) for slot in house.up._talk._outbox._samples)
    stream = house.stream
    house.step(ms=1, times=5)
    assert len(house.samples) == sent and stream.closed and "drop" in house.listener.log
    assert struct.unpack(ledger.RECORD, house.ledger.record)[1:3] == (sent // 2, spec.SILENCE)


def test_mute_while_a_write_is_stuck_drops_the_connection_and_the_radio_at_the_next_step():
    house = House().link()
    house.wake()
    house.talk(4)
    house.net.stuck = True
    house.talk(8)
    stream = house.stream
    assert stream.held
    house.shut(spec.MUTE)
    house.step()
    assert stream.closed and house.listener.log[-2:] == ["drop", "down"]
    assert struct.unpack(ledger.RECORD, house.ledger.record)[1:3] == (2 * 640, spec.MUTE)


def test_a_ledger_that_cannot_be_written_keeps_nothing_on_its_way():
    house = House().link()
    house.wake()
    house.step(times=2)
    house.answers = False
    house.talk(8)
    house.stream.over = house.store.broken = True
    try:
        house.step()
        raise AssertionError("nobody may go on as if it had been written")
    except ledger.LedgerDamaged:
        assert house.stream.closed and house.listener.log[-1] == "drop"


def test_mute_in_peace_disturbs_nothing():
    house = House()
    for _ in range(50):
        house.up.discard()
        house.step()
    assert house.up.linked and house.listener.log == [NOW, NOW, "up"]


def test_mute_drops_at_the_next_step_whatever_is_not_answered_by_then():
    for answered in (True, False):
        house = House().link()
        house.wake()
        house.step(times=2)
        house.answers = False
        house.talk(4)
        house.step()
        house.shut(spec.MUTE)
        if answered:  # the answer has arrived, and nobody has read it yet
            house.answers = True
            for sequence in range(2, house.up._talk.rules.sent):
                if sequence > house.up._talk.rules.acked:
                    house.answer(wire.AUDIO, sequence)
        house.step()
        assert house.stream.closed is not answered
        assert ("drop" in house.listener.log) is not answered
        assert struct.unpack(ledger.RECORD, house.ledger.record)[1:3] == (640, spec.MUTE)
        if answered:  # from now on only the usual patience holds
            house.answers = False
            house.up.event(wire.MUTED)
            house.step(ms=100, times=5)
            assert house.up.linked


def test_the_server_can_end_a_session_and_nothing_else():
    house = House().link()
    number = house.wake()
    house.talk(4)
    house.say(wire.CLOSE, number)
    house.step(times=3)
    assert house.listener.log[-1] == "closed" and house.kinds()[-1] == wire.END
    assert house.frames[-1][2][2] == spec.SERVER and house.up.linked


def test_a_late_close_closes_no_other_session():
    house = House().link()
    first = house.wake()
    house.shut(spec.SILENCE)
    house.step(times=4)
    house.wake()
    house.step()
    house.say(wire.CLOSE, first)
    house.step(times=2)
    assert "closed" not in house.listener.log and house.up.linked
    assert house.up.audio(BLOCK)


def test_a_flooding_or_lying_server_is_dropped():
    session = (7).to_bytes(4, "big")
    floods = [
        lambda house: [house.say(wire.CLOSE, 1) for _ in range(2)],
        lambda house: house.say(wire.CLOSE, 2),
        lambda house: house.say(wire.PLAY, 2, b"ab"),
        lambda house: [house.say(wire.PLAY, 1, bytes(1280)) for _ in range(13)],
        lambda house: [house.say(wire.PLAY_END, 1) for _ in range(2)],
        lambda house: house.say(wire.ACK, 0, house.up._talk.rules.sent),
        lambda house: house.say(wire.ACK, 0, house.up._talk.rules.acked),
        lambda house: house.say(wire.PONG, 0, house.up._talk.rules.acked + 1),
        lambda house: house.say(wire.CHAIN, 0, 1, bytes(32)),
        lambda house: house.say(wire.WELCOME, 0, 0, wire.VERSION, 0, NOW, 1),
        lambda house: house.say(wire.WAKE, 7, 0),
        lambda house: house.say(wire.AUDIO, 7, b"ab"),
        lambda house: house.say(wire.ERROR, 0, wire.STOPPING),
        lambda house: setattr(house.stream, "inbox", b"\x84\x00\xff\xff" + session + bytes(4)),
        lambda house: setattr(house.stream, "inbox", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
        lambda house: setattr(house.stream, "inbox", bytes(100_000)),
    ]
    for number, flood in enumerate(floods):
        house = House().link()
        house.wake()
        house.shut(spec.SILENCE)
        house.step(times=5)
        house.say(wire.CHAIN, 0, 1, house.ledger.head)
        house.step(times=3)
        assert house.up.linked
        flood(house)
        house.step(times=10)
        assert house.stream.closed and not house.up.linked and house.up.error, number


def test_a_server_whose_ledger_differs_is_dropped():
    house = House().link()
    house.wake()
    house.shut(spec.SILENCE)
    house.step(times=5)
    house.say(wire.CHAIN, 0, 1, bytes(32))
    house.step(times=2)
    assert house.stream.closed and "audit" in house.up.error


def test_a_reply_is_played_within_the_credit_and_the_credit_is_given_back():
    house = House().link()
    number = house.wake()
    house.shut(spec.SILENCE)
    house.step(times=5)
    for _ in range(12):
        house.say(wire.PLAY, number, b"ab" * 640)
    house.say(wire.PLAY_END, number)
    house.step(times=20)
    assert house.listener.played == b"ab" * 7680 and house.listener.log[-1] == "play_end"
    house.up.credit(1000)
    house.step()
    assert house.kinds()[-1] != wire.CREDIT
    house.up.credit(2000)
    house.step()
    assert house.frames[-1] == (wire.CREDIT, 0, (3000,))
    assert house.up._talk.rules.credit == talk.FIRST_CREDIT - 15360 + 3000


def test_a_step_obeys_a_handful_of_frames_however_many_have_come():
    """The microphone waits meanwhile. A server may cut its reply as finely as it likes: samples one by one, and answers."""
    house = House().link()
    number = house.wake()
    house.shut(spec.SILENCE)
    house.step(times=5)
    for _ in range(200):
        house.say(wire.PLAY, number, b"ab")
    for _ in range(20):
        before = len(house.listener.played)
        house.step()
        assert 0 < len(house.listener.played) - before <= 2 * uplink.READS // 2
    for _ in range(3):
        house.step(times=20)
    assert house.listener.played == b"ab" * 200 and house.up.linked


def test_a_frame_that_comes_byte_by_byte_is_read():
    house = House().link()
    number = house.wake()
    house.shut(spec.SILENCE)
    house.step(times=5)
    house.say(wire.PLAY, number, b"abcdef")
    stream, house.stream.inbox = house.stream.inbox, b""
    for at in range(len(stream)):
        house.stream.inbox += stream[at : at + 1]
        house.step()
    assert house.listener.played == b"abcdef" and house.up.linked


def test_a_reply_to_the_session_before_is_not_played_and_its_room_is_free_again():
    house = House().link()
    first = house.wake()
    house.shut(spec.SILENCE)
    house.step(times=5)
    house.wake()
    house.step()
    for _ in range(2):
        house.say(wire.PLAY, first, bytes(1280))
    house.step(times=2)
    assert house.listener.played == b"" and house.up.linked
    house.shut(spec.SILENCE)
    house.step(times=5)
    assert house.frames[-1] == (wire.CREDIT, 0, (2560,))


def test_a_servers_shorter_limit_holds():
    house = House()
    house.answer = lambda kind, sequence: (
        house.say(wire.WELCOME, 0, 0, wire.VERSION, 0, NOW, 800)
        if kind == wire.HELLO
        else house.say(wire.ACK, 0, sequence)
    )
    house.link()
    house.wake()
    house.talk(5)
    assert not house.up.audio(BLOCK)
    house.step(times=3)
    assert house.listener.log[-1] == "closed" and len(house.samples) <= 1600
    assert house.frames[-1][2][2] == spec.SERVER


def refuse_welcome(*values):
    house = House()
    house.answer = lambda kind, sequence: house.say(wire.WELCOME, 0, *values)
    house.step(times=10)
    assert house.stream.closed and not house.up.linked
    return house


def test_another_version_is_refused_and_not_hammered():
    house = refuse_welcome(0, wire.VERSION + 1, 0, NOW, spec.SESSION_MAX)
    assert "version" in house.up.error and house.listener.log == []
    house.step(ms=100, times=600)
    assert len(house.net.dials) < 9


def test_a_time_that_cannot_be_is_refused_and_not_set():
    for unix in (0, ledger.OLDEST - 1, ledger.NEWEST + 1, 2**64 - 1):
        house = refuse_welcome(0, wire.VERSION, 0, unix, spec.SESSION_MAX)
        assert "clock" in house.up.error and house.listener.log == []
        assert house.ledger.oldest == ledger.OLDEST


def test_time_does_not_go_back_after_a_restart():
    house = House().link()
    again = House(house.store)
    again.answer = lambda kind, sequence: again.say(wire.WELCOME, 0, 0, wire.VERSION, 0, NOW - 86_400, 1)
    again.step(times=10)
    assert "clock" in again.up.error


def test_it_backs_off_from_1_to_60_seconds_with_jitter():
    real = uplink.os
    waits = {}
    for dice in (0, 255):
        uplink.os = Dice(dice)
        try:
            house = House()
            house.net.refuses = errno.ECONNREFUSED
            moments = []
            for _ in range(60_000):
                before = len(house.net.dials)
                house.step()
                if len(house.net.dials) > before:
                    moments.append(house.clock.ms)
            waits[dice] = [moments[i] - moments[i - 1] for i in range(1, len(moments))]
        finally:
            uplink.os = real
    assert [round(wait, -3) for wait in waits[0][:7]] == [1000, 2000, 4000, 8000, 16000, 30000, 30000]
    assert [round(wait, -3) for wait in waits[255][:7]] == [2000, 4000, 8000, 16000, 32000, 60000, 60000]


class Dice:
    def __init__(self, value):
        self.value = value

    def urandom(self, count):
        return bytes([self.value] * count)


def test_the_wait_starts_small_again_only_after_a_connection_has_lasted():
    house = House()
    house.up._knows_time = True
    house.net.refuses = errno.ECONNREFUSED
    house.step(ms=100, times=100)
    house.net.refuses = None
    for _ in range(200):
        if not house.up.linked:
            house.step(ms=100)
    assert house.up.linked and house.up._wait_ms > uplink.RETRY_MS
    house.step(ms=100, times=talk.PING_MS // 100 + 3)
    assert wire.PING in house.kinds() and house.up._wait_ms == uplink.RETRY_MS
    for expected in (2, 4, 8):
        house.link()
        house.stream.over = True
        house.step()
        assert house.up._wait_ms == expected * uplink.RETRY_MS


def test_hurry_dials_at_once():
    house = House()
    house.net.refuses = errno.EHOSTUNREACH
    for _ in range(3000):
        house.step()
    house.net.refuses = None
    dials = len(house.net.dials)
    house.up.hurry()
    house.step()
    assert len(house.net.dials) == dials + 1


def test_after_a_week_without_a_network_it_dials_at_once():
    house = House()
    house.net.refuses = errno.EHOSTUNREACH
    house.step()
    house.net.refuses = None
    dials = len(house.net.dials)
    house.clock.ms += 7 * 86_400_000  # the app does not step an uplink that has no network
    house.up.hurry()
    house.step()
    assert len(house.net.dials) == dials + 1


def test_a_server_that_never_answers_the_dial_or_hello_is_given_up():
    for what in ("tcp", "tls", "hello"):
        house = House()
        house.net.reachable = what != "tcp"
        house.net.stuck = what == "tls"
        house.answers = False
        house.step(ms=100, times=uplink.DIAL_MS // 100 + 2)
        assert house.up._raw is None and "ETIMEDOUT" in house.up.error.upper() or "110" in house.up.error, what
        assert not house.listener.log


def test_a_half_open_connection_is_noticed_while_idle():
    house = House().link()
    house.answers = False
    house.step(ms=100, times=(talk.PING_MS + spec.LINK_TIMEOUT_MS) // 100 + 3)
    assert not house.up.linked and house.listener.log[-1] == "down"
    assert "drop" not in house.listener.log


def test_a_dribbling_server_is_dropped():
    house = House().link()
    house.stream.inbox = b"\x88"
    house.step(ms=100, times=spec.LINK_TIMEOUT_MS // 100 + 3)
    assert not house.up.linked


def test_any_error_of_the_network_is_survived():
    for error in (errno.ECONNRESET, errno.ENOMEM, errno.EIO, -0x7780):
        house = House().link()
        house.net.broken = error
        house.step(times=3)
        assert not house.up.linked and house.up.error
        house.net.broken = None
        house.link()


def test_a_session_that_nobody_ends_is_closed_before_the_next_dial():
    house = House().link()
    house.wake()
    house.talk(4)
    house.listener.open = False
    house.stream.over = True
    house.step(ms=100, times=50)
    assert house.up.linked and not house.ledger.is_open
    assert struct.unpack(ledger.RECORD, house.ledger.record)[2] == spec.LINK


def test_power_lost_is_told_at_the_next_link():
    house = House().link()
    number = house.wake()
    house.talk(4)
    again = House(house.store).link()
    again.step(times=10)
    assert not again.ledger.pending and again.ledger.sessions == number
    assert struct.unpack(ledger.RECORD, again.ledger.record)[2] == spec.POWER


def test_events_wait_in_a_short_queue():
    house = House().link()
    for code in (wire.MUTED, wire.UNMUTED) * 5:
        house.up.event(code)
    house.step(times=10)
    assert house.kinds() == [wire.EVENT] * talk.EVENTS


def test_queueing_audio_allocates_nothing():
    if sys.implementation.name != "micropython":
        return
    import gc

    house = House().link()
    house.wake()
    house.talk(4)
    gc.collect()
    before = gc.mem_alloc()
    house.up.audio(BLOCK)
    assert gc.mem_alloc() == before
