"""What is said in Beneath a Steel Sky: two hours of acted English, some twenty voices, packed as the game needs it.

An index (sky.dnr: a count, then rows of eight bytes: number, place, size and flags) leads into one file of data
(sky.dsk). A line is a head of 22 bytes and what was packed: unsigned bytes at 11,025 Hz. ScummVM's engine "sky" reads
them so.
"""

import logging
import wave
from pathlib import Path

import numpy as np

from sourdine_training.sources import rnc

INDEX, DATA = "sky.dnr", "sky.dsk"
NUMBERS = range(50_000, 56_000)  # of what is said
HEAD, RATE = 22, 11_025  # bytes before what is packed; Hz
SIZE, BLOCKS = 0x3FFFFF, 1 << 23  # of flags: the bytes' count; of a place: it counts in sixteens

log = logging.getLogger(__name__)


def unpack(folder: Path, scratch: Path) -> bool:
    """Write every line as scratch/en/NUMBER.wav; those that are damaged are counted in the log.

    False if the game is not in this folder.
    """
    index, data = (next(iter(sorted(folder.rglob(name))), None) for name in (INDEX, DATA))
    if not index or not data:
        return False
    packed = index.read_bytes()
    rows = np.frombuffer(packed, "<u2", (len(packed) - 4) // 8 * 4, 4).astype(int).reshape(-1, 4)
    content = np.memmap(data, np.uint8, "r")
    (scratch / "en").mkdir(parents=True, exist_ok=True)
    damaged = 0
    for number, low, middle, high in rows.tolist():
        place, flags = low | (middle & 0xFF) << 16, middle >> 8 | high << 8
        place = (place & (BLOCKS - 1)) << 4 if place & BLOCKS else place
        if number not in NUMBERS or flags & ~SIZE:
            continue
        try:
            samples = rnc.unpack(content[place + HEAD : place + flags].tobytes())
        except rnc.Damaged:
            damaged += 1
            continue
        with wave.open(str(scratch / "en" / f"{number}.wav"), "wb") as file:
            file.setparams((1, 1, RATE, 0, "NONE", ""))
            file.writeframes(samples)
    if damaged:
        log.info("%d lines of %s are damaged", damaged, DATA)
    return True
