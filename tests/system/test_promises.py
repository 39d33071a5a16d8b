"""What must hold when things go wrong in mid-sentence: on the twin, with real TLS, against samples that know their place."""

import numpy as np
import pytest

from sourdine import spec
from way import COMMAND, RATE, say, way

WAKE_AT = 3.5
TALK_AT = 4.6
CUT_AT = 7.0  # in the middle of COMMAND
AGAIN_AT = 15.0
OVER_AT = 19.5


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with way(tmp_path_factory.mktemp("way")) as made:
        yield made


@pytest.fixture(autouse=True)
def calm(house):
    yield
    house.hub.on_audio = house.hub.reply = None


def evening():
    """A wake, a command of five seconds, and the same again much later."""
    wake, command = say("Alexa."), say(COMMAND)
    assert len(command) > 4.5 * RATE
    return [(WAKE_AT, wake), (TALK_AT, command), (AGAIN_AT, wake), (AGAIN_AT + 1.1, say("What time is it?"))]


def decisions(house):
    """The first room sample captured after each wake that the chip's own code decided."""
    return [e["us"] * 16 // 1000 for e in house.board.trace if e["kind"] == "probe" and e.get("result")]


def lawful(house, sessions):
    """Everything that arrived is the room's own, and was captured after a wake; returns the indices."""
    at = house.arrived()
    assert len(house.hub.said("wake")) == sessions
    assert (at >= 0).mean() > 0.99
    known = at[at >= 0]
    woken = decisions(house)
    assert len(woken) == sessions
    assert known.min() >= woken[0]
    assert not ((known > (AGAIN_AT - 2) * RATE) & (known < woken[-1])).any()
    return known


def test_a_pulled_cable_ends_the_stream_within_three_seconds_and_nothing_arrives_late(house):
    house.play(OVER_AT, evening(), f"cable_out {CUT_AT}, cable_in 11.0")
    at = lawful(house, 2)
    first = at[at < AGAIN_AT * RATE]
    assert first.max() <= CUT_AT * RATE
    assert house.reasons() == [spec.LINK, spec.SILENCE]
    tried = [us for us, size in house.sent_us() if CUT_AT * 1e6 < us < 11e6 and size > 1000]
    assert not tried or max(tried) <= (CUT_AT + 3) * 1e6
    assert at.max() > (AGAIN_AT + 2) * RATE  # it came back by itself, and works


def test_a_killed_server_ends_the_stream_and_its_successor_is_found(house):
    def kill_in_mid_sentence():
        if house.hub.audio().size > 2 * RATE:
            house.hub.on_audio = None
            house.hub.kill()

    house.hub.on_audio = kill_in_mid_sentence
    house.prepare(OVER_AT, evening())
    assert house.hub.killed.wait(60)
    house.hub.start()
    house.board.wait("end", timeout=120)
    at = house.arrived()
    at = at[at >= 0]
    assert len(house.hub.said("wake")) == 2
    gap = at[(at > (WAKE_AT + 0.3) * RATE) & (at < AGAIN_AT * RATE)]
    assert 2 * RATE < gap.size < 2.3 * RATE  # what the first server had, and not one sample of it later
    assert house.reasons() == [spec.LINK, spec.SILENCE]
    assert at.max() > (AGAIN_AT + 2) * RATE


def test_a_hung_program_loses_the_microphone_and_starts_again(house):
    house.play(OVER_AT, evening(), f"hang {CUT_AT}")
    at = lawful(house, 2)
    assert at[at < AGAIN_AT * RATE].max() <= CUT_AT * RATE
    opened = next(e for e in house.board.trace if e["kind"] == "contact" and not e["closed"] and e["us"] > CUT_AT * 1e6)
    assert opened["us"] <= (CUT_AT + 0.3) * 1e6
    assert [e["cause"] for e in house.board.trace if e["kind"] == "boot"][-1] == "WDT"
    assert house.reasons() == [spec.POWER, spec.SILENCE]
    assert at.max() > (AGAIN_AT + 2) * RATE


def silent_from(house, seconds):
    heard = np.frombuffer(house.board.heard(), "<i2")
    return not heard[int(seconds * RATE) : int((seconds + 3) * RATE)].any()


def test_mute_in_mid_sentence_silences_within_five_milliseconds_and_discards_what_was_not_sent(house):
    house.play(OVER_AT, evening(), f"press {CUT_AT}, release 10.5")
    assert silent_from(house, CUT_AT + 0.005)
    at = lawful(house, 2)
    assert at[at < AGAIN_AT * RATE].max() < CUT_AT * RATE
    later = [(us, size) for us, size in house.sent_us() if CUT_AT * 1e6 <= us < 10.5e6]
    assert sum(size for _, size in later) < 400, "an END and an event, but no audio, once the button is in"
    assert house.reasons() == [spec.MUTE, spec.SILENCE]


def test_a_press_at_any_moment_of_a_block_lets_nothing_captured_later_out_and_nothing_go_later_than_that_block(house):
    every_s, presses, turn_us = 5.0, 12, 6_000  # a turn costs what [costs] says
    wake, command = say("Alexa."), say(COMMAND)[: 2 * RATE]
    sounds, events, pressed = [], [], []
    for n in range(presses):
        at = WAKE_AT + n * every_s
        pressed.append(at + 2.0 + n * 0.0009)  # 0.9 ms later each time: all over a block
        sounds += [(at, wake), (at + 1.1, command)]
        events += [f"press {pressed[-1]:.4f}", f"release {pressed[-1] + 0.5:.4f}"]
    costs = '[costs]\n"sourdine.frontend.Frontend.feed" = 2000\n"sourdine.tflite.Model._run" = 4000\n'
    house.play(WAKE_AT + presses * every_s, sounds, ", ".join(events), more=costs)
    assert house.reasons() == [spec.MUTE] * presses
    at = house.arrived()
    for press in pressed:
        assert not ((at > press * RATE) & (at < (press + 0.5) * RATE)).any()
        audio = [us / 1e6 - press for us, size in house.sent_us() if 0 < us / 1e6 - press < 0.5 and size > 300]
        assert all(late * 1e6 <= 10_000 + turn_us for late in audio)


@pytest.mark.parametrize(("stalled_s", "back_s"), [(0.03, 0.9), (0.6, 0.9), (0.1, 0.03), (0.2, 0.1)])
def test_what_a_stalled_network_held_back_never_arrives_after_mute(house, stalled_s, back_s):
    stalled = CUT_AT - stalled_s
    house.play(12, evening()[:2], f"cable_out {stalled}, press {CUT_AT}, cable_in {CUT_AT + back_s}")
    assert lawful(house, 1).max() <= stalled * RATE


def test_handshakes_that_take_the_whole_cpu_cost_proofs_and_nothing_else(house):
    """P-256 on the chip takes about half a second, without heartbeats; the first boot makes two handshakes at once."""
    wake, command = evening()[:2]
    costs = '[costs]\n"ssl.SSLSocket.handshake" = 500000\n"sourdine.frontend.Frontend.feed" = 4000\n'
    house.play(14, [(6.0, wake[1]), (7.1, command[1])], more=costs)
    contact = [(e["closed"], e["us"]) for e in house.board.trace if e["kind"] == "contact"]
    assert [closed for closed, _ in contact] == [True, False, True]
    assert contact[-1][1] < 4e6
    lawful(house, 1)
    assert house.reasons() == [spec.SILENCE]


def test_a_reply_that_says_the_wake_word_is_heard_and_does_not_open_the_gate(house):
    """On the wall clock: a server speaks in the host's time, and a gap in its speech would spoil the word."""
    wake = say("Alexa.")
    house.hub.reply = np.concatenate([wake, np.zeros(RATE // 2, np.int16), wake]).astype("<i2").tobytes()
    house.play(10.5, evening()[:1], more="[speaker]\ncoupling_db = 0.0\n", clock="wall")
    assert np.frombuffer(house.board.spoken(), "<i2").any()
    assert len(decisions(house)) > 1, "the ear must have heard it, or this proves nothing"
    assert len(house.hub.said("wake")) == 1
