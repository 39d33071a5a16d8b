"""`sourdine audit`: what the board says it sent, against what the server says it received.

The board is asked over USB and never through the server, so neither has to be trusted by the other. The board keeps
the number of sessions and bytes, the head of the hash chain, its last record, and the beginnings of the last heads.
"""

import argparse
import struct
from dataclasses import dataclass
from pathlib import Path

from sourdine import ledger, spec
from sourdine_board.mistake import Mistake
from sourdine_tools.serve import default_state

READ = f"""
import esp32, json
_blob = bytearray(256)
try:
    _length = esp32.NVS("ledger").get_blob("{ledger.KEY}", _blob)
except OSError as _error:
    if _error.args[0] != {ledger.NOT_FOUND}:
        raise
    _length = 0
try:
    with open("settings.json") as _file:
        _name = json.load(_file)["device"]
except (OSError, ValueError, KeyError):
    _name = None
print((_name, bytes(_blob[:_length])))
"""


@dataclass(frozen=True)
class Verdict:
    """equal: whether nothing speaks against it; lines: what to tell."""

    equal: bool
    lines: list[str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", help="the board's serial port; found by itself when one board is plugged in")
    parser.add_argument(
        "--state", type=Path, default=default_state(), metavar="DIR", help="the server's folder (default: %(default)s)"
    )
    parser.epilog = (
        "The board's program stops while it is asked, then starts again. "
        "Exit status: 0 both say the same, 1 they differ, 2 nothing could be compared."
    )


def run(arguments: argparse.Namespace) -> int:
    from sourdine_tools.board_link import connect
    from sourdine_tools.server.chain import Chain, ChainBroken

    if not arguments.state.is_dir():
        raise Mistake(f"there is no server's folder {arguments.state}: name it with --state")
    with connect(arguments.port) as link:
        name, state = read(link)
        link.reset(0.0)  # nobody waits for its first words
    print(f"{name}: {_sum(state.sessions, state.bytes)}, head {state.head.hex()[:16]}")
    try:
        chain = Chain.load(arguments.state, name)
    except ChainBroken as broken:
        print(f"the server's file was changed: {broken}")
        return 1
    print(f"server: {_sum(chain.sessions, chain.audio_bytes)}, head {chain.head.hex()[:16]}")
    verdict = compare(state, chain)
    for line in verdict.lines:
        print(line)
    equal = f"equal from session {chain.since + 1} on" if chain.since else "equal"
    print(equal if verdict.equal else "DIFFERENT")
    return 0 if verdict.equal else 1


def read(link) -> tuple[str, ledger.State]:
    """The name and the ledger of the board at the end of a board_link.Link. Raises Mistake."""
    from sourdine_tools.board_link import literal
    from sourdine_tools.server.pki import check_name

    name, blob = literal(link.run(READ))
    if name is None:
        raise Mistake("this board has no settings: run sourdine pair first")
    try:
        return check_name(name), ledger.State(blob or None)
    except ledger.LedgerDamaged as error:
        raise Mistake(f"this board's ledger cannot be read ({len(blob)} bytes): pair it again") from error


def compare(board: ledger.State, chain) -> Verdict:
    """A board's ledger and a server's file (Chain) that follows from itself."""
    wrong, notes = [], []
    if board.flags & ledger.OPEN:
        notes.append(f"session {board.sessions + 1} was open when the board was asked; it counts as power lost")
    if chain.since:
        notes.append(f"sessions 1 to {chain.since} were before this server met the board: only the board knows them")
    wrong += [f"the server has no record of {_range(first, last)}" for first, last in chain.gaps]
    wrong += chain.oddities
    ahead = board.sessions - chain.sessions
    if ahead < 0:
        wrong.append(f"the server lists {_range(board.sessions + 1, chain.sessions)}, which the board never had")
    elif ahead == 0:
        if board.head != chain.head:
            wrong.append(_first_difference(board, chain))
        elif board.bytes != chain.audio_bytes:
            wrong.append(f"the same head, but {board.bytes} bytes on the board and {chain.audio_bytes} at the server")
    elif ahead == 1 and ledger.next_head(chain.head, board.record) == board.head and board.flags & ledger.PENDING:
        notes.append(f"the board is ahead: {_describe(board.record)} has not been confirmed by the server yet")
    else:
        wrong.append(f"the server has no record of {_range(chain.sessions + 1, board.sessions)}")
        if chain.heads and chain.sessions > board.sessions - ledger.TRAIL:
            wrong += [_first_difference(board, chain)] if _first_wrong(board, chain) else []
    for session, (samples, _) in sorted(chain.lost.items()):
        notes.append(f"session {session} broke off after {samples} samples; its record has not come yet")
    return Verdict(not wrong, wrong + notes)


def _first_wrong(board: ledger.State, chain) -> int | None:
    """The first session whose head differs from what the board remembers of it."""
    for age in range(ledger.TRAIL - 1, -1, -1):
        session = board.sessions - age
        at = (ledger.TRAIL - 1 - age) * ledger.TRAIL_BYTES
        head = chain.heads.get(session)
        if head and head[: ledger.TRAIL_BYTES] != board.trail[at : at + ledger.TRAIL_BYTES]:
            return session
    return None


def _first_difference(board: ledger.State, chain) -> str:
    first = _first_wrong(board, chain)
    remembered = board.sessions - ledger.TRAIL + 1
    if first is None:
        return "the heads differ, and nothing says where"
    if first == remembered > 1 and first - 1 in chain.heads:
        return f"the server's records differ from the board's at session {first} or before"
    line = f"the server's record of session {first} is not the board's"
    if first == board.sessions:
        line += f": the board says {_describe(board.record)}, the server {_describe(chain.record)}"
    return line


def _describe(record: bytes) -> str:
    session, samples, reason, _ = struct.unpack(ledger.RECORD, record)
    return f"session {session} ({samples} samples, {spec.REASONS.get(reason, reason)})"


def _range(first: int, last: int) -> str:
    return f"session {first}" if first == last else f"sessions {first} to {last}"


def _sum(sessions: int, octets: int) -> str:
    return f"{sessions} sessions, {octets} bytes ({octets / 2 / spec.SAMPLE_RATE:.1f} s)"
