"""What registries hold: packages fetched through their own clients, checked, unpacked, and never installed."""

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from sourdine_board.mistake import Mistake

from ..store import Store, key

CLIENTS = {"pip": "Python's pip", "npm": "npm (Debian: apt install npm)", "deb": "apt-get and dpkg-deb (Debian)"}


def fetch(kind: str, name: str, version: str, sha256: str | None, store: Store) -> Path:
    """The folder of an unpacked package: a wheel ("pip"), an npm tarball ("npm") or a Debian package ("deb").

    version "" takes what the registry has. What was fetched once is not asked for again. `sha256` is that of the
    downloaded file; None trusts the client's own check. Raises Mistake when the client is missing, the registry does
    not have it or cannot be reached, or the file is another one than expected.
    """
    folder = store.path("packages", key(kind, name, version, sha256))
    if not folder.exists():
        with tempfile.TemporaryDirectory() as scratch, store.writing(folder) as unpacked:
            archive = _download(kind, name, version, Path(scratch))
            digest = hashlib.sha256(archive.read_bytes()).hexdigest()
            if sha256 and digest != sha256:
                raise Mistake(
                    f"{archive.name} is not the file it should be (SHA-256 {digest[:12]}…): try another mirror"
                )
            _unpack(archive, unpacked)
    return folder


def _download(kind: str, name: str, version: str, folder: Path) -> Path:
    wanted = {"pip": f"{name}=={version}", "npm": f"{name}@{version}", "deb": f"{name}={version}"}[kind]
    wanted = wanted if version else name
    command = {
        "pip": [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "-d",
            ".",
            wanted,
        ],
        "npm": ["npm", "pack", "--silent", wanted],
        "deb": ["apt-get", "download", "-qq", wanted],
    }[kind]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Mistake(f"fetching {name} needs {CLIENTS[kind]}: install it and run this again") from None
    files = list(folder.iterdir())
    if done.returncode or len(files) != 1:
        why = (done.stderr.strip() or done.stdout.strip() or "nothing came").splitlines()[-1]
        raise Mistake(f"{wanted} could not be fetched with {command[0]} ({why}): check the network and run this again")
    return files[0]


def _unpack(archive: Path, folder: Path) -> None:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(folder)
    elif archive.suffix == ".tgz":
        with tarfile.open(archive) as tarball:
            tarball.extractall(folder, filter="data")
    elif archive.suffix == ".deb":
        if not shutil.which("dpkg-deb"):
            raise Mistake(f"unpacking {archive.name} needs {CLIENTS['deb']}")
        subprocess.run(["dpkg-deb", "-x", archive, folder], check=True, capture_output=True, env={**os.environ})
    else:
        raise Mistake(f"{archive.name} is no package that this knows: expected .whl, .tgz or .deb")


def unpacked(names: Sequence[str], store: Store) -> Path:
    """One folder with Debian packages and all they need that is not installed, as the system's root would have them.

    Raises Mistake as fetch does.
    """
    needed = _not_installed(names)
    folder = store.path("packages", key("together", needed))
    if not folder.exists():
        parts = [fetch("deb", name, "", None, store) for name in needed]
        with store.writing(folder) as whole:
            for part in parts:
                shutil.copytree(part, whole, symlinks=True, dirs_exist_ok=True)
    return folder


def _not_installed(names: Sequence[str]) -> list[str]:
    without = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
    command = ["apt-cache", "depends", "--recurse", *(f"--no-{each}" for each in without), *names]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=False)
        there = subprocess.run(["dpkg-query", "-W", "-f", "${Package} "], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise Mistake(f"{names[0]} needs {CLIENTS['deb']}: install it otherwise and run this again") from None
    if listed.returncode:
        raise Mistake(f"Debian's registry has no {' and '.join(names)}: apt-get update, then run this again")
    wanted = {line.strip() for line in listed.stdout.splitlines() if line[:1].strip() and line[0] not in "<|"}
    return sorted(name for name in (wanted - set(there.stdout.split())) | set(names) if ":" not in name)
