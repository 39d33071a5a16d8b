"""What MicroPython itself takes between the kernels: the numbers in `Vm` of tools/sourdine_tools/chip/budget.py.

python benchmarks/interpreter.py

The firmware's own bytecode (Mic, Frontend, Endpoint, Wake, Model) runs on MicroPython's unix port with kernels that do
nothing, under qemu-x86_64, whose plugin counts every instruction. Two runs of different length differ by what the
repeated part takes. How many instructions of an ESP32 one of those is, is measured on a small interpreter of bytecode
in C (below), compiled by clang for both and counted by the same plugin; the real one is compiled by gcc.
"""

import ast
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from sourdine_tools.chip import toolchain
from sourdine_tools.chip.budget import VM
from sourdine_tools.release import FIRMWARE, MODEL, model_files

RUNS = 200, 600
ROUNDS = 2_000, 12_000
MICROPYTHON = Path(sys.executable).with_name("micropython")
CPU = ("-cpu", "de233_fpu")
ROOMS = ("dsp", "fft", "mel", "int8")

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

twice = net._model._calls * 2

def double(n):  # every kernel of a step twice
    net._model._calls = twice
    step(n)

globals()[what](3)
gc.collect()  # or where the last free block happens to be decides what a frame on the heap costs
globals()[what](runs)
print("calls", len(net._model._calls))
"""

# A loop over bytecode with a stack, a hash table of names, and calls through pointers: what an interpreter does.
PROBE = r"""
#include <stdint.h>
typedef int (*function)(int, int);
struct slot { uint32_t key; int value; };
struct machine { struct slot slots[64]; int stack[32]; };
static __attribute__((noinline)) int add(int a, int b) { return a + b; }
static __attribute__((noinline)) int mix(int a, int b) { return a ^ (b << 1); }
static __attribute__((noinline)) int most(int a, int b) { return a > b ? a : b; }
static const function functions[] = {add, mix, most};
static const unsigned char code[] = {
    0, 5, 2, 1, 1, 2, 1, 1, 3, 0, 2, 2, 1, 2, 0, 7, 3, 1, 2, 3, 1, 3, 4, 1, 2, 3,
    1, 3, 1, 1, 3, 2, 2, 4, 5, 3, 2, 5, 1, 2, 6, 0, 7,
};
static __attribute__((noinline)) struct slot *find(struct machine *m, uint32_t key) {
    uint32_t i = (key * 2654435761u) >> 26;
    while (m->slots[i].key != key) {
        if (!m->slots[i].key) {
            m->slots[i].key = key;
            return &m->slots[i];
        }
        i = (i + 1) & 63;
    }
    return &m->slots[i];
}
static __attribute__((noinline)) int call(const function *table, unsigned which, int *arguments) {
    if (which > 2) return 0;
    return table[which](arguments[0], arguments[1]);
}
static __attribute__((noinline)) int interpret(struct machine *m, const unsigned char *pc) {
    int *top = m->stack;
    for (;;) {
        switch (*pc++) {
        case 0: *++top = *pc++; break;
        case 1: *++top = find(m, *pc++ + 1)->value; break;
        case 2: find(m, *pc++ + 1)->value = *top--; break;
        case 3: top--; *top = call(functions, *pc++, top); break;
        case 4: *top += *pc++; break;
        case 5: *++top = *pc++ * 256; break;
        case 6: if (*top < 0) pc += *pc; pc++; break;
        case 7: return *top;
        default: m->stack[0]++; break;
        }
    }
}
intptr_t system(uint32_t number, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e);
__attribute__((used)) void start(void) {
    struct machine m;
    volatile char *all = (volatile char *)&m;
    for (unsigned i = 0; i < sizeof m; i++) all[i] = 0;
    int sum = 0;
    for (int i = 0; i < ROUNDS; i++) sum += interpret(&m, code);
    system(EXIT, sum & 0, 0, 0, 0, 0);
}
#if defined(__x86_64__)
intptr_t system(uint32_t number, uint32_t a, uint32_t b, uint32_t c, uint32_t d, uint32_t e) {
    __asm__ volatile("syscall" : : "a"((intptr_t)number), "D"((intptr_t)a));
    return 0;
}
void _start(void) { __asm__ volatile("call start"); }
#endif
"""

LINKED = """
ENTRY(_start)
PHDRS { all PT_LOAD FLAGS(5); }
SECTIONS {
    . = TEXT;
    .text : { *(.literal .literal.* .rodata.literal) *(.text .text.*) . = ALIGN(4); *(.rodata .rodata.*) } :all
    /DISCARD/ : { *(.comment) *(.note*) *(.eh_frame*) *(.xtensa.info) *(.xt.*) }
}
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        counter = Counter(Path(folder))
        found = counter.interpreter() | {"per_x64": round(counter.ratio(), 2)}
    for name, value in found.items():
        print(f"{name:8} {value:8,}   in budget.py {getattr(VM, name):8,}")
    return 0


class Counter:
    """Runs programs under qemu and counts all their instructions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "count.c").write_text(PLUGIN)
        self._plugin = folder / "count.so"
        toolchain._run("clang-22", "-O2", "-shared", "-fPIC", "-o", self._plugin, folder / "count.c")

    def count(self, qemu: str, *command: object, options: tuple[str, ...] = ()) -> int:
        done = subprocess.run(
            [qemu, *options, "-plugin", str(self._plugin), *map(str, command)],
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
        program = self._folder / "program.py"
        program.write_text(PROGRAM.replace("EMPTY", empty()))
        model = model_files(MODEL)[0]
        spent = {}
        for what in ("read", "feed", "end", "hear", "step", "double"):
            runs = [self.count("qemu-x86_64", sys.executable, MICROPYTHON, program, what, n, model) for n in RUNS]
            spent[what] = (runs[1] - runs[0]) / (RUNS[1] - RUNS[0])
        command = [sys.executable, MICROPYTHON, program, "hear", "1", model]
        said = subprocess.run(command, cwd=FIRMWARE, capture_output=True, text=True, check=True).stdout
        calls = int(said.split()[-1])
        kernel = (spent.pop("double") - spent["step"]) / calls
        spent["step"] -= spent["hear"] + calls * kernel
        return {name: round(value) for name, value in (spent | {"kernel": kernel}).items()}

    def ratio(self) -> float:
        """Xtensa instructions, compiled as ESP-IDF compiles MicroPython (-O2), for one of x86-64, compiled as the unix
        port is (-Os)."""
        spent = []
        for qemu, options, build in (("qemu-xtensa", CPU, self._xtensa), ("qemu-x86_64", (), self._x64)):
            few, many = (self.count(qemu, build(rounds), options=options) for rounds in ROUNDS)
            spent.append(many - few)
        return spent[0] / spent[1]

    def _x64(self, rounds: int) -> Path:
        source, out = self._folder / "probe.c", self._folder / f"x64-{rounds}"
        source.write_text(PROBE)
        flags = ["-Os", "-ffreestanding", "-fno-builtin", "-nostdlib", "-static", f"-DROUNDS={rounds}", "-DEXIT=60"]
        toolchain._run("clang-22", *flags, "-o", out, source)
        return out

    def _xtensa(self, rounds: int) -> Path:
        source, out = self._folder / "probe.c", self._folder / f"xtensa-{rounds}"
        source.write_text(PROBE)
        steps = [out.with_suffix(suffix) for suffix in (".ll", ".s", ".o")]
        flags = ["--target=xtensa", "-O2", "-ffreestanding", "-fno-builtin", f"-DROUNDS={rounds}", "-DEXIT=118"]
        toolchain._run("clang-22", *flags, "-S", "-emit-llvm", "-o", steps[0], source)
        toolchain._run("llc-22", "-mcpu=esp32", "-O2", "-o", steps[1], steps[0])
        steps[1].write_text((toolchain.HERE / "start_xtensa.S").read_text() + steps[1].read_text())
        toolchain._run("llvm-mc-22", "-triple=xtensa", "-mcpu=esp32", "-filetype=obj", "-o", steps[2], steps[1])
        script = self._folder / "probe.ld"
        script.write_text(LINKED)
        linker = ["xtensa-lx106-elf-ld", "--no-relax", "--defsym", f"TEXT={toolchain.TEXT:#x}"]
        toolchain._run(*linker, "-T", script, "-o", out, steps[2])
        return out


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
