"""`sourdine twin ROOM.toml`: a simulated board for a person's own hands."""

import argparse
import os
import textwrap
import time
from pathlib import Path
from typing import Any

from sourdine_board.circuit import PROFILES
from sourdine_board.mistake import Mistake
from sourdine_board.twin.board import HEAP, Board
from sourdine_board.twin.room import EVENTS, load

LEAST_HEAP = 128  # KiB; with 64, mpremote gets no answer
QUIET = ("probe", "socket", "nvs", "ready", "i2s")  # kinds that come too often, or tell a person nothing

EPILOG = f"""\
A room is a TOML file: its length, sounds (any file that soundfile reads) and events, for example

  seconds = 20.0
  noise_dbfs = -66.0
  [[sound]]
  at = 2.0
  file = "talk.wav"
  [[event]]
  at = 10.0
  do = "press"

Events: {", ".join(EVENTS)}.

Without a room the board idles in a quiet one. Its flash and its settings stay in the state folder. While it runs,
from another terminal:

  mpremote connect TTY            a prompt on the chip
  sourdine flash --port TTY       put the firmware on it

Exit status: 130 ended by Ctrl-C, 2 a mistake.
"""


def default_state() -> Path:
    """Where a twin lives unless told otherwise."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "sourdine" / "twin"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EPILOG
    parser.description = "\n".join(textwrap.wrap(str(parser.description), 100))
    parser.add_argument("room", nargs="?", type=Path, metavar="ROOM.toml", help="what is said and what happens")
    parser.add_argument("--state", type=Path, help=f"folder of the board's flash and traces ({default_state()})")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="s3", help="which DevKit (s3)")
    parser.add_argument(
        "--clock",
        choices=("wall", "virtual"),
        default="wall",
        help="wall: a second takes a second; virtual: as fast as it computes, and stops at the room's end (wall)",
    )
    parser.add_argument(
        "--heap", type=int, metavar="KIB", help=f"memory for the program, KiB of 64-bit objects ({HEAP >> 10})"
    )
    parser.add_argument("--bare", action="store_true", help="a chip on which nobody has put MicroPython")
    parser.add_argument("--all", action="store_true", help="show every event of the trace")


def sentence(event: dict[str, Any]) -> str:
    """An event of the trace as a person reads it."""
    kind = event["kind"]
    known = {
        "boot": lambda: f"starts: {event['cause']}",
        "reset": lambda: f"resets: {event['cause']}",
        "button": lambda: f"mute button {'in' if event['pressed'] else 'out'}",
        "contact": lambda: f"microphone {'CONNECTED' if event['closed'] else 'cut'}",
        "led": lambda: "lamp #{:02x}{:02x}{:02x}".format(*event["rgb"]),
        "play": lambda: f"played {event['samples'] / 16000:.2f} s",
        "overrun": lambda: f"lost {event['frames']} frames of sound",
        "wifi": lambda: f"Wi-Fi: {event['event']}",
        "end": lambda: "the room is over",
        "repl": lambda: "the program is over; the prompt is up",
        "watchdog": lambda: "the watchdog bites",
    }.get(kind)
    if known:
        return known()
    rest = " ".join(f"{key}={value}" for key, value in event.items() if key not in ("us", "kind"))
    return f"{kind} {rest}".rstrip()


def run(arguments: argparse.Namespace) -> int:
    state = arguments.state or default_state()
    if arguments.heap is not None and arguments.heap < LEAST_HEAP:
        raise Mistake(f"a chip with {arguments.heap} KiB never reaches its prompt: give --heap {LEAST_HEAP} or more")
    if arguments.room:
        load(arguments.room)  # a mistake in it is told before anything starts
    heap = arguments.heap * 1024 if arguments.heap else HEAP
    board = Board(state, arguments.profile, arguments.clock, heap=heap, bare=arguments.bare)

    def show(event: dict[str, Any]) -> None:
        if arguments.all or event["kind"] not in QUIET:
            print(f"{event['us'] / 1e6:9.3f}  {sentence(event)}", flush=True)

    with board:
        clock = arguments.clock if arguments.room else "wall"
        print(f"tty    {board.tty}\nclock  {clock}\nstate  {state}\nCtrl-C ends it.\n", flush=True)
        if arguments.room and not arguments.bare:
            board.wait("ready")  # of the chip in its quiet room, which is nobody's business
        board.watch(on_event=show)
        if arguments.room:
            board.play(arguments.room)
        while board.running:
            time.sleep(0.2)
    return 0
