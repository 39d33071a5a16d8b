"""The gate's promise, checked over every history of its events, not over a sample of them."""

from itertools import product

import pytest

from sourdine import gate as room
from sourdine import spec
from sourdine.gate import DEAF, LISTENING, MUTED, MUTED_DEAF, OPEN, Gate

EVENTS = ["unmute", "mute", "play", "quiet", "wake", "silence", "link", "nonsense", "block"]
BLOCK = memoryview(bytearray(2 * spec.HOP)).cast("h")


class Outlet:
    """Keeps what was asked of it; refuses sessions or audio when told to."""

    def __init__(self, ready=True, room=10**9):
        self.ready, self.room, self.calls, self.left = ready, room, [], []

    def begin(self, first):
        self.calls.append(("begin", first))
        return self.ready

    def audio(self, samples):
        self.room -= 1
        if self.room >= 0:
            self.left.append(samples)
        return self.room >= 0

    def end(self, reason):
        self.calls.append(("end", reason))

    def discard(self):
        self.calls.append(("discard",))


def open_gate(outlet, first=0):
    gate = Gate(outlet)
    gate.tell("unmute")
    gate.tell("quiet")
    assert gate.wake(first)
    return gate


def test_audio_leaves_only_between_a_wake_and_its_end_in_every_history():
    """Every history of six events (531,441 of them), against the promise written as four plain booleans."""
    for history in product(EVENTS, repeat=6):
        outlet = Outlet()
        gate = Gate(outlet)
        live = lawful = False
        noisy = True  # boots deaf: nobody has yet said that the speaker is quiet
        for event in ("unmute", *history):
            if event == "block":
                assert gate.offer(0, BLOCK) == lawful, history
                continue
            if event == "wake":
                assert gate.wake(0) == (live and not noisy and not lawful), history
                lawful = lawful or (live and not noisy)
                continue
            gate.tell(event)
            if event in ("mute", "silence", "link") and lawful:
                lawful, noisy = False, True
            if event == "unmute":
                live = True
            if event == "mute":
                live = False
            if event == "play" and not lawful:
                noisy = True
            if event == "quiet" and not lawful:
                noisy = False
        assert (gate.state is OPEN) == lawful, history


@pytest.mark.parametrize("state", [MUTED, MUTED_DEAF, DEAF, LISTENING, OPEN])
@pytest.mark.parametrize("event", [*EVENTS, "cap", "server", "fault", None, 0, ""])
def test_only_the_table_moves_it_and_no_word_but_a_wake_opens(state, event):
    gate = Gate(Outlet())
    gate.state = state
    gate.tell(event)
    expected = room.TABLE[state].get(event, state) if event != "wake" else state
    assert gate.state == expected
    assert gate.state != OPEN or state == OPEN


def test_samples_captured_before_the_fence_never_leave():
    outlet = Outlet()
    gate = open_gate(outlet, first=1000)
    offered = [gate.offer(index, BLOCK) for index in range(0, 1600, spec.HOP)]
    assert offered == [index >= 1000 for index in range(0, 1600, spec.HOP)]


@pytest.mark.parametrize(
    "first", [0, 5, spec.FRAMES - 1, spec.FRAMES - 200, spec.FRAMES - spec.SESSION_MAX, spec.FRAMES // 2]
)
def test_numbers_that_count_round_are_judged_as_if_they_did_not(first):
    """Blocks from a second before the fence to a second past the cap, and from hours before it, against plain numbers."""
    for past in (*range(-spec.SAMPLE_RATE, spec.SESSION_MAX + spec.SAMPLE_RATE, 79), -(spec.FRAMES // 2), -1_000_000):
        gate = open_gate(Outlet(), first)
        left = gate.offer((first + past) % spec.FRAMES, BLOCK)
        assert left == (0 <= past <= spec.SESSION_MAX - spec.HOP), past
        assert gate.state is (DEAF if past > spec.SESSION_MAX - spec.HOP else OPEN)


def test_the_hard_cap_counts_captured_time_not_sent_blocks():
    outlet = Outlet()
    gate = open_gate(outlet, first=0)
    assert gate.offer(spec.SESSION_MAX - spec.HOP, BLOCK)  # a long gap before it: samples were lost
    assert not gate.offer(spec.SESSION_MAX, BLOCK)
    assert gate.state is DEAF
    assert outlet.calls == [("begin", 0), ("end", spec.CAP)]


@pytest.mark.parametrize("event", sorted(room.ENDS))
def test_every_end_says_why_and_wipes_what_was_not_sent_where_it_must(event):
    outlet = Outlet()
    gate = open_gate(outlet)
    gate.tell(event)
    wipes = event not in ("silence", "cap")
    assert outlet.calls[1:] == [("discard",)] * wipes + [("end", room.ENDS[event])]
    assert not gate.offer(10**6, BLOCK)


@pytest.mark.parametrize("state", [MUTED, MUTED_DEAF, DEAF, LISTENING, OPEN])
@pytest.mark.parametrize("event", ["mute", "fault"])
def test_a_cut_wipes_the_last_words_of_a_session_that_is_already_over(state, event):
    outlet = Outlet()
    gate = Gate(outlet)
    gate.state = state
    gate.tell(event)
    assert outlet.calls[0] == ("discard",)


def test_a_full_queue_ends_the_session_as_a_lost_link():
    outlet = Outlet(room=2)
    gate = open_gate(outlet)
    assert [gate.offer(index, BLOCK) for index in (0, 160, 320, 480)] == [True, True, False, False]
    assert outlet.calls[1:] == [("discard",), ("end", spec.LINK)]


def test_without_a_link_a_wake_does_not_open():
    gate = Gate(Outlet(ready=False))
    gate.tell("unmute")
    gate.tell("quiet")
    assert not gate.wake(0)
    assert gate.state is LISTENING


def test_it_is_shut_before_the_outlet_hears_of_the_end():
    class Curious(Outlet):
        def end(self, reason):
            assert gate.state is not OPEN
            assert not gate.offer(0, BLOCK)

    gate = open_gate(Curious())
    gate.tell("mute")


def test_boots_muted_and_deaf():
    assert Gate(None).state is MUTED_DEAF
