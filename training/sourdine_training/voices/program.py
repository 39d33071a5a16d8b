"""Speech from a program that writes a WAV file: one that is installed, or Debian's, unpacked and not installed."""

import os
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import soundfile

from sourdine_board.mistake import Mistake

from ..sources.packages import unpacked
from ..store import Store
from .engine import Sound, Unmade, Unspoken

PATIENCE_S = 60
PACKAGES = {  # program → Debian's packages of it, with their voices
    "flite": ("flite",),
    "espeak-ng": ("espeak-ng",),
    "festival": ("festival", "festvox-kallpc16k", "festvox-us-slt-hts"),
}


def spoken(command: list[str], text: str | None = None) -> Sound:
    """What the program wrote to the file that stands for "{wav}" in its command; `text` goes to its standard input.

    Raises Unspoken when it fails or writes nothing, Unmade when it was stopped.
    """
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "said.wav"
        try:
            done = _run([word.replace("{wav}", str(wav)) for word in command], text)
            if refused(done, command[0]) or not wav.exists():
                raise Unspoken(f"{command[0]} could not: {last_words(done)}")
            samples, rate = soundfile.read(wav, dtype="float32")
        except (subprocess.TimeoutExpired, OSError, soundfile.LibsndfileError) as error:
            raise Unmade(f"{command[0]} was stopped: {error}") from error
    return samples if samples.ndim == 1 else samples[:, 0], rate


def refused(done: subprocess.CompletedProcess[str], name: str) -> bool:
    """Whether a program says that it failed. Raises Unmade when a signal ended it."""
    if done.returncode < 0:
        raise Unmade(f"{name} was stopped by signal {-done.returncode}")
    return done.returncode > 0


def last_words(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of what a program complained."""
    return (done.stderr.strip() or "it wrote nothing").splitlines()[-1]


@lru_cache
def answer(*command: str) -> str:
    """What a program prints, "" when it cannot be had."""
    try:
        done = _run(list(command))
    except (OSError, subprocess.TimeoutExpired, Mistake):
        return ""
    return "" if done.returncode == 127 else done.stdout or done.stderr  # 127: a library is missing


def _run(command: list[str], text: str | None = None) -> subprocess.CompletedProcess[str]:
    start, environment = _found(command[0])
    return subprocess.run(
        [*start, *command[1:]], input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        env=environment,
    )  # fmt: skip


@lru_cache
def _found(name: str) -> tuple[list[str], dict[str, str]]:
    """How to start a program, and its environment. Raises Mistake when it is not here and cannot be fetched."""
    if shutil.which(name):
        return [name], dict(os.environ)
    root = unpacked(PACKAGES[name], Store())
    libraries = [
        str(folder) for folder in sorted(root.glob("usr/lib/*-linux-gnu*")) + sorted(root.glob("lib/*-linux-gnu*"))
    ]
    environment = {**os.environ, "LD_LIBRARY_PATH": ":".join(libraries)}
    if data := sorted(root.glob("usr/lib/*/espeak-ng-data")):
        environment["ESPEAK_DATA_PATH"] = str(data[0].parent)
    start = [str(root / "usr/bin" / name)]
    if name == "festival":
        start += ["--libdir", str(root / "usr/share/festival")]
    return start, environment
