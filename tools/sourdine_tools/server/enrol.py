"""A new speaker's certificate, for a code that works once.

The code proves both sides to each other before anything is trusted: it holds a secret that the server knows (only its
hash is on disk) and the fingerprint of the server's CA. docs/wire.md has the two messages.
"""

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import json
import secrets
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sourdine_board.mistake import Mistake
from sourdine_tools.server.pki import SERVER_NAME, Authority, check_name, write_private

LIFE_S = 600  # of a code
ATTEMPTS = 5
SECRET = 10  # bytes: 80 bits, and five tries
FINGERPRINT = 16  # bytes: 128 bits
CHECK = 3  # bytes: finds a typing mistake before it costs a try
VERSION = b"\x01"
LINE = 8_192  # bytes of a message at most
ANSWER_S = 10.0

NOT_OURS = "this is not the server that made the code; check the address"
FILE = "code.json"


@dataclass(frozen=True)
class Enrolled:
    """What a speaker needs. device: the server's name for it; host, port: as asked; DER throughout."""

    device: str
    ca_der: bytes
    cert_der: bytes
    server_name: str
    host: str
    port: int


def mint(authority: Authority, device: str) -> str:
    """Make the one code that is valid from now on, for a speaker of this name; an earlier one is void."""
    check_name(device)
    secret = secrets.token_bytes(SECRET)
    write_private(
        authority.folder / FILE,
        json.dumps(
            {
                "device": device,
                "secret_sha256": hashlib.sha256(secret).hexdigest(),
                "until": time.time() + LIFE_S,
                "attempts": ATTEMPTS,
            }
        ).encode(),
    )
    body = VERSION + secret + authority.fingerprint[:FINGERPRINT]
    text = base64.b32encode(body + hashlib.sha256(body).digest()[:CHECK]).decode()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def parse(code: str) -> tuple[bytes, bytes]:
    """A code's secret and fingerprint. Raises Mistake."""
    text = "".join(code.split()).replace("-", "").upper().translate(str.maketrans("018", "OIB"))
    try:
        whole = base64.b32decode(text)
    except binascii.Error:
        whole = b""
    body, check = whole[:-CHECK], whole[-CHECK:]
    if len(body) != 1 + SECRET + FINGERPRINT or hashlib.sha256(body).digest()[:CHECK] != check:
        raise Mistake("the code has a typing mistake; it is twelve groups of four letters and digits")
    if body[:1] != VERSION:
        raise Mistake("the code comes from another version of the server; update this program or that one")
    return body[1 : 1 + SECRET], body[1 + SECRET :]


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: Authority, announce: Callable[[str], None]
) -> None:
    """Serve a peer that has no certificate: one line, one answer, over."""
    try:
        async with asyncio.timeout(ANSWER_S):
            line = await reader.readuntil(b"\n")
        question = json.loads(line) if len(line) <= LINE else None
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ValueError, RecursionError):
        question = None
    if not isinstance(question, dict):
        return
    ask = question.get("ask")
    if ask == "ca":
        reply = {"ca": authority.ca_pem.decode()}
    elif ask == "certificate":
        reply = _certificate(question, authority, announce)
    else:
        reply = {"error": "what?"}
    writer.write(json.dumps(reply).encode() + b"\n")
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(ANSWER_S):
            await writer.drain()
            writer.close()
            await writer.wait_closed()


def _certificate(question: dict, authority: Authority, announce: Callable[[str], None]) -> dict:
    path = authority.folder / FILE
    try:
        code = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {"error": "there is no valid code; make one with: sourdine serve --new-code NAME"}
    if code["until"] < time.time():
        path.unlink()
        return {"error": "the code is too old; make another with: sourdine serve --new-code NAME"}
    try:
        offered = hashlib.sha256(bytes.fromhex(question["secret"])).hexdigest()
        csr = str(question["csr"]).encode()
    except (KeyError, ValueError, TypeError):
        return {"error": "what?"}
    if not hmac.compare_digest(offered, code["secret_sha256"]):
        code["attempts"] -= 1
        if code["attempts"] > 0:
            write_private(path, json.dumps(code).encode())
        else:
            path.unlink()
        announce(f"a wrong code was tried; {code['attempts']} tries left")
        return {"error": "the code is wrong, or another was made since"}
    try:
        certificate = authority.issue(code["device"], csr)
    except ValueError:
        return {"error": "the certificate request cannot be used"}
    path.unlink()
    announce(f"enrolled {code['device']}")
    return {"certificate": certificate.public_bytes(Encoding.PEM).decode(), "device": code["device"]}


def request(code: str, csr_pem: bytes, host: str, port: int) -> Enrolled:
    """Trade a code for a certificate. Raises Mistake for whatever a person can mend."""
    secret, fingerprint = parse(code)
    first = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # trusts nobody; it is only asked what it claims to be
    first.check_hostname = False
    first.verify_mode = ssl.CERT_NONE
    ca_pem = _ask(first, host, port, {"ask": "ca"}, "ca")["ca"]
    try:
        ca_der = x509.load_pem_x509_certificate(ca_pem.encode()).public_bytes(Encoding.DER)
    except ValueError as error:
        raise Mistake(NOT_OURS) from error
    if not hmac.compare_digest(hashlib.sha256(ca_der).digest()[:FINGERPRINT], fingerprint):
        raise Mistake(NOT_OURS)
    second = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks the chain, the dates and the name
    second.minimum_version = ssl.TLSVersion.TLSv1_2
    second.load_verify_locations(cadata=ca_der)
    question = {"ask": "certificate", "secret": secret.hex(), "csr": csr_pem.decode()}
    reply = _ask(second, host, port, question, "certificate", "device")
    try:
        certificate = x509.load_pem_x509_certificate(reply["certificate"].encode())
    except ValueError as error:
        raise Mistake("the server sent something that is no certificate; is it the same version?") from error
    return Enrolled(reply["device"], ca_der, certificate.public_bytes(Encoding.DER), SERVER_NAME, host, port)


def _ask(context: ssl.SSLContext, host: str, port: int, question: dict, *keys: str) -> dict[str, str]:
    """One question on one connection; the answer must have these keys."""
    answer = b""
    try:
        with (
            socket.create_connection((host, port), ANSWER_S) as raw,
            context.wrap_socket(raw, server_hostname=SERVER_NAME) as tls,
        ):
            tls.sendall(json.dumps(question).encode() + b"\n")
            while not answer.endswith(b"\n") and len(answer) <= LINE:
                piece = tls.recv(4096)
                if not piece:
                    break
                answer += piece
    except ssl.SSLCertVerificationError as error:
        raise Mistake(NOT_OURS) from error
    except ssl.SSLError as error:
        raise Mistake(f"{host} port {port} does not speak TLS as the server does; check the address") from error
    except OSError as error:
        raise Mistake(f"no answer from {host} port {port} ({error}); does `sourdine serve` run there?") from error
    try:
        reply = json.loads(answer)
        if "error" in reply:
            said = "".join(filter(str.isprintable, str(reply["error"])))  # whoever it is, it may not steer the terminal
            raise Mistake(f"the server says: {said[:200]}")
        return {key: str(reply[key]) for key in keys}
    except (ValueError, KeyError, TypeError) as error:
        raise Mistake(f"{host} port {port} is not a Sourdine server; check the address") from error
