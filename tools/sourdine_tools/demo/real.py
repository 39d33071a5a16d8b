"""Real people: each says the wake word once, between real talk and a real command, in several rooms.

The recordings are no part of this project; they are looked for beside the checkout. Their levels are left as they are.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_tools.demo.scene import LONGEST, Clip, Scene, recorded, recording

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "dev"
SPEAKERS = 48  # of them, unless told otherwise: one clip of each
PER_ROOM = 8
TALK, COMMAND = "LibriSpeech", "speech-to-intent"  # sources of talk and of commands, in the manifest
SHORT = 6.5  # s: of longer commands the words may not be over at CUT
CUT = 4.5  # s that are taken of talk and commands


def rooms(into: Path, folder: Path = FOLDER, speakers: int = SPEAKERS) -> Iterator[Scene]:
    """A scene for every PER_ROOM speakers. Mistake where the recordings are not there."""
    if not (folder / "manifest.csv").is_file():
        raise Mistake(f"no real recordings in {folder}: use --talk, --wake and --command with folders of your own")
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["path"])
    words = list({row["speaker"]: row for row in rows if row["category"] == "positive:alexa"}.values())[:speakers]
    talk, command = (
        [row for row in rows if row["category"] == "speech" and of in row["source"] and float(row["seconds"]) < most]
        for of, most in ((TALK, float("inf")), (COMMAND, SHORT))
    )
    if not (words and talk and command):
        raise Mistake(f"{folder}/manifest.csv lists no wake words, talk or commands: is it complete?")

    def clip(row: dict[str, str], seconds: float = CUT) -> Clip:
        return Clip(row["speaker"].rsplit(":")[-1], recording(folder / row["path"], into, seconds, peak=None))

    for first in range(0, len(words), PER_ROOM):
        some = range(first, min(first + PER_ROOM, len(words)))
        yield recorded(
            [clip(talk[i % len(talk)]) for i in some],
            [clip(words[i], LONGEST) for i in some],
            [clip(command[i % len(command)]) for i in some],
            f"Real speakers {first + 1} to {some[-1] + 1} of {len(words)}",
        )
