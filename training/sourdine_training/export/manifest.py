"""The files of a model, written whole or not at all.

    NAME.tflite           the spotter
    NAME.json             microWakeWord's manifest, version 2, for the spotter alone
    NAME.verify.tflite    the second stage, where there is one
    NAME.sourdine.json    how both work together, and which cutoffs serve which rates of false accepts

ESPHome refuses a manifest with a key that it does not know (esphome/components/micro_wake_word/__init__.py,
MANIFEST_SCHEMA_V2; a voluptuous schema forbids extra keys unless told), so ours have a file of their own.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sourdine.wake import MANIFEST_MAX, STEP_MS
from sourdine_training.export import run
from sourdine_training.export.calibrate import Cutoffs
from sourdine_training.net.options import VERIFIER_FRAMES

ESPHOME = "2024.7.0"  # the first that runs version 2
DECIMALS = 1000  # up to three, a board's float32 and a desktop's double give the same integer 0..255


def write(
    folder: Path,
    name: str,
    phrase: str,
    spotter: bytes,
    cutoffs: Cutoffs,
    verifier: bytes | None = None,
    author: str = "",
    website: str = "",
    languages: Sequence[str] = ("en",),
) -> list[Path]:
    """Write a model's files, the manifests last; their paths. What an earlier one left under these names is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    more = added(name, cutoffs) if verifier is not None and cutoffs.both else added(name, cutoffs, alone=True)
    files = {
        f"{name}.tflite": spotter,
        f"{name}.verify.tflite": verifier,
        f"{name}.sourdine.json": text(more),
        f"{name}.json": text(manifest(name, phrase, spotter, cutoffs, author, website, languages)),
    }
    if "verify" not in more:
        (folder / f"{name}.sourdine.json").unlink(missing_ok=True)  # before what it names
        (folder / f"{name}.verify.tflite").unlink(missing_ok=True)
        del files[f"{name}.verify.tflite"]
    paths = []
    for file, data in files.items():
        assert data is not None
        paths.append(folder / file)
        _replace(paths[-1], data)
    return paths


def manifest(
    name: str, phrase: str, spotter: bytes, cutoffs: Cutoffs, author: str, website: str, languages: Sequence[str]
) -> dict[str, Any]:
    """microWakeWord's, version 2. `website` is left out where there is none: ESPHome wants an address or nothing."""
    about = {"type": "micro", "wake_word": phrase, "author": author}
    about |= {"website": website} if website else {}
    micro = {
        "probability_cutoff": decimal(cutoffs.alone.spotter),
        "sliding_window_size": cutoffs.window,
        "feature_step_size": STEP_MS,
        "tensor_arena_size": run.arena(spotter),
        "minimum_esphome_version": ESPHOME,
    }
    languages = list(languages)
    return {**about, "model": f"{name}.tflite", "trained_languages": languages, "version": 2, "micro": micro}


def added(name: str, cutoffs: Cutoffs, alone: bool = False) -> dict[str, Any]:
    """What ESPHome does not know: tables of false accepts per hour → cutoffs, and the second stage."""
    table = {f"{rate:g}": decimal(choice.spotter) for rate, choice in cutoffs.alone_table.items()}
    both = cutoffs.both
    if alone or both is None:
        return {"version": 1, "cutoffs": table}
    pairs = {f"{r:g}": [decimal(c.spotter), decimal(c.verifier)] for r, c in cutoffs.both_table.items()}
    verify = {
        "model": f"{name}.verify.tflite",
        "features": VERIFIER_FRAMES,
        "spotter_cutoff": decimal(both.spotter),
        "cutoff": decimal(both.verifier),
        "cutoffs": pairs,
    }
    return {"version": 1, "cutoffs": table, "verify": verify}


def decimal(cutoff: int) -> float:
    """The shortest number of which ESPHome and the firmware make this cutoff, 0..255: int(number * 255)."""
    for places in (1, 10, 100, DECIMALS):
        number = -(-cutoff * places // 255) / places
        if int(number * 255) == cutoff:
            return number
    raise AssertionError(f"no number of three decimals gives {cutoff}")


def text(content: dict[str, Any]) -> bytes:
    """As a file; ValueError if a board would find it too long."""
    data = json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
    if len(data) > MANIFEST_MAX:
        raise ValueError(f"a manifest of {len(data)} bytes, and a board reads {MANIFEST_MAX}")
    return data


def _replace(path: Path, data: bytes) -> None:
    scratch = path.with_name(f".part-{path.name}")
    with scratch.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)
