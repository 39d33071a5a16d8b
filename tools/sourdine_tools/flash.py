"""`sourdine flash`: put the firmware on a board, copying only what changed.

Interrupted at any point, the board runs its old program or none (then flash again), never a mixture:
see board_files.
"""

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_tools import board_files, progress
from sourdine_tools.board_link import START_S, Link, ProgramStopped, connect
from sourdine_tools.release import EXEMPT, FIRMWARE, KEYSTONE, MANIFEST, MODEL, Release
from sourdine_tools.verify import strangers, warning

# Prints the model that the board is set to wake on, "" before it is paired.
_WAKE = """
import json
try:
    with open("/settings.json") as file:
        print(json.load(file)["wake"])
except (OSError, ValueError, KeyError, TypeError):
    print()
"""


@dataclass
class Report:
    """Paths on the board; `said` is the program's first line after the reset, `wake` what its settings wake on."""

    copied: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    said: str = ""
    wake: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", help="the board's serial port; found by itself when one board is plugged in")
    parser.add_argument("--model", default=MODEL, help="the wake word's model (default: %(default)s)")
    parser.add_argument("--accel", action="store_true", help="with the accelerator, which clang-22 and llvm-22 build")
    parser.add_argument("--source", type=Path, default=FIRMWARE, help="another firmware folder than this checkout's")
    parser.epilog = (
        "Interrupted at any point, the board runs its old program, or none until it is flashed again; never a mixture. "
        "Exit status: 0 done, 2 not."
    )


def run(arguments: argparse.Namespace) -> int:
    report = flash(arguments.port, arguments.source, arguments.model, arguments.accel, progress.bar)
    print(f"copied {len(report.copied)}, kept {len(report.kept)}, removed {len(report.removed)}")
    for path in report.strangers:
        print(f"not ours, left alone: {path}{warning(path, report.copied + report.kept)}")
    if report.wake not in ("", arguments.model):
        print(f"its settings wake on {report.wake}: flash --model {report.wake}, or pair --wake {arguments.model}")
    print(report.said or "the board is back; it says nothing yet")
    return 0


def flash(
    tty: str | None,
    source: Path = FIRMWARE,
    model: str = MODEL,
    accel: bool = False,
    progress: progress.Progress = progress.quiet,
    patience_s: float = START_S,
) -> Report:
    """Bring the board on `tty` to what `source` holds, check it by hash, and restart it. Raises Mistake."""
    with connect(tty) as link:
        report = bring(link, Release.build(link.arch, source, model, accel), progress)
        report.wake = link.run(_WAKE).strip()
        try:
            report.said = link.reset(patience_s)
        except ProgramStopped as stopped:  # it was read back as released, so something beside it is in its way
            foreign = " ".join(f":{path}" for path in report.strangers)
            mend = f"remove what is not ours, `mpremote connect {link.port} fs rm {foreign}`" if foreign else "pair it"
            raise ProgramStopped(f"{stopped}; {mend}, then run this again") from stopped
    return report


def bring(link: Link, release: Release, progress: progress.Progress = progress.quiet) -> Report:
    """Everything but the reset."""
    before = board_files.survey(link)
    stale = sorted(own(board_files.read(link, MANIFEST)) - release.hashes.keys())
    changed = board_files.replace(link, ordered(release), KEYSTONE, stale, before, progress)
    after = board_files.survey(link)
    broken = sorted(path for path, sha in release.hashes.items() if after.hashes.get(path) != sha)
    if broken:
        raise Mistake(f"{link.port} reads back {broken[0]} differently: its flash may be worn; run this again")
    return Report(
        copied=changed,
        kept=[path for path in release.hashes if path not in changed],
        removed=[path for path in stale if path in before.hashes],
        strangers=strangers(release, after),
    )


def ordered(release: Release) -> dict[str, bytes]:
    """The manifest last: what it says of the old release is needed until the stale files are gone."""
    return {**release.files, MANIFEST: release.manifest}


def own(manifest: bytes) -> set[str]:
    """The paths that a manifest on the board claims for the firmware; nothing if it cannot be read.

    It is only the board's word, so it never reaches beyond the firmware's own places.
    """
    try:
        paths = json.loads(manifest)["files"].keys()
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()
    ours = (path for path in paths if path.startswith(("/sourdine/", "/models/")) or path in ("/boot.py", KEYSTONE))
    return {path for path in ours if path not in EXEMPT and ".." not in path}
