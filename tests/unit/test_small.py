"""No number of a quiet turn outgrows a small int, however long the speaker has run.

On a chip an int of more than 31 bits is an object on the heap; on a desktop's MicroPython it takes more than 63, so
that no lock of the heap shows it there. Here the firmware runs with every result of an operator checked, from points in
its life at which its counters and the clock's ticks are about to come round.
"""

import ast
import importlib.abc
import importlib.util
import sys
from array import array
from pathlib import Path
from types import SimpleNamespace

import pytest

import sourdine
from fakes import Contact
from portable.test_uplink import NOW, Dice, Net, Settings, Store
from sourdine import wire

SMALL = 1 << 30  # the first that is too large (MP_SMALL_INT_MAX of a 32-bit MicroPython, plus one)
ROOMS = [
    "app",
    "mic",
    "mute",
    "gate",
    "speaker",
    "light",
    "endpoint",
    "wake",
    "wire",
    "talk",
    "outbox",
    "uplink",
    "ledger",
]
TURNS = 2_500  # with a ping in them


class Large(ArithmeticError):
    """A result that a chip would keep on the heap."""


class Checked(ast.NodeTransformer):
    """Wraps operators in `_small(result, text)`; viper's have 32 bits, and are not its business."""

    def visit_FunctionDef(self, node):
        return (
            node if node.decorator_list and "viper" in ast.unparse(node.decorator_list[0]) else self.generic_visit(node)
        )

    def visit_BinOp(self, node):
        text = ast.unparse(node)
        self.generic_visit(node)
        return ast.Call(ast.Name("_small", ast.Load()), [node, ast.Constant(text)], [])

    visit_UnaryOp = visit_BinOp

    def visit_AugAssign(self, node):
        value = ast.parse(ast.unparse(node.target), mode="eval").body
        return self.visit(ast.Assign([node.target], ast.BinOp(value, node.op, node.value)))


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the rooms, and checks them from arm() on."""

    def __init__(self):
        self.armed = False

    def find_spec(self, name, path, target=None):
        package, _, room = name.rpartition(".")
        return importlib.util.spec_from_loader(name, self) if package == "sourdine" and room in ROOMS else None

    def exec_module(self, module):
        path = Path(sourdine.__file__).parent / f"{module.__name__.rpartition('.')[2]}.py"
        tree = ast.fix_missing_locations(Checked().visit(ast.parse(path.read_text())))
        module._small = self.small
        exec(compile(tree, path, "exec"), module.__dict__)  # noqa: S102  what a loader does

    def small(self, value, text):
        if self.armed and type(value) is int and not -SMALL <= value < SMALL:
            raise Large(f"{text} = {value}")
        return value


class World:
    """A board in a quiet room, with a server that answers."""

    def __init__(self, net, us):
        self.net, self.contact = net, Contact()
        self.contact.clock.us = us
        self.clock = self.contact.clock
        self.heartbeat, self.rail_mv, self.released = self.contact.heartbeat, self.rail, self.contact.released
        self.amplifier = self.pixel = self.set_time = lambda *_: None
        self.online = True
        self.stream = self.beat = None

    def rail(self):
        return self.contact.rail_mv()

    def open_mic(self):
        return SimpleNamespace(readinto=self.capture)

    def open_speaker(self):
        return SimpleNamespace(write=len)

    def every(self, hertz, beat):
        self.beat = beat

    def watchdog(self, timeout_ms):
        return lambda: None

    def store(self, namespace):
        return Store()

    def wifi(self, *login):
        return SimpleNamespace(connected=lambda: self.online, bounce=lambda: None, off=lambda: None)

    def capture(self, words):
        for _ in range(8):
            self.contact.pass_ms(1.25)
            self.beat(None)
        words[:] = array("i", [0x7FFFFFFF if self.contact.powered else 0]) * len(words)
        self.answer()
        return self.clock.ticks_us()

    def answer(self):
        stream = self.net.stream
        if stream is None or stream.closed:
            return
        if stream is not self.stream:
            self.stream, self.decoder, self.sequence = stream, wire.Decoder(wire.DEVICE), 0
        data, stream.taken = stream.taken, b""
        for frame in self.decoder.feed(data):
            kind = {wire.HELLO: wire.WELCOME, wire.PING: wire.PONG}.get(frame.kind, wire.ACK)
            values = (0, wire.VERSION, 0, NOW, 240_000) if kind == wire.WELCOME else (frame.sequence,)
            stream.inbox += wire.encode(kind, 0, self.sequence, *values)
            self.sequence += 1


@pytest.fixture
def board(monkeypatch):
    """board(us) → (app that was built at this time of its clock, its World, the Finder)."""
    finder = Finder()
    for room in ROOMS:
        monkeypatch.setattr(sourdine, room, importlib.import_module(f"sourdine.{room}"))  # to be put back in the end
    for room in ROOMS:
        monkeypatch.delitem(sys.modules, f"sourdine.{room}")
    monkeypatch.setattr(sys, "meta_path", [finder, *sys.meta_path])
    app = importlib.import_module("sourdine.app")
    uplink = sys.modules["sourdine.uplink"]
    net = Net()
    for name, stand_in in (("socket", net), ("select", net), ("os", Dice(0)), ("_context", lambda _: net)):
        monkeypatch.setattr(uplink, name, stand_in)
    monkeypatch.setattr(app, "Frontend", lambda: SimpleNamespace(reset=lambda: None, feed=lambda block: block))
    model = SimpleNamespace(feed=lambda features: 255, reset=lambda: None)
    ears = sys.modules["sourdine.wake"].Wake
    monkeypatch.setattr(ears, "load", classmethod(lambda cls, path: cls(MANIFEST, model)))
    chosen = Settings()
    chosen.ssid = chosen.password = chosen.wake = ""
    monkeypatch.setattr(sys.modules["sourdine.mic"], "unpack", lambda words, out, n, shift: 32768 if words[0] else 0)
    monkeypatch.setattr(app, "energy", lambda samples, n: (1 << 30) - 1)

    def build(us):
        world = World(net, us)
        return app.App(world, chosen), world, finder

    yield build
    for room in ROOMS:
        sys.modules.pop(f"sourdine.{room}", None)


MANIFEST = {
    "type": "micro",
    "version": 2,
    "wake_word": "alexa",
    "model": "alexa.tflite",
    "micro": {"feature_step_size": 10, "tensor_arena_size": 1, "probability_cutoff": 1.0, "sliding_window_size": 100},
}
MS = 1_000
AGES_US = {
    "just started": 0,
    "ticks_us() about to come round": (1 << 30) - 5_000 * MS,
    "half round": (1 << 29) - 5_000 * MS,
    "ticks_ms() about to come round, after 12 days": ((1 << 30) - 5_000) * MS,
    "half round, after 6 days": ((1 << 29) - 5_000) * MS,
}


def run(app, world, finder, state):
    for _ in range(150):  # link, prove
        app.turn()
    if state == "muted":
        world.contact.pressed = True
    if state == "alone":
        world.online = False
        app._uplink._hang_up("gone")
    for _ in range(60):
        app.turn()
    assert app._state() == state
    finder.armed = True
    app._mic._next = sys.modules["sourdine.spec"].FRAMES - 160_000  # and comes round, too
    app._endpoint._quiet = 249
    for _ in range(TURNS):
        app.turn()
    assert app._state() == state


@pytest.mark.parametrize("state", ["listening", "muted", "alone"])
@pytest.mark.parametrize("age", AGES_US)
def test_a_quiet_turn_stays_small_at_any_age(board, age, state):
    run(*board(AGES_US[age]), state)


def test_a_frame_number_that_does_not_come_round_is_seen(board, monkeypatch):
    monkeypatch.setattr(sys.modules["sourdine.spec"], "FRAMES", SMALL + 160_100)
    with pytest.raises(Large, match=r"index"):
        run(*board(0), "listening")
