"""What MicroPython itself takes between the kernels: the numbers in `Vm` of tools/sourdine_tools/chip/budget.py.

python benchmarks/interpreter.py [--micropython CHECKOUT]

The firmware's own bytecode (Mic, Frontend, Endpoint, Wake, Model) runs on MicroPython's unix port with kernels that do
nothing, under qemu-x86_64, whose plugin counts every instruction. Two runs of different length differ by what the
repeated part takes.

How many cycles of an ESP32 one of those instructions stands for is known from silicon. MicroPython's maintainer timed
its benchmarks on an ESP32 at 160 MHz (commit 549448e8bb, which moved the interpreter to internal RAM; SCORES below).
Given a checkout of MicroPython, the same benchmarks are counted here, and cycles divided by counts.
"""

import argparse
import ast
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sourdine_tools.chip import toolchain
from sourdine_tools.chip.budget import VM
from sourdine_tools.release import FIRMWARE, MODEL, model_files

RUNS = 200, 600
MICROPYTHON = Path(sys.executable).with_name("micropython")
ROOMS = ("dsp", "fft", "mel", "int8")
# Higher is better: the benchmark's norm per second. bm_chaos is left out: it draws another picture on each port.
SCORES = {
    "bm_fannkuch": 69.31,
    "bm_float": 3900.62,
    "bm_hexiom": 32.79,
    "bm_nqueens": 2372.87,
    "misc_aes": 345.69,
    "misc_mandel": 2121.92,
    "misc_pystone": 1801.87,
    "misc_raytrace": 281.78,
    "viper_call0": 273.17,
    "viper_call1a": 269.51,
    "viper_call2a": 267.25,
}
SCORED_HERTZ = 160_000_000

PLUGIN = r"""
#include <stdint.h>
#include <stdio.h>
#include <stddef.h>
typedef uint64_t id;
struct qemu_plugin_tb;
int qemu_plugin_version = 1;
extern void qemu_plugin_register_vcpu_tb_trans_cb(id, void (*)(id, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
extern void qemu_plugin_register_atexit_cb(id, void (*)(id, void *), void *);
static uint64_t count;
static void translated(id plugin, struct qemu_plugin_tb *tb) {
    qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &count, qemu_plugin_tb_n_insns(tb));
}
static void ended(id plugin, void *data) { fprintf(stderr, "\ninstructions %llu\n", (unsigned long long)count); }
int qemu_plugin_install(id plugin, const void *about, int argc, char **argv) {
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, translated);
    qemu_plugin_register_atexit_cb(plugin, ended, NULL);
    return 0;
}
"""


# On MicroPython: what is repeated, how often, and the model. EMPTY is the source of the kernels that do nothing.
PROGRAM = """
import gc, sys
from array import array
import micropython
sys.path.insert(0, "")
from sourdine import dsp, endpoint, fft, frontend, int8, mel, mic, spec, tflite, wake

EMPTY
what, runs, model = sys.argv[1], int(sys.argv[2]), sys.argv[3]

class Clock:
    def ticks_us(self): return 0
    def ticks_diff(self, a, b): return 0

class I2s:
    def readinto(self, words): return None

mic.unpack = dsp.unpack
microphone = mic.Mic(I2s, Clock())
ears, ending = frontend.Frontend(), endpoint.Endpoint()
net = wake.Wake.load(model)
features = bytes(spec.CHANNELS)

samples = array("h", bytes(2 * spec.HOP))

def read(n):
    for _ in range(n):
        microphone.read()

def feed(n):
    for _ in range(n):
        ears.feed(samples)

def end(n):
    for _ in range(n):
        ending.hear(1000)

def hear(n):  # no inference
    net._model._slot = 0
    for _ in range(n):
        net._model._slot = 0
        net.hear(features)

def step(n):
    for _ in range(n):
        net._model._slot = net._model.stride - 1
        net.hear(features)

def turn(n):  # all of it, with an inference as often as the model's stride says
    net._model._slot = 0
    for _ in range(n):
        microphone.read()
        ears.feed(samples)
        ending.hear(1000)
        net.hear(features)

twice = net._model._calls * 2

def double(n):  # every kernel of a step twice
    net._model._calls = twice
    step(n)

globals()[what](3)
gc.collect()  # or where the last free block happens to be decides what a frame on the heap costs
globals()[what](runs)
print("calls", len(net._model._calls))
"""

# On MicroPython: one of its benchmarks, at the size that it has for N=100 M=100.
BENCHMARK = """
import gc, sys
sys.path.insert(0, sys.argv[1])
benchmark = __import__(sys.argv[2])
size = max(nm for nm in benchmark.bm_params if nm[0] <= 120 and nm[1] <= 100)
for _ in range(int(sys.argv[3])):
    run, result = benchmark.bm_setup(benchmark.bm_params[size])
    gc.collect()
    run()
print("norm", result()[0])
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--micropython", type=Path, help="a checkout of MicroPython: count its benchmarks, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counter = Counter(Path(folder))
        found = counter.interpreter()
        if options.micropython:
            cycles = dict(counter.cycles(options.micropython / "tests/perf_bench"))
            print(", ".join(f"{name} {value:.2f}" for name, value in cycles.items()))
            found["cycles"] = round(statistics.median(cycles.values()), 1)
    for name, value in found.items():
        print(f"{name:8} {value:8,}   in budget.py {getattr(VM, name):8,}")
    return 0


class Counter:
    """Runs programs of x86-64 under qemu, and counts all their instructions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "count.c").write_text(PLUGIN)
        self._plugin = folder / "count.so"
        toolchain._run("clang-22", "-O2", "-shared", "-fPIC", "-o", self._plugin, folder / "count.c")

    def count(self, *command: object) -> int:
        done = subprocess.run(
            ["qemu-x86_64", "-plugin", str(self._plugin), *map(str, command)],
            cwd=FIRMWARE,
            env=os.environ | {"PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return int(done.stderr.rpartition("instructions ")[2])

    def interpreter(self) -> dict[str, int]:
        """What `Vm` holds, by its names."""
        spent = {what: self.spent(what) for what in ("read", "feed", "end", "hear", "step", "double")}
        command = [sys.executable, MICROPYTHON, self._program(), "hear", "1", model_files(MODEL)[0]]
        said = subprocess.run(command, cwd=FIRMWARE, capture_output=True, text=True, check=True).stdout
        calls = int(said.split()[-1])
        kernel = (spent.pop("double") - spent["step"]) / calls
        spent["step"] -= spent["hear"] + calls * kernel
        return {name: round(value) for name, value in (spent | {"kernel": kernel}).items()}

    def spent(self, what: str, runs: tuple[int, int] = RUNS) -> float:
        """Instructions of each repetition of one part of PROGRAM."""
        command = [sys.executable, MICROPYTHON, self._program(), what]
        few, many = (self.count(*command, n, model_files(MODEL)[0]) for n in runs)
        return (many - few) / (runs[1] - runs[0])

    def _program(self) -> Path:
        program = self._folder / "program.py"
        program.write_text(PROGRAM.replace("EMPTY", empty()))
        return program

    def cycles(self, benchmarks: Path) -> Iterator[tuple[str, float]]:
        """An ESP32's cycles for each x86-64 instruction of each benchmark."""
        program = self._folder / "benchmark.py"
        program.write_text(BENCHMARK)
        for name, score in SCORES.items():
            command = [sys.executable, MICROPYTHON, program, benchmarks, name]
            once, twice = (self.count(*command, times) for times in (1, 2))
            said = subprocess.run([*map(str, command), "1"], capture_output=True, text=True, check=True).stdout
            norm = float(said.rpartition("norm ")[2])
            yield name, SCORED_HERTZ * norm / score / (twice - once)


def empty() -> str:
    """Source that puts a kernel that does nothing in the place of each."""
    lines = []
    for room in ROOMS:
        for node in ast.parse((FIRMWARE / f"sourdine/{room}.py").read_text()).body:
            if isinstance(node, ast.FunctionDef) and "micropython.viper" in map(ast.unparse, node.decorator_list):
                names = [argument.arg for argument in node.args.args]
                body = "-> int: return 0" if node.returns else ": pass"
                lines += ["@micropython.viper", f"def empty({', '.join(names)}) {body}", f"{room}.{node.name} = empty"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
