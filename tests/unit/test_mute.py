"""The mute against a contact that obeys the circuit: what it proves, and what it never believes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import Contact
from sourdine import mute as room
from sourdine.mute import FAULT, HELD, LIVE, Mute


def turn(mute, contact, peak=None):
    """One block of 10 ms: eight chances for an edge, then the block's step."""
    for _ in range(8):
        contact.pass_ms(contact.EDGE_MS)
        mute.beat()
    mute.step(contact.clock.ticks_ms(), contact.peak() if peak is None else peak)


def build(**faults):
    contact = Contact(**faults)
    return Mute(contact.heartbeat, contact.rail_mv, contact.released, contact.clock), contact


def run(mute, contact, blocks=200):
    for _ in range(blocks):
        turn(mute, contact)
    return mute.state


def test_a_healthy_board_proves_itself_and_comes_alive_within_a_second():
    mute, contact = build()
    assert run(mute, contact, 100) is LIVE
    assert contact.powered
    assert mute.fault is None


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("weld", "keeps its power"),
        ("broken", "does not close"),
        ("mute_mic", "says nothing"),
        ("leak", "data line is alive"),
    ],
)
def test_a_broken_board_is_refused_and_says_why(fault, words):
    mute, contact = build(**{fault: True})
    assert run(mute, contact) is FAULT
    assert words in mute.fault
    assert not mute.live


def test_it_starts_cut_and_stays_cut_while_the_button_is_in():
    mute, contact = build()
    contact.pressed = True
    assert run(mute, contact) is HELD
    assert not contact.closed  # not even the coil is driven


@pytest.mark.parametrize("block", range(90))
def test_a_press_at_any_block_of_the_proof_ends_it_and_a_release_proves_again(block):
    mute, contact = build()
    run(mute, contact, block)
    contact.pressed = True
    turn(mute, contact)
    assert mute.state is HELD
    run(mute, contact, 20)
    assert not contact.closed
    contact.pressed = False
    turn(mute, contact)
    assert mute.state is room.CUTTING
    assert run(mute, contact, 100) is LIVE


def test_a_program_that_hangs_drops_the_microphone_within_tokens_and_drop_time():
    mute, contact = build()
    run(mute, contact, 100)
    start = contact.ms
    while contact.closed:  # the timer goes on, nobody processes audio
        contact.pass_ms(contact.EDGE_MS)
        mute.beat()
    assert contact.ms - start <= room.TOKENS * contact.EDGE_MS + contact.DROP_MS + 2


def test_callbacks_that_queued_up_in_a_stall_do_not_burn_the_tokens():
    mute, contact = build()
    run(mute, contact, 100)
    for _ in range(8):
        mute.beat()
    tokens = mute._tokens
    for _ in range(8):
        mute.beat()
    assert mute._tokens == tokens


def test_a_lost_contact_is_proven_again_and_counted():
    mute, contact = build()
    run(mute, contact, 100)
    contact.pass_ms(500)  # a long stall: no edges
    turn(mute, contact)
    assert not mute.live
    assert mute.reproofs == 1
    assert run(mute, contact, 100) is LIVE


def test_a_microphone_that_falls_silent_is_proven_again():
    """Its supply was gone for a moment between two looks at the rail, or its wire broke."""
    mute, contact = build()
    run(mute, contact, 100)
    turn(mute, contact, peak=0)
    assert not mute.live
    assert mute.reproofs == 1
    assert run(mute, contact, 120) is LIVE
    contact.mute_mic = True
    assert run(mute, contact, 200) is FAULT


class Charged(Contact):
    """Its reservoir stands just below what holds the relay: a single rising edge pulls it in again, 2 ms later, for 8 ms."""

    def __init__(self):
        super().__init__()
        self._pulled_ms = None

    def heartbeat(self, level):
        if level and self._last is not None and not self.closed and self.ms - self._last < 150:
            self._pulled_ms = self.ms
        super().heartbeat(level)

    @property
    def powered(self):
        again = self._pulled_ms is not None and 2 <= self.ms - self._pulled_ms < 10
        return not self.pressed and (self.closed or again)


@pytest.mark.parametrize("late_ms", range(12))
def test_a_relay_that_the_first_edge_of_the_proof_pulls_in_again_is_no_fault(late_ms):
    """After a pause as long as the relay's own drop-out. The steps follow each other quickly: there is much to catch up."""
    contact = Charged()
    mute = Mute(contact.heartbeat, contact.rail_mv, contact.released, contact.clock)
    run(mute, contact, 100)
    contact.pass_ms(contact.DROP_MS + 2)
    for _ in range(12):
        mute.step(contact.clock.ticks_ms(), 57, 100)
        contact.pass_ms(1 + late_ms % 3)
    assert mute.reproofs == 1
    assert run(mute, contact, 120) is LIVE
    assert mute.reproofs == 1


@pytest.mark.parametrize("pause_ms", range(1, 140))
def test_after_a_pause_no_edge_comes_before_the_rail_was_looked_at(pause_ms):
    """Or an edge would pull in a relay that had let go, and nobody would know that the microphone was off."""
    mute, contact = build()
    run(mute, contact, 100)
    level = contact._level
    contact.pass_ms(pause_ms)
    for _ in range(8):
        mute.beat()
    assert (contact._level == level) == (pause_ms > 20)
    dropped = not contact.closed
    mute.step(contact.clock.ticks_ms(), 57)
    assert mute.reproofs == dropped
    assert run(mute, contact, 100) is LIVE
    assert mute.reproofs == (pause_ms + 2 > contact.DROP_MS)  # or it let go before the next edge, and was seen


@pytest.mark.parametrize("minutes", range(1, 37))
def test_however_long_it_was_muted_it_comes_alive_again(minutes):
    """ticks_us() wraps every 18 minutes: half of that after an edge, the edge seems to lie ahead."""
    mute, contact = build()
    run(mute, contact, 100)
    contact.pressed = True
    for _ in range(minutes):
        turn(mute, contact)
        contact.clock.us += 60_000_000
    contact.pressed = False
    assert run(mute, contact, 100) is LIVE


@pytest.mark.parametrize("stall_ms", [45, 100, 400, 1500])
@pytest.mark.parametrize("block", range(0, 90, 3))
def test_a_stall_at_any_block_of_the_proof_is_no_fault(block, stall_ms):
    """A TLS handshake takes the CPU for so long, and boot makes two of them."""
    mute, contact = build()
    run(mute, contact, block)
    contact.pass_ms(stall_ms)
    assert run(mute, contact, 150) is LIVE


@pytest.mark.parametrize("pause_ms", range(25, 41, 3))
@pytest.mark.parametrize("block", range(0, 90, 3))
def test_a_pause_that_only_a_quick_relay_lets_go_in_is_no_fault_of_the_proof(block, pause_ms):
    """24 ms are the fastest corner; a write to flash takes 30, which is no long stall yet."""
    mute, contact = build()
    contact.DROP_MS = 24
    run(mute, contact, block)
    contact.pass_ms(pause_ms)
    assert run(mute, contact, 150) is LIVE


def test_a_contact_that_falls_whenever_it_settles_is_refused_at_the_third_time():
    mute, contact = build()
    for _ in range(3):
        for _ in range(100):
            turn(mute, contact)
            if mute.state is room.SETTLING:
                break
        assert mute.fault is None
        contact.closed = False
        mute.step(contact.clock.ticks_ms(), 0)
    assert mute.state is FAULT
    assert "does not stay closed" in mute.fault
    assert run(mute, contact) is FAULT


@pytest.mark.parametrize("turn_ms", [3, 5, 8])
@pytest.mark.parametrize("stall_ms", range(40, 400, 20))
def test_old_blocks_that_were_heard_before_the_cut_are_no_fault(stall_ms, turn_ms):
    """After a stall the program reads what I2S kept meanwhile, 300 ms of it at most, faster than it is captured."""
    mute, contact = build()
    run(mute, contact, 100)
    peaks, read = [0] * (int(contact.ms / 10)), int(contact.ms / 10)
    for step in range(400):
        for _ in range(int((turn_ms if step else stall_ms) / contact.EDGE_MS) or 1):
            contact.pass_ms(contact.EDGE_MS)
            if step:
                mute.beat()
            if contact.ms >= 10 * (len(peaks) + 1):
                peaks.append(contact.peak())
        captured = len(peaks)
        read = max(read, captured - 30)
        if read < captured:
            mute.step(contact.clock.ticks_ms(), peaks[read], int(contact.ms) - 10 * (read + 1))
            read += 1
        assert mute.state is not FAULT, mute.fault
    assert mute.state is LIVE


def test_a_fault_lasts_until_somebody_presses_and_releases():
    mute, contact = build(broken=True)
    run(mute, contact)
    contact.broken = False
    assert run(mute, contact) is FAULT
    contact.pressed = True
    turn(mute, contact)
    contact.pressed = False
    assert run(mute, contact, 100) is LIVE


@given(st.lists(st.tuples(st.integers(1, 120), st.sampled_from(["press", "release", "weld", "mend", "stall"]))))
def test_live_is_never_claimed_while_the_contact_is_open_or_the_proof_was_skipped(story):
    """Whatever happens to the board: live implies power now, and a rail seen dead since the last release."""
    mute, contact = build()
    seen_dead = True
    for blocks, event in story:
        for _ in range(blocks):
            turn(mute, contact)
            seen_dead = seen_dead or not contact.powered
            assert not mute.live or (contact.powered and seen_dead)
        if event == "press":
            contact.pressed = True
        elif event == "release" and contact.pressed:
            contact.pressed, seen_dead = False, not contact.powered
        elif event == "weld":
            contact.weld = True
        elif event == "mend":
            contact.weld = False
        elif event == "stall":
            contact.pass_ms(400)
