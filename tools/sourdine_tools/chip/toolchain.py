"""Debian 12's tools that run the chip's code, and what is built with them: the guest programs and a plugin of qemu's.

Everything is built once into a folder named by the hash of its sources, in the user's cache.
"""

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

from sourdine_board.mistake import Mistake

HERE = Path(__file__).parent
INSTALL = "sudo apt-get install qemu-user clang-22 llvm-22 binutils-xtensa-lx106"
# The program that must be there → the package that brings it.
PROGRAMS = {
    "qemu-xtensa": "qemu-user",
    "qemu-riscv32": "qemu-user",
    "clang-22": "clang-22",
    "llc-22": "llvm-22",
    "llvm-mc-22": "llvm-22",
    "llvm-objcopy-22": "llvm-22",
    "xtensa-lx106-elf-ld": "binutils-xtensa-lx106",
}

# Where things are in the guest. Positive as 32-bit ints, as the chip's RAM is, and all in one gigabyte.
TEXT = 0x1000_0000  # the guest program
TEXT_SIZE = 0x4000
RAM, RAM_SIZE = 0x3E00_0000, 0x0200_0000  # shared with guest.py; the last CODE_SIZE bytes are for code
CODE_SIZE = 0x10_0000
CODE = RAM + RAM_SIZE - CODE_SIZE

_C = [f"-DRAM={RAM:#x}u", f"-DRAM_SIZE={RAM_SIZE:#x}u", "-O2", "-ffreestanding", "-fno-builtin", "-fno-jump-tables"]
_RISCV = ["--target=riscv32", "-march=rv32imc", "-mabi=ilp32", "-mno-relax"]


def missing() -> list[str]:
    """Packages that are not installed."""
    return sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})


def runtime(arch: str) -> Path:
    """The guest program (runtime.c) for "xtensawin" or "rv32imc"."""
    build = {"xtensawin": _xtensa, "rv32imc": _riscv}[arch]
    return _built(f"runtime-{arch}", ["runtime.c", "start_xtensa.S", "start_riscv.S", "runtime.ld"], build)


def plugin() -> Path:
    """count.c as a shared object for this machine's qemu."""
    return _built(
        "count.so", ["count.c"], lambda out: _run("clang-22", "-O2", "-fPIC", "-shared", "-o", out, HERE / "count.c")
    )


def _xtensa(out: Path) -> None:
    scratch = out.with_suffix(".ll"), out.with_suffix(".s"), out.with_suffix(".o")
    _run("clang-22", "--target=xtensa", *_C, "-S", "-emit-llvm", "-o", scratch[0], HERE / "runtime.c")
    _run("llc-22", "-mcpu=esp32", "-O2", "-o", scratch[1], scratch[0])
    scratch[1].write_text((HERE / "start_xtensa.S").read_text() + scratch[1].read_text())
    _run("llvm-mc-22", "-triple=xtensa", "-mcpu=esp32", "-filetype=obj", "-o", scratch[2], scratch[1])
    linker = ["xtensa-lx106-elf-ld", "--no-relax", "--defsym", f"TEXT={TEXT:#x}", "-T", HERE / "runtime.ld"]
    _run(*linker, "-o", out, scratch[2])


def _riscv(out: Path) -> None:
    """Debian's compiler comes without a linker for it; a program that is one section of code needs only a header."""
    assembly, image = out.with_suffix(".s"), out.with_suffix(".o")
    _run("clang-22", *_RISCV, "-mcmodel=medany", *_C, "-S", "-o", assembly, HERE / "runtime.c")
    assembly.write_text((HERE / "start_riscv.S").read_text() + assembly.read_text())
    _run("clang-22", *_RISCV, "-c", "-o", image, assembly)
    _run("llvm-objcopy-22", "-O", "binary", "--only-section=.text", image)
    text = image.read_bytes()
    head, segment = 52, 32  # bytes (System V ABI, ELF32)
    size = head + segment + len(text)
    ident = b"\x7fELF" + bytes([1, 1, 1]) + bytes(9)
    file = struct.pack("<HHIIIIIHHHHHH", 2, 243, 1, TEXT + head + segment, head, 0, 1, head, segment, 1, 40, 0, 0)
    load = struct.pack("<8I", 1, 0, TEXT, TEXT, size, size, 5, 0x1000)  # readable and executable
    out.write_bytes(ident + file + load + text)
    out.chmod(0o755)


def _built(name: str, sources: list[str], build) -> Path:
    texts = [Path(__file__).read_bytes(), *((HERE / source).read_bytes() for source in sources)]
    digest = hashlib.sha256(b"\0".join(texts)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    target = cache / "sourdine" / "chip" / digest / name
    if missing():
        raise Mistake(f"{', '.join(missing())} not installed: {INSTALL}")
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            build(Path(scratch) / name)
            (Path(scratch) / name).rename(target)  # whole or not at all, however many build at once
    return target


def _run(*command) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        trouble = (done.stderr or done.stdout).strip().splitlines()
        raise Mistake(f"{command[0]} fails: {trouble[-1] if trouble else 'it says nothing'}")
