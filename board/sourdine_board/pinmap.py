"""`sourdine pins`: writes firmware/sourdine/pins.py from the circuit, or checks that it is up to date."""

import argparse
import textwrap
from pathlib import Path

from sourdine_board.circuit import PROFILES, ROLES
from sourdine_board.mistake import Mistake

PATH = Path(__file__).parents[2] / "firmware" / "sourdine" / "pins.py"

TEMPLATE = '''\
"""GPIO by role. Written by `sourdine pins` from board/sourdine_board/circuit.py; do not edit."""

import sys

PROFILES = {{
{profiles}
}}


def profile(machine):
    """`sys.implementation._machine` of stock MicroPython -> key of PROFILES; KeyError for a chip we have no pins for.

    It ends in "with" and the chip: ESP32, ESP32S3, ESP32-S3 (since 1.27), ESP32-PICO-D4, ESP32-S3-FN8 ...
    """
    chip = machine.rsplit(" with ", 1)[-1].replace("-", "")
    for name in PROFILES:
        if chip == name or chip.startswith((name + "PICO", name + "FN", name + "FH")):
            return name
    raise KeyError("no pins for " + chip)


# A desktop has no pins of its own and imports this module to read or test it: it sees the S3's.
CHIP = profile(sys.implementation._machine) if sys.platform == "esp32" else "{default}"
(
{roles}
) = PROFILES[CHIP]
'''


def text() -> str:
    """The source of pins.py, as the formatter would leave it."""
    profiles = "\n".join(
        f'    "{profile.chip}": ({", ".join(str(profile.pins[role]) for role in ROLES)}),'
        for profile in PROFILES.values()
    )
    roles = textwrap.indent("\n".join(f"{role}," for role in ROLES), "    ")
    return TEMPLATE.format(profiles=profiles, default=PROFILES["s3"].chip, roles=roles)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--check", action="store_true", help="only say whether the file is up to date")
    parser.epilog = "Exit status: 0 it is up to date now, 2 it is not."


def run(arguments: argparse.Namespace) -> int:
    current = PATH.read_text() if PATH.exists() else ""
    if arguments.check:
        if current != text():
            raise Mistake(f"{PATH} differs from the circuit; run `sourdine pins` and commit it")
        print(f"{PATH.name} agrees with the circuit")
    elif current == text():
        print(f"{PATH.name} was up to date")
    else:
        PATH.write_text(text())
        print(f"wrote {PATH}")
    return 0
