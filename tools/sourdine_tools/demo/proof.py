"""Did anything leave the house that may not? Judged from what others saw, never from the firmware's own counters.

The witnesses: the twin (when the wake was decided, when the button was pressed, how many bytes its sockets took),
another implementation of the wake word (whether there was one), the relay (every byte on the network), the server's tap
(the plaintext) and the marks in the samples themselves (when each was made). A leak is whatever one cannot explain.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from sourdine import spec
from sourdine_board.twin import marks
from sourdine_tools.demo import frames as wire
from sourdine_tools.demo import records as tls

RATE = spec.SAMPLE_RATE
LATE = 3 * RATE  # samples: what was captured longer ago than this may not leave any more
CUT = RATE // 200  # samples, 5 ms: after a press, until the contact must be open
NOTICE = RATE // 20  # samples, 50 ms: after a press, what may still be on its way from the program to the socket
SMUGGLED = 48  # marks in a row that no frame but audio may hold; by chance once in 10^8 bytes
NOTHING = (np.zeros(0, np.int16), np.zeros(0, np.int64))
DEAF = 400 * RATE // 1000  # samples: a bit less than spec.DEAF_AFTER_PLAY_MS, by the speaker's own idea of its end


@dataclass
class Link:
    """One connection of the board to its server, as each witness saw it."""

    plaintext: bytes  # the server's tap, device to server
    sent: bytes  # the relay, device to server
    received: bytes  # the relay, server to device
    socket: list[tuple[int, int]]  # the twin: (room sample, bytes so far) after each write that its socket took

    def data(self) -> list[tls.Record]:
        """The records of data, device to server. Raises Unaccountable."""
        return [record for record in tls.records(self.sent)[0] if record.kind == tls.DATA]

    def lengths(self) -> list[int]:
        """Bytes of plaintext in each of them. Raises Unaccountable."""
        data = self.data()
        return tls.plaintext_lengths(data, tls.overhead(tls.records(self.received)[0])) if data else []


@dataclass
class Evidence:
    room: int  # samples in the room
    decisions: list[int]  # room sample at which the firmware decided that it heard the wake word, and could have
    presses: list[int]  # room sample at which the mute button went in
    cuts: list[int]  # room sample at which the microphone's contact opened
    links: list[Link]
    heard_muted: int = 0  # samples that were not zero between CUT after a press and the release
    stray_bytes: int = 0  # what the twin's sockets took for anybody but the relay
    played: list[tuple[int, int]] = field(default_factory=list)  # [from, to[ in room samples, by the speaker
    unfounded: list[int] = field(default_factory=list)  # decisions where no wake word was to be heard
    violations: list[str] = field(default_factory=list)  # what the twin refused: to listen, another protocol ...


@dataclass(frozen=True)
class Leak:
    what: str
    samples: int = 0
    first: int = -1  # room samples, where they are known
    last: int = -1

    def __str__(self) -> str:
        when = f", from {self.first / RATE:.2f} s to {self.last / RATE:.2f} s of the room" if self.first >= 0 else ""
        many = f"{self.samples:,} samples ({self.samples / RATE:.2f} s) " if self.samples else ""
        return f"{many}{self.what}{when}"


@dataclass
class Piece:
    """One frame on the wire, and when and what it carried."""

    name: str
    session: int
    at: int  # room sample at which the socket took its last byte
    samples: np.ndarray  # int16; empty unless audio
    indices: np.ndarray  # int64, the room samples that they are, -1 unknown


@dataclass
class Verdict:
    leaks: list[Leak] = field(default_factory=list)
    lawful: list[tuple[int, int]] = field(default_factory=list)  # room samples: from the wake to the end, half open
    pieces: list[Piece] = field(default_factory=list)
    frames: Counter = field(default_factory=Counter)  # name → how many
    bytes: Counter = field(default_factory=Counter)  # name → bytes with headers
    cut_ms: list[float] = field(default_factory=list)  # from each press to the contact's opening
    layers: dict[str, int] = field(default_factory=dict)  # socket, relay, records, plaintext, frames: bytes

    @cached_property
    def left(self) -> np.ndarray:
        """The room samples that left, each once, sorted."""
        audio = [piece.indices[piece.indices >= 0] for piece in self.pieces]
        room = np.zeros(max((int(each.max()) + 1 for each in audio if len(each)), default=0), bool)
        for each in audio:
            room[each] = True
        return np.flatnonzero(room)


def judge(evidence: Evidence) -> Verdict:
    """Every leak that the evidence shows; none if `leaks` of the verdict is empty."""
    verdict = Verdict()
    opened = [min((cut for cut in evidence.cuts if cut >= press), default=evidence.room) for press in evidence.presses]
    verdict.cut_ms = [(cut - press) * 1000 / RATE for cut, press in zip(opened, evidence.presses, strict=True)]
    for link in evidence.links:
        _account(link, verdict)
    if evidence.stray_bytes:
        verdict.leaks.append(Leak(f"{evidence.stray_bytes} bytes left for somebody who is not the server"))
    if evidence.heard_muted:
        verdict.leaks.append(Leak("heard by the microphone with the mute button in", evidence.heard_muted))
    verdict.leaks += [Leak("woken without the wake word", first=at, last=at) for at in evidence.unfounded]
    verdict.leaks += [Leak(f"the board tried what it may not: {what}") for what in evidence.violations]
    for link in evidence.links:
        _read(link, evidence.room, verdict)
    verdict.lawful = _lawful(evidence, verdict.pieces)
    _judge_samples(evidence, verdict)
    return verdict


def _account(link: Link, verdict: Verdict) -> None:
    """Bytes of the twin's socket = bytes at the relay = TLS records; plaintext of those = bytes of the tap."""
    layers = Counter(verdict.layers)
    taken = link.socket[-1][1] if link.socket else 0
    layers["socket"] += taken
    layers["relay"] += len(link.sent)
    if taken != len(link.sent):
        verdict.leaks.append(Leak(f"the board's socket took {taken} bytes, the network carried {len(link.sent)}"))
    try:
        (sent, unfinished), lengths = tls.records(link.sent), link.lengths()
    except tls.Unaccountable as why:
        verdict.leaks.append(Leak(f"{len(link.sent)} bytes cannot be accounted for: {why}"))
        sent, unfinished, lengths = [], 0, []
    for record in sent:
        layers[tls.NAMES[record.kind]] += record.end - record.start
    layers["unfinished"] += unfinished
    layers["inside"] += sum(lengths)
    layers["plaintext"] += len(link.plaintext)
    if sum(lengths) != len(link.plaintext):
        verdict.leaks.append(
            Leak(f"TLS carried {sum(lengths)} bytes of data, the server's tap shows {len(link.plaintext)}")
        )
    verdict.layers = dict(layers)


def _read(link: Link, room: int, verdict: Verdict) -> None:
    """Plaintext → frames; each judged by itself, its audio recognised by its marks."""
    found, rest = wire.frames(link.plaintext)
    if rest:
        verdict.leaks.append(Leak(f"{rest} bytes after the last frame belong to none"))
    sent_at = clock(link)
    audio = _recognise(found, room)
    session = 0  # that is open
    for frame in found:
        verdict.frames[frame.name] += 1
        verdict.bytes[frame.name] += frame.end - frame.start
        if frame.fault:
            verdict.leaks.append(Leak(f"{frame.fault} ({len(frame.payload)} bytes)"))
        session = {wire.WAKE: frame.session, wire.END: 0}.get(frame.name, session)
        samples, indices = audio.get(frame.start, NOTHING)
        if frame.name == wire.AUDIO and frame.session != session:
            verdict.leaks.append(Leak("sent outside an open session", len(samples)))
        verdict.pieces.append(Piece(frame.name, frame.session, sent_at(frame.end), samples, indices))
    others = b"".join(link.plaintext[f.start : f.end] for f in found if f.name != wire.AUDIO)
    _look_for_smuggled(others, room, verdict)


def _look_for_smuggled(others: bytes, room: int, verdict: Verdict) -> None:
    """Marks anywhere but in audio, at either alignment and in either byte order."""
    for skip in (0, 1):
        aligned = others[skip : skip + (len(others) - skip & ~1)]
        for order in ("<i2", ">i2"):
            hidden = marks.locate(np.frombuffer(aligned, order), room, SMUGGLED)
            hidden = hidden[hidden >= 0]
            if len(hidden):
                leak = Leak("hidden in frames that are not audio", len(hidden), int(hidden.min()), int(hidden.max()))
                verdict.leaks.append(leak)


def _recognise(found: list[wire.Frame], room: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Offset of each audio frame → its samples, and which room samples they are; read over the whole session."""
    sessions: dict[int, list[wire.Frame]] = {}
    for frame in found:
        if frame.name == wire.AUDIO:
            sessions.setdefault(frame.session, []).append(frame)
    audio = {}
    for group in sessions.values():
        pieces = [np.frombuffer(frame.payload[: len(frame.payload) & ~1], "<i2") for frame in group]
        ends = np.cumsum([len(piece) for piece in pieces])[:-1]
        indices = np.split(marks.locate(np.concatenate(pieces), room), ends)
        audio.update({frame.start: each for frame, each in zip(group, zip(pieces, indices, strict=True), strict=True)})
    return audio


def clock(link: Link) -> Callable[[int], int]:
    """Bytes of plaintext so far → the room sample at which the board's socket had taken them all; -1 unknown."""
    try:
        data, inside = link.data(), np.cumsum(link.lengths())
    except tls.Unaccountable:
        data, inside = [], np.zeros(0, np.int64)
    outside = np.array([record.end for record in data], np.int64)
    times = np.array([at for at, _ in link.socket], np.int64)
    taken = np.array([count for _, count in link.socket], np.int64)

    def at(offset: int) -> int:
        record = int(np.searchsorted(inside, offset))
        if record >= len(outside) or not len(times):
            return -1
        return int(times[min(int(np.searchsorted(taken, outside[record])), len(times) - 1)])

    return at


def _lawful(evidence: Evidence, pieces: list[Piece]) -> list[tuple[int, int]]:
    """From each wake decision to the first of: the contact's opening, the end that was sent, the cap."""
    found: list[tuple[int, int]] = []
    ends = [piece.at for piece in pieces if piece.name == wire.END]
    for start in evidence.decisions:
        if found and start < found[-1][1]:
            continue  # the word said again within a session opens no second one
        if any(first <= start < stop + DEAF for first, stop in evidence.played):
            continue  # while the speaker plays, and shortly after, no wake may open anything
        stop = [start + spec.SESSION_MAX + RATE // 10, evidence.room]  # the cap counts from the fence, a bit later
        stop += [
            min([press + CUT, *(c for c in evidence.cuts if c >= press)]) for press in evidence.presses if press > start
        ]
        stop += [at for at in ends if at > start]
        found.append((start, min(stop)))
    return found


def _judge_samples(evidence: Evidence, verdict: Verdict) -> None:
    """Each sample that left: known, captured in a lawful interval, sent in time and once."""
    audio = [piece for piece in verdict.pieces if piece.name == wire.AUDIO]
    if not audio:
        return
    indices = np.concatenate([piece.indices for piece in audio])
    samples = np.concatenate([piece.samples for piece in audio])
    sent = np.repeat([piece.at for piece in audio], [len(piece.indices) for piece in audio])
    unknown = (indices < 0) & (samples != 0)  # zeros carry nothing: a microphone without power
    if unknown.any():
        verdict.leaks.append(Leak("that the microphone never gave", int(unknown.sum())))
    known = indices >= 0
    indices, sent = indices[known], sent[known]
    lawful = np.zeros(evidence.room + 1, bool)
    for start, stop in verdict.lawful:
        lawful[start:stop] = True
    muted = np.zeros(len(indices), bool)
    for press in evidence.presses:
        muted |= (indices <= press) & (sent > press + NOTICE)
    once = np.zeros(len(indices), bool)
    once[np.unique(indices, return_index=True)[1]] = True
    for wrong, what in (
        (~lawful[indices], "captured outside the lawful intervals"),
        (lawful[indices] & muted, "sent after the mute button was pressed"),
        (lawful[indices] & ~muted & (sent - indices > LATE), "sent more than 3 s late"),
        (~once, "sent twice"),
    ):
        verdict.leaks += [Leak(what, *span) for span in _spans(np.sort(indices[wrong]))]


def _spans(indices: np.ndarray) -> list[tuple[int, int, int]]:
    """(count, first, last) of each stretch, split where more than half a second is missing."""
    parts = np.split(indices, np.flatnonzero(np.diff(indices) > RATE // 2) + 1)
    return [(len(part), int(part[0]), int(part[-1])) for part in parts if len(part)]
