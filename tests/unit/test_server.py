"""The server against speakers that are honest, slow or hostile, over real TLS on loopback."""

import asyncio
import contextlib
import errno
import json
import os
import ssl
import stat
import struct

import pytest

from household import Household, Speaker, csr, new_key
from sourdine import ledger, spec, wire
from sourdine_board.mistake import Mistake
from sourdine_tools.server import Server, chain, conversation, listener
from sourdine_tools.server.chain import Chain
from sourdine_tools.server.pki import SERVER_NAME, Authority

NOISE = os.urandom(64_000)  # 2 s of a pattern that occurs nowhere else


@pytest.fixture
def house(tmp_path):
    return Household(tmp_path)


def lines(text):
    return [line for line in text if "session" in line]


@contextlib.asynccontextmanager
async def running(house, **options):
    said = []
    server = Server(house.state, announce=said.append, **options)
    server.said = said
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def test_a_session_arrives_is_handed_over_and_wiped(house):
    kept = []

    async def on_session(session):
        kept.append((session, bytes(session.audio), session._buffer))

    async def story():
        async with running(house, on_session=on_session) as server:
            speaker = await Speaker.greet(server, house.enrol())
            await speaker.wake()
            await speaker.until(wire.ACK)
            await speaker.audio(NOISE[:32_000])
            assert server.buffered == 32_000 and server.sessions["kitchen"].samples == 16_000
            assert await speaker.end() == (1, speaker.head)
            await settled(lambda: kept and not server.buffered)
            (session, audio, buffer) = kept[0]
            assert audio == NOISE[:32_000]
            assert (session.device, session.number, session.seconds, session.reason) == (
                "kitchen",
                1,
                1.0,
                spec.SILENCE,
            )
            assert not any(buffer) and len(buffer) == 2 * spec.SESSION_MAX
            assert lines(server.said)[-1].endswith("kitchen  session 1  1.00 s  32000 bytes  silence")

    asyncio.run(story())


async def settled(condition):
    """Wait until something that is under way is done."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never happened")


def test_the_buffer_is_wiped_whatever_the_callback_does(house):
    buffers = []

    def on_session(session):
        buffers.append(session._buffer)
        raise RuntimeError(NOISE[:10].hex())

    async def story():
        async with running(house, on_session=on_session) as server:
            speaker = await Speaker.greet(server, house.enrol())
            await speaker.session(NOISE)
            await settled(lambda: not server.buffered)
            assert not any(buffers[0])
            assert any("RuntimeError" in line for line in server.said)
            assert NOISE[:10].hex() not in "".join(server.said)
            await speaker.session(NOISE)

    asyncio.run(story())


def test_no_audio_reaches_the_disk_or_the_log(house, capfd):
    async def story():
        async with running(house) as server:
            speaker = await Speaker.greet(server, house.enrol())
            await speaker.session(NOISE)
            await speaker.wake()
            await speaker.until(wire.ACK)
            await speaker.audio(NOISE)
            await speaker.leave()
            await settled(lambda: not server.conversations)
            return "\n".join(server.said)

    said = asyncio.run(story())
    out, err = capfd.readouterr()
    kept = [said.encode(), out.encode(), err.encode()]
    files = [path for path in house.state.rglob("*") if path.is_file()]
    kept += [path.read_bytes() for path in files]
    assert {path.name for path in files} == {
        "ca.pem", "ca.key", "server.pem", "server.key", "devices.json", "kitchen.jsonl", "lock",
    }  # fmt: skip
    for piece in (NOISE[at : at + 8] for at in range(0, len(NOISE), 97)):
        for place in kept:
            assert piece not in place and piece.hex().encode() not in place
    assert sum(map(len, kept)) < 10_000


def test_twenty_speakers_at_once_keep_to_themselves(house):
    got = {}

    def on_session(session):
        got[session.device] = bytes(session.audio)

    async def one(server, identity, number):
        speaker = await Speaker.greet(server, identity)
        await speaker.session(bytes([number]) * 32_000)

    async def story():
        identities = [house.enrol(f"room-{number}") for number in range(20)]
        async with running(house, on_session=on_session) as server:
            await asyncio.gather(*(one(server, each, n) for n, each in enumerate(identities)))
            await settled(lambda: len(got) == 20)

    asyncio.run(story())
    assert got == {f"room-{number}": bytes([number]) * 32_000 for number in range(20)}


def test_a_newer_connection_replaces_the_older_whose_session_ends(house):
    async def story():
        identity = house.enrol()
        async with running(house) as server:
            first = await Speaker.greet(server, identity)
            await first.wake()
            await first.until(wire.ACK)
            second = await Speaker.greet(server, identity)
            assert await first.hung_up() == wire.REPLACED
            assert lines(server.said)[-1].endswith("link lost")
            await second.say(wire.PING, 0)
            await second.until(wire.PONG)
            assert list(server.conversations) == ["kitchen"]

    asyncio.run(story())


def test_of_three_connections_at_once_with_one_certificate_the_last_remains(house):
    async def story():
        identity = house.enrol()
        async with running(house) as server:
            first = await Speaker.greet(server, identity)
            first.writer.transport.pause_reading()  # so that its goodbye takes a while
            others = [await Speaker.dial(server, identity) for _ in range(2)]
            await settled(lambda: len(server._peers) == 1)
            assert await others[0].hung_up() == wire.REPLACED
            await others[1].hello()
            await others[1].until(wire.WELCOME)

    asyncio.run(story())


def test_what_a_replaced_connection_still_had_to_say_is_not_obeyed(house, monkeypatch):
    async def story():
        identity = house.enrol()
        async with running(house) as server:
            first = await Speaker.greet(server, identity)
            monkeypatch.setattr(conversation, "RATE", 2 * conversation.READ_BYTES)
            monkeypatch.setattr(conversation, "BURST_S", 0.0)
            said = b""
            while len(said) < conversation.READ_BYTES:  # what follows waits until it is due at RATE
                said += wire.encode(wire.EVENT, 0, first.sequence, wire.MUTED)
                first.sequence += 1
            first.writer.write(said + wire.encode(wire.WAKE, 1, first.sequence, 1234))
            await first.until(wire.ACK)
            second = await Speaker.greet(server, identity)
            await settled(lambda: len(server._peers) == 1)
            assert not server.buffers
            await second.leave()

    asyncio.run(story())


@pytest.mark.parametrize("how", ["breaks off", "ends"])
def test_a_full_disk_is_said_and_the_audio_is_wiped_all_the_same(house, monkeypatch, how):
    got = []

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    async def story():
        identity = house.enrol()
        async with running(house, on_session=lambda session: got.append((session.bytes, session.reason))) as server:
            speaker = await Speaker.greet(server, identity)
            await speaker.wake()
            await speaker.audio(NOISE[:2_560])
            monkeypatch.setattr(chain.os, "pwrite", full)
            if how == "ends":
                await speaker.say(wire.END, 1, *struct.unpack(ledger.RECORD, speaker.record(spec.SILENCE)))
                assert await speaker.hung_up() == wire.STOPPING
            await speaker.leave()
            await settled(lambda: not server._peers and not server.buffers)
            assert any("No space left" in line for line in server.said)

    asyncio.run(story())
    assert got == [(2_560, spec.LINK)]


def test_a_speaker_that_floods_with_sessions_fills_no_memory(house):
    async def slow(session):
        await asyncio.sleep(60)

    async def story():
        identity = house.enrol()
        async with running(house, on_session=slow) as server:
            speaker = await Speaker.greet(server, identity)
            for _ in range(conversation.HELD):
                await speaker.session(b"")
            for _ in range(2):  # dialling anew does not help
                await speaker.wake()
                assert await speaker.hung_up() == wire.BUSY
                assert len(server.buffers) == conversation.HELD
                known = {"sessions": speaker.sessions, "head": speaker.head}
                speaker = await Speaker.greet(server, identity, **known)

    asyncio.run(story())


def test_a_broken_session_ends_as_link_lost_and_its_record_may_come_later(house):
    async def story():
        identity = house.enrol()
        async with running(house) as server:
            first = await Speaker.greet(server, identity)
            await first.wake()
            await first.until(wire.ACK)
            await first.audio(NOISE[:3_200])
            await first.leave()
            await settled(lambda: not server.conversations)
            assert Chain.load(house.state, "kitchen").lost.keys() == {1}
            first.samples = 2_000
            record = first.record(spec.LINK)
            second = await Speaker.dial(server, identity, sessions=1, bytes=4_000)
            second.head = first.head = wire_head(first.head, record)
            await second.hello(pending=1)
            await second.until(wire.WELCOME)
            second.sessions = 0
            second.head = bytes(32)
            second.samples = 2_000
            await second.end(record=record)
            chain = Chain.load(house.state, "kitchen")
            assert (chain.sessions, chain.audio_bytes, chain.head) == (1, 4_000, first.head)
            assert not chain.lost and not chain.oddities
            assert json.loads(chain.path.read_text().splitlines()[-1])["received"] == 1_600

    asyncio.run(story())


def wire_head(head, record):
    from sourdine.ledger import next_head

    return next_head(head, record)


def test_a_repeated_end_is_confirmed_and_written_once(house):
    async def story():
        identity = house.enrol()
        async with running(house) as server:
            first = await Speaker.greet(server, identity)
            await first.wake()
            record = first.record(spec.MUTE)
            await first.end(record=record)
            size = Chain.load(house.state, "kitchen").path.stat().st_size
            second = await Speaker.dial(server, identity, sessions=1, head=first.head)
            await second.hello(pending=1)
            await second.until(wire.WELCOME)
            second.sessions = 0
            await second.end(record=record)
            assert Chain.load(house.state, "kitchen").path.stat().st_size == size

    asyncio.run(story())


def test_a_repeated_end_cannot_smuggle_in_another_sessions_record(house):
    async def story():
        identity = house.enrol()
        async with running(house) as server:
            first = await Speaker.greet(server, identity)
            await first.session(NOISE[:640])
            second = await Speaker.dial(server, identity, sessions=1, head=first.head, bytes=first.bytes)
            await second.hello(pending=1)
            await second.until(wire.WELCOME)
            await second.say(wire.END, 1, 2, 0, spec.MUTE, bytes(32))
            assert await second.hung_up() == wire.BAD_FRAME
            assert Chain.load(house.state, "kitchen").sessions == 1

    asyncio.run(story())


@pytest.mark.parametrize("known", [{"sessions": 0}, {"sessions": 1, "head": b"x" * 32}])
def test_a_speaker_whose_ledger_does_not_follow_is_refused(house, known):
    async def story():
        identity = house.enrol()
        async with running(house) as server:
            first = await Speaker.greet(server, identity)
            await first.session(NOISE[:640])
            second = await Speaker.dial(server, identity, **known)
            await second.hello()
            assert await second.hung_up() == wire.MISFIT

    asyncio.run(story())


def test_another_version_is_refused_by_name(house):
    async def story():
        async with running(house) as server:
            for extra in (b"", b"more fields of a later version"):
                speaker = await Speaker.dial(server, house.enrol())
                frame = wire.encode(wire.HELLO, 0, 0, wire.VERSION + 1, 0, 0, 0, bytes(32)) + extra
                speaker.writer.write(frame[:3] + bytes([len(frame) - wire.HEADER]) + frame[4:])
                assert await speaker.hung_up() == wire.BAD_VERSION
            assert not server.sessions

    asyncio.run(story())


async def opened(speaker):
    await speaker.wake()
    await speaker.until(wire.ACK)


HOSTILE = {
    "audio without a wake": lambda s: s.say(wire.AUDIO, 1, b"ab"),
    "a wake of a session that was": lambda s: s.say(wire.WAKE, 3, 0),
    "a wake that skips": lambda s: s.say(wire.WAKE, 5, 0),
    "a second hello": lambda s: s.hello(),
    "too much credit": lambda s: s.say(wire.CREDIT, 0, wire.CREDIT_MAX + 1),
    "an end of nothing": lambda s: s.say(wire.END, 4, 4, 0, 1, bytes(32)),
    "a server's frame": lambda s: s.say(wire.CLOSE, 4),
    "a huge length": lambda s: raw(s, b"\x03\x00\xff\xff" + (4).to_bytes(4, "big") + (1).to_bytes(4, "big")),
    "a replayed frame": lambda s: raw(s, wire.encode(wire.PING, 0, 0)),
    "HTTP": lambda s: raw(s, b"GET / HTTP/1.1\r\n\r\n"),
    "noise": lambda s: raw(s, NOISE),
}
HOSTILE_IN_SESSION = {
    "audio of another session": lambda s: s.say(wire.AUDIO, 3, b"ab"),
    "a second wake": lambda s: s.say(wire.WAKE, 5, 0),
    "an end that lies about the count": lambda s: s.say(wire.END, 4, 4, 9, 1, bytes(32)),
    "an end with another's record": lambda s: s.say(wire.END, 4, 5, 0, 1, bytes(32)),
    "an end without a reason": lambda s: s.say(wire.END, 4, 4, 0, 99, bytes(32)),
}


async def raw(speaker, data):
    speaker.writer.write(data)
    await speaker.writer.drain()


@pytest.mark.parametrize("what", sorted(HOSTILE.keys() | HOSTILE_IN_SESSION.keys()))
def test_a_speaker_that_breaks_a_rule_is_dropped_and_leaves_nothing(house, what):
    async def story():
        async with running(house) as server:
            speaker = await Speaker.greet(server, house.enrol(), sessions=3)
            if what in HOSTILE_IN_SESSION:
                await opened(speaker)
            await (HOSTILE | HOSTILE_IN_SESSION)[what](speaker)
            assert await speaker.hung_up() == wire.BAD_FRAME
            await settled(lambda: not server.conversations and not server.buffered)
            assert Chain.load(house.state, "kitchen").sessions == 3

    asyncio.run(story())


def test_a_session_longer_than_15_seconds_is_cut(house):
    async def story():
        async with running(house) as server:
            speaker = await Speaker.greet(server, house.enrol())
            await opened(speaker)
            await speaker.audio(bytes(2 * spec.SESSION_MAX))
            await speaker.say(wire.AUDIO, 1, b"ab")
            assert await speaker.hung_up() == wire.BAD_FRAME

    asyncio.run(story())


@pytest.mark.parametrize(
    ("patience", "begin"),
    [
        ("HELLO_S", lambda server, identity: Speaker.dial(server, identity)),
        ("IDLE_S", lambda server, identity: Speaker.greet(server, identity)),
        ("SESSION_S", lambda server, identity: in_session(server, identity)),
        ("FRAME_S", lambda server, identity: half_a_frame(server, identity)),
    ],
)
def test_a_speaker_that_stops_talking_is_dropped(house, monkeypatch, patience, begin):
    monkeypatch.setattr(conversation, patience, 0.05)

    async def story():
        async with running(house) as server:
            speaker = await begin(server, house.enrol())
            await speaker.hung_up()
            await settled(lambda: not server.conversations and not server.buffered)

    asyncio.run(story())


async def in_session(server, identity):
    speaker = await Speaker.greet(server, identity)
    await opened(speaker)
    return speaker


async def half_a_frame(server, identity):
    speaker = await Speaker.greet(server, identity)
    await raw(speaker, wire.encode(wire.PING, 0, 1)[:5])
    return speaker


def test_a_reply_keeps_to_the_credit(house):
    async def story():
        done = []

        async def on_session(session):
            await session.reply(NOISE[:20_000])
            done.append(session)

        async with running(house, on_session=on_session) as server:
            speaker = await Speaker.greet(server, house.enrol())
            await speaker.say(wire.CREDIT, 0, 16_384)
            await speaker.session(b"ab" * 100)
            got = b""
            while len(got) < 12 * 1280:
                got += await speaker.until(wire.PLAY)
            assert not done
            await speaker.say(wire.CREDIT, 0, 16_384)
            while len(got) < 20_000:
                got += await speaker.until(wire.PLAY)
            await speaker.until(wire.PLAY_END)
            assert got == NOISE[:20_000]

    asyncio.run(story())


def test_the_server_can_ask_for_an_earlier_end_and_for_nothing_more(house):
    async def story():
        async with running(house) as server:
            speaker = await Speaker.greet(server, house.enrol())
            await opened(speaker)
            session = server.sessions["kitchen"]
            with pytest.raises(ConnectionError):
                await session.reply(b"ab")
            await session.close()
            await session.close()
            await speaker.until(wire.CLOSE)
            await speaker.end(spec.SERVER)
            await session.close()
            assert not {wire.CLOSE} & {frame[0] for frame in speaker.heard}
            assert "server" in lines(server.said)[-1]

    asyncio.run(story())


def test_a_revoked_speaker_is_refused_at_once_and_in_its_next_session(house):
    async def story():
        identity = house.enrol()
        async with running(house) as server:
            speaker = await Speaker.greet(server, identity)
            house.authority.revoke("kitchen")
            await speaker.wake()
            assert await speaker.hung_up() == wire.REVOKED
            again = await Speaker.dial(server, identity)
            assert await again.hung_up() == wire.REVOKED
            assert not server.conversations

    asyncio.run(story())


def test_a_certificate_that_was_replaced_is_refused(house):
    async def story():
        old = house.enrol()
        house.enrol()
        async with running(house) as server:
            assert await (await Speaker.dial(server, old)).hung_up() == wire.REVOKED

    asyncio.run(story())


def test_a_stranger_or_a_plaintext_peer_gets_no_conversation(house, tmp_path):
    async def story():
        stranger = Household(tmp_path / "elsewhere").enrol()
        (stranger.folder / "ca.der").write_bytes((house.enrol().folder / "ca.der").read_bytes())
        taps = []
        async with running(house, tap=lambda *args: taps.append(args)) as server:
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                await Speaker.greet(server, stranger)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(wire.encode(wire.HELLO, 0, 0, wire.VERSION, 0, 0, 0, bytes(32)))
            with contextlib.suppress(ConnectionError):
                data = await reader.read()
                assert len(data) < 20  # a TLS alert, if anything
            assert not server.conversations and not taps

    asyncio.run(story())


def test_strangers_who_say_nothing_do_not_keep_a_speaker_out(house, monkeypatch):
    monkeypatch.setattr(listener, "CONNECTIONS", 4)
    monkeypatch.setattr(listener, "STRANGERS", 2)

    async def story():
        identity = house.enrol()
        context = ssl.create_default_context(cadata=house.authority.ca_pem.decode())
        async with running(house) as server:
            strangers = [
                await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname=SERVER_NAME)
                for _ in range(6)
            ]
            speaker = await Speaker.greet(server, identity)
            assert len(server._peers) == 3
            await speaker.leave()
            for _, writer in strangers:
                writer.transport.abort()

    asyncio.run(story())


def test_the_tap_sees_every_plaintext_byte_of_every_connection(house):
    taps = []

    async def story():
        identity = house.enrol()
        async with running(house, tap=lambda *args: taps.append(args)) as server:
            for _ in range(2):
                speaker = await Speaker.greet(server, identity)
                await raw(speaker, b"\xff" * 12)
                await speaker.hung_up()

    asyncio.run(story())
    hello = wire.encode(wire.HELLO, 0, 0, wire.VERSION, 0, 0, 0, bytes(32))
    for name in ("kitchen#1", "kitchen#2"):
        assert b"".join(data for who, way, data in taps if (who, way) == (name, "in")) == hello + b"\xff" * 12
        out = b"".join(data for who, way, data in taps if (who, way) == (name, "out"))
        assert [frame.kind for frame in wire.Decoder(wire.SERVER).feed(out)] == [wire.WELCOME, wire.ERROR]


def test_stopping_tells_the_speakers_and_wipes(house):
    async def story():
        async with running(house) as server:
            speaker = await in_session(server, house.enrol())
            await speaker.audio(NOISE[:640])
            buffer = server.sessions["kitchen"]._buffer
        assert await speaker.hung_up() == wire.STOPPING
        assert not any(buffer) and not server.buffers

    asyncio.run(story())


def test_keys_are_private_and_made_once(house):
    first = {path.name: path.read_bytes() for path in house.state.iterdir()}
    Authority(house.state)
    assert first == {path.name: path.read_bytes() for path in house.state.iterdir()}
    assert stat.S_IMODE(house.state.stat().st_mode) == 0o700
    for path in house.state.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_first_start_that_was_cut_short_is_mended(house):
    (house.state / "ca.pem").unlink()
    again = Authority(house.state)
    assert again.fingerprint != house.authority.fingerprint
    context = ssl.create_default_context(cadata=again.ca_pem.decode())
    assert context.get_ca_certs()
    again.context()


def test_a_server_certificate_near_its_end_is_made_anew(house, monkeypatch):
    from sourdine_tools.server import pki

    before = (house.state / "server.pem").read_bytes()
    monkeypatch.setattr(pki, "RENEW_BEFORE", 6 * pki.YEAR)
    Authority(house.state)
    assert (house.state / "server.pem").read_bytes() != before


def test_certificates_are_valid_since_1999_and_for_one_purpose(house):
    from cryptography import x509

    identity = house.enrol()
    device = x509.load_der_x509_certificate((identity.folder / "device.der").read_bytes())
    server = x509.load_pem_x509_certificate((house.state / "server.pem").read_bytes())
    purposes = {}
    for certificate in (device, server):
        assert certificate.not_valid_before_utc.year == 1999
        purposes[certificate] = list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert purposes[device] == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    assert purposes[server] == [x509.ExtendedKeyUsageOID.SERVER_AUTH]
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [SERVER_NAME]


@pytest.mark.parametrize("name", ["", "a/b", "..", "A", "x" * 33, "-x", "ü"])
def test_a_name_that_could_be_a_path_is_refused(house, name):
    with pytest.raises(Mistake, match="no name"):
        house.authority.issue(name, csr(new_key()))


def test_a_port_or_a_folder_that_is_taken_is_the_users_to_mend(house):
    async def story():
        async with running(house) as server:
            with pytest.raises(Mistake, match="cannot listen"):
                await Server(house.folder / "other", port=server.port).start()
            with pytest.raises(Mistake, match="another server uses"):
                await Server(house.state).start()

    asyncio.run(story())
