"""What the board said, read from the plaintext by docs/wire.md alone.

This is a second reader on purpose: it shares no code with firmware/sourdine/wire.py, so a fault there, or a mutation,
is not repeated here. It refuses nothing; it says what it sees, and proof.py judges.
"""

import struct
from dataclasses import dataclass

HEADER = struct.Struct(">BBHII")  # type, flags, length of the payload, session, sequence
AUDIO_MAX = 1280  # bytes: 640 samples
AUDIO, WAKE, END = "audio", "wake", "end"
TYPES = {  # speaker to server: value → name, fewest and most bytes of payload, whether it belongs to a session
    0x01: ("hello", 48, 48, False),
    0x02: (WAKE, 8, 8, True),
    0x03: (AUDIO, 2, AUDIO_MAX, True),
    0x04: (END, 41, 41, True),
    0x05: ("event", 1, 1, False),
    0x06: ("stats", 16, 16, False),
    0x07: ("ping", 0, 0, False),
    0x08: ("credit", 4, 4, False),
}


@dataclass(frozen=True)
class Frame:
    name: str  # of the type, or "unknown 0x.."
    session: int
    sequence: int
    payload: bytes
    start: int  # offset of the header in the connection's plaintext
    end: int  # offset behind the payload
    fault: str = ""  # what docs/wire.md forbids about it


def frames(plaintext: bytes) -> tuple[list[Frame], int]:
    """The complete frames of one connection, device to server, and how many bytes of an unfinished one are left."""
    found, at = [], 0
    while at + HEADER.size <= len(plaintext):
        kind, flags, length, session, sequence = HEADER.unpack_from(plaintext, at)
        end = at + HEADER.size + length
        if end > len(plaintext):
            break
        name, least, most, in_session = TYPES.get(kind, (f"unknown {kind:#04x}", 0, 0, False))
        fault = ""
        if kind not in TYPES:
            fault = f"type {kind:#04x} is not in docs/wire.md"
        elif not least <= length <= most or name == AUDIO and length % 2:
            fault = f"{length} bytes in a frame of type {name}"
        elif flags:
            fault = f"flags {flags:#04x} in a frame of type {name}"
        elif in_session != bool(session):
            fault = f"session {session} in a frame of type {name}"
        elif sequence != len(found):
            fault = f"sequence number {sequence} where {len(found)} was due"
        payload = plaintext[at + HEADER.size : end]
        found.append(Frame(name, session, sequence, bytes(payload), at, end, fault))
        at = end
    return found, len(plaintext) - at
