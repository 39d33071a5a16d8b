"""How much memory a run takes: this process and all that it starts, counted twice a second."""

import contextlib
import os
import resource
import threading
from pathlib import Path
from typing import Self

EVERY_S = 0.5
KB = 1024


class Peak:
    """Counts while it is entered. `bytes` is the most there was at once; pages that processes share count once.

    Without Linux's /proc it is the largest single process.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if not self.bytes:
            each = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
            self.bytes = max(resource.getrusage(who).ru_maxrss for who in each) * KB

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            self.bytes = max(self.bytes, sum(map(_proportional, _family(os.getpid()))))


def _family(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in path.read_text().split():
                found += _family(int(child))
    return found


def _proportional(pid: int) -> int:
    """Bytes of a process, what it shares divided among those who share it."""
    with contextlib.suppress(OSError, ValueError), Path(f"/proc/{pid}/smaps_rollup").open() as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * KB
    return 0
