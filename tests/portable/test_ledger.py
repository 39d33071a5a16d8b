"""The ledger, on CPython and MicroPython: a store that may lose power between any two writes."""

import hashlib
import struct
from array import array

from sourdine import ledger, spec
from sourdine.ledger import GENESIS, Ledger, LedgerDamaged, next_head


class Store:
    """An esp32.NVS: what was set is there after commit(); counts the commits."""

    def __init__(self, blob=None):
        self.blob = self.unsaved = blob
        self.commits = 0
        self.broken = False

    def get_blob(self, key, buffer):
        assert key == "state"
        if self.blob is None:
            raise OSError(-0x1102, "ESP_ERR_NVS_NOT_FOUND")
        if len(self.blob) > len(buffer):
            raise OSError(-0x110C, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(self.blob)] = self.blob
        return len(self.blob)

    def set_blob(self, key, value):
        assert key == "state"
        if self.broken:
            raise OSError(-0x1105, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self.unsaved = bytes(value)

    def commit(self):
        self.blob = self.unsaved
        self.commits += 1


def talk(book, samples, reason=spec.SILENCE):
    """One whole session, not acknowledged; returns its record."""
    book.open()
    for at in range(0, len(samples), 3):
        piece = samples[at : at + 3]
        book.sent(piece, len(piece))
    return book.close(reason)


def raises(error, call, *arguments):
    try:
        call(*arguments)
    except error:
        return True
    return False


def test_a_record_says_what_was_sent_and_the_head_follows_from_it():
    book = Ledger(Store())
    head = GENESIS
    for number in (1, 2, 3):
        samples = array("h", range(-number, 10 * number))
        record = talk(book, samples, spec.CAP)
        digest = hashlib.sha256(bytes(samples)).digest()
        assert record == struct.pack(">IIB32s", number, len(samples), spec.CAP, digest)
        head = hashlib.sha256(head + record).digest()
        assert (book.sessions, book.head, book.pending) == (number, head, True)
        book.acknowledge()
        assert not book.pending
    assert book.bytes == 2 * (11 + 22 + 33)


def test_a_session_costs_three_commits_of_flash():
    store = Store()
    book = Ledger(store)
    assert store.commits == 0
    talk(book, array("h", range(100)))
    book.acknowledge()
    book.acknowledge()
    assert store.commits == 3


def test_the_store_says_the_same_after_any_restart():
    store = Store()
    book = Ledger(store)
    talk(book, array("h", [1, 2, 3]))
    for _ in range(2):
        again = Ledger(store)
        assert (again.sessions, again.bytes, again.head) == (1, 6, book.head)
        assert again.record == book.record and again.pending
    book.acknowledge()
    assert not Ledger(store).pending


def test_power_lost_in_a_session_is_written_down_at_boot():
    store = Store()
    book = Ledger(store)
    talk(book, array("h", [1]))
    book.acknowledge()
    head = book.head
    book.open()
    book.sent(array("h", [5, 6]), 2)
    again = Ledger(store)
    assert again.record == struct.pack(">IIB32s", 2, 0, spec.POWER, bytes(32))
    assert again.head == next_head(head, again.record)
    assert (again.sessions, again.pending, again.is_open) == (2, True, False)
    assert Ledger(store).sessions == 2


def test_a_session_does_not_open_if_it_cannot_be_written_down():
    store = Store()
    book = Ledger(store)
    store.broken = True
    assert raises(OSError, book.open)
    assert not book.is_open and Ledger(store).sessions == 0
    store.broken = False
    assert book.accept_time(1_800_000_000)
    assert Ledger(store).sessions == 0, "the store must not believe in a session that never opened"
    assert book.open() == 1


def test_a_session_that_cannot_be_closed_ends_the_program_and_counts_as_power_lost():
    store = Store()
    book = Ledger(store)
    book.open()
    book.sent(array("h", [5, 6]), 2)
    store.broken = True
    assert raises(LedgerDamaged, book.close, spec.MUTE)
    assert raises(OSError, Ledger, store), "nor may it start while it cannot write"
    store.broken = False
    assert Ledger(store).record == struct.pack(">IIB32s", 1, 0, spec.POWER, bytes(32))


def test_a_session_does_not_open_while_another_is_not_over_or_not_confirmed():
    book = Ledger(Store())
    book.open()
    assert raises(ValueError, book.open)
    book.close(spec.MUTE)
    assert raises(ValueError, book.open)
    book.acknowledge()
    assert book.open() == 2


def test_something_else_in_the_store_is_refused():
    good = Store()
    talk(Ledger(good), array("h", [1]))
    for blob in (b"", b"x", good.blob[:-1], good.blob + b"x", b"\x02" + good.blob[1:]):
        assert raises(LedgerDamaged, Ledger, Store(blob)), blob
    assert raises(LedgerDamaged, Ledger, Store(bytes(1000)))


def test_time_never_goes_back_past_what_was_stored_and_not_beyond_reason():
    store = Store()
    book = Ledger(store)
    now = 1_800_000_000
    assert not book.accept_time(0) and not book.accept_time(ledger.OLDEST - 1) and not book.accept_time(2**63)
    assert store.commits == 0
    assert book.accept_time(now) and store.commits == 1
    assert book.accept_time(now + 3600) and store.commits == 1
    assert not book.accept_time(now - 1)
    assert book.accept_time(now + ledger.DAY) and store.commits == 2
    assert not Ledger(store).accept_time(now)


def test_the_trail_remembers_the_last_heads():
    store = Store()
    book = Ledger(store)
    heads = []
    for _ in range(ledger.TRAIL + 3):
        talk(book, array("h", [1]))
        book.acknowledge()
        heads.append(book.head[: ledger.TRAIL_BYTES])
    assert ledger.State(store.blob).trail == b"".join(heads[-ledger.TRAIL :])
