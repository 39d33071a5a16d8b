"""What each speaker says it sent, as the server wrote it down: one file per speaker, one JSON line per fact, no audio.

    {"paired": SERIAL, "sessions": n, "bytes": n, "head": HEX}      where the speaker's ledger stood when we met
    {"gap": TO, "sessions": n, "bytes": n, "head": HEX}             it stands further than we do: lines are missing here
    {"lost": N, "received": samples, "received_sha256": HEX}        session N broke off; its record will follow
    {"session": N, "samples": n, "reason": "…", "sha256": HEX, "received": n, "received_sha256": HEX, "at": T, "head": HEX}

A session's line holds the speaker's record, and what we ourselves received. Heads follow ledger.next_head, so that
the file can be recomputed by anyone and its last head compared with the speaker's own.
"""

import errno
import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

from sourdine import ledger, spec
from sourdine_tools.server.pki import private_folder, sync_folder

NUMBER = {text: number for number, text in spec.REASONS.items()}


class ChainBroken(Exception):
    """A line of the file does not follow from the lines before it: somebody edited the file."""

    def __init__(self, path: Path, line: int, why: str) -> None:
        super().__init__(f"{path}, line {line}: {why}")
        self.line = line


class ChainUnwritable(Exception):
    """A line could not be brought to the disk; what was there before still is."""


@dataclass
class Chain:
    """A speaker's file. Raises ChainBroken on loading. Every append is on the disk when it returns, or ChainUnwritable."""

    path: Path
    serial: str | None = None
    sessions: int = 0
    audio_bytes: int = 0
    head: bytes = ledger.GENESIS
    before: bytes = ledger.GENESIS  # the head before the last session
    record: bytes = b""  # of the last session
    heads: dict[int, bytes] = field(default_factory=dict)  # after each session in this file
    size: int = 0  # bytes of whole lines
    since: int = 0  # sessions up to here were before this file began
    gaps: list[tuple[int, int]] = field(default_factory=list)  # sessions that are missing, both inclusive
    oddities: list[str] = field(default_factory=list)  # sessions where received and sent disagree without cause
    lost: dict[int, tuple[int, str]] = field(default_factory=dict)  # session → samples, sha256, of those broken off

    @classmethod
    def load(cls, state: Path, device: str) -> "Chain":
        chain = cls(Path(state) / "chains" / f"{device}.jsonl")
        if not chain.path.exists():
            return chain
        for number, line in enumerate(chain.path.read_bytes().splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                break  # power was lost in mid-write: it was never confirmed
            try:
                chain._follow(json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
                raise ChainBroken(chain.path, number, str(error)) from error
            chain.size += len(line)
        return chain

    def meet(self, serial: int, sessions: int, octets: int, head: bytes, pending: bool) -> bool:
        """A speaker says where its ledger stands. Returns whether that can follow from what we know."""
        where = {"sessions": sessions, "bytes": octets, "head": head.hex()}
        if self.serial != f"{serial:x}":
            self._append({"paired": f"{serial:x}", **where})
        elif sessions == self.sessions:
            return head == self.head
        elif sessions < self.sessions:
            return False
        elif sessions > self.sessions + 1 or not pending:
            self._append({"gap": sessions, **where})
        return True

    def add(self, record: bytes, received: int | None, digest: str | None, at: str) -> None:
        """A session has ended: its record, and what we received (samples, SHA-256; None if we cannot know any more).

        A record that we have is not added again. Raises ValueError where it cannot follow.
        """
        session, samples, reason, sha256 = struct.unpack(ledger.RECORD, record)
        if session == self.sessions and self.record in (b"", record):
            return
        if session != self.sessions + 1 or reason not in spec.REASONS:
            raise ValueError(f"session {session} cannot follow session {self.sessions}")
        if received is None and session in self.lost:
            received, digest = self.lost[session]
        self._append(
            {
                "session": session,
                "samples": samples,
                "reason": spec.REASONS[reason],
                "sha256": sha256.hex(),
                "received": received,
                "received_sha256": digest,
                "at": at,
                "head": ledger.next_head(self.head, record).hex(),
            }
        )

    def lose(self, session: int, received: int, digest: str) -> None:
        """A session broke off; its record comes when the speaker is back."""
        self._append({"lost": session, "received": received, "received_sha256": digest})

    def _append(self, fact: dict) -> None:
        line = json.dumps(fact).encode() + b"\n"
        try:
            self._write(line)
        except OSError as error:
            raise ChainUnwritable(f"{self.path} cannot be written: {error.strerror}") from error
        self.size += len(line)
        self._follow(fact)

    def _write(self, line: bytes) -> None:
        new = not self.path.exists()
        private_folder(self.path.parent)
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.ftruncate(handle, self.size)
            if os.pwrite(handle, line, self.size) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(handle)
        finally:
            os.close(handle)
        if new:
            sync_folder(self.path.parent)

    def _follow(self, fact: dict) -> None:
        if "lost" in fact:
            self.lost[fact["lost"]] = fact["received"], fact["received_sha256"]
        elif "session" in fact:
            self._follow_session(fact)
        else:
            if "gap" in fact:
                if fact["sessions"] <= self.sessions:
                    raise ValueError("a gap that goes back")
                self.gaps.append((self.sessions + 1, fact["sessions"]))
            else:
                self.serial = fact["paired"]
                self.since = fact["sessions"]
            self.sessions, self.audio_bytes = fact["sessions"], fact["bytes"]
            self.head = self.before = bytes.fromhex(fact["head"])
            self.record = b""

    def _follow_session(self, fact: dict) -> None:
        if fact["session"] != self.sessions + 1:
            raise ValueError(f"session {fact['session']} follows session {self.sessions}")
        reason = NUMBER[fact["reason"]]
        digest = bytes.fromhex(fact["sha256"])
        record = struct.pack(ledger.RECORD, fact["session"], fact["samples"], reason, digest)
        head = ledger.next_head(self.head, record)
        if head.hex() != fact["head"]:
            raise ValueError(f"the record of session {fact['session']} does not give its head")
        self.before, self.head, self.record = self.head, head, record
        self.sessions += 1
        self.heads[self.sessions] = head
        self.audio_bytes += 2 * fact["samples"]
        self.lost.pop(fact["session"], None)
        odd = oddity(fact["samples"], reason, fact["sha256"], fact["received"], fact["received_sha256"])
        if odd:
            self.oddities.append(f"session {fact['session']}: {odd}")


def oddity(samples: int, reason: int, sha256: str, received: int | None, received_sha256: str | None) -> str | None:
    """What is wrong when a speaker says that it sent this and we received that; None when it fits.

    Less may arrive than was sent if the session was cut; after a loss of power the speaker no longer knows.
    """
    if received is None or reason == spec.POWER:
        return None
    if received == samples:
        return None if received_sha256 == sha256 else "other samples were received than sent"
    if received > samples:
        return f"{received} samples were received, but {samples} sent"
    if reason in (spec.LINK, spec.MUTE, spec.FAULT):
        return None
    return f"{samples} samples were sent, but {received} received"
