"""Two ledgers of the same sessions: every way in which one of them may have been changed is named."""

import argparse
import contextlib
import hashlib
import json
import struct

import pytest

from sourdine import ledger, spec
from sourdine.ledger import Ledger
from sourdine_board.mistake import Mistake
from sourdine_tools import audit, board_link
from sourdine_tools.server.chain import Chain, ChainBroken

SERIAL = 0xABC
WHEN = "2026-01-01T00:00:00+00:00"


class Store:
    blob = None

    def get_blob(self, key, buffer):
        if self.blob is None:
            raise OSError(ledger.NOT_FOUND)
        buffer[: len(self.blob)] = self.blob
        return len(self.blob)

    def set_blob(self, key, value):
        self.blob = bytes(value)

    def commit(self):
        pass


class Pair:
    """A board and a server that hear the same sessions, unless told otherwise."""

    def __init__(self, state):
        self.state = state
        self.store = Store()
        self.book = Ledger(self.store)
        self.chain.meet(SERIAL, 0, 0, ledger.GENESIS, False)

    @property
    def chain(self):
        return Chain.load(self.state, "kitchen")

    @property
    def path(self):
        return self.chain.path

    @property
    def board(self):
        return ledger.State(self.store.blob)

    def session(self, samples=100, reason=spec.SILENCE, received=None, confirmed=True, written=True):
        audio = struct.pack(f"<{samples}h", *(i % 1000 for i in range(samples)))
        self.book.open()
        self.book.sent(audio, samples)
        record = self.book.close(reason)
        got = audio[: 2 * (samples if received is None else received)]
        if written:
            self.chain.add(record, len(got) // 2, hashlib.sha256(got).hexdigest(), WHEN)
        if confirmed:
            self.book.acknowledge()

    def verdict(self):
        return audit.compare(self.board, self.chain)

    def rewrite(self, change):
        """Change the file's facts and make the heads follow again, as someone would who wants to hide it."""
        facts = [json.loads(line) for line in self.path.read_text().splitlines()]
        change(facts)
        head, number = ledger.GENESIS, 0
        for fact in facts:
            if "session" in fact:
                number += 1
                fact["session"] = number
                digest = bytes.fromhex(fact["sha256"])
                reason = {text: n for n, text in spec.REASONS.items()}[fact["reason"]]
                head = ledger.next_head(head, struct.pack(ledger.RECORD, number, fact["samples"], reason, digest))
                fact["head"] = head.hex()
        self.path.write_text("".join(json.dumps(fact) + "\n" for fact in facts))


@pytest.fixture
def pair(tmp_path):
    return Pair(tmp_path)


def test_honest_ledgers_are_equal(pair):
    assert pair.store.blob is None
    for reason in (spec.SILENCE, spec.MUTE, spec.CAP, spec.SERVER, spec.FAULT):
        pair.session(reason=reason)
    assert pair.verdict() == audit.Verdict(True, [])
    assert pair.chain.audio_bytes == pair.board.bytes == 1000


def test_a_session_that_is_not_confirmed_yet_is_no_difference(pair):
    pair.session()
    pair.session(written=False, confirmed=False)
    verdict = pair.verdict()
    assert verdict.equal and "session 2 (100 samples, silence) has not been confirmed" in verdict.lines[0]


def test_a_confirmed_session_that_the_server_dropped_is_named(pair):
    pair.session()
    pair.session(written=False, confirmed=True)
    assert pair.verdict() == audit.Verdict(False, ["the server has no record of session 2"])


def test_a_file_cut_short_is_named(pair):
    for _ in range(5):
        pair.session()
    lines = pair.path.read_text().splitlines(keepends=True)
    pair.path.write_text("".join(lines[:3]))
    assert pair.verdict() == audit.Verdict(False, ["the server has no record of sessions 3 to 5"])
    pair.path.write_text("")
    assert pair.verdict() == audit.Verdict(False, ["the server has no record of sessions 1 to 5"])


def test_a_file_cut_short_that_went_on_has_a_gap(pair):
    for _ in range(3):
        pair.session()
    pair.path.write_text("".join(pair.path.read_text().splitlines(keepends=True)[:2]))
    chain = pair.chain
    assert chain.meet(SERIAL, 3, pair.book.bytes, pair.book.head, False)
    pair.session()
    assert pair.verdict() == audit.Verdict(False, ["the server has no record of sessions 2 to 3"])


@pytest.mark.parametrize("line", [2, 3, 4])
def test_a_line_that_was_edited_in_place_is_named(pair, line):
    for _ in range(3):
        pair.session()
    facts = [json.loads(text) for text in pair.path.read_text().splitlines()]
    facts[line - 1]["samples"] = 1
    pair.path.write_text("".join(json.dumps(fact) + "\n" for fact in facts))
    with pytest.raises(ChainBroken) as broken:
        pair.chain  # noqa: B018
    assert broken.value.line == line


@pytest.mark.parametrize("text", ["{", "[]", "7", "{}", '{"session": 1}', '{"paired": 1}', '{"lost": 1}', "\xff"])
def test_a_line_that_is_no_fact_is_named(pair, text):
    pair.session()
    with open(pair.path, "a", encoding="latin-1") as file:
        file.write(text + "\n")
    with pytest.raises(ChainBroken):
        pair.chain  # noqa: B018


def test_a_line_that_power_cut_short_was_never_confirmed_and_is_written_again(pair):
    pair.session()
    whole = pair.path.read_bytes()
    pair.path.write_bytes(whole + b'{"session": 2, "sam' + bytes(1000))
    assert pair.verdict().equal
    pair.session()
    assert pair.path.read_bytes().startswith(whole + b'{"session": 2, "samples": 100,')
    assert pair.path.read_bytes().endswith(b"}\n")
    assert pair.verdict() == audit.Verdict(True, [])


@pytest.mark.parametrize("session", [1, 2, 5, 9])
def test_a_rewritten_record_is_named_though_the_file_follows_from_itself(pair, session):
    for _ in range(9):
        pair.session()

    def change(facts):
        facts[session]["samples"] = facts[session]["received"] = 50

    pair.rewrite(change)
    verdict = pair.verdict()
    assert not verdict.equal
    if session == 1:  # the board remembers the last eight
        assert "at session 2 or before" in verdict.lines[0]
    elif session == 2:
        assert "session 2" in verdict.lines[0]
    else:
        assert f"the server's record of session {session} is not the board's" in verdict.lines[0]
    if session == 9:
        assert "the board says session 9 (100 samples, silence), the server session 9 (50 " in verdict.lines[0]


def test_a_session_that_was_taken_out_is_noticed(pair):
    for samples in (1, 2, 3, 4):
        pair.session(samples)
    pair.rewrite(lambda facts: facts.pop(2))
    assert "the server has no record of session 4" in pair.verdict().lines
    assert any("session 2 is not the board's" in line for line in pair.verdict().lines)


def test_a_session_that_was_invented_is_noticed(pair):
    pair.session()
    chain = pair.chain
    chain.add(struct.pack(ledger.RECORD, 2, 5, spec.SILENCE, bytes(32)), 5, "00" * 32, WHEN)
    assert pair.verdict() == audit.Verdict(False, ["the server lists session 2, which the board never had"])


@pytest.mark.parametrize(
    ("reason", "received", "fine"),
    [
        (spec.LINK, 60, True),
        (spec.MUTE, 60, True),
        (spec.FAULT, 60, True),
        (spec.SILENCE, 60, False),
        (spec.CAP, 60, False),
        (spec.LINK, 100, True),
    ],
)
def test_less_may_arrive_than_was_sent_only_where_the_session_was_cut(pair, reason, received, fine):
    pair.session(reason=reason, received=received)
    assert pair.verdict().equal is fine


def test_more_or_other_audio_than_was_sent_is_noticed(pair):
    pair.book.open()
    record = pair.book.close(spec.LINK)
    pair.chain.add(record, 1, "00" * 32, WHEN)
    pair.book.acknowledge()
    assert pair.verdict() == audit.Verdict(False, ["session 1: 1 samples were received, but 0 sent"])


def test_a_session_that_broke_off_keeps_what_was_received_until_its_record_comes(pair):
    pair.chain.lose(1, 40, hashlib.sha256(b"x").hexdigest())
    pair.session(written=False, confirmed=False, reason=spec.LINK)
    verdict = pair.verdict()
    assert verdict.equal and any("broke off after 40 samples" in line for line in verdict.lines)
    pair.chain.add(pair.book.record, None, None, WHEN)
    pair.book.acknowledge()
    assert pair.verdict() == audit.Verdict(True, [])
    assert json.loads(pair.path.read_text().splitlines()[-1])["received"] == 40


def test_a_board_that_lost_power_is_told_as_such(pair):
    pair.session()
    pair.book.open()
    verdict = pair.verdict()
    assert verdict.equal and "session 2 was open" in verdict.lines[0]


def test_a_board_paired_anew_goes_on_in_the_same_file(pair):
    pair.session()
    assert pair.chain.meet(SERIAL + 1, 1, pair.book.bytes, pair.book.head, False)
    pair.session()
    verdict = pair.verdict()
    assert verdict.equal and "sessions 1 to 1 were before" in verdict.lines[0]


# The command.


class FakeLink:
    def __init__(self, name, blob):
        self.name, self.blob = name, blob
        self.was_reset = False

    def run(self, script):
        assert "NVS" in script
        return repr((self.name, self.blob))

    def reset(self, patience_s):
        self.was_reset = True


def command(monkeypatch, state, link):
    @contextlib.contextmanager
    def connect(port):
        yield link

    monkeypatch.setattr(board_link, "connect", connect)
    parser = argparse.ArgumentParser()
    audit.add_arguments(parser)
    return audit.run(parser.parse_args(["--state", str(state)]))


def test_the_command_exits_0_when_equal_and_1_when_not(pair, monkeypatch, capsys):
    pair.session()
    link = FakeLink("kitchen", pair.store.blob)
    assert command(monkeypatch, pair.state, link) == 0 and link.was_reset
    assert "kitchen: 1 sessions, 200 bytes" in capsys.readouterr().out
    pair.session(written=False)
    assert command(monkeypatch, pair.state, FakeLink("kitchen", pair.store.blob)) == 1
    out = capsys.readouterr().out
    assert out.endswith("the server has no record of session 2\nDIFFERENT\n")
    pair.path.write_text("nonsense\n")
    assert command(monkeypatch, pair.state, FakeLink("kitchen", pair.store.blob)) == 1
    assert "line 1" in capsys.readouterr().out


def test_a_server_that_claims_to_have_met_the_board_late_is_not_simply_equal(pair, monkeypatch, capsys):
    for _ in range(3):
        pair.session()
    pair.path.unlink()
    pair.chain.meet(SERIAL, 2, 400, ledger.GENESIS, False)
    assert command(monkeypatch, pair.state, FakeLink("kitchen", pair.store.blob)) == 1
    pair.path.unlink()
    pair.chain.meet(SERIAL, 3, 600, pair.book.head, False)
    assert command(monkeypatch, pair.state, FakeLink("kitchen", pair.store.blob)) == 0
    out = capsys.readouterr().out
    assert "sessions 1 to 3 were before this server met the board" in out
    assert out.endswith("\nequal from session 4 on\n")


def test_the_command_says_what_to_do_when_nothing_can_be_compared(pair, monkeypatch):
    with pytest.raises(Mistake, match="name it with --state"):
        command(monkeypatch, pair.state / "nowhere", FakeLink("kitchen", b""))
    with pytest.raises(Mistake, match="run sourdine pair"):
        command(monkeypatch, pair.state, FakeLink(None, b""))
    with pytest.raises(Mistake, match="pair it again"):
        command(monkeypatch, pair.state, FakeLink("kitchen", b"rubbish"))
    with pytest.raises(Mistake, match="no name"):
        command(monkeypatch, pair.state, FakeLink("../kitchen", b""))


def test_a_board_that_never_sent_anything_equals_an_empty_file(tmp_path, monkeypatch, capsys):
    assert command(monkeypatch, tmp_path, FakeLink("kitchen", b"")) == 0
    assert "0 sessions, 0 bytes" in capsys.readouterr().out
