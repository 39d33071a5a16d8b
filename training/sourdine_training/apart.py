"""A stage in a process of its own: what TensorFlow takes in memory, threads and settings goes with it.

    trained = apart(fit_one, task, tell=progress, log=folder / "log.txt")

The function gets `tell` as its last argument. Its process holds the other end of a pipe and ends when ours closes, so
it outlives nobody.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from sourdine_board.mistake import Mistake

Progress = Callable[[int, int, str], None]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0", "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}


def silent(_done: int, _total: int, _what: str) -> None:
    """Say nothing."""


def apart(function: Callable[..., Any], *arguments: Any, tell: Progress = silent, log: Path | None = None) -> Any:
    """function(*arguments, tell) in a new process: a function of a module, and everything picklable.

    What it prints goes to the end of `log`, what it raises is raised here. Raises Mistake when the process is killed.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, log, function, arguments))
    process.start()
    there.close()
    try:
        while True:
            kind, *value = here.recv()
            if kind == "tell":
                tell(*value)
            elif kind == "done":
                return value[0]
            else:
                raise value[0]
    except EOFError:
        process.join()
        raise Mistake(
            f"{function.__name__.strip('_').replace('_', ' ')} was killed (status {process.exitcode}), most likely for "
            "want of memory: close other programs, then run this again; it goes on where it was"
        ) from None
    finally:
        here.close()
        process.join()


def _run(pipe: Connection, log: Path | None, function: Callable[..., Any], arguments: tuple) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one at the other end
    os.environ.update(QUIET)
    if log:
        with log.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
    threading.Thread(target=_follow, args=(pipe,), daemon=True).start()
    try:
        answer = ("done", function(*arguments, lambda *said: pipe.send(("tell", *said))))
    except Exception as error:  # noqa: BLE001  raised again at the other end
        answer = ("raise", _sendable(error))
    with contextlib.suppress(BrokenPipeError):
        pipe.send(answer)


def _follow(pipe: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()  # nothing ever comes
    os._exit(1)


def _sendable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  whatever is wrong with it, its words can be sent
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
