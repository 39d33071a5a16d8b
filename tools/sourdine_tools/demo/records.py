"""What TLS shows to anybody on the wire: record types and lengths, from which the plaintext can be counted.

Only TLS 1.2 is counted (RFC 5246, section 6.2), because that is what MicroPython's Mbed TLS speaks: there the records
that hold a program's data say so in clear, and their ciphers add a fixed number of bytes (RFC 5288, 6655, 7905).
"""

from dataclasses import dataclass

CHANGE, ALERT, HANDSHAKE, DATA = 20, 21, 22, 23
NAMES = {CHANGE: "change cipher", ALERT: "alert", HANDSHAKE: "handshake", DATA: "data"}
HEADER = 5  # bytes: type, version, length
SERVER_HELLO = 2
OVERHEAD = {  # cipher suite → bytes that a record has more than its plaintext (explicit nonce, tag)
    0xC02B: 24, 0xC02C: 24, 0xC02F: 24, 0xC030: 24,  # ECDHE with AES-GCM
    0xC0AC: 24, 0xC0AD: 24, 0xC0AE: 16, 0xC0AF: 16,  # ECDHE-ECDSA with AES-CCM, AES-CCM-8
    0xCCA8: 16, 0xCCA9: 16,  # ECDHE with ChaCha20-Poly1305
}  # fmt: skip


class Unaccountable(ValueError):
    """Bytes on the wire that are no TLS 1.2 record, or whose plaintext cannot be counted; the text says which."""


@dataclass(frozen=True)
class Record:
    kind: int
    start: int  # offset of its header in the TCP stream
    end: int  # offset behind its last byte
    body: bytes


def records(stream: bytes) -> tuple[list[Record], int]:
    """The complete records of one direction, and how many bytes of an unfinished one are left over."""
    found, at = [], 0
    while at + HEADER <= len(stream):
        kind, major, length = stream[at], stream[at + 1], int.from_bytes(stream[at + 3 : at + 5], "big")
        if kind not in NAMES or major != 3:
            raise Unaccountable(f"byte {at} of the connection begins no TLS record: {bytes(stream[at : at + 5]).hex()}")
        end = at + HEADER + length
        if end > len(stream):
            break
        found.append(Record(kind, at, end, bytes(stream[at + HEADER : end])))
        at = end
    return found, len(stream) - at


def overhead(from_server: list[Record]) -> int:
    """How many bytes the negotiated cipher adds to each record; read from the ServerHello."""
    hello = next((r.body for r in from_server if r.kind == HANDSHAKE and r.body[:1] == bytes([SERVER_HELLO])), None)
    if hello is None:
        raise Unaccountable("the server never said hello")
    session = hello[38]  # length of the session id, behind 4 bytes of header, 2 of version and 32 of random
    suite = int.from_bytes(hello[39 + session : 41 + session], "big")
    if suite not in OVERHEAD:
        raise Unaccountable(f"cipher suite {suite:#06x} hides how long its plaintext is")
    return OVERHEAD[suite]


def plaintext_lengths(data: list[Record], extra: int) -> list[int]:
    """Bytes of plaintext in each record of kind DATA."""
    lengths = [len(record.body) - extra for record in data]
    if any(length < 0 for length in lengths):
        raise Unaccountable("a record of data is shorter than its cipher's overhead")
    return lengths
