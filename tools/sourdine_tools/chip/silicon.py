"""The same kernels on the same calls, timed by a real board: what the pipeline model is worth.

The board's own firmware hears the workload's voice, sent to it block by block; nothing is written to its flash.
Each kernel is stood in for by a stopwatch, which makes a call REPEAT times from the same buffers and goes on with
the last. What an empty call takes is taken off.
"""

import contextlib
import io
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from mpremote.transport import TransportError
from mpremote.transport_serial import SerialTransport

from sourdine_board.mistake import Mistake
from sourdine_tools.board_files import survey
from sourdine_tools.board_link import RESET, Link, ProgramStopped, connect, literal
from sourdine_tools.chip import budget, workload
from sourdine_tools.chip.core import Core
from sourdine_tools.chip.pipeline import HERTZ
from sourdine_tools.progress import Progress, quiet
from sourdine_tools.release import Release, digest

FRAMES = 6  # of the voice: two inferences of a model of stride 3
REPEAT = 15
TRIES = 5
ACCELERATOR = "/sourdine/accel.mpy"
START_S = 5.0  # the program's first line after the reset; it may be unpaired and say nothing

_PREPARE = """
import gc, machine, sys, time, uctypes
from array import array
from binascii import unhexlify
import micropython
try:
    machine.freq({hertz})  # as the firmware does
except (AttributeError, ValueError):
    pass

{empty}
_times = {{}}  # kernel: [calls, fastest, median] in us, over all calls
_on = False

def _spent(kernel, arguments, buffers, kept):
    us = []
    for _ in range({repeat}):
        for i in range(len(kept)):
            buffers[i][:] = kept[i]
        start = time.ticks_us()
        result = kernel(*arguments)
        us.append(time.ticks_diff(time.ticks_us(), start))
    us.sort()
    return us[0], us[len(us) // 2], result

def _stopwatch(name, kernel):
    def call(*arguments):
        if not _on:
            return kernel(*arguments)
        kept = [bytes(a) for a in arguments if not isinstance(a, (int, bytes))]
        buffers = [a for a in arguments if not isinstance(a, (int, bytes))]
        buffers = [uctypes.bytearray_at(uctypes.addressof(a), len(k)) for a, k in zip(buffers, kept)]
        fastest, median, result = _spent(kernel, arguments, buffers, kept)
        nothing, usual, _ = _spent(globals()["_empty%d" % len(arguments)], arguments, (), ())
        row = _times.setdefault(name, [0, 0, 0])
        row[0] += 1
        row[1] += max(0, fastest - nothing)
        row[2] += max(0, median - usual)
        return result
    return call

from sourdine import dsp, frontend, spec, tflite
for _name in {kernels!r}:
    _module, _kernel = _name.split(".")
    _room = sys.modules.get("sourdine." + _module)
    if _room:
        setattr(_room, _kernel, _stopwatch(_name, getattr(_room, _kernel)))
gc.collect()
_ears = frontend.Frontend()
with open({model!r}, "rb") as _file:
    _net = tflite.Model(_file)
_samples = array("h", bytes(2 * spec.HOP))
print(machine.freq() if hasattr(machine, "freq") else 0)
"""
_BLOCK = """
_words = array("i")
_words.extend(unhexlify({words!r}))
gc.collect()
_on = {timed}
dsp.unpack(_words, _samples, spec.HOP, spec.MIC_SHIFT)
dsp.energy(_samples, spec.HOP)
_features = _ears.feed(_samples)
if _features is not None:
    _net.feed(_features)
"""


def time(port: str, model: str, tell: Progress = quiet) -> dict[str, Any]:
    """Time the board on `port`, model the same calls, and restart its program. Raises Mistake."""
    path = budget.find(model)
    sound = list(workload.speech(FRAMES))
    with connect(port) as link:
        try:
            codes = budget.kernels(build_of(link, path))
            *said, hertz = link.run(_prepare(codes, path.name)).splitlines()
            stays = [name for line in said for name in re.findall(r"^accelerator: (\w+\.\w+) ", line)]
            codes = but(codes, stays)
            with Core(budget.ARCH, counting=True) as core:
                trace = workload.run(core, codes, {path.stem: path.read_bytes()}, sound)
            for number, block in enumerate(sound):
                tell(number, len(sound), f"{port} hears blocks of sound")
                link.run(_BLOCK.format(words=block.tobytes().hex(), timed=number >= workload.LEAD))
            times = literal(link.run("print(_times)"))
        except KeyboardInterrupt:
            _stop(link)
            raise
        finally:
            tell(len(sound), len(sound), "")
        with contextlib.suppress(ProgramStopped):  # which is none of this
            link.reset(START_S)
    calls = trace.calls + trace.nets[path.stem].calls
    return verdict(link, int(hertz), calls, times) | {"said": said}


def but(codes: workload.Kernels, stays: Sequence[str]) -> workload.Kernels:
    """The kernels of which the board said that viper's stay are viper's."""
    viper = budget.kernels()
    return {
        room: {name: viper[room][name] if f"{room}.{name}" in stays else code for name, code in kernels.items()}
        for room, kernels in codes.items()
    }


def build_of(link: Link, model: Path) -> str:
    """Which kernels the board holds, as budget.kernels() calls them; Mistake unless its files are those of here."""
    found = survey(link).hashes
    accelerated = ACCELERATOR in found
    wanted = Release.build(link.arch, accel=accelerated).hashes
    mend = f"sourdine flash --port {link.port} --model {model.stem}"
    for path in wanted:
        if path.startswith("/sourdine/") and found.get(path) != wanted[path]:
            raise Mistake(f"{link.port} does not hold this firmware: {mend}")
    if found.get(f"/models/{model.name}") != digest(model.read_bytes()):
        raise Mistake(f"{link.port} does not hold this model: {mend}")
    return "fast" if accelerated else ""


def verdict(link: Link, hertz: int, calls: Sequence[workload.Call], times: dict[str, list[int]]) -> dict[str, Any]:
    """Modelled and measured microseconds by kernel, and of all; `board` is None for what the model is not about."""
    board = board_of(link)
    core = budget.CORES[board or "s3"]
    rows = []
    for kernel in dict.fromkeys(call.kernel for call in calls):
        mine = [call for call in calls if call.kernel == kernel]
        count, fastest, median = times.get(kernel, [0, 0, 0])
        if count != len(mine):
            raise Mistake(f"{link.port} called {kernel} {count} times, not {len(mine)}: run this again")
        modelled = sum(getattr(call, core) for call in mine) / HERTZ * 1e6
        rows.append(_row(kernel, count, modelled, fastest, median))
    total = _row(
        "all", len(calls), *(sum(row[key] for row in rows) for key in ("modelled_us", "fastest_us", "median_us"))
    )
    about = {"port": link.port, "machine": link.machine, "arch": link.arch, "board": board, "hertz": hertz}
    return about | {"frames": FRAMES, "repeat": REPEAT, "kernels": rows, "all": total}


def board_of(link: Link) -> str | None:
    if link.arch != budget.ARCH:
        return None
    return "s3" if "ESP32S3" in link.machine.replace("-", "").upper() else "esp32"


def text(timing: dict[str, Any]) -> str:
    """The comparison, and the line that calibrates."""
    head = f"{'kernel':18}{'calls':>6}{'modelled us':>13}{'fastest us':>12}{'median us':>11}{'median/modelled':>17}"
    lines = [
        f"{timing['machine']} ({timing['arch']}) at {timing['hertz'] / 1e6:.0f} MHz, {timing['frames']} frames",
        head,
    ]
    for row in [*timing["kernels"], timing["all"]]:
        lines.append(
            f"{row['kernel']:18}{row['calls']:6}{row['modelled_us']:13.0f}{row['fastest_us']:12}{row['median_us']:11}"
            f"{row['ratio']:17.2f}"
        )
    board, ratio = timing["board"], timing["all"]["ratio"]
    if board is None:
        return "\n".join([*lines, "This is no ESP32: its times are its own, and say nothing about the model."])
    lines.append(f"To calibrate, in SILICON of tools/sourdine_tools/chip/budget.py ({timing['machine']}):")
    return "\n".join([*lines, f'    "{board}": {ratio:.2f},'])


def _row(kernel: str, count: int, modelled: float, fastest: int, median: int) -> dict[str, Any]:
    ratio = round(median / modelled, 3) if modelled else 0.0
    return {
        "kernel": kernel,
        "calls": count,
        "modelled_us": round(modelled, 1),
        "fastest_us": fastest,
        "median_us": median,
        "ratio": ratio,
    }


def _prepare(codes: workload.Kernels, model: str) -> str:
    kernels = [f"{room}.{name}" for room, kernels in codes.items() for name in kernels]
    empty = [f"@micropython.viper\ndef _empty{n}({', '.join('abcdefgh'[:n])}): pass" for n in range(1, 9)]
    return _PREPARE.format(
        empty="\n".join(empty), hertz=HERTZ, repeat=REPEAT, kernels=kernels, model=f"/models/{model}"
    )


def _stop(link: Link) -> None:
    """Interrupt what the board computes and restart its program; should that fail, its leash does."""
    transport = cast(SerialTransport, link.transport)
    for _ in range(TRIES):  # an interrupt that comes before the script has begun is lost
        with contextlib.suppress(TransportError, OSError, struct.error), contextlib.redirect_stdout(io.StringIO()):
            transport.enter_raw_repl(soft_reset=False, timeout_overall=1)
            transport.exec_raw_no_follow(RESET)
            return
