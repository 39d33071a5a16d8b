"""`sourdine record`: ten to thirty takes of you saying your wake word, checked and trimmed, for `sourdine train --takes`.

They come from a folder of recordings, from this computer's microphone, or from the board's own: see board_mic.
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sourdine_board.mistake import Mistake
from sourdine_tools import takes
from sourdine_tools.board_mic import Hear, session

COUNT = 20
SECONDS = 2.5
PATIENCE = 3  # tries for each take that is asked for
METER = 30  # characters
Ears = Callable[[float, Hear], np.ndarray]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--from", dest="folder", type=Path, metavar="DIR", help="a folder of recordings, one take each")
    source.add_argument("--microphone", action="store_true", help="this computer's microphone")
    source.add_argument("--port", metavar="TTY", help="the board on this serial port ('auto' finds the only one)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the takes go")
    parser.add_argument("--count", type=int, default=COUNT, help="how many (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="length of a recording (default: %(default)s)")
    parser.epilog = (
        "Say the phrase as you will in daily life: near and far, quiet and loud, from several places. A board's program "
        "is stopped meanwhile and starts again afterwards; nothing is written to its flash. "
        "Exit status: 0 done, 2 not."
    )


def run(arguments: argparse.Namespace) -> int:
    if arguments.count < 1 or not 1 <= arguments.seconds <= 6:
        raise Mistake("--count is 1 or more, and --seconds 1 to 6: choose within that")
    if arguments.folder:
        kept = gather(arguments.folder, arguments.out, arguments.count)
    else:
        ears = session(None if arguments.port == "auto" else arguments.port) if arguments.port else desktop()
        with ears as take:
            kept = ask(take, arguments.out, arguments.count, arguments.seconds)
    print(f"{len(kept)} takes in {arguments.out}: sourdine train PHRASE --takes {arguments.out}")
    return 0


def gather(folder: Path, out: Path, count: int) -> list[Path]:
    """Take the good ones among a folder's recordings, in order of their names."""
    known = {f".{name.lower()}" for name in soundfile.available_formats()} | {".mp3", ".opus"}
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in known)
    except OSError as error:
        raise Mistake(f"cannot read {folder} ({error.strerror}): name a folder of recordings") from error
    kept = []
    for path in paths:
        if len(kept) == count:
            break
        take = takes.listen(_read(path))
        print(f"{path.name}: {_said(take)}")
        if not take.trouble:
            kept.append(takes.save(take, out))
    if not kept:
        raise Mistake(f"{folder} holds no recording that can be used: record with --microphone, or say it to the board")
    return kept


def ask(ears: Ears, out: Path, count: int, seconds: float) -> list[Path]:
    """Ask for the phrase until `count` takes are good."""
    kept: list[Path] = []
    for _ in range(PATIENCE * count):
        if len(kept) == count:
            break
        take = takes.listen(ears(seconds, _Prompt(len(kept) + 1, count)))
        print(f"\r{_said(take):<{METER + 50}}", flush=True)
        if not take.trouble:
            kept.append(takes.save(take, out))
    if len(kept) < count:
        raise Mistake(
            f"only {len(kept)} of {count} takes were good: mend what was said of the others, then run this again"
        )
    return kept


@contextlib.contextmanager
def desktop() -> Iterator[Ears]:
    """This computer's microphone, through PortAudio."""
    try:
        import sounddevice  # type: ignore[import-not-found]
    except (ImportError, OSError) as error:  # OSError: PortAudio itself is missing
        raise Mistake(
            "this computer's microphone needs PortAudio: pip install -e '.[microphone]' "
            "(and apt-get install libportaudio2), or use --from DIR or --port TTY"
        ) from error

    def take(seconds: float, hear: Hear) -> np.ndarray:
        tenth, parts = takes.RATE // 10, []
        try:
            with sounddevice.InputStream(samplerate=takes.RATE, channels=1, dtype="int16", blocksize=tenth) as stream:
                stream.read(3 * tenth)  # whatever starting up clicks
                hear("ready", 0)
                for _ in range(round(seconds * 10)):
                    parts.append(stream.read(tenth)[0][:, 0].copy())
                    hear("peak", int(np.abs(parts[-1].astype(np.int32)).max()))
        except sounddevice.PortAudioError as error:
            raise Mistake(
                f"this computer's microphone does not record ({error}): choose another as the default"
            ) from error
        return np.concatenate(parts)

    yield take


class _Prompt:
    """What the person sees while a take is made."""

    def __init__(self, number: int, count: int) -> None:
        self._name = f"take {number} of {count}"
        print(f"{self._name}: wait …", end="", flush=True)

    def __call__(self, what: str, value: int) -> None:
        if what == "ready":
            print(f"\r{self._name}: say it now  \a", end="", flush=True)
        elif sys.stdout.isatty():
            filled = round(METER * (1 + max(-60.0, 20 * np.log10(max(value, 1) / 32768)) / 60))
            print(f"\r{self._name}: say it now  [{'#' * filled:<{METER}}]", end="", flush=True)


def _read(path: Path) -> np.ndarray:
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError):
        return np.zeros(0, np.int16)
    mono = samples.mean(axis=1)
    mono = mono if rate == takes.RATE else soxr.resample(mono, rate, takes.RATE)
    return np.clip(np.round(mono * 32768), -32768, 32767).astype(np.int16)


def _said(take: takes.Take) -> str:
    return f"again, please: {take.trouble}" if take.trouble else f"good: {take.seconds:.1f} s, {take.loudness:.0f} dBFS"
