"""Whatever fails at whatever call of a turn: nothing unlawful leaves, and the board goes on lawfully or lets go of all.

A whole evening (link, wake, end of speech, reply, mute, a dead network, the server's CLOSE) runs on fakes, once to list
every place in the firmware that calls something, and then once for each of them with an error raised right there.
"""

import sys
from array import array
from pathlib import Path
from types import SimpleNamespace

import pytest

from fakes import Contact
from portable.test_uplink import NOW, Dice, Net, Settings, Store
from sourdine import app, endpoint, ledger, mic, outbox, settings, spec, uplink, wire

FIRMWARE = str(Path(app.__file__).parent)
WAKES = (110, 240, 360, 530)  # blocks of 10 ms
PRESSES = ((260, 268), (380, 390))
NO_NETWORK = range(370, 410)
CLOSE = 550
END = 570
TALK = 70  # blocks: longer than any session here, shorter than the way to the next wake


class Server:
    """Honest; its ledger outlives the board's restarts."""

    def __init__(self):
        self.sessions, self.head, self.record = 0, ledger.GENESIS, b""
        self.arrived = []  # (block in which it arrived, block in which it was captured)
        self.stream = None

    def serve(self, stream, now):
        if stream is not self.stream:
            self.stream, self.decoder, self.rules, self.sequence = stream, wire.Decoder(wire.DEVICE), wire.Rules(), 0
        data, stream.taken = stream.taken, b""
        for frame in self.decoder.feed(data):
            self.obey(frame, now)
        if now == CLOSE and self.rules.session:
            self.say(wire.CLOSE, self.rules.session)

    def obey(self, frame, now):
        kind, number = frame.kind, frame.session
        if kind == wire.HELLO:
            _, pending, sessions, _, head = frame.values()
            assert (sessions, head) == (self.sessions, self.head) or (pending and sessions == self.sessions + 1)
            self.rules.hello(sessions, pending)
            self.say(wire.WELCOME, 0, 0, wire.VERSION, 0, NOW, spec.SESSION_MAX)
            return
        amount = frame.length if kind == wire.AUDIO else frame.values()[0] if kind == wire.CREDIT else 0
        self.rules.device(kind, number, frame.values()[1] if kind == wire.END else amount)
        if kind == wire.AUDIO:
            self.arrived += [(now, block) for block in set(array("h", bytes(frame.payload())))]
        self.say(wire.PONG if kind == wire.PING else wire.ACK, 0, frame.sequence, amount=frame.sequence)
        if kind == wire.END:
            record = bytes(frame.payload())
            if record != self.record:
                assert number == self.sessions + 1
                self.sessions, self.head, self.record = number, ledger.next_head(self.head, record), record
                if number == 1 and self.rules._base == 0:
                    self.say(wire.PLAY, number, bytes(1280), amount=1280)
                    self.say(wire.PLAY_END, number)
            self.say(wire.CHAIN, 0, self.sessions, self.head)

    def say(self, kind, session, *values, amount=0):
        self.rules.server(kind, session, amount)
        self.stream.inbox += wire.encode(kind, session, self.sequence, *values)
        self.sequence += 1


class World:
    """The board's parts by role, as app.App wants them; each sample's value is the block of its capture."""

    def __init__(self, store, server, end):
        self.net, self.store, self.server, self.end = Net(), store, server, end
        self.contact = Contact()
        self.clock = self
        self.block = 0
        self.beat = None
        self.on_its_way = b""  # in the network stack, while there is no network
        self.stopped = self.radio = False
        self.heartbeat, self.rail_mv = self.contact.heartbeat, self.contact.rail_mv
        self.released = self.contact.released
        self.amplifier = self.pixel = self.set_time = lambda *_: None

    def ticks_us(self):
        return self.contact.clock.us

    def ticks_ms(self):
        return self.contact.clock.us // 1000

    ticks_diff = staticmethod(lambda a, b: a - b)

    def open_mic(self):
        return SimpleNamespace(readinto=self.capture)

    def open_speaker(self):
        return SimpleNamespace(write=len)

    def every(self, hertz, beat):
        self.beat = beat

    def watchdog(self, timeout_ms):
        return lambda: None

    def wifi(self, *login):
        self.radio = True
        return SimpleNamespace(connected=lambda: True, bounce=self.forget, off=self.off)

    def off(self):
        self.radio = False
        self.forget()

    def forget(self):
        self.on_its_way = b""
        if self.net.stream:
            self.net.stream.taken = b""

    def stop(self):
        self.stopped, self.beat = True, None
        self.contact.heartbeat(0)

    def capture(self, words):
        for _ in range(8):
            if self.beat:
                self.beat(None)
            self.contact.pass_ms(1.25)
        self.block += 1
        self.contact.pressed = any(press <= self.block < release for press, release in PRESSES)
        self.exchange()
        if self.block == self.end:
            raise EOFError
        words[0] = self.block if self.contact.powered else 0
        return self.contact.clock.us

    def exchange(self):
        stream = self.net.stream
        if stream is None or not (stream.taken or self.on_its_way) and stream.closed:
            return
        if self.block in NO_NETWORK:
            self.on_its_way, stream.taken = self.on_its_way + stream.taken, b""
        elif stream.closed or stream is not self.server.stream or not self.on_its_way:
            self.on_its_way = b""  # of a connection before
            self.server.serve(stream, self.block)
        else:
            stream.taken, self.on_its_way = self.on_its_way + stream.taken, b""
            self.server.serve(stream, self.block)


@pytest.fixture
def evening(monkeypatch):
    """evening(profile, store, server, end) → (World, the error that ended the program)."""
    worlds = []

    def hear(block):
        return block[0] in WAKES

    def unpack(words, out, n, shift):
        out[:] = array("h", [words[0]]) * n
        return words[0]

    def copy(slot, at, samples, skip, count):
        memoryview(slot)[at : at + count] = memoryview(samples)[skip : skip + count]

    monkeypatch.setattr(mic, "unpack", unpack)
    monkeypatch.setattr(outbox, "copy", copy)
    monkeypatch.setattr(app, "Frontend", lambda: SimpleNamespace(reset=lambda: None, feed=lambda block: block))
    ears = SimpleNamespace(hear=hear, reset=lambda: None, word="alexa")
    monkeypatch.setattr(app, "Wake", SimpleNamespace(load=lambda path: ears))
    loud = (*range(90, 125), *range(235, END))
    monkeypatch.setattr(app, "energy", lambda samples, n: 1_000_000 if worlds[-1].block in loud else 0)
    for name, blocks in (("LEAST", 20), ("TRAIL", 15), ("PATIENCE", 30)):
        monkeypatch.setattr(endpoint, name, blocks)
    chosen = Settings()
    chosen.ssid = chosen.password = chosen.wake = ""
    monkeypatch.setattr(settings, "load", lambda: chosen)
    monkeypatch.setattr(uplink, "os", Dice(0))
    monkeypatch.setattr(uplink, "gc", SimpleNamespace(collect=lambda: None))  # all of pytest's heap, a thousand times
    monkeypatch.setattr(uplink, "_context", lambda _: worlds[-1].net)
    hardware = SimpleNamespace()
    monkeypatch.setitem(sys.modules, "sourdine.hardware", hardware)

    def run(profile=None, store=None, server=None, end=END):
        world = World(store or Store(), server or Server(), end)
        worlds.append(world)
        world.nvs, world.store = world.store, lambda namespace: world.nvs
        hardware.Hardware = lambda: world
        monkeypatch.setattr(uplink, "socket", world.net)
        monkeypatch.setattr(uplink, "select", world.net)
        before = sys.getprofile()
        try:
            sys.setprofile(profile)
            app.main()
        except BaseException as error:  # noqa: BLE001  whatever it was: the test looks at what is left
            return world, error
        finally:
            sys.setprofile(before)
        raise AssertionError("it never ends by itself")

    return run


def place(frame, event, called):
    """Where something is called, if the firmware calls it: (file, line, name)."""
    code = frame.f_code
    if event == "c_call":
        return code.co_filename, frame.f_lineno, called.__name__
    if event == "call" and frame.f_back:
        return frame.f_back.f_code.co_filename, frame.f_back.f_lineno, code.co_name
    return None


def in_a_turn(frame):
    """Whether only firmware lies between this frame and the turn it belongs to."""
    while frame and frame.f_code.co_filename.startswith(FIRMWARE):
        if frame.f_code is app.App.turn.__code__:
            return True
        frame = frame.f_back
    return False


def places(evening):
    """Every place in a turn that calls something, in the order of the evening."""
    seen = {}

    def note(frame, event, called):
        where = place(frame, event, called)
        if where and where not in seen and in_a_turn(frame):
            seen[where] = True

    world, error = evening(note)
    assert isinstance(error, EOFError) and world.server.sessions == 4, "the evening itself must be whole"
    return list(seen)


def failing(where, error):
    """A profile function that raises the error at the first call from there."""
    line = where[1]

    def fail(frame, event, called):
        caller = frame if event == "c_call" else frame.f_back
        if caller and caller.f_lineno == line and place(frame, event, called) == where and in_a_turn(frame):
            sys.setprofile(None)
            raise error

    return fail


def is_lawful(captured, arrived):
    opened = [wake for wake in WAKES if wake < captured]
    pressed = [press for press, _ in PRESSES if captured - TALK < press <= arrived]
    return bool(opened) and captured - opened[-1] < TALK and all(captured < p and arrived <= p + 1 for p in pressed)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # an error where a generator dies
@pytest.mark.parametrize(("error", "files"), [(MemoryError, ""), (OSError, ("uplink.py", "ledger.py", "app.py"))])
def test_an_error_at_any_call_of_a_turn_lets_nothing_unlawful_out(evening, error, files):
    everywhere = places(evening)
    assert len(everywhere) > 200
    for where in [each for each in everywhere if each[0].endswith(files)]:
        world, ended = evening(failing(where, error(5)))
        unlawful = [each for each in world.server.arrived if not is_lawful(each[1], each[0])]
        assert not unlawful, (where, unlawful)
        assert not isinstance(ended, AssertionError), (where, ended)
        assert world.stopped and not world.radio, where
        if world.net.stream:
            assert not world.net.stream.taken and not world.on_its_way, where
        again, ended = evening(None, world.nvs, world.server, 165)  # the ledgers still fit each other
        assert isinstance(ended, EOFError) and again.server.sessions > 0, (where, ended)
