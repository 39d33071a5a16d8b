"""Real time on the twin: nothing is allocated while nothing happens, and what blocks loses no sample of the room."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from way import COMMAND, RATE, Way, say, way

HERE = Path(__file__).parent
HEAP = 700 << 10  # bytes, for the firmware and for the program that watches it
BOOT_S = 6  # from power-on until it listens, linked: two handshakes and a proof
MINUTE_S = 60


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    with way(tmp_path_factory.mktemp("way"), heap=HEAP) as made:
        put(made, "main.py", (HERE / "steady_chip.py").read_text())
        yield made


def put(house: Way, name: str, text: str) -> None:
    path = house.folder / name
    path.write_text(text)
    mpremote = [sys.executable, "-m", "mpremote", "connect", house.board.tty]
    subprocess.run([*mpremote, "fs", "cp", path, f":{name}"], check=True, capture_output=True)


def watch(house: Way, seconds: float, events: str = "", **how) -> list[dict]:
    """Play a quiet room with the watch set as `how` says; what it told."""
    put(house, "steady.json", json.dumps(how))
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
    assert minute["error"] is None
    assert minute["connections"] == (state != "alone")  # never lost, and four pings went to and fro


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
