"""What lies outside of the chip: the trace, the host's files, and registers shared with the supervisor.

Loaded while the host's file system is still mounted; afterwards only this module can reach it.
"""

import json
import os
import time as real_time  # the builtin: the board's own is not yet in its place

import uctypes
import vfs

with open(os.getenv("SOURDINE_TWIN")) as _file:
    CONFIG = json.load(_file)  # written by the supervisor for this one life of the chip

# Without a root folder, paths are the host's own. (With one, VfsPosix.rename mixes up its two names.)
_posix = vfs.VfsPosix()
_trace = open(CONFIG["trace_fd"], "wb")  # noqa: SIM115  both for as long as the chip lives
_answers = open(CONFIG["answer_fd"], "rb")  # noqa: SIM115

# 8-byte registers in memory that the supervisor maps too, so that they outlive this process. twin/registers.py
registers = uctypes.struct(
    CONFIG["registers"],
    {
        name: 8 * at | (uctypes.FLOAT64 if name.endswith("_v") else uctypes.INT64)
        for at, name in enumerate(CONFIG["register_names"])
    },
    uctypes.NATIVE,
)


def trace(us, kind, **fields):
    """One event as a line of JSON; `us` is the board's own time."""
    fields["us"] = us
    fields["kind"] = kind
    _trace.write(json.dumps(fields) + "\n")


def ask(kind, **fields):
    """Tell the supervisor and wait until it has done its part."""
    trace(registers.now_us, kind, **fields)
    _answers.read(1)


def die(cause, off_ms=0):
    """End this life of the chip; the supervisor starts the next. Does not return."""
    while True:
        ask("reset", cause=cause, off_ms=off_ms)  # never answered: the process is ended here


def open_file(path, mode):
    """A file of the host."""
    return _posix.open(path, mode)


def replace_file(path, data):
    """Write a file of the host so that a kill leaves the old one or the new one."""
    with _posix.open(path + ".new", "wb") as file:
        file.write(data)
    _posix.rename(path + ".new", path)


def pause(ms):
    """Wait in the host's time."""
    real_time.sleep_ms(ms)
