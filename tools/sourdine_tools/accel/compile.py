"""C kernels into machine code for the processors of release.ARCHES, by Debian's clang-22 and llvm-22 alone.

Each kernel becomes one function with viper's calling convention: its arguments are read as the annotations of the viper
kernel of the same name say, so the two cannot disagree. Nothing in the bytes depends on when or where they are made.
"""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_tools.accel.elf import Elf
from sourdine_tools.accel.signatures import Signature

HERE = Path(__file__).parent
TOOLS = ("clang-22", "llc-22", "llvm-mc-22")
INSTALL = "apt install clang-22 llvm-22"
# No library, no tables beside the code, no vectors. What a kernel reads may lie in any buffer, so types say nothing.
COMMON = [
    "-O2",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Werror",
    "-ffreestanding",
    "-fno-builtin",
    "-fno-jump-tables",
    "-fno-strict-aliasing",
    "-fno-vectorize",
    "-fno-slp-vectorize",
    "-fno-asynchronous-unwind-tables",
]
CLANG = {
    "x64": ["--target=x86_64-linux-gnu", "-mgeneral-regs-only", "-fcf-protection=none", "-c"],
    "rv32imc": ["--target=riscv32", "-march=rv32imc", "-mabi=ilp32", "-mno-relax", "-c"],
    "xtensawin": ["--target=xtensa", "-S", "-emit-llvm"],
}
# ESP32 and ESP32-S3 have MULUH, but no core of qemu's has, and what is not tested is not built.
XTENSA = ["-mcpu=esp32", "-mattr=-mul32high"]
# Loads and stores have no negative offsets on Xtensa, which this pass believes they have.
FAST = ["-disable-lsr"]
DEFINED = re.compile(r"^KERNEL \w+ (\w+)\(", re.MULTILINE)


def sources(build: str) -> dict[str, Path]:
    """Kernel → the C file that defines it. "plain" has them all; "fast" has its own where that is faster."""
    found = {}
    for folder in ("plain", "fast")[: 2 if build == "fast" else 1]:
        for path in sorted((HERE / folder).glob("*.c")):
            found |= dict.fromkeys(DEFINED.findall(path.read_text()), path)
    return found


def codes(arch: str, build: str, signatures: dict[str, Signature]) -> dict[str, bytes]:
    """Kernel → machine code, for each kernel that has both a signature and a source. Raises Mistake."""
    found = {}
    chosen = sources(build)
    for path in sorted(set(chosen.values())):
        names = [name for name, home in chosen.items() if home == path and name in signatures]
        unit = f'#include "{path.relative_to(HERE)}"\n' + "".join(signatures[name].entry() for name in names)
        found |= Elf(assembled(arch, unit, path.parent.name == "fast")).functions
    return found


@cache
def assembled(arch: str, unit: str, fast: bool = False) -> bytes:
    """The object file of one translation unit."""
    absent = [tool for tool in TOOLS if not shutil.which(tool)]
    if absent:
        raise Mistake(f"the accelerator is built by {', '.join(absent)}: `{INSTALL}` first")
    made = run(["clang-22", *CLANG[arch], *COMMON, "-I", HERE, "-x", "c", "-", "-o", "-"], unit.encode())
    if arch == "xtensawin":  # the back end writes text, but no object files yet
        text = run(["llc-22", *XTENSA, *(FAST if fast else ()), "-O2", "-", "-o", "-"], made)
        made = run(["llvm-mc-22", "-triple=xtensa", *XTENSA, "-filetype=obj", "-", "-o", "-"], text)
    return made


def run(command: list, data: bytes) -> bytes:
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        raise Mistake(f"{command[0]} fails: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout
