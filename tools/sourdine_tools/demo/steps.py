"""Numbered steps on the terminal, each with the time that it took."""

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TextIO

WIDTH = 64  # characters of a step


class Steps:
    """Use it as `with steps("flash the firmware"):`."""

    def __init__(self, out: TextIO | None = None):
        self._out = out or sys.stdout
        self._count = 0
        self._began = time.monotonic()

    @contextlib.contextmanager
    def __call__(self, what: str) -> Iterator[None]:
        self._count += 1
        began = time.monotonic()
        print(f"{self._count:3}  {what:.<{WIDTH}} ", end="", file=self._out, flush=True)
        try:
            yield
        except BaseException as error:
            print("stopped" if isinstance(error, KeyboardInterrupt) else "failed", file=self._out, flush=True)
            raise
        print(f"{time.monotonic() - began:5.1f} s", file=self._out, flush=True)

    def say(self, *lines: str) -> None:
        for line in lines:
            print(line, file=self._out, flush=True)

    @property
    def seconds(self) -> float:
        """Since the first step."""
        return time.monotonic() - self._began
