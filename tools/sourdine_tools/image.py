"""The filesystem inside a dump of the flash: a whole ESP32 flash, or its `vfs` partition alone.

Partition table: at 0x8000, entries of 32 bytes, magic 0xAA 0x50 (ESP-IDF, "Partition Tables"). Newer
MicroPython leaves `vfs` out of the table and takes all flash after the last partition (ports/esp32/main.c).
littlefs: the superblock's name stands at byte 8 of block 0 or 1, its numbers follow (littlefs SPEC.md).
"""

import struct
from pathlib import Path

from littlefs import LittleFS, LittleFSError

from sourdine_board.mistake import Mistake
from sourdine_tools.board_files import Survey
from sourdine_tools.release import digest

TABLE = 0x8000  # byte offset of the partition table
ENTRY = struct.Struct("<2sBBII16sI")  # magic, type, subtype, offset, size, label, flags
MAGIC = b"\xaa\x50"
NAME = b"littlefs"


def survey(image: Path) -> Survey:
    """Hash every file of the image."""
    try:
        data = image.read_bytes()
    except OSError as error:
        raise Mistake(
            f"cannot read {image} ({error.strerror}): make it with `esptool read_flash 0 ALL FILE`"
        ) from error
    return hashes(filesystem(data, image), image)


def filesystem(data: bytes, image: Path) -> bytes:
    """The bytes of the littlefs partition."""
    if is_littlefs(data):
        return data
    partitions = list(table(data))
    if partitions:
        found = [data[start : start + size] for label, start, size in partitions if label == "vfs"]
        rest = data[max(start + size for _, start, size in partitions) :]
        for candidate in [*found, rest]:
            if is_littlefs(candidate):
                return candidate
        raise Mistake(
            f"{image} has no littlefs in its vfs partition: was the whole flash read, and did MicroPython run?"
        )
    raise Mistake(
        f"{image} is neither an ESP32 flash nor a littlefs image: make it with `esptool read_flash 0 ALL FILE`"
    )


def table(data: bytes):
    for at in range(TABLE, min(TABLE + 0xC00, len(data) - ENTRY.size + 1), ENTRY.size):
        magic, _, _, start, size, label, _ = ENTRY.unpack_from(data, at)
        if magic != MAGIC:
            return
        yield label.rstrip(b"\0").decode(errors="replace"), start, size


def is_littlefs(data: bytes) -> bool:
    return block_size(data) is not None


def block_size(data: bytes) -> int | None:
    """Bytes per block as the superblock states it; block 0 may be the one a power cut spoilt."""
    for block in (0, 256, 512, 1024, 2048, 4096, 8192, 16384):
        if data[block + 8 : block + 16] == NAME:
            (size,) = struct.unpack_from("<I", data, block + 24)
            if size >= 128 and len(data) >= 2 * size and block in (0, size):
                return size
    return None


def hashes(data: bytes, image: Path) -> Survey:
    block = block_size(data)
    assert block
    disk = LittleFS(block_size=block, block_count=len(data) // block, mount=False)
    disk.context.buffer[:] = data[: len(data) // block * block]
    found, sizes, folders = {}, {}, set()
    try:
        disk.mount()
        for folder, inner, names in disk.walk("/"):
            base = "" if folder == "/" else folder
            folders.update(f"{base}/{name}" for name in inner)
            for name in names:
                with disk.open(f"{base}/{name}", "rb") as file:
                    content = file.read()
                found[f"{base}/{name}"], sizes[f"{base}/{name}"] = digest(content), len(content)
    except LittleFSError as error:
        raise Mistake(f"{image} holds a damaged filesystem ({error}): read the flash again") from error
    return Survey(found, sizes, frozenset(folders))
