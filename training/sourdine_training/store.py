"""Everything that was made once and need not be made again, by the content it was made from.

A file's name is the key of all that went into it, so nothing in the store is ever stale, two runs share what they
have in common, and whoever is killed half-way leaves whole files and scratch that the next trim sweeps up.
"""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

SCRATCH = ".part-"  # prefix of what is being written
SCRATCH_S = 86_400  # scratch older than this belongs to nobody who still writes
USING = "using"  # the folder of the runs at work
LIMIT = 10_000_000_000  # bytes
READ = 1 << 20  # bytes


def key(*what) -> str:
    """32 hex digits that stand for `what`: equal values have equal keys, in every process and on every machine.

    Numbers, strings, bytes, None, lists, tuples and dicts of them; dataclasses (by class name and fields); NumPy
    scalars and arrays; and paths, which stand for what the file or folder holds, not for its name. An int is not
    the equal float. Raises TypeError for anything else.
    """
    return hashlib.sha256(json.dumps([plain(each) for each in what], sort_keys=True).encode()).hexdigest()[:32]


def plain(value):
    """`value` as JSON can say it, one to one."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("a dict needs names that are strings to have a key")
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Path):
        return {"holds": digest(value)}
    if isinstance(value, bytes):
        return {"bytes": hashlib.sha256(value).hexdigest()}
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, np.ndarray):
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"array": content, "type": value.dtype.str, "shape": list(value.shape)}
    raise TypeError(f"a {type(value).__name__} has no key")


def digest(path: Path) -> str:
    """SHA-256 of a file, or of a folder's names and contents. Raises OSError."""
    if path.is_dir():
        parts = sorted((str(each.relative_to(path)), digest(each)) for each in path.rglob("*") if each.is_file())
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    at = path.stat()
    return _digest(path.absolute(), at.st_ino, at.st_size, at.st_mtime_ns)


@functools.lru_cache(maxsize=100_000)
def _digest(path: Path, *_version: int) -> str:
    content = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(READ):
            content.update(part)
    return content.hexdigest()


@dataclasses.dataclass(frozen=True)
class Store:
    """A folder of files by key: $SOURDINE_CACHE, or sourdine/training in the user's cache. Safe to share and to send."""

    root: Path = dataclasses.field(default_factory=lambda: _home())

    def path(self, room: str, key: str, suffix: str = "") -> Path:
        """Where the thing with this key is, or belongs: ROOT/room/ab/abcdef….suffix. Its folder is made.

        Asking counts as use.
        """
        path = self.root / room / key[:2] / (key + suffix)
        try:
            os.utime(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextlib.contextmanager
    def writing(self, path: Path) -> Iterator[Path]:
        """A scratch path beside `path`, with its suffix, for a file or a folder that the block makes.

        When the block succeeds it is brought to disk and renamed, so `path` is whole or absent, whatever is killed.
        Of two that write the same, the last file stays, and the first folder.
        """
        scratch = path.with_name(f"{SCRATCH}{secrets.token_hex(6)}-{path.name}")
        try:
            yield scratch
            for each in [*scratch.rglob("*"), scratch]:
                _sync(each)
            try:
                os.replace(scratch, path)
            except OSError:
                if not (scratch.is_dir() and path.is_dir()):
                    raise
            _sync(path.parent)
        finally:
            _remove(scratch)

    @contextlib.contextmanager
    def using(self) -> Iterator[None]:
        """Whatever is asked for inside this block stays until it ends, whoever trims."""
        folder = self.root / USING
        folder.mkdir(parents=True, exist_ok=True)
        mark = folder / secrets.token_hex(6)
        with mark.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                mark.unlink(missing_ok=True)

    def size(self) -> int:
        """Bytes in the store."""
        return sum(size for _, size, _ in self._entries())

    def trim(self, limit: int = LIMIT, keep: Iterable[Path] = ()) -> int:
        """Delete what was used least recently until `limit` bytes are left; returns how many went.

        Kept are `keep`, and what was used since the oldest run that is still at work began.
        """
        keep, since = set(keep), self._since()
        entries = sorted(self._entries())
        excess, gone = sum(size for _, size, _ in entries) - limit, 0
        for used, size, path in entries:
            scratch = path.name.startswith(SCRATCH)
            if scratch and used < time.time() - SCRATCH_S:
                _remove(path)
            elif gone < excess and not scratch and path not in keep and used < since:
                grave = path.with_name(f"{SCRATCH}{secrets.token_hex(6)}-{path.name}")
                with contextlib.suppress(FileNotFoundError):  # somebody else trims too
                    os.replace(path, grave)
                    gone += size
                _remove(grave)
        return gone

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        """(last use, bytes, path) of each thing: what lies two folders deep."""
        for path in self.root.glob("*/*/*"):
            with contextlib.suppress(FileNotFoundError):
                parts = [path, *path.rglob("*")] if path.is_dir() else [path]
                yield path.stat().st_mtime, sum(part.lstat().st_size for part in parts), path

    def _since(self) -> float:
        """When the oldest run at work began; the end of time when none is."""
        since = float("inf")
        for mark in (self.root / USING).glob("*"):
            with contextlib.suppress(FileNotFoundError), mark.open() as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    mark.unlink()  # its run was killed
                except BlockingIOError:
                    since = min(since, mark.stat().st_mtime)
        return since


def _home() -> Path:
    if root := os.environ.get("SOURDINE_CACHE"):
        return Path(root).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sourdine/training"


def _sync(path: Path) -> None:
    if path.is_symlink():  # it lies in its folder, and what it names may be nowhere
        return
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
