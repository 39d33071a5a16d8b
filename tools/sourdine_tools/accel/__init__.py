"""The optional accelerator: the firmware's kernels once more, in C, as one .mpy that the board may choose at import.

plain/  the kernels as one would write them, the measure that the others are held against
fast/   those that are worth more work
"""

import tempfile
from pathlib import Path

from sourdine_tools.accel.compile import codes
from sourdine_tools.accel.graft import graft
from sourdine_tools.accel.signatures import signatures
from sourdine_tools.release import FIRMWARE, compiled

NAME = "sourdine/accel.py"


def kernels(arch: str, build: str = "fast", source: Path = FIRMWARE) -> dict[str, dict[str, bytes]]:
    """Module → kernel → machine code, as sourdine_tools.chip.mpy.deployed() has them of viper."""
    known = signatures(source)
    found: dict[str, dict[str, bytes]] = {}
    for name, code in codes(arch, build, known).items():
        found.setdefault(known[name].module, {})[name] = code
    return found


def mpy(arch: str, build: str = "fast", source: Path = FIRMWARE) -> bytes:
    """The accelerator for boards of this processor. Raises Mistake where clang-22 or llvm-22 is missing."""
    known = signatures(source)
    made = codes(arch, build, known)
    with tempfile.TemporaryDirectory() as folder:
        stub = Path(folder) / "accel.py"
        stub.write_text("".join(known[name].stub() for name in made))
        return graft(compiled(stub, NAME, arch), list(made.values()))
