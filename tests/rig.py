"""A board of the twin that starts with a small program of the test's own in its flash."""

import json
import textwrap
from pathlib import Path
from types import TracebackType
from typing import Self

import littlefs
import numpy as np

from sourdine_board import circuit
from sourdine_board.twin import Board

# What a program needs to hold the relay and to read the microphone; the pins by role come before it.
EARS = """
import json, machine, select, time
from machine import ADC, I2S, Pin, Timer
from array import array

def tell(*result):
    print("TOLD " + json.dumps(result))

hb = Pin(HB, Pin.OUT, value=0)
rail = ADC(Pin(MIC_SENSE), atten=ADC.ATTN_11DB)
beat = Timer(0)

def hold(hertz=800):
    beat.init(mode=Timer.PERIODIC, freq=hertz, callback=lambda timer: hb(1 - hb()))

def microphone():
    i2s = I2S(0, sck=Pin(MIC_SCK), ws=Pin(MIC_WS), sd=Pin(MIC_SD), mode=I2S.RX, bits=32, format=I2S.MONO,
              rate=16000, ibuf=40960)
    poll = select.poll()
    poll.register(i2s, select.POLLIN)
    poll.poll(0)
    return i2s

words = array("i", bytes(4 * 32))

def listen(i2s, frames):
    while frames > 0:
        while not i2s.readinto(words):
            time.sleep_ms(1)
        frames -= 32
"""


class Rig:
    """A board that starts with a program in its flash, in a room of so many seconds."""

    def __init__(
        self, folder: Path, main: str, files: dict[str, str] | None = None, before: str = "", **options
    ) -> None:
        self.folder = folder
        profile = circuit.PROFILES[options.get("profile", "s3")]
        pins = "".join(f"{role} = {pin}\n" for role, pin in profile.pins.items())
        program = {"boot.py": "", "main.py": pins + EARS + before + textwrap.dedent(main), **(files or {})}
        disk = littlefs.LittleFS(block_size=4096, block_count=512)
        for name, text in program.items():
            if "/" in name:
                disk.makedirs(name.rpartition("/")[0], exist_ok=True)
            with disk.open(name, "w") as file:
                file.write(text)
        self.state = folder / "board"
        self.state.mkdir(exist_ok=True)
        (self.state / "flash.img").write_bytes(disk.context.buffer)
        self.board = Board(self.state, **options)

    def play(self, seconds: float, rest: str = "", timeout: float = 30) -> Board:
        """Play a room to its end."""
        self.start(seconds, rest)
        self.board.wait("end", timeout)
        return self.board

    def start(self, seconds: float, rest: str = "") -> None:
        """Power-cycle into a room."""
        room = self.folder / "room.toml"
        room.write_text(f"seconds = {seconds}\n{rest}")
        self.board.play(room)

    def told(self) -> list:
        """What the program told, in order."""
        lines = self.board.console.decode().splitlines()
        return [json.loads(line.split("TOLD ", 1)[1]) for line in lines if "TOLD " in line]

    def heard(self) -> np.ndarray:
        return np.frombuffer(self.board.heard(), "<i2")

    def __enter__(self) -> Self:
        self.board.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.board.__exit__(kind, error, traceback)


def event(at: float, do: str, ms: int | None = None) -> str:
    return f'[[event]]\nat = {at}\ndo = "{do}"\n' + (f"ms = {ms}\n" if ms is not None else "")


def kinds(board: Board, kind: str) -> list[dict]:
    return [happened for happened in board.trace if happened["kind"] == kind]
