"""`sourdine demo`: the whole way in one picture, and the proof of what left the house."""

import argparse
import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sourdine_board.mistake import Mistake

OUT = Path("build/demo")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("whose voices (default: two synthetic ones)")
    what.add_argument("--talk", type=Path, metavar="DIR", help="recordings of private talk: WAV, FLAC, MP3 ...")
    what.add_argument("--wake", type=Path, metavar="DIR", help="recordings of the wake word, each said once")
    what.add_argument("--command", type=Path, metavar="DIR", help="recordings of commands", dest="commands")
    what.add_argument("--real", action="store_true", help="real speakers, where their recordings are there")
    what.add_argument("--speakers", type=int, metavar="N", help="how many of them (default: 48)")
    parser.add_argument(
        "--break-gate", action="store_true", help="flash a copy of the firmware that leaks, to see that it is noticed"
    )
    parser.add_argument("--out", type=Path, default=OUT, help="where the results go (default: %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the board's and the server's files there too")
    parser.epilog = "Exit status: 0 nothing leaked and all was heard, 1 something leaked or was missed, 2 a mistake."


def run(arguments: argparse.Namespace) -> int:
    own = (arguments.talk, arguments.wake, arguments.commands)
    if any(own) and not all(own):
        raise Mistake("--talk, --wake and --command belong together: name a folder of recordings for each")
    if arguments.real and any(own):
        raise Mistake("--real brings its own recordings: leave out --talk, --wake and --command")
    if arguments.speakers is not None and (not arguments.real or arguments.speakers < 1):
        raise Mistake("--speakers says how many real speakers: use it with --real and a number from 1 up")
    try:
        from sourdine_tools.demo.show import show
    except ModuleNotFoundError as missing:
        name = str(missing.name).partition(".")[0]
        raise Mistake(f"{name} is not installed: pip install -e '.[demo]' in the checkout") from None
    with _work(arguments.out, arguments.keep) as work:
        return show(arguments, work)


@contextlib.contextmanager
def _work(out: Path, keep: bool) -> Iterator[Path]:
    """Make the folder of results, and one for everything that a run needs; that one goes away unless kept."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Mistake(f"cannot write to {out} ({error.strerror}): choose another folder with --out") from None
    if keep:
        shutil.rmtree(out / "work", ignore_errors=True)
        (out / "work").mkdir()
        yield out / "work"
    else:
        with tempfile.TemporaryDirectory(prefix="sourdine-") as folder:
            yield Path(folder)
