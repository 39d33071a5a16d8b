"""A household for tests: a server's state folder, speakers enrolled in it, and a speaker that can misbehave."""

import asyncio
import contextlib
import datetime
import hashlib
import ssl
import struct
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sourdine import ledger, spec, wire
from sourdine_tools.server.pki import SERVER_NAME, Authority


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def csr(key, name="whatever"):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def key_bytes(key, encoding=serialization.Encoding.DER):
    return key.private_bytes(encoding, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption())


@dataclass
class Identity:
    """What `sourdine pair` writes on a board, and the folder where a test can point MicroPython at it."""

    name: str
    serial: int
    folder: Path

    def context(self):
        """TLS as the speaker does it, on CPython."""
        context = ssl.create_default_context(cadata=(self.folder / "ca.der").read_bytes())
        context.load_cert_chain(self.folder / "device.pem", self.folder / "device.key")
        return context


class Household:
    """state: the server's folder. enrol(name): a new speaker."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.state = self.folder / "state"
        self.authority = Authority(self.state)

    def enrol(self, name="kitchen"):
        key = new_key()
        certificate = self.authority.issue(name, csr(key))
        return self.write(name, key, certificate)

    def write(self, name, key, certificate):
        folder = self.folder / f"{name}-{certificate.serial_number:x}"
        folder.mkdir(exist_ok=True)
        der, pem = serialization.Encoding.DER, serialization.Encoding.PEM
        (folder / "ca.der").write_bytes(self.authority.certificate.public_bytes(der))
        (folder / "device.der").write_bytes(certificate.public_bytes(der))
        (folder / "key.der").write_bytes(key_bytes(key))
        (folder / "device.pem").write_bytes(certificate.public_bytes(pem))
        (folder / "device.key").write_bytes(key_bytes(key, pem))
        return Identity(name, certificate.serial_number, folder)


def odd_server(household, folder, *, name=SERVER_NAME, until=None, usage=x509.ExtendedKeyUsageOID.SERVER_AUTH, ca=None):
    """A TLS context for a server with a certificate that the product would not make: (certificate, key) files."""
    authority = ca or household.authority
    key = new_key()
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.datetime(1999, 12, 31, tzinfo=datetime.UTC))
        .not_valid_after(until or now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(authority._key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    (folder / "odd.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "odd.key").write_bytes(key_bytes(key, serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "odd.pem", folder / "odd.key")
    context.load_verify_locations(cadata=household.authority.ca_pem.decode())
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


class Speaker:
    """A speaker's side of one connection, as honest as its test wants it. Numbers its own frames."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.sequence = 0
        self.sessions, self.bytes, self.head = 0, 0, ledger.GENESIS
        self.digest = hashlib.sha256()
        self.samples = 0
        self.heard = []
        self._decoder = wire.Decoder(wire.SERVER)

    @classmethod
    async def dial(cls, server, identity, **known):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=identity.context(), server_hostname=SERVER_NAME
        )
        speaker = cls(reader, writer)
        for name, value in known.items():
            setattr(speaker, name, value)
        return speaker

    @classmethod
    async def greet(cls, server, identity, **known):
        speaker = await cls.dial(server, identity, **known)
        await speaker.hello()
        await speaker.until(wire.WELCOME)
        return speaker

    async def say(self, kind, session, *values):
        self.writer.write(wire.encode(kind, session, self.sequence, *values))
        self.sequence += 1
        await self.writer.drain()

    async def hello(self, version=wire.VERSION, pending=0):
        await self.say(wire.HELLO, 0, version, pending, self.sessions, self.bytes, self.head)

    async def wake(self):
        self.digest, self.samples = hashlib.sha256(), 0
        await self.say(wire.WAKE, self.sessions + 1, 1234)

    async def audio(self, samples):
        for at in range(0, len(samples), wire.FRAME_BYTES):
            piece = samples[at : at + wire.FRAME_BYTES]
            self.digest.update(piece)
            self.samples += len(piece) // 2
            await self.say(wire.AUDIO, self.sessions + 1, piece)
            await self.until(wire.ACK)

    def record(self, reason):
        return struct.pack(ledger.RECORD, self.sessions + 1, self.samples, reason, self.digest.digest())

    async def end(self, reason=spec.SILENCE, record=None):
        record = record or self.record(reason)
        await self.say(wire.END, self.sessions + 1, *struct.unpack(ledger.RECORD, record))
        self.head = ledger.next_head(self.head, record)
        self.sessions += 1
        self.bytes += 2 * self.samples
        return await self.until(wire.CHAIN)

    async def session(self, samples, reason=spec.SILENCE):
        await self.wake()
        await self.until(wire.ACK)
        await self.audio(samples)
        return await self.end(reason)

    async def next(self):
        """The next frame as (kind, session, values or payload); None when the server has hung up."""
        while not self.heard:
            try:
                chunk = await asyncio.wait_for(self.reader.read(65_536), 10)
            except (ConnectionError, ssl.SSLError):
                return None
            if not chunk:
                return None
            for frame in self._decoder.feed(chunk):
                values = frame.values() if wire.FRAMES[frame.kind][4] else bytes(frame.payload())
                self.heard.append((frame.kind, frame.session, values))
        return self.heard.pop(0)

    async def until(self, kind):
        """Skip to the next frame of this kind and return its values."""
        while True:
            frame = await self.next()
            assert frame, f"the server hung up before type {kind:#x}"
            if frame[0] == kind:
                return frame[2]
            assert frame[0] != wire.ERROR, wire.ERRORS[frame[2][0]]

    async def hung_up(self):
        """The code of the ERROR that the server said before it hung up; None if it said none."""
        code = None
        while frame := await self.next():
            if frame[0] == wire.ERROR:
                code = frame[2][0]
        return code

    async def leave(self):
        self.writer.transport.abort()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()
