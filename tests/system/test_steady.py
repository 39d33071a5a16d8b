"""Real time on the twin: nothing is allocated while nothing happens, and what blocks loses no sample of the room."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from way import RATE, Way, say, way

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
