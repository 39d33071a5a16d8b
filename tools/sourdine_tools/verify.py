"""`sourdine verify`: compare a board's files with this release, computed here from source.

Through the REPL the board itself reads its files, so this finds altered files and strangers, not a firmware
that lies. `--image` reads a dump of the flash instead, which no program on the board can dress up; it does
not cover what lies outside the filesystem (the interpreter, NVS, other partitions).
"""

import argparse
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sourdine_tools import board_files
from sourdine_tools.board_files import Survey
from sourdine_tools.board_link import ProgramStopped, connect
from sourdine_tools.release import ACCEL, ARCHES, EXEMPT, FIRMWARE, MODEL, Release

LIMITS = "A check through the REPL finds altered files and strangers, not a firmware that lies: for that, use --image."
IMAGE_LIMITS = "Only the filesystem was checked, not the interpreter, NVS or other partitions."


@dataclass
class Report:
    """Paths on the board; `exempt` are the household's own files, which are listed and not checked."""

    altered: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    exempt: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.altered or self.missing or self.strangers)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--port", help="the board's serial port; found by itself when one board is plugged in")
    where.add_argument("--image", type=Path, help="a dump of the flash (`esptool read_flash`), instead of the board")
    parser.add_argument("--model", default=MODEL, help="the wake word's model (default: %(default)s)")
    parser.add_argument(
        "--arch", choices=ARCHES.values(), default="xtensawin", help="of an image (default: %(default)s)"
    )
    parser.add_argument("--accel", action="store_true", help="the board was flashed with --accel")
    parser.add_argument("--source", type=Path, default=FIRMWARE, help="another firmware folder than this checkout's")
    parser.epilog = f"{LIMITS} Exit status: 0 nothing differs, 1 something does, 2 nothing could be checked."


def run(arguments: argparse.Namespace) -> int:
    if arguments.image:
        report = verify_image(arguments.image, arguments.source, arguments.model, arguments.arch, arguments.accel)
    else:
        report = verify(arguments.port, arguments.source, arguments.model, arguments.accel)
    for kind in ("altered", "missing"):
        for path in getattr(report, kind):
            print(f"{kind:9} {path}")
    for path in report.strangers:
        print(f"stranger  {path}{warning(path, Release.build('x64', arguments.source, arguments.model).files)}")
    for path in report.exempt:
        print(f"exempt    {path} (the household's own, not checked)")
    print("exempt    the ledger (in NVS, outside the filesystem)")
    print("every file is as released" if report.clean else "this board differs from the release")
    print(IMAGE_LIMITS if arguments.image else LIMITS)
    return 0 if report.clean else 1


def verify(
    tty: str | None, source: Path = FIRMWARE, model: str = MODEL, accel: bool = False, patience_s: float = 3.0
) -> Report:
    """Compare the board on `tty` with what `source` compiles to, and restart it. Raises Mistake."""
    with connect(tty) as link:
        report = compare(Release.build(link.arch, source, model, accel), board_files.survey(link))
        with contextlib.suppress(ProgramStopped):  # which may be why one asks
            link.reset(patience_s)
    return report


def verify_image(
    image: Path, source: Path = FIRMWARE, model: str = MODEL, arch: str = "xtensawin", accel: bool = False
) -> Report:
    """Compare a raw flash image. Raises Mistake when it holds no filesystem."""
    from sourdine_tools.image import survey

    return compare(Release.build(arch, source, model, accel), survey(image))


def compare(release: Release, found: Survey) -> Report:
    have = found.hashes
    return Report(
        altered=sorted(path for path, sha in release.hashes.items() if path in have and have[path] != sha),
        missing=sorted(path for path in release.hashes if path not in have),
        strangers=strangers(release, found),
        exempt=[path for path in EXEMPT if path in have],
    )


def strangers(release: Release, found: Survey) -> list[str]:
    """Files and folders that neither the release nor the pairing put there."""
    ours = release.hashes.keys() | set(EXEMPT)
    homes = {str(parent) for path in ours for parent in PurePosixPath(path).parents}
    return sorted((found.hashes.keys() - ours) | {f"{folder}/" for folder in found.folders - homes})


def warning(stranger: str, ours: Iterable[str]) -> str:
    """MicroPython takes a folder before a .py before a .mpy, so a stranger may run in place of our module."""
    if stranger == ACCEL:
        return " (was it flashed with --accel? then verify with --accel, which compares it)"
    name = stranger.removesuffix("/").removesuffix(".py")
    if stranger != name and f"{name}.mpy" in set(ours):
        return f" (runs instead of {name}.mpy)"
    return ""
