"""The proof finds every sort of leak that we could think of planting, and none in an honest evening."""

import struct

import numpy as np
import pytest

from house import PRESSED, RATE, ROOM, VALUE, WOKE, House
from sourdine import spec
from sourdine_tools.demo.proof import Evidence, judge


@pytest.fixture
def house():
    """Wake at 5 s, a command of 3 s; woken again at 19 s and muted at 20 s."""
    house = House()
    house.wake(WOKE + 200)
    house.audio(WOKE + 600, 3 * RATE)
    house.end(WOKE + 4 * RATE)
    house.decisions.append(19 * RATE)
    house.wake(19 * RATE + 200)
    house.audio(19 * RATE + 640, RATE - 640 - 640)
    house.end(PRESSED + 300)
    return house


def test_an_honest_evening_has_no_leak(house):
    verdict = house.judge()
    assert verdict.leaks == []
    assert verdict.left.tolist() == [
        *range(WOKE + 600, WOKE + 600 + 3 * RATE),
        *range(19 * RATE + 640, PRESSED - 640),
    ]
    assert verdict.lawful == [(WOKE, WOKE + 4 * RATE), (19 * RATE, PRESSED + 60)]
    assert verdict.layers["socket"] == verdict.layers["relay"] == len(house.network)
    assert verdict.layers["inside"] == verdict.layers["plaintext"] == sum(verdict.bytes.values())


def test_an_evening_without_a_connection_has_no_leak():
    assert judge(Evidence(ROOM, [WOKE], [], [], [])).leaks == []


def test_one_block_from_before_the_wake_is_a_leak(house):
    house.wake(WOKE + 4 * RATE + 1)
    house.audio(WOKE - 320, 320)
    assert any("320 samples" in leak and "outside the lawful" in leak and "4.98 s" in leak for leak in house.leaks())


def test_one_sample_from_before_the_wake_is_a_leak():
    house = House()
    house.wake(WOKE + 1)
    house.audio(WOKE - 1, 320)
    assert [leak.samples for leak in house.judge().leaks] == [1]


def test_a_session_without_any_wake_is_a_leak():
    house = House()
    house.decisions = []
    house.wake(3 * RATE)
    house.audio(3 * RATE, 3200)
    assert [leak.samples for leak in house.judge().leaks] == [3200]


def test_audio_captured_after_the_press_is_a_leak(house):
    house.session = 2
    house.audio(PRESSED + 100, 320)
    assert any("outside the lawful" in leak for leak in house.leaks())


def test_a_contact_that_never_opens_does_not_make_the_time_after_the_press_lawful():
    house = House()
    house.decisions, house.cuts = [19 * RATE], []
    house.wake(19 * RATE + 100)
    house.audio(PRESSED + 100, 320)
    assert [leak.samples for leak in house.judge().leaks] == [320]


def test_audio_captured_before_the_press_and_sent_after_it_is_a_leak():
    house = House()
    house.decisions = [19 * RATE]
    house.wake(19 * RATE + 100)
    house.audio(PRESSED - 640, 320, delay=RATE // 2)
    assert any("320 samples" in leak and "after the mute button" in leak for leak in house.leaks())


def test_lawful_audio_sent_again_later_is_a_leak(house):
    house.decisions.append(25 * RATE)
    house.wake(25 * RATE + 100)
    house.audio(WOKE + 6400, 640, delay=20 * RATE)
    found = house.leaks()
    assert any("sent twice" in leak for leak in found)


def test_lawful_audio_held_back_and_sent_late_is_a_leak():
    house = House()
    house.wake(WOKE + 100)
    house.audio(WOKE + 640, 640, delay=4 * RATE)
    assert any("3 s late" in leak and "640 samples" in leak for leak in house.leaks())


def test_audio_after_the_end_of_its_session_is_a_leak(house):
    house.audio(19 * RATE + 12_000, 320, session=2)
    assert any("outside an open session" in leak for leak in house.leaks())


def test_audio_longer_than_the_cap_is_a_leak():
    house = House()
    house.wake(WOKE)
    house.presses, house.cuts = [], []
    house.audio(WOKE, spec.SESSION_MAX + RATE)
    assert any("outside the lawful" in leak for leak in house.leaks())


def test_an_unknown_frame_type_is_a_leak(house):
    house.send("diagnostics", b"hello", at=22 * RATE)
    assert any("type 0x7e is not in docs/wire.md" in leak for leak in house.leaks())


def test_a_frame_longer_than_its_type_may_be_is_a_leak(house):
    house.send("ping", bytes(1000), at=22 * RATE)
    assert any("1000 bytes in a frame of type ping" in leak for leak in house.leaks())


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({"name": "ping", "flags": 1}, "flags 0x01 in a frame of type ping"),
        ({"name": "ping", "session": 5}, "session 5 in a frame of type ping"),
        ({"name": "wake"}, "session 0 in a frame of type wake"),
        ({"name": "audio", "payload": bytes(3), "session": 2}, "3 bytes in a frame of type audio"),
    ],
)
def test_room_for_a_message_in_a_header_is_a_leak(house, sent, said):
    house.send(**sent, at=22 * RATE)
    assert any(said in leak for leak in house.leaks())


def test_a_sequence_number_that_is_not_the_next_is_a_leak(house):
    house.sequence += 1
    house.send("ping", at=22 * RATE)
    assert any("sequence number" in leak for leak in house.leaks())


@pytest.mark.parametrize("order", ["<i2", ">i2"])
@pytest.mark.parametrize("skip", [0, 1])
def test_audio_hidden_in_other_frames_is_a_leak(house, skip, order):
    hidden = bytes(skip) + house.heard[1000:1080].astype(order).tobytes()
    house.write(struct.pack(">BBHII", VALUE["stats"], 0, len(hidden), 0, house.sequence) + hidden, 22 * RATE)
    assert any("hidden in frames" in leak for leak in house.leaks())


def test_audio_that_no_microphone_gave_is_a_leak(house):
    house.session = 2
    house.heard[19 * RATE + 1000 : 19 * RATE + 2000] ^= np.random.default_rng(1).integers(0, 2, 1000).astype(np.int16)
    house.plaintext, house.network, house.socket, house.sequence = b"", b"", [], 0
    house.wake(19 * RATE + 100)
    house.audio(19 * RATE + 640, 3200)
    assert any("never gave" in leak for leak in house.leaks())


def test_zeros_carry_nothing(house):
    house.session = 2
    house.plaintext, house.network, house.socket, house.sequence = b"", b"", [], 0
    house.wake(19 * RATE + 100)
    house.heard[19 * RATE + 960 : 19 * RATE + 1000] = 0
    house.audio(19 * RATE + 640, 360)
    assert house.leaks() == []


def test_bytes_beside_the_tls_stream_are_a_leak(house):
    house.network += b"GET / HTTP/1.0\r\n\r\n"
    house.socket.append((22 * RATE, len(house.network)))
    assert any("begins no TLS record" in leak for leak in house.leaks())


def test_an_extra_tls_record_that_the_tap_never_saw_is_a_leak(house):
    house.network += b"\x17\x03\x03\x00\x38" + bytes(0x38)
    house.socket.append((22 * RATE, len(house.network)))
    assert any("TLS carried" in leak and "tap shows" in leak for leak in house.leaks())


def test_bytes_that_left_by_another_way_are_a_leak(house):
    house.stray_bytes = 12
    assert any("12 bytes left for somebody" in leak for leak in house.leaks())


def test_a_wake_that_only_the_firmware_heard_is_a_leak(house):
    house.unfounded = [3 * RATE]
    assert house.leaks() == ["woken without the wake word, from 3.00 s to 3.00 s of the room"]


@pytest.mark.parametrize(("ended", "leaks"), [(WOKE + 10, 1), (WOKE - 3200, 1), (WOKE - RATE // 2, 0)])
def test_a_wake_while_the_speaker_plays_or_shortly_after_makes_nothing_lawful(ended, leaks):
    house = House()
    house.played = [(WOKE - RATE, ended)]
    house.wake(WOKE + 1)
    house.audio(WOKE + 600, 3200)
    assert len(house.leaks()) == leaks


def test_frames_between_those_of_the_audio_do_not_hide_it():
    house = House()
    house.wake(WOKE + 1)
    for first in range(WOKE + 600, WOKE + 800, 20):
        house.send("audio", house.heard[first : first + 20].astype("<i2").tobytes(), first + 400, house.session)
        house.send("ping", at=first + 400)
    assert house.leaks() == []
    assert len(house.judge().left) == 200


def test_a_microphone_that_hears_with_the_button_in_is_a_leak(house):
    house.heard_muted = 3
    assert any("with the mute button in" in leak for leak in house.leaks())


def test_how_fast_mute_cuts_is_told(house):
    assert house.judge().cut_ms == [60 * 1000 / RATE]


def test_what_the_twin_refused_is_a_leak(house):
    house.violations = ["listen"]
    assert house.leaks() == ["the board tried what it may not: listen"]


def test_a_socket_that_took_more_than_the_network_carried_is_a_leak(house):
    house.socket.append((22 * RATE, len(house.network) + 100))
    assert any("socket took" in leak for leak in house.leaks())


def test_half_a_frame_at_the_end_is_a_leak(house):
    house.write(b"\x03\x00\x02", 22 * RATE)
    assert any("belong to none" in leak for leak in house.leaks())


def test_a_cipher_that_hides_lengths_cannot_be_accounted_for(house):
    house.suite = 0xC023  # CBC
    assert any("0xc023 hides" in leak for leak in house.leaks())
