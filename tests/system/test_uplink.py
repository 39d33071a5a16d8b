"""The firmware's uplink on real MicroPython against the real server, with real TLS, on the wall clock."""

import asyncio
import contextlib
import datetime
import json
import os
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from household import Household, odd_server
from sourdine import spec, wire
from sourdine_tools.server import Server, serving
from sourdine_tools.server.chain import Chain

ROOT = Path(__file__).parents[2]
MICROPYTHON = ROOT / ".venv/bin/micropython"
PATTERN = b"".join((i & 0x7FFF).to_bytes(2, "little") for i in range(160 * 1000))


class Chip:
    """A running tests/system/uplink_chip.py."""

    def __init__(self, identity, port):
        self.process = subprocess.Popen(
            [MICROPYTHON, "-X", "heapsize=2m", "tests/system/uplink_chip.py", identity.folder, str(port)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n"

    def __call__(self, expression):
        self.process.stdin.write(expression + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    @property
    def state(self):
        return self("chip.state()")

    def link(self):
        self("chip.run(20000, lambda: chip.up.linked)")
        assert self.state["linked"], self.state["error"]
        return self

    def settle(self, sessions=1):
        """Turn the loop until so many sessions are over and confirmed."""
        self(f"chip.run(10000, lambda: chip.ledger.sessions == {sessions} and not chip.ledger.pending)")
        state = self.state
        assert (state["sessions"], state["pending"]) == (sessions, False), state["error"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def house(tmp_path):
    return Household(tmp_path)


@contextlib.contextmanager
def chip_of(identity, port):
    chip = Chip(identity, port)
    try:
        yield chip
    finally:
        chip.stop()


@contextlib.contextmanager
def served(house, **options):
    got = []

    async def on_session(session):
        got.append((session.number, session.reason, bytes(session.audio)))
        if "reply" in options:
            await session.reply(options["reply"])

    said = []
    server = Server(house.state, on_session=on_session, announce=said.append)
    server.got, server.said = got, said
    with serving(server):
        yield server


class Cable(threading.Thread):
    """A TCP relay whose cable can be pulled: packets wait at both ends, connections stay open."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.target = port
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.plugged = threading.Event()
        self.plugged.set()
        self.ends = []
        self.start()

    def run(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            self.ends += [near, far]
            for a, b in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def cut(self):
        """Both ends of every connection are gone."""
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                self.plugged.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def test_sessions_replies_and_ledgers_agree(house):
    with served(house, reply=b"ab" * 20_000) as server, chip_of(house.enrol(), server.port) as chip:
        chip.link()
        for reason in (spec.SILENCE, spec.CAP):
            assert chip("chip.wake()")
            assert chip("chip.talk(100)") == 100
            chip(f"chip.shut({reason})")
            chip("chip.run(5000, lambda: 'play_end' in chip.log)")
            chip("chip.log.clear()")
        state = chip.state
        assert state["played"] == 80_000 and not state["pending"]
        assert server.got == [(1, spec.SILENCE, PATTERN[:32_000]), (2, spec.CAP, PATTERN[:32_000])]
    chain = Chain.load(house.state, "kitchen")
    assert (chain.sessions, chain.audio_bytes, chain.head.hex()) == (2, 64_000, state["head"])
    assert not chain.oddities and not chain.gaps


def test_mute_sends_nothing_that_was_not_handed_over(house):
    with served(house) as server, chip_of(house.enrol(), server.port) as chip:
        chip.link()
        assert chip("chip.wake()")
        chip("chip.talk(50)")
        chip("[chip.up.audio(array('h', [7] * 160)) for _ in range(3)]")
        chip(f"chip.shut({spec.MUTE})")
        chip.settle()
        (number, reason, audio) = wait_for(lambda: server.got)[0]
        assert (number, reason) == (1, spec.MUTE)
        assert audio == PATTERN[: len(audio)] and len(audio) <= 16_000
        assert "drop" not in chip.state["log"] and chip.state["linked"]


def wait_for(what):
    """Poll something that another thread is about to bring."""
    wait = threading.Event()
    for _ in range(2_000):
        if value := what():
            return value
        wait.wait(0.005)
    raise AssertionError("it never happened")


def test_a_pulled_cable_ends_the_session_and_what_was_captured_stays(house):
    with served(house) as server:
        cable = Cable(server.port)
        with chip_of(house.enrol(), cable.port) as chip:
            chip.link()
            assert chip("chip.wake()")
            chip("chip.talk(50)")
            cable.plugged.clear()
            assert chip("chip.talk(500, 50)") < 500
            state = chip.state
            assert state["log"][-2:] == ["drop", "down"] and state["pending"]
            cable.plugged.set()
            chip.link()
            chip.settle()
            assert not chip.state["pending"]
            (_, reason, audio) = wait_for(lambda: server.got)[0]
            assert reason == spec.LINK and audio == PATTERN[: len(audio)]
            assert len(audio) <= 16_000 + 8 * wire.FRAME_BYTES
            chain = Chain.load(house.state, "kitchen")
            assert chain.sessions == 1 and not chain.lost and not chain.oddities
            assert chain.head.hex() == chip.state["head"]


def test_a_server_that_dies_is_found_again(house):
    with served(house) as server:
        cable = Cable(server.port)
        with chip_of(house.enrol(), cable.port) as chip:
            chip.link()
            assert chip("chip.wake()")
            chip("chip.talk(20)")
            cable.cut()
            chip("chip.run(5000, lambda: not chip.up.linked)")
            assert chip.state["log"][-1] == "down" and not chip("chip.wake()")
            chip.link()
            chip.settle()
            assert chip.state["bytes"] <= 6_400


def test_a_server_that_stops_says_so_and_is_found_again(house):
    identity = house.enrol()
    with served(house) as server:
        port = server.port
        chip = Chip(identity, port).link()
    chip("chip.run(2000, lambda: not chip.up.linked)")
    assert chip.state["error"] == wire.ERRORS[wire.STOPPING]
    again = Server(house.state, port=port, announce=lambda line: None)
    with serving(again):
        chip.link()
        chip.stop()


def test_a_restarted_board_goes_on_where_its_ledger_stands(house):
    identity = house.enrol()
    with served(house) as server:
        with chip_of(identity, server.port) as chip:
            chip.link()
            assert chip("chip.wake()")
            chip("chip.talk(20)")
            chip.process.kill()
        with chip_of(identity, server.port) as chip:
            chip.link()
            chip.settle()
            assert chip("chip.wake()")
            chip(f"chip.shut({spec.SILENCE})")
            chip.settle(2)
            state = chip.state
    chain = Chain.load(house.state, "kitchen")
    assert (chain.sessions, chain.head.hex()) == (2, state["head"]) and not chain.oddities
    assert "power lost" in chain.path.read_text()


# Servers that are not ours: each must be survived, and nothing but TLS's own first words may reach them.


@contextlib.contextmanager
def impostor(answer, context=None):
    """A server in a thread; answer(reader, writer) per connection. Yields its port and the bytes it understood."""
    understood = []
    port = []
    started, over = threading.Event(), None
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def accept(reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await answer(reader, writer, understood)
        writer.transport.abort()

    async def main():
        server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
        port.append(server.sockets[0].getsockname()[1])
        started.set()
        await over.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()))
    thread.start()
    started.wait()
    try:
        yield port[0], understood
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()


async def welcome(reader, writer, understood):
    """As good a server as can be."""
    sequence = 0
    decoder = wire.Decoder(wire.DEVICE)
    while data := await reader.read(4096):
        understood.append(data)
        for frame in decoder.feed(data):
            if frame.kind == wire.HELLO:
                now = int(datetime.datetime.now(datetime.UTC).timestamp())
                writer.write(wire.encode(wire.WELCOME, 0, 0, 0, wire.VERSION, 0, now, 240_000))
            else:
                writer.write(wire.encode(wire.ACK, 0, sequence, frame.sequence))
            sequence += 1


async def silent(reader, writer, understood):
    while await reader.read(4096):
        pass


async def garbage(reader, writer, understood):
    writer.write(os.urandom(100_000))
    await writer.drain()
    await silent(reader, writer, understood)


async def plaintext(reader, writer, understood):
    writer.write(wire.encode(wire.WELCOME, 0, 0, 0, wire.VERSION, 0, 1_800_000_000, 240_000))
    data = await reader.read(4096)
    understood.append(data)
    await silent(reader, writer, understood)


async def flood(reader, writer, understood):
    await reader.read(4096)
    writer.write(wire.encode(wire.WELCOME, 0, 0, 0, wire.VERSION, 0, 1_800_000_000, 240_000))
    for sequence in range(1, 100_000):
        writer.write(wire.encode(wire.PLAY, 1, sequence, bytes(1280)))
        await writer.drain()


def try_dialling(chip, ms=500):
    """Turn the loop for a while; the link must not come up, and no wake may open anything."""
    chip(f"chip.run({ms}, lambda: chip.up.linked)")
    assert not chip("chip.wake()") and chip("chip.talk(3)") == 0
    state = chip.state
    assert not state["linked"] and "up" not in state["log"] and state["bytes"] == 0
    return state


def test_the_impostors_stand_in_would_be_believed_if_its_certificate_were_right(house, tmp_path):
    with (
        impostor(welcome, odd_server(house, tmp_path / "odd")) as (port, understood),
        chip_of(house.enrol(), port) as chip,
    ):
        chip.link()
        assert chip("chip.wake()") and understood


@pytest.mark.parametrize("fault", ["another CA", "another name", "expired", "a speaker's certificate"])
def test_a_server_with_a_wrong_certificate_hears_nothing(house, tmp_path, fault):
    from cryptography import x509

    options = {
        "another CA": lambda: {"ca": Household(tmp_path / "elsewhere").authority},
        "another name": lambda: {"name": "other.sourdine.internal"},
        "expired": lambda: {"until": datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)},
        "a speaker's certificate": lambda: {"usage": x509.ExtendedKeyUsageOID.CLIENT_AUTH},
    }[fault]()
    context = odd_server(house, tmp_path / "odd", **options)
    with impostor(welcome, context) as (port, understood), chip_of(house.enrol(), port) as chip:
        state = try_dialling(chip)
        assert state["error"] and not understood
        assert "time" not in state["log"]


@pytest.mark.parametrize("answer", [silent, garbage, plaintext])
def test_a_server_without_tls_hears_nothing_of_ours(house, answer):
    with impostor(answer) as (port, understood), chip_of(house.enrol(), port) as chip:
        try_dialling(chip)
        for data in understood:
            assert data[:2] == b"\x16\x03"  # a TLS handshake record and no more
            assert len(data) == 5 + int.from_bytes(data[3:5], "big")


@pytest.mark.parametrize("answer", [garbage, flood])
def test_a_server_of_ours_gone_mad_is_dropped(house, tmp_path, answer):
    with impostor(answer, odd_server(house, tmp_path / "odd")) as (port, _), chip_of(house.enrol(), port) as chip:
        chip("chip.run(600)")
        state = chip.state
        assert not state["linked"] and state["error"] and state["played"] == 0


def test_a_revoked_board_is_told_and_backs_off(house):
    identity = house.enrol()
    house.authority.revoke("kitchen")
    with served(house) as server, chip_of(identity, server.port) as chip:
        assert "revoked" in try_dialling(chip)["error"]
