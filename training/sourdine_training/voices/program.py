"""Speech from a program that writes a WAV file."""

import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import soundfile

from .engine import Sound, Unspoken

PATIENCE_S = 60


def spoken(command: list[str], text: str | None = None) -> Sound:
    """What the program wrote to the file that stands for "{wav}" in its command; `text` goes to its standard input.

    Raises Unspoken when it fails or writes nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "said.wav"
        try:
            done = subprocess.run(
                [word.replace("{wav}", str(wav)) for word in command],
                input=text, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
            )  # fmt: skip
            if done.returncode or not wav.exists():
                raise Unspoken(
                    f"{command[0]} could not: {(done.stderr.strip() or 'it wrote nothing').splitlines()[-1]}"
                )
            samples, rate = soundfile.read(wav, dtype="float32")
        except (subprocess.TimeoutExpired, soundfile.LibsndfileError) as error:
            raise Unspoken(f"{command[0]} could not: {error}") from error
    return samples if samples.ndim == 1 else samples[:, 0], rate


@lru_cache
def answer(*command: str) -> str:
    """What a program prints, "" when it is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    except FileNotFoundError:
        return ""
    return done.stdout or done.stderr
