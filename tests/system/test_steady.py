"""Real time on the twin: nothing is allocated while nothing happens, and what blocks loses no sample of the room."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from nets import second_stage
from sourdine import spec, wire
from sourdine_tools.release import Release
from sourdine_tools.server.conversation import EVENTS
from way import COMMAND, RATE, Way, say, way

HERE = Path(__file__).parent
HEAP = 700 << 10  # bytes, for the firmware and for the program that watches it
BOOT_S = 6  # from power-on until it listens, linked: two handshakes and a proof
MINUTE_S = 60


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with way(tmp_path_factory.mktemp("way"), heap=HEAP) as made:
        made.put("main.py", (HERE / "steady_chip.py").read_text())
        yield made


def watch(house: Way, seconds: float, events: str = "", **how) -> list[dict]:
    """Play a quiet room with the watch set as `how` says; what it told."""
    house.put("steady.json", json.dumps(how))
    room = house.folder / "quiet.toml"
    room.write_text(f"seconds = {seconds}\nnoise_dbfs = -60.0\n{events}")
    house.board.play(room)
    house.board.wait("end", timeout=60)
    return told(house)


def told(house: Way) -> list[dict]:
    lines = house.board.console.decode(errors="replace").rpartition("ready, listening")[2].splitlines()
    return [json.loads(line.split("STEADY ")[1]) for line in lines if "STEADY " in line]


def event(at: float, do: str) -> str:
    return f'[[event]]\nat = {at}\ndo = "{do}"\n'


# µs on an ESP32: what `sourdine bench chip` models for frontend and inference, and the model's uncertainty on top.
COSTS = {
    "sourdine.frontend.Frontend.feed": 2_500,
    "sourdine.tflite.Model._run": 6_000,  # in every third turn
    "sourdine.endpoint.Endpoint.hear": 300,
    "ssl.SSLSocket.write": 5_000,
    "esp32.NVS.commit": 30_000,
}
COSTLY = "[costs]\n" + "".join(f'"{name}" = {us}\n' for name, us in COSTS.items())
RING_MS = 18 * 16  # of the DMA's 20 buffers one is being filled and one being read
STALLS = {  # ms in which no bytecode runs
    "a record of TLS": 25,
    "a write to flash": 30,
    "garbage collection": 60,
    "100 ms": 100,
    "200 ms": 200,
    "the ring's length": RING_MS,
}
EVERY_S = 1.61  # between stalls: 0.1 ms more than whole turns and buffers, and longer than a proof
FENCE_US = 2 * 16_000 + 100  # a fence is so late at most: mic.MARGIN_US, and a frame


def stalled(house: Way, stalls_ms: list[int], **how) -> tuple[dict, list[dict]]:
    """A quiet room with these stalls; the firmware's books, and for each stall what the relay did in it and after."""
    events = "".join(
        f'[[event]]\nat = {BOOT_S + 1 + n * EVERY_S:.4f}\ndo = "stall"\nms = {ms}\n' for n, ms in enumerate(stalls_ms)
    )
    over = BOOT_S + 1 + len(stalls_ms) * EVERY_S
    [books] = watch(house, over + 1, events + COSTLY, books=[BOOT_S, over], **how)
    return books, house.board.trace


def overruns(trace: list[dict]) -> int:
    """Frames that DMA dropped, as the twin knows it."""
    return sum(happened["frames"] for happened in trace if happened["kind"] == "overrun")


def drops(trace: list[dict]) -> int:
    """How many stalls made the relay let go while they lasted, or before the firmware looked again."""
    stalls = [(e["us"], e["us"] + (e["ms"] + 20) * 1000) for e in trace if e["kind"] == "stall"]
    opened = [e["us"] for e in trace if e["kind"] == "contact" and not e["closed"]]
    return sum(any(start <= us <= end for us in opened) for start, end in stalls)


QUIET = {
    "listening": "",
    "muted": event(0, "press"),
    "alone": event(0, "wifi_down"),  # and muted and alone is no more than both
}


@pytest.mark.parametrize("state", QUIET)
def test_a_minute_in_which_nothing_happens_allocates_nothing(house, state):
    [minute] = watch(house, BOOT_S + MINUTE_S + 1, QUIET[state], lock=[BOOT_S, BOOT_S + MINUTE_S])
    assert minute["state"] == state
    assert minute["turns"] == MINUTE_S * 100
    assert minute["broken"] is None, house.board.console.decode(errors="replace")[-800:]
    before, after = minute["held"]
    assert after == before, "gc.mem_alloc(), the twin's own parts included"
    assert minute["error"] is None
    assert minute["connections"] == (state != "alone")  # never lost, and four pings went to and fro


@pytest.fixture
def doubting(house):
    """The same house with a spotter that fires at any noise, and a second stage that always says no."""
    release = Release.build("x64").files
    spotter = base64.b64decode(json.loads((HERE.parent / "golden/net.json").read_text())["model"])
    second = {"model": "alexa.verify.tflite", "features": 150, "spotter_cutoff": 0.1, "cutoff": 0.5}
    house.put("models/alexa.tflite", spotter)
    house.put("models/alexa.verify.tflite", second_stage(np.random.default_rng(1), channels=40, says=0))
    house.put("models/alexa.sourdine.json", json.dumps({"version": 1, "verify": second}))
    yield house
    house.put("models/alexa.tflite", release["/models/alexa.tflite"])
    house.put("models/alexa.sourdine.json", '{"version": 1}')


ASKED = '[probes]\n"sourdine.verifier.Verifier.begin" = "slices"\n'


def test_a_minute_in_which_the_second_stage_is_asked_all_the_time_allocates_nothing(doubting):
    [minute] = watch(doubting, BOOT_S + MINUTE_S + 1, lock=[BOOT_S, BOOT_S + MINUTE_S])
    assert minute["turns"] == MINUTE_S * 100
    assert minute["broken"] is None, doubting.board.console.decode(errors="replace")[-800:]
    before, after = minute["held"]
    assert after == before, "gc.mem_alloc(), the twin's own parts included"


def test_a_second_stage_that_is_slow_loses_no_sample(doubting):
    """Its slices are as long as modelled for the slower chip and half as much again, and asked for without a rest."""
    slow = COSTLY + '"sourdine.verifier.Verifier.advance" = 9500\n' + ASKED
    [books] = watch(doubting, BOOT_S + 11, slow, books=[BOOT_S, BOOT_S + 10])
    asked = [e for e in doubting.board.trace if e["kind"] == "probe" and e["us"] > BOOT_S * 1e6]
    assert len(asked) > 30
    assert overruns(doubting.board.trace) == books["lost"] == 0
    assert books["early_us"] == 0
    assert books["state"] == "listening"


def test_the_watch_sees_one_list_that_a_turn_makes(house):
    [minute] = watch(house, BOOT_S + 2, lock=[BOOT_S, BOOT_S + 1], plant=True)
    assert minute["broken"] == "listening"


def speech(at: float, samples: np.ndarray, house: Way) -> str:
    path = house.folder / f"at{at}.wav"
    soundfile.write(path, samples, RATE, subtype="PCM_16")
    return f"[[sound]]\nat = {at}\nfile = {json.dumps(str(path))}\n"


def test_what_a_session_and_its_reply_allocate_is_bounded(house):
    """Of a heap of 64-bit words; a chip's are half as wide. Sending makes no garbage for each block, nor does playing."""
    reply_s = 1
    house.hub.reply = bytes(range(256)) * (reply_s * 2 * RATE // 256)
    words = speech(6.0, say("Alexa."), house) + speech(7.1, say(COMMAND)[: 2 * RATE], house)
    turns = watch(house, 11.5, words, meter=[6.4, 11.4])
    house.hub.reply = None
    garbage = {
        state: [turn["taken"] for turn in turns if turn["state"] == state]
        for state in ("listening", "sending", "speaking")
    }
    assert sum(garbage["listening"]) < 200  # in the one turn in which it comes back to that
    assert len(garbage["sending"]) > 250
    assert len(garbage["speaking"]) > 90 * reply_s
    assert sum(garbage["sending"]) < 1_000
    assert sum(garbage["speaking"]) < 2_000 + 6_000 * reply_s
    assert max(map(max, garbage.values())) < 1_000


def test_no_turn_takes_longer_than_its_block(house):
    books, _ = stalled(house, [])
    assert books["work_us"] < 10_000


@pytest.mark.parametrize("what", STALLS)
def test_a_stall_loses_no_sample(house, what):
    """Six times, each at another moment of turn and buffer."""
    books, trace = stalled(house, [STALLS[what]] * 6)
    assert overruns(trace) == books["lost"] == 0
    assert abs(books["turns"] - 100 * (1 + 6 * EVERY_S)) < 4, "every block was read"
    assert books["early_us"] == 0
    assert books["late_us"] <= FENCE_US
    assert books["reproofs"] == drops(trace)
    assert (drops(trace) > 0) == (STALLS[what] > 90), "the relay holds over what is short"
    assert books["state"] == "listening"


def test_what_a_longer_stall_loses_is_counted_and_no_fence_is_early(house):
    stalls = [RING_MS + 30, 400, 800, RING_MS + 60, 700]
    books, trace = stalled(house, stalls)
    assert overruns(trace) > RATE
    assert abs(books["lost"] - overruns(trace)) <= 256 * len(stalls)
    assert books["early_us"] == 0
    assert books["reproofs"] == drops(trace) == len(stalls)
    assert books["state"] == "listening"


def test_stalls_as_long_as_the_relay_holds_are_seen_or_did_nothing(house):
    """Around its drop-out every millisecond counts: whether it let go, and whether the proof's own edge pulls it in again."""
    books, trace = stalled(house, list(range(88, 122, 2)))
    assert 0 < drops(trace) < 17
    assert books["reproofs"] == drops(trace)
    assert books["state"] == "listening"


@pytest.mark.parametrize(("corner", "hold_ms"), [("fastest", 24), ("nominal", 97), ("slowest", 166)])
def test_garbage_collection_costs_a_proof_only_where_the_relay_is_quick(house, monkeypatch, corner, hold_ms):
    """The corners of the circuit's simulation; 60 ms, in which the tokens' 40 ms do not help: no callback runs."""
    pump = house.board._chip["circuit"]["pump"]
    for name in ("low_us", "high_us"):
        monkeypatch.setitem(pump, name, pump[name] * (hold_ms - 2) / 95)
    books, trace = stalled(house, [60] * 6)
    assert books["reproofs"] == drops(trace) == (6 if corner == "fastest" else 0)
    assert books["lost"] == 0
    assert books["state"] == "listening"


def test_a_handshake_while_it_listens_costs_one_proof_and_the_server_is_told(house):
    """The link breaks and is dialled again; P-256 takes 600 ms of the chip, in which nobody hears and nothing is lost."""
    cuts = event(BOOT_S + 2, "cable_out") + event(BOOT_S + 22, "cable_in")
    costs = COSTLY + '"ssl.SSLSocket.handshake" = 600000\n'
    house.hub.lines.clear()
    [books] = watch(house, 45, cuts + costs, books=[BOOT_S, 44])
    opened = [e["us"] / 1e6 for e in house.board.trace if e["kind"] == "contact" and not e["closed"]]
    at_boot = [at for at in opened if at < BOOT_S]
    assert (
        len(at_boot) >= 1
    )  # two handshakes at once: TLS needs the time to check a certificate, and the server tells it
    [dropped] = [at for at in opened if at > BOOT_S]
    again = min(
        e["us"] / 1e6
        for e in house.board.trace
        if e["kind"] == "led" and e["rgb"] == [0, 0, 4] and e["us"] / 1e6 > dropped
    )
    assert again - dropped < 1.2  # deaf for so long: the rest of the handshake, and a proof
    assert books["reproofs"] == 2
    assert books["connections"] == 2
    assert books["early_us"] == 0
    assert abs(books["lost"] - overruns(house.board.trace)) <= 3 * 256  # of each handshake what the ring did not hold
    assert books["state"] == "listening"
    assert sum(EVENTS[wire.LOST] in line for line in house.hub.lines) == 2


def test_a_contact_that_falls_in_mid_sentence_ends_the_session_as_mute_does(house):
    """200 ms in which nothing runs: long enough for the relay. What was captured before it and not yet sent is dropped."""
    house.hub.plaintext.clear()
    stall_s = 8.0
    spoken = speech(6.0, say("Alexa."), house) + speech(7.1, say(COMMAND), house)
    spoken += speech(14.0, say("Alexa."), house) + speech(15.1, say(COMMAND)[: 2 * RATE], house)
    stall = f'[[event]]\nat = {stall_s}\ndo = "stall"\nms = 200\n'
    [books] = watch(house, 20, spoken + stall + COSTLY, books=[BOOT_S, 19.9])
    first, second = house.hub.said("wake")
    heard = {
        wake.session: sum(len(f.payload) for f in house.hub.said("audio") if f.session == wake.session)
        for wake in (first, second)
    }
    assert house.reasons() == [spec.MUTE, spec.SILENCE]
    assert heard[first.session] <= 2 * RATE * (stall_s - 6.3)
    assert heard[second.session] > 2 * RATE * 1.5
    assert books["reproofs"] == 1
    assert books["lost"] == 0
    late = [us for us, _ in house.sent_us() if stall_s * 1e6 + 230_000 < us < 13e6]
    assert len(late) < 8, "an end, two events and a ping, but no audio"


def test_a_press_and_release_while_nothing_runs_end_the_session_all_the_same(house):
    """The firmware never sees the button in; the microphone, whose supply was gone, starts anew with zeros."""
    house.hub.plaintext.clear()
    spoken = speech(6.0, say("Alexa."), house) + speech(7.1, say(COMMAND), house)
    stall = '[[event]]\nat = 8.0\ndo = "stall"\nms = 80\n' + event(8.01, "press") + event(8.03, "release")
    [books] = watch(house, 12, spoken + stall, books=[BOOT_S, 11.9])
    [pressed, released] = [e["us"] / 1e6 for e in house.board.trace if e["kind"] == "button"]
    assert 8.0 < pressed < released < 8.08
    assert house.reasons() == [spec.MUTE]
    assert len(house.hub.audio()) < RATE * (8.01 - 6.3)
    assert books["reproofs"] == 1
    assert books["state"] == "listening"
    assert not [us for us, _ in house.sent_us() if us > 8.4e6 and _ > 200]
