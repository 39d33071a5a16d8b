"""One line that says how far a copy is; silent when nobody watches a terminal."""

import sys
from collections.abc import Callable

Progress = Callable[[int, int, str], None]  # bytes done, bytes in all, what is going on


def quiet(done: int, total: int, what: str) -> None:
    """Say nothing."""


def bar(done: int, total: int, what: str, width: int = 24) -> None:
    """Draw over the same line of stderr; the line ends when all is done."""
    if not sys.stderr.isatty():
        return
    filled = width * done // total if total else width
    line = f"\r[{'#' * filled}{'.' * (width - filled)}] {done / 1000:6.1f} of {total / 1000:.1f} kB  {what}"
    sys.stderr.write(f"{line:<79}" + ("\n" if done >= total else ""))
    sys.stderr.flush()
